//! Reads programs from files, text or bytes.

use std::path::Path;

use anyhow::{Context, Result};
use vmadiff::program::{Case, Program};

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
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    match as_text(path, &bytes)? {
        Some(text) => Ok((Case::parse(&path.display().to_string(), text)?, Form::Text)),
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
