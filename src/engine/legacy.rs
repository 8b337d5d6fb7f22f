//! What a job leaves when it dies: the input that it was working on. libFuzzer writes it as one of
//! its last deeds, into memory that parent and job share: a disk may be full just then, and a write
//! that fails it does not notice.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use sha1_smol::Sha1;

use crate::files::{self, Lasting};

/// Memory that is a file to those who know its number.
pub struct Legacy {
    file: File,
}

impl Legacy {
    /// An empty one, which every process that is started from here on inherits.
    pub fn new() -> io::Result<Self> {
        Ok(Self { file: open()? })
    }

    /// The path by which a child knows it.
    pub fn path(&self) -> String {
        format!("/dev/fd/{}", self.file.as_raw_fd())
    }

    /// What was written to it; nothing, if that cannot be read.
    pub fn read(&mut self) -> Vec<u8> {
        let mut input = Vec::new();
        let read = self
            .file
            .rewind()
            .and_then(|()| self.file.read_to_end(&mut input));
        read.map_or(Vec::new(), |_| input)
    }
}

#[cfg(target_os = "linux")]
fn open() -> io::Result<File> {
    let memory = rustix::fs::memfd_create("input", rustix::fs::MemfdFlags::empty())?;
    Ok(memory.into())
}

#[cfg(not(target_os = "linux"))]
fn open() -> io::Result<File> {
    let file = tempfile::tempfile()?;
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty())?;
    Ok(file)
}

/// An input on which the harness failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Their file, or why there is none.
    pub file: Result<PathBuf, String>,
}

impl Input {
    /// Writes an input into a folder, under a name that says how its job ended, and of what it is
    /// made.
    pub fn save(folder: &Path, how: &str, bytes: Vec<u8>) -> Self {
        let name = format!("{how}-{}", Sha1::from(&bytes).digest());
        let path = folder.join(name);
        let file = match files::create(&path, &bytes, Lasting::Disk) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(format!("{}: {error}", folder.display()))
            }
            _ => Ok(path),
        };
        Self { bytes, file }
    }

    /// The bytes as hexadecimal digits, 64 of them a line, as `xxd -r -p` reads them.
    pub fn hex(&self) -> String {
        let line = |bytes: &[u8]| -> String {
            let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
            digits.chain(["\n".to_owned()]).collect()
        };
        self.bytes.chunks(32).map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_to_its_path_can_be_read() {
        let mut legacy = Legacy::new().unwrap();
        assert_eq!(legacy.read(), b"");
        std::fs::write(legacy.path(), "last").unwrap();
        assert_eq!(legacy.read(), b"last");
    }

    #[test]
    fn an_input_without_room_is_still_there() {
        let folder = tempfile::tempdir().unwrap();
        let saved = Input::save(folder.path(), "crash", vec![0x1f; 33]);
        assert!(
            saved
                .file
                .unwrap()
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with("crash-")
        );
        let lost = Input::save(&folder.path().join("nowhere"), "crash", vec![0x1f; 33]);
        assert!(lost.file.is_err());
        assert_eq!(lost.hex(), format!("{}\n1f\n", "1f".repeat(32)));
    }
}
