//! Writing: to standard output, and to files, but never over another unless told to.

use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use vmadiff::program::text::{TextError, Warning};

use super::paint;

use crate::files::{self, Lasting};

/// Writes a file; `force` says that it may replace one.
pub fn write_file(path: &Path, force: bool, content: &[u8]) -> Result<()> {
    let written = if force {
        files::replace(path, content, Lasting::Disk)
    } else {
        files::create(path, content, Lasting::Disk)
    };
    match written {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => bail!(
            "{}: exists already, and is left alone without --force",
            path.display()
        ),
        written => written.with_context(|| path.display().to_string()),
    }
}

/// Prints, in colour if that is wanted there. Nobody reading any more (`| head`) is no error.
pub fn print(text: &str) -> Result<()> {
    print_to(&mut anstream::stdout(), text.as_bytes())
}

/// Says something on standard error, formatted, and a line of its own.
macro_rules! tell {
    ($($words:tt)*) => { $crate::cli::output::tell_line(&format!($($words)*)) };
}
pub(crate) use tell;

/// What [`tell!`] does. That nobody can be told is no reason to end: what is told there is beside
/// the work, and the exit status says the most important part of it.
pub fn tell_line(line: &str) {
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// Prints bytes as they are.
pub fn print_bytes(bytes: &[u8]) -> Result<()> {
    print_to(&mut io::stdout(), bytes)
}

fn print_to(stdout: &mut impl Write, bytes: &[u8]) -> Result<()> {
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("standard output")
        }
        _ => Ok(()),
    }
}

/// Says on standard error what in a text does nothing, as editors read it.
pub fn warn_of(warnings: &[Warning]) {
    for warning in warnings {
        let Warning {
            file,
            line,
            column,
            what,
        } = warning;
        crate::tell!(
            "{file}:{line}:{column}: {} {what}",
            paint::warning("warning:")
        );
    }
}

/// One place of a text.
fn complain_of(text: &TextError) {
    let alone = TextError {
        others: None,
        ..text.clone()
    };
    let whole = alone.to_string();
    let TextError {
        file, line, column, ..
    } = text;
    let place = format!("{file}:{line}:{column}: ");
    let rest = whole.strip_prefix(&place).unwrap_or(&whole);
    crate::tell!("{place}{} {rest}", paint::bad("error:"));
}

/// Says on standard error what went wrong: of a text, the place first, as editors read it.
pub fn complain(error: &anyhow::Error) {
    match error.downcast_ref::<TextError>() {
        Some(text) => {
            complain_of(text);
            if let Some(others) = &text.others {
                others.shown.iter().for_each(complain_of);
                if others.more > 0 {
                    crate::tell!("{} {} more", paint::bad("error:"), others.more);
                }
            }
        }
        None => crate::tell!("{}: {error:#}", paint::bad("error")),
    }
}
