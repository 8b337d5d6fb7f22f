//! What others leave in a corpus' folder: inputs to read, and what is none, which is told.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use vmadiff::program::form::Form;

use super::protocol::PassedOver;
use crate::files::{Identity, identity, is_named_by_an_engine, may_have};

/// How often the folder is looked at for what others wrote, whether it tells of a change or not.
const REGARDLESS: Duration = Duration::from_secs(60);

/// How often the folder is looked at for what others wrote, if it tells of a change.
const AGAIN: Duration = Duration::from_secs(1);

/// What the thread that looks for others' inputs shares with the job.
pub type Shared = Arc<Mutex<Names>>;

/// Names of files in the folder.
#[derive(Default)]
pub struct Names {
    /// Read or written.
    pub known: BTreeSet<OsString>,
    /// Not read as the folder was looked at last, and why.
    passed_over: BTreeMap<PathBuf, String>,
    /// What stands where an input is to be written, and what it is.
    pub blocked: BTreeMap<PathBuf, String>,
}

/// The names, also where a job that had them died.
pub fn lock(names: &Shared) -> MutexGuard<'_, Names> {
    names.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Names {
    /// What was passed over in this folder.
    pub fn passed_over(&self, folder: &Path) -> Option<PassedOver> {
        let others = self.passed_over.iter();
        let others = others.filter(|(name, _)| !self.blocked.contains_key(*name));
        let all = || self.blocked.iter().chain(others.clone());
        let (first, why) = all().min()?;
        Some(PassedOver {
            files: all().count() as u64,
            first: format!("{}: {why}", folder.join(first).display()),
        })
    }
}

/// Reads the inputs in a folder that are not known yet, in the order of their names, and notes what is no
/// input.
pub fn new_inputs(path: &Path, names: &Shared) -> io::Result<Vec<Vec<u8>>> {
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
    !is_named_by_an_engine(&last) && Form::of(name, content).0 == Form::Text
}

/// What stands in a folder, at any depth. What begins with a dot is no input; a pipe is none, which would be
/// waited for, nor is what is larger than any. One that cannot be looked at keeps none of the others back.
#[derive(Default)]
struct Listing {
    files: Vec<PathBuf>,
    passed_over: BTreeMap<PathBuf, String>,
    visited: BTreeSet<Identity>,
}

impl Listing {
    fn add(&mut self, path: &Path, inner: &Path) {
        let folder = path.join(inner);
        let looked = identity(&folder);
        let looked = looked.and_then(|which| Ok((which, std::fs::read_dir(&folder)?)));
        let (which, entries) = match looked {
            Ok(looked) => looked,
            Err(error) => return self.pass_over(inner, &error),
        };
        if !self.visited.insert(which) {
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
    if metadata.is_dir() {
        Ok(Entry::Folder)
    } else if !metadata.is_file() {
        Err(io::Error::other("is no file and no folder"))
    } else {
        may_have(metadata.len()).map(|()| Entry::File)
    }
}

/// Reads again and again what others wrote into a folder.
pub fn watch(path: PathBuf, names: Shared) -> Receiver<Vec<u8>> {
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
    use crate::files::LARGEST_INPUT;

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
        let names = Shared::default();
        assert_eq!(new_inputs(path, &names).unwrap(), [b"\0one".to_vec()]);
        let passed_over = lock(&names).passed_over(path).unwrap();
        assert_eq!(passed_over.files, 2);
        assert!(
            passed_over
                .first
                .ends_with("large: has 16777217 bytes, expected at most 16777216 in an input"),
            "{}",
            passed_over.first
        );
        std::fs::write(&large, "\0two").unwrap();
        let new = new_inputs(path, &names).unwrap();
        assert_eq!(new, [b"\0two".to_vec()]);
        std::fs::write(path.join("text"), "load(0x1f0000)\n").unwrap();
        std::fs::write(path.join("late"), "").unwrap();
        assert_eq!(new_inputs(path, &names).unwrap(), [] as [Vec<u8>; 0]);
        assert_eq!(lock(&names).passed_over(path).unwrap().files, 2);
        std::fs::remove_file(path.join("text")).unwrap();
        std::fs::write(path.join("late"), [0, 1]).unwrap();
        assert_eq!(new_inputs(path, &names).unwrap(), [[0, 1]]);
        let passed_over = lock(&names).passed_over(path).unwrap();
        assert_eq!(passed_over.files, 1);
        assert!(passed_over.first.ends_with("link: is a link to nothing"));
    }
}
