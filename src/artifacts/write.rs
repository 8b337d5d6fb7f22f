//! Programs that were found, kept as text. Of the same signature from the same version, design and
//! defects the smaller program stays and its count rises ([`Counts`]); nothing else is ever written over.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use vmadiff::program::{Case, text::TextError};

use super::counts::Counts;
use super::identity::{Identity, is_smaller};
use crate::files::{self, Lasting};

/// Files of one signature in one folder, above which something is wrong.
const NUMBERED: u32 = 10_000;
/// How long another process may keep a folder locked. Merging takes a millisecond; more is one that
/// was stopped, and it is better to write a file of one's own than to wait for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A program to keep, and the file that has it as soon as there is room for one.
#[derive(Clone, Debug)]
pub struct Kept {
    folder: PathBuf,
    /// Of the file's name: what stands before `.vma`, or before `-2.vma` and so on.
    stem: String,
    case: Case,
    /// Where it is, or why it is nowhere.
    at: Result<PathBuf, String>,
}

impl Kept {
    /// Keeps a program in `folder`, named by its signature, if that works already.
    pub fn new(folder: &Path, signature: &str, case: Case) -> Self {
        Self::of_stem(folder, slug(signature), case)
    }

    /// Keeps the smaller program beside the one that it was made from: `x.min.vma` beside `x.vma`.
    pub fn beside(original: &Self, case: Case) -> Self {
        let stem = original.path().and_then(Path::file_stem);
        let stem = stem.map_or(original.stem.clone().into(), |stem| stem.to_string_lossy());
        Self::of_stem(&original.folder, format!("{stem}.min"), case)
    }

    /// One that another process has kept, or tried to.
    ///
    /// # Errors
    ///
    /// If what it tells is no program.
    pub fn told(
        folder: &Path,
        signature: &str,
        text: &str,
        at: Result<PathBuf, String>,
    ) -> Result<Self, TextError> {
        Ok(Self {
            folder: folder.to_owned(),
            stem: slug(signature),
            case: Case::parse("what a job found", text)?,
            at,
        })
    }

    fn of_stem(folder: &Path, stem: String, case: Case) -> Self {
        let mut kept = Self {
            folder: folder.to_owned(),
            stem,
            case,
            at: Err(String::new()),
        };
        kept.retry();
        kept
    }

    /// Tries again, if it is nowhere yet; whether it is in a file now.
    pub fn retry(&mut self) -> bool {
        if self.at.is_err() {
            let saved = save(&self.folder, &self.stem, &self.case);
            self.at = saved.map_err(|error| format!("{}: {error}", self.folder.display()));
        }
        self.at.is_ok()
    }

    /// The program, with its comments.
    pub fn case(&self) -> &Case {
        &self.case
    }

    /// Its file.
    pub fn path(&self) -> Option<&Path> {
        self.at.as_deref().ok()
    }

    /// Its file, or why it has none.
    pub fn place(&self) -> &Result<PathBuf, String> {
        &self.at
    }
}

/// Writes an artifact to `folder/stem.vma`, or `stem-2.vma` and so on where another one stands, or
/// merges it with its own kind.
fn save(folder: &Path, stem: &str, case: &Case) -> io::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    // Released when it is closed, by a kill too.
    let lock = File::open(folder)?;
    wait_for(&lock)?;
    let identity = Identity::of(case);
    let mut counts = Counts::of(folder);
    for number in 1..=NUMBERED {
        let name = match number {
            1 => format!("{stem}.vma"),
            _ => format!("{stem}-{number}.vma"),
        };
        let path = folder.join(&name);
        match files::create(&path, case.to_string().as_bytes(), Lasting::Disk) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            created => {
                created?;
                // Somebody may have taken another one away that had this name.
                if counts.get(&name, case) != 1 {
                    counts.set(&name, 1);
                    counts.write(folder);
                }
                return Ok(path);
            }
        }
        if let Some(old) = artifact_in(&path)
            && identity.is_some()
            && Identity::of(&old) == identity
        {
            let times = counts.get(&name, &old).saturating_add(1);
            if is_smaller(case, &old) {
                files::replace(&path, case.to_string().as_bytes(), Lasting::Disk)?;
            }
            counts.set(&name, times);
            counts.write(folder);
            return Ok(path);
        }
    }
    let many = format!("{NUMBERED} files named {stem}-N.vma exist already");
    Err(io::Error::other(many))
}

/// The artifact in a file; what cannot be read or is none is somebody else's.
fn artifact_in(path: &Path) -> Option<Case> {
    let text = std::fs::read_to_string(path).ok()?;
    Case::parse("", &text).ok()
}

/// Waits for the folder's lock. Where there are none (some network file systems) names still keep
/// processes apart; only a count may be off.
fn wait_for(folder: &File) -> io::Result<()> {
    let start = Instant::now();
    loop {
        match folder.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if start.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::new(io::ErrorKind::WouldBlock, "it stays locked"));
            }
            Err(TryLockError::Error(_)) => return Ok(()),
        }
    }
}

/// A file name out of a signature: `outcome/munmap/value` becomes `outcome-munmap-value`.
fn slug(signature: &str) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    signature.chars().map(keep).collect()
}

#[cfg(test)]
mod tests {
    use vmadiff::designs::{self, Planted};
    use vmadiff::program::Program;

    use super::super::kept_before;
    use super::*;

    const SIGNATURE: &str = "state/mmap/vmas.flags";

    /// A finding of a candidate with a defect, or with none.
    fn found(calls: &str, has_defect: bool) -> Case {
        let program = Case::parse("test", calls).unwrap().program;
        let defect = designs::defects(designs::DESIGNS[0]).next().unwrap().name;
        let planted = match has_defect {
            true => Planted::defect(defect),
            false => Planted::default(),
        };
        crate::artifacts::case(&SIGNATURE, "something", &program, Some(&planted))
    }

    fn program_in(kept: &Kept) -> Program {
        artifact_in(kept.path().unwrap()).unwrap().program
    }

    #[test]
    fn of_the_same_finding_the_smaller_stays_and_the_count_rises() {
        let folder = tempfile::tempdir().unwrap();
        let [small, large] = ["load(0x1000)\n", "load(0x1000)\nload(0x2000)\n"];
        let kept = [large, small, large].map(|calls| {
            let kept = Kept::new(folder.path(), SIGNATURE, found(calls, true));
            (program_in(&kept), kept)
        });
        let calls = kept.each_ref().map(|(program, _)| program.calls.len());
        assert_eq!(calls, [2, 1, 1]);
        assert_eq!(kept[0].1.path(), kept[2].1.path());
        let path = kept[2].1.path().unwrap();
        assert_eq!(times(path), 3);
        assert_eq!(folder.path().read_dir().unwrap().count(), 2, "and counts");
        // Who takes it away has it found anew.
        std::fs::remove_file(path).unwrap();
        Kept::new(folder.path(), SIGNATURE, found(small, true));
        assert_eq!(times(path), 1);
    }

    fn times(path: &Path) -> u64 {
        let name = path.file_name().unwrap().to_str().unwrap();
        Counts::of(path.parent().unwrap()).get(name, &artifact_in(path).unwrap())
    }

    /// What is found again, after a restart say, is not written anew; a count in the program, as older
    /// versions wrote it, is gone on with.
    #[test]
    fn a_program_that_comes_again_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let case = found("load(0x1000)\n", true);
        let kept = Kept::new(folder.path(), SIGNATURE, case.clone());
        let path = kept.path().unwrap();
        let mut older = case.clone();
        older.comments.push((0, "found 6 times".to_owned()));
        std::fs::write(path, older.to_string()).unwrap();
        let written = |path: &Path| {
            let at = path.metadata().unwrap();
            (at.modified().unwrap(), std::fs::read(path).unwrap())
        };
        let before = written(path);
        for again in 7..9 {
            Kept::new(folder.path(), SIGNATURE, case.clone());
            assert_eq!(times(path), again);
        }
        assert_eq!(written(path), before);
        let with = artifact_in(path).map(|_| folder.path().join(super::super::COUNTS));
        assert_eq!(
            std::fs::read_to_string(with.unwrap()).unwrap(),
            "8 state-mmap-vmas-flags.vma\n"
        );
    }

    #[test]
    fn what_was_kept_before_is_known_by_who_made_it() {
        let folder = tempfile::tempdir().unwrap();
        for has_defect in [true, true, false] {
            Kept::new(
                folder.path(),
                SIGNATURE,
                found("load(0x1000)\n", has_defect),
            );
        }
        std::fs::write(folder.path().join("mine.vma"), "load(0x1000)\n").unwrap();
        std::fs::write(folder.path().join("timeout-1"), [0xff; 64]).unwrap();
        let defect = designs::defects(designs::DESIGNS[0]).next().unwrap().name;
        let with = kept_before(folder.path(), Some(&Planted::defect(defect)));
        assert_eq!(with, [(SIGNATURE.to_owned(), 2)].into());
        let without = kept_before(folder.path(), Some(&Planted::default()));
        assert_eq!(without, [(SIGNATURE.to_owned(), 1)].into());
        assert_eq!(kept_before(folder.path(), None), [].into());
    }

    #[test]
    fn anything_else_gets_a_file_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let precious = folder.path().join("state-mmap-vmas-flags.vma");
        std::fs::write(&precious, "load(0x1000)\n").unwrap();
        let keep = |has_defect| {
            let kept = Kept::new(
                folder.path(),
                SIGNATURE,
                found("load(0x1000)\n", has_defect),
            );
            let name = kept.path().unwrap().file_name().unwrap();
            name.to_str().unwrap().to_owned()
        };
        assert_eq!(keep(false), "state-mmap-vmas-flags-2.vma");
        assert_eq!(keep(true), "state-mmap-vmas-flags-3.vma");
        assert_eq!(keep(false), "state-mmap-vmas-flags-2.vma");
        assert_eq!(std::fs::read(&precious).unwrap(), b"load(0x1000)\n");
    }

    #[test]
    fn what_cannot_be_written_is_still_there_and_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("in the way");
        std::fs::write(&place, "no folder").unwrap();
        let mut kept = Kept::new(&place, SIGNATURE, found("load(0x1000)\n", false));
        assert_eq!(kept.path(), None);
        assert!(!kept.retry());
        std::fs::remove_file(&place).unwrap();
        assert!(kept.retry());
        assert_eq!(program_in(&kept).calls.len(), 1);
    }
}
