//! Runs the command in a folder of its own.

use std::fmt;
use std::iter;
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
        let said = Self {
            status: output
                .status
                .code()
                .expect("an end by itself, not by a signal"),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        };
        let stdout = String::from_utf8_lossy(&said.stdout);
        let plural = plural_of_one(&stdout).or(plural_of_one(&said.stderr));
        assert_eq!(plural, None, "{said:?}");
        said
    }
}

/// What commands count, as it is called if there are several.
const COUNTED: [&str; 17] = [
    "calls",
    "defects",
    "errors",
    "executions",
    "expectations",
    "features",
    "files",
    "findings",
    "inputs",
    "jobs",
    "lines",
    "moments",
    "names",
    "programs",
    "seeds",
    "times",
    "warnings",
];

/// One of something, called as if it were several; but task 1 calls, too.
fn plural_of_one(text: &str) -> Option<&str> {
    text.lines().find_map(|line| {
        let words: Vec<&str> = iter::once("").chain(line.split_whitespace()).collect();
        let found = words.windows(3).find(|words| {
            let noun = words[2].trim_end_matches(|c: char| c.is_ascii_punctuation());
            let is_one = words[1].trim_start_matches('(') == "1";
            is_one && words[0] != "task" && COUNTED.contains(&noun)
        });
        found.map(|words| words[2])
    })
}

/// Itself tried, so that it can fail.
#[test]
fn plurals_of_one_are_noticed() {
    assert_eq!(plural_of_one("made 1 calls, 2 before"), Some("calls,"));
    assert_eq!(plural_of_one("1 programs"), Some("programs"));
    assert_eq!(plural_of_one("found (1 times)"), Some("times)"));
    assert_eq!(plural_of_one("of task 1 calls, 21 calls, 1 call"), None);
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
