//! A job's corpus on the disk: inputs are read from its folder, and new ones written into it.
//!
//! libFuzzer could do both, but it does not look whether a write worked: on a full disk it leaves
//! thousands of empty files and ends well. So it is not told of the folder. What is read is handed
//! to it in the place of mutations ([`Folder::next`]); what it keeps is written here, whole, and
//! held back in memory while there is no room.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use sha1_smol::Sha1;

use super::listing::{Shared, lock, new_inputs, watch};
use super::protocol::{PassedOver, Seen};
use crate::files;

/// How often it is tried again to write what is held back.
const AGAIN: Duration = Duration::from_secs(1);

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
        let blocked = lock(&self.names).blocked.len();
        self.dropped + (self.held.len() + blocked) as u64
    }

    /// Why inputs can not be written now.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Files that were no inputs, or could not be read, as the folder was looked at last.
    pub fn passed_over(&self) -> Option<PassedOver> {
        lock(&self.names).passed_over(&self.path)
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
        match files::keep(&self.path.join(&name), input) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // It can not be written however long that is tried.
                let blocked = &mut lock(&self.names).blocked;
                blocked.insert(name.into(), error.to_string());
                Ok(())
            }
            kept => kept.map(|_| ()),
        }
    }
}

/// The name that libFuzzer gives to an input, too: one corpus is one folder to all engines.
fn name(input: &[u8]) -> String {
    Sha1::from(input).digest().to_string()
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
    fn what_a_failed_write_left_is_filled() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path();
        std::fs::write(path.join(name(b"one")), "").unwrap();
        std::os::unix::fs::symlink("nothing", path.join(name(b"two"))).unwrap();
        let mut folder = Folder::open(path, false, MOST).unwrap();
        folder.add(b"one");
        assert_eq!(std::fs::read(path.join(name(b"one"))).unwrap(), b"one");
        folder.add(b"two");
        folder.add(b"three");
        assert_eq!((folder.unsaved(), folder.trouble()), (1, None));
        assert!(path.join(name(b"three")).exists(), "others are written");
        let told = folder.passed_over().unwrap().first;
        assert!(told.contains("is a link to nothing"), "{told}");
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
