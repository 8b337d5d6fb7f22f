//! Reads programs, text or bytes, from files and from standard input.

use std::io::{Error, ErrorKind, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use vmadiff::program::{Case, Program};

/// Stands for standard input wherever a file is read.
pub const STDIN: &str = "-";

/// Whether a file held text or bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// As people write it.
    Text,
    /// As engines mutate it.
    Bytes,
}

/// Reads a program. Every file of bytes is a program; a text may be wrong, and the error names the
/// place.
pub fn read_case(path: &Path) -> Result<(Case, Form)> {
    let bytes = read(path)?;
    match as_text(path, &bytes)? {
        Some(text) => Ok((Case::parse(&name(path), text)?, Form::Text)),
        None => {
            let program = Program::decode(&bytes);
            Ok((
                Case {
                    program,
                    ..Case::default()
                },
                Form::Bytes,
            ))
        }
    }
}

/// Reads a file, or standard input if it is called `-`.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    if path == Path::new(STDIN) {
        read_stdin().context("standard input")
    } else {
        std::fs::read(path).with_context(|| name(path))
    }
}

/// What a file is called in messages.
pub fn name(path: &Path) -> String {
    if path == Path::new(STDIN) {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    }
}

/// All of standard input. Of nothing, or of what was read before, no command could tell anything.
fn read_stdin() -> Result<Vec<u8>, Error> {
    static WAS_READ: AtomicBool = AtomicBool::new(false);
    if WAS_READ.swap(true, Ordering::Relaxed) {
        return Err(Error::new(ErrorKind::InvalidInput, "can be read only once"));
    }
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    if bytes.is_empty() {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "is empty, expected a program",
        ));
    }
    Ok(bytes)
}

/// The text in a file, if it is one: named `.vma`, or UTF-8 without control characters. Encoded
/// programs start with one.
pub fn as_text<'a>(path: &Path, bytes: &'a [u8]) -> Result<Option<&'a str>> {
    let text = std::str::from_utf8(bytes);
    if path.extension().is_some_and(|extension| extension == "vma") {
        let what = || format!("{}: expected UTF-8 in a text program", path.display());
        return text.map(Some).with_context(what);
    }
    let is_plain = |text: &&str| !text.contains(|c: char| c.is_control() && !"\n\r\t".contains(c));
    Ok(text.ok().filter(is_plain))
}
