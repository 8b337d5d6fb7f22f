//! A job's corpus on the disk: inputs are read from its folder, and new ones written into it.
//!
//! libFuzzer could do both, but it does not look whether a write worked: on a full disk it leaves
//! thousands of empty files and ends well. So it is not told of the folder. What is read is handed
//! to it in the place of mutations ([`Folder::next`]); what it keeps is written here, whole, and
//! held back in memory while there is no room.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use sha1_smol::Sha1;
use vmadiff::program::form::Form;

use super::protocol::{PassedOver, Seen};
use crate::files::{self, LARGEST_INPUT, is_by_an_engine};

/// How often it is tried again to write what is held back, and how often the folder is looked at
/// for what others wrote.
const AGAIN: Duration = Duration::from_secs(1);

/// How often the folder is looked at for what others wrote, whether it tells of a change or not.
const REGARDLESS: Duration = Duration::from_secs(60);

/// What the thread that looks for others' inputs shares with the job.
type Shared = Arc<Mutex<Names>>;

/// Names of files in the folder.
#[derive(Default)]
struct Names {
    /// Read or written.
    known: BTreeSet<OsString>,
    /// Not read as the folder was looked at last, and why.
    passed_over: BTreeMap<PathBuf, String>,
}

/// The folder, what is yet to be handed to libFuzzer, and what is yet to be written.
pub struct Folder {
    path: PathBuf,
    names: Shared,
    read: VecDeque<Vec<u8>>,
    /// Inputs that were there at the start.
    had: usize,
    /// From a thread that looks for what others write.
    others: Option<Receiver<Vec<u8>>>,
    held: VecDeque<Vec<u8>>,
    held_bytes: usize,
    /// Of these more are counted and dropped.
    held_bytes_most: usize,
    /// Inputs for which there was no room in memory either.
    dropped: u64,
    trouble: Option<String>,
    tried: Instant,
}

impl Folder {
    /// Reads the inputs in a folder; goes on looking there if it is shared. So many bytes of inputs are
    /// held back at most.
    ///
    /// # Errors
    ///
    /// If the folder cannot be read.
    pub fn open(path: &Path, is_shared: bool, held_bytes_most: usize) -> io::Result<Self> {
        files::sweep(path);
        let names = Shared::default();
        let mut read = new_inputs(path, &names)?;
        // Small ones first, as libFuzzer would: of two that reach the same it keeps the first.
        read.sort_by_key(Vec::len);
        let others = is_shared.then(|| watch(path.to_owned(), Arc::clone(&names)));
        Ok(Self {
            path: path.to_owned(),
            names,
            had: read.len(),
            read: read.into(),
            others,
            held: VecDeque::new(),
            held_bytes: 0,
            held_bytes_most,
            dropped: 0,
            trouble: None,
            tried: Instant::now(),
        })
    }

    /// An input of the folder that libFuzzer has not seen.
    pub fn next(&mut self) -> Option<Vec<u8>> {
        let of_others = || self.others.as_ref()?.try_recv().ok();
        self.read.pop_front().or_else(of_others)
    }

    /// Of the inputs that were there at the start, those that libFuzzer has seen, and all.
    pub fn seen(&self) -> Seen {
        Seen {
            seen: (self.had - self.read.len()) as u64,
            all: self.had as u64,
        }
    }

    /// Writes an input under a name made of it, or holds it back. Answers the name.
    pub fn add(&mut self, input: &[u8]) -> String {
        if self.trouble.is_some() {
            self.hold(input.to_vec());
        } else if let Err(error) = self.write(input) {
            self.tried = Instant::now();
            self.trouble = Some(error.to_string());
            self.hold(input.to_vec());
        }
        name(input)
    }

    /// Takes an input away that this job wrote or holds back, and that a shorter one stands for now.
    pub fn remove(&mut self, file: &str) {
        if let Some(place) = self.held.iter().position(|input| name(input) == file) {
            let input = self.held.remove(place);
            self.held_bytes -= input.map_or(0, |input| input.len());
        } else if self.trouble.is_none() {
            // Another may have been quicker; and one too many is no loss.
            let _ = std::fs::remove_file(self.path.join(file));
        }
    }

    /// Tries to write what is held back, if it is time to.
    pub fn retry(&mut self) {
        if self.trouble.is_some() && self.tried.elapsed() >= AGAIN {
            self.flush();
        }
    }

    /// Writes what is held back, as far as that works.
    pub fn flush(&mut self) {
        while let Some(input) = self.held.pop_front() {
            if let Err(error) = self.write(&input) {
                self.trouble = Some(error.to_string());
                self.held.push_front(input);
                self.tried = Instant::now();
                return;
            }
            self.held_bytes -= input.len();
        }
        self.trouble = None;
    }

    /// Inputs that are not in the folder.
    pub fn unsaved(&self) -> u64 {
        self.dropped + self.held.len() as u64
    }

    /// Why inputs can not be written now.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Files that were no inputs, or could not be read, as the folder was looked at last.
    pub fn passed_over(&self) -> Option<PassedOver> {
        let names = lock(&self.names);
        let (first, why) = names.passed_over.first_key_value()?;
        Some(PassedOver {
            files: names.passed_over.len() as u64,
            first: format!("{}: {why}", self.path.join(first).display()),
        })
    }

    fn hold(&mut self, input: Vec<u8>) {
        if self.held_bytes + input.len() > self.held_bytes_most {
            self.dropped += 1;
        } else {
            self.held_bytes += input.len();
            self.held.push_back(input);
        }
    }

    fn write(&self, input: &[u8]) -> io::Result<()> {
        let name = name(input);
        // Noted first, so that it is not read again.
        lock(&self.names).known.insert(name.clone().into());
        files::keep(&self.path.join(name), input).map(|_| ())
    }
}

/// The name that libFuzzer gives to an input, too: one corpus is one folder to all engines.
fn name(input: &[u8]) -> String {
    Sha1::from(input).digest().to_string()
}

fn lock(names: &Shared) -> std::sync::MutexGuard<'_, Names> {
    names
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Reads the inputs in a folder that are not known yet, in the order of their names, and notes what is no
/// input.
fn new_inputs(path: &Path, names: &Shared) -> io::Result<Vec<Vec<u8>>> {
    std::fs::read_dir(path)?;
    let mut found = Listing::default();
    found.add(path, Path::new(""));
    found.files.sort();
    let mut inputs = Vec::new();
    for name in found.files {
        if lock(names).known.contains(name.as_os_str()) {
            continue;
        }
        match std::fs::read(path.join(&name)) {
            // What another program left of a write that failed, or has not written yet.
            Ok(input) if input.is_empty() => continue,
            Ok(input) if is_text(&name, &input) => {
                let what = "is a program as text, expected an input (bytes)";
                found.passed_over.insert(name, what.to_owned());
                continue;
            }
            Ok(input) => inputs.push(input),
            // Taken away since: a shorter one came.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            // Read when it can be.
            Err(error) => {
                found.passed_over.insert(name, error.to_string());
                continue;
            }
        }
        lock(names).known.insert(name.into_os_string());
    }
    lock(names).passed_over = found.passed_over;
    Ok(inputs)
}

/// Whether this is a program as people write it; what an engine wrote may look like anything.
fn is_text(name: &Path, content: &[u8]) -> bool {
    let last = name.file_name().unwrap_or_default().to_string_lossy();
    !is_by_an_engine(&last) && Form::of(name, content).0 == Form::Text
}

/// What stands in a folder, at any depth. What begins with a dot is no input; a pipe is none, which would be
/// waited for, nor is what is larger than any. One that cannot be looked at keeps none of the others back.
#[derive(Default)]
struct Listing {
    files: Vec<PathBuf>,
    passed_over: BTreeMap<PathBuf, String>,
    visited: BTreeSet<PathBuf>,
}

impl Listing {
    fn add(&mut self, path: &Path, inner: &Path) {
        let folder = path.join(inner);
        let looked = folder.canonicalize();
        let looked = looked.and_then(|real| Ok((real, std::fs::read_dir(&folder)?)));
        let (real, entries) = match looked {
            Ok(looked) => looked,
            Err(error) => return self.pass_over(inner, &error),
        };
        if !self.visited.insert(real) {
            return;
        }
        for entry in entries.flatten() {
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let name = inner.join(entry.file_name());
            match what_is(&path.join(&name)) {
                Ok(Entry::Folder) => self.add(path, &name),
                Ok(Entry::File) => self.files.push(name),
                Err(error) => self.pass_over(&name, &error),
            }
        }
    }

    fn pass_over(&mut self, name: &Path, why: &io::Error) {
        // Taken away since.
        if why.kind() != io::ErrorKind::NotFound {
            self.passed_over.insert(name.to_owned(), why.to_string());
        }
    }
}

/// What may stand in a folder of inputs.
enum Entry {
    Folder,
    File,
}

fn what_is(path: &Path) -> io::Result<Entry> {
    let metadata = std::fs::metadata(path).map_err(|error| {
        match error.kind() == io::ErrorKind::NotFound && path.is_symlink() {
            true => io::Error::other("is a link to nothing"),
            false => error,
        }
    })?;
    let size = metadata.len();
    if metadata.is_dir() {
        Ok(Entry::Folder)
    } else if !metadata.is_file() {
        Err(io::Error::other("is no file and no folder"))
    } else if size > LARGEST_INPUT {
        let what = format!("has {size} bytes, expected at most {LARGEST_INPUT} in an input");
        Err(io::Error::other(what))
    } else {
        Ok(Entry::File)
    }
}

/// Reads again and again what others wrote into a folder.
fn watch(path: PathBuf, names: Shared) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    let modified = |path: &Path| path.metadata().and_then(|metadata| metadata.modified());
    std::thread::spawn(move || {
        let mut last = SystemTime::UNIX_EPOCH;
        loop {
            std::thread::sleep(AGAIN);
            // Looked at once more after the last change: time on a disk is coarse. What changes within
            // files and in folders further down is not told there.
            let Ok(now) = modified(&path) else { continue };
            let is_whole = lock(&names).passed_over.is_empty();
            let since = last.elapsed().unwrap_or_default();
            if now + 2 * AGAIN < last && is_whole && since < REGARDLESS {
                continue;
            }
            last = SystemTime::now();
            let start = Instant::now();
            // What cannot be read now is read later.
            for input in new_inputs(&path, &names).unwrap_or_default() {
                if sender.send(input).is_err() {
                    return;
                }
            }
            // A large folder on a slow disk is not looked at all the time.
            std::thread::sleep(start.elapsed() * 10);
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 16 << 20;

    fn inputs(folder: &mut Folder) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| folder.next()).collect()
    }

    #[test]
    fn what_is_written_is_read_once() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path();
        std::fs::create_dir(path.join("deeper")).unwrap();
        for (name, content) in [
            ("deeper/b", "\0longer"),
            ("a", "\0short"),
            ("empty", ""),
            (".hidden", "x"),
        ] {
            std::fs::write(path.join(name), content).unwrap();
        }
        let mut folder = Folder::open(path, true, MOST).unwrap();
        let seen = |folder: &Folder| (folder.seen().seen, folder.seen().all);
        assert_eq!(seen(&folder), (0, 2));
        assert_eq!(folder.next(), Some(b"\0short".to_vec()));
        assert_eq!(seen(&folder), (1, 2));
        assert_eq!(inputs(&mut folder), [b"\0longer".to_vec()]);
        folder.add(b"its own");
        assert!(path.join(name(b"its own")).exists());
        let other = Folder::open(path, false, MOST).unwrap();
        assert_eq!(other.read.len(), 3);
        std::fs::write(path.join("new"), "\0of another").unwrap();
        let start = Instant::now();
        let mut seen = Vec::new();
        while seen.is_empty() {
            assert!(start.elapsed() < Duration::from_secs(20));
            seen = inputs(&mut folder);
        }
        assert_eq!(seen, [b"\0of another".to_vec()]);
        assert_eq!(folder.seen().left(), 0, "it was not there at the start");
    }

    #[test]
    fn what_is_no_input_is_named_and_read_once_it_is_one() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path();
        let large = path.join("large");
        std::fs::File::create(&large)
            .and_then(|file| file.set_len(LARGEST_INPUT + 1))
            .unwrap();
        std::os::unix::fs::symlink(path.join("nothing"), path.join("link")).unwrap();
        std::fs::write(path.join("input"), "\0one").unwrap();
        let mut folder = Folder::open(path, false, MOST).unwrap();
        assert_eq!(inputs(&mut folder), [b"\0one".to_vec()]);
        let passed_over = folder.passed_over().unwrap();
        assert_eq!(passed_over.files, 2);
        assert!(
            passed_over
                .first
                .ends_with("large: has 16777217 bytes, expected at most 16777216 in an input"),
            "{}",
            passed_over.first
        );
        std::fs::write(&large, "\0two").unwrap();
        let new = new_inputs(path, &folder.names).unwrap();
        assert_eq!(new, [b"\0two".to_vec()]);
        std::fs::write(path.join("text"), "load(0x1f0000)\n").unwrap();
        std::fs::write(path.join("late"), "").unwrap();
        assert_eq!(new_inputs(path, &folder.names).unwrap(), [] as [Vec<u8>; 0]);
        assert_eq!(folder.passed_over().unwrap().files, 2);
        std::fs::remove_file(path.join("text")).unwrap();
        std::fs::write(path.join("late"), [0, 1]).unwrap();
        assert_eq!(new_inputs(path, &folder.names).unwrap(), [[0, 1]]);
        let passed_over = folder.passed_over().unwrap();
        assert_eq!(passed_over.files, 1);
        assert!(passed_over.first.ends_with("link: is a link to nothing"));
    }

    #[test]
    fn what_a_failed_write_left_is_filled() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path();
        std::fs::write(path.join(name(b"one")), "").unwrap();
        std::os::unix::fs::symlink("nothing", path.join(name(b"two"))).unwrap();
        let mut folder = Folder::open(path, false, MOST).unwrap();
        folder.add(b"one");
        assert_eq!(std::fs::read(path.join(name(b"one"))).unwrap(), b"one");
        folder.add(b"two");
        assert_eq!(folder.unsaved(), 1, "{:?}", folder.trouble());
    }

    #[test]
    fn names_are_libfuzzers() {
        assert_eq!(name(b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    }

    #[test]
    fn what_finds_no_room_is_held_back_and_written_later() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("corpus");
        std::fs::create_dir(&path).unwrap();
        let mut folder = Folder::open(&path, false, MOST).unwrap();
        std::fs::remove_dir(&path).unwrap();
        folder.add(b"one");
        folder.add(b"two");
        folder.flush();
        assert_eq!(folder.unsaved(), 2);
        assert!(folder.trouble().is_some());
        std::fs::create_dir(&path).unwrap();
        folder.flush();
        assert_eq!((folder.unsaved(), folder.trouble()), (0, None));
        assert_eq!(path.read_dir().unwrap().count(), 2);
        assert_eq!(std::fs::read(path.join(name(b"two"))).unwrap(), b"two");
    }

    #[test]
    fn what_is_held_back_has_a_limit() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("corpus");
        std::fs::create_dir(&path).unwrap();
        let mut folder = Folder::open(&path, false, MOST).unwrap();
        std::fs::remove_dir(&path).unwrap();
        let input = vec![7; 1 << 20];
        for _ in 0..20 {
            folder.add(&input);
        }
        assert_eq!((folder.held.len(), folder.dropped), (16, 4));
        assert_eq!(folder.unsaved(), 20);
    }
}
