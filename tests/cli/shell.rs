//! Runs the command in a folder of its own.

use std::fmt;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// A folder, and what the command said when it ran in it.
pub struct Shell {
    folder: TempDir,
}

impl Shell {
    /// With an empty folder.
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file into the folder.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.folder().join(name), content).unwrap();
    }

    /// Reads a file of the folder.
    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder().join(name)).unwrap()
    }

    /// Runs `vmadiff` with these arguments, separated by blanks.
    pub fn run(&self, arguments: &str) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vmadiff"));
        command
            .args(arguments.split_whitespace())
            .current_dir(self.folder());
        Said::from(command.output().unwrap())
    }
}

/// What the command said.
pub struct Said {
    pub status: i32,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            status,
            stdout,
            stderr,
        } = self;
        let stdout = String::from_utf8_lossy(stdout);
        write!(
            f,
            "status {status}\n-- stdout --\n{stdout}\n-- stderr --\n{stderr}"
        )
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            status: output
                .status
                .code()
                .expect("an end by itself, not by a signal"),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }
}

impl Said {
    /// Standard output as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("UTF-8")
    }

    /// It refused, with these words among others, said nothing else, and did not panic.
    #[track_caller]
    pub fn refuses(&self, words: &[&str]) {
        assert_eq!(self.status, 2, "{self:?}");
        assert!(self.stdout.is_empty(), "{self:?}");
        assert!(!self.stderr.contains("panicked"), "{self:?}");
        for word in words {
            assert!(self.stderr.contains(word), "no `{word}` in {}", self.stderr);
        }
    }

    /// It ended well.
    #[track_caller]
    pub fn succeeds(&self) -> &Self {
        assert_eq!(self.status, 0, "{self:?}");
        self
    }
}
