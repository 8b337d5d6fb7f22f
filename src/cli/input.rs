//! Reads programs, text or bytes, from files and from standard input.

use std::io::{Error, ErrorKind, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use vmadiff::program::form::{Form, text_of};
use vmadiff::program::text::{self, TextError, Warning};
use vmadiff::program::{Case, Program};

use super::corpus::DISTILLED;
use crate::artifacts::Provenance;

/// Stands for standard input wherever a file is read.
pub const STDIN: &str = "-";

/// A program of a file, and what its text had beside it.
#[derive(Clone, Debug)]
pub struct Input {
    pub case: Case,
    pub form: Form,
    /// What in a text does nothing.
    pub warnings: Vec<Warning>,
    /// The line of each call of a text.
    pub calls: Vec<u32>,
    /// The line of each check of a text.
    pub checks: Vec<u32>,
}

impl Input {
    /// Whether there is nothing to compare: a text that a full disk cut off, an engine's shortest inputs.
    /// That the managers agree on it says nothing of them.
    pub fn is_empty(&self) -> bool {
        self.case.program.calls.is_empty() && self.case.checks.is_empty()
    }

    /// Whether the text says of what it was found.
    fn is_found(&self) -> bool {
        let mut comments = self.case.comments.iter();
        comments.any(|(_, text)| Provenance::parse(text.trim()).is_some())
    }
}

/// Reads a program. Every file of bytes is a program; a text may be wrong, and the error names the
/// place. One without calls is refused, unless it was found: a manager may hang or panic as it boots.
pub fn read_case(path: &Path) -> Result<(Case, Form)> {
    let input = read_input(path)?;
    Ok((input.case, input.form))
}

/// As [`read_case`], with warnings and lines.
pub fn read_input(path: &Path) -> Result<Input> {
    let input = read_one_of_many(path)?;
    if input.is_empty() && !input.is_found() {
        bail!("{}: {NO_CALLS}", name(path));
    }
    Ok(input)
}

/// As [`read_input`], but bytes without calls are read, too: engines keep some among their inputs.
pub fn read_one_of_many(path: &Path) -> Result<Input> {
    program_in(path, &read(path)?)
}

/// The same of a file that was read.
pub fn program_in(path: &Path, content: &[u8]) -> Result<Input> {
    let input = parse(path, content)?;
    if input.is_empty() && input.form == Form::Text && !input.is_found() {
        bail!("{}: {NO_CALLS}", name(path));
    }
    Ok(input)
}

/// What is said of a file that has nothing to compare.
pub const NO_CALLS: &str = "has no calls, expected a program";

fn parse(path: &Path, content: &[u8]) -> Result<Input> {
    let name = name(path);
    let (form, why) = Form::of(path, content);
    if form == Form::Bytes {
        let program = Program::decode(content);
        return Ok(Input {
            case: Case {
                program,
                ..Case::default()
            },
            form,
            warnings: Vec::new(),
            calls: Vec::new(),
            checks: Vec::new(),
        });
    }
    let guessed = path.extension().is_none_or(|extension| extension != "vma");
    let read = text_of(&name, content).and_then(|text| Case::read(&name, text));
    let read = read.and_then(|read| match is_found(&read.case) {
        true => Ok(read),
        false => read.by_hand(),
    });
    let text::Read {
        case,
        warnings,
        calls,
        checks,
        impossible: _,
    } = read.map_err(|error| if guessed { taken(error, why) } else { error })?;
    Ok(Input {
        case,
        form,
        warnings,
        calls,
        checks,
    })
}

/// Whether the text says that vmadiff wrote it.
fn is_found(case: &Case) -> bool {
    let mut comments = case.comments.iter().map(|(_, text)| text.trim());
    comments.any(|text| text == DISTILLED || Provenance::parse(text).is_some())
}

/// Says why a file was taken for text whose name does not say so.
fn taken(mut error: TextError, why: &str) -> TextError {
    let taken =
        format!("taken for text, since {why}; bytes are read from a name that ends in .bytes");
    error.help.push(taken);
    error
}

/// The text in a file; none if it holds bytes.
pub fn as_text<'a>(path: &Path, content: &'a [u8]) -> Result<Option<&'a str>> {
    match Form::of(path, content).0 {
        Form::Text => Ok(Some(text_of(&name(path), content)?)),
        Form::Bytes => Ok(None),
    }
}

/// Reads a file, or standard input if it is called `-`.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    if path == Path::new(STDIN) {
        read_stdin().context("standard input")
    } else if path.is_dir() {
        bail!("{}: is a folder, expected a file", name(path));
    } else {
        let file = std::fs::File::open(path).with_context(|| name(path))?;
        let size = file.metadata().with_context(|| name(path))?.len();
        if size > LARGEST {
            bail!(
                "{}: has {size} bytes, expected at most {LARGEST}",
                name(path)
            );
        }
        read_all(file).with_context(|| name(path))
    }
}

/// All there is, of which a pipe and a device do not say how much it is.
fn read_all(from: impl Read) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    from.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        let what = format!("has more than {LARGEST} bytes, expected a program or a log");
        return Err(Error::new(ErrorKind::InvalidInput, what));
    }
    Ok(bytes)
}

/// What is larger than this, in bytes, is no program and no log, and reading it could take all memory there is.
const LARGEST: u64 = 1 << 30;

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
    let bytes = read_all(std::io::stdin())?;
    if bytes.is_empty() {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "is empty, expected a program",
        ));
    }
    Ok(bytes)
}
