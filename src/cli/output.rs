//! Writing: to standard output, and to files, but never over another unless told to.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Opens a file for writing that does not exist yet.
pub fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// Writes a file; `force` says that it may replace one.
pub fn write_file(path: &Path, force: bool, content: &[u8]) -> Result<()> {
    let file = if force {
        File::create(path)
    } else {
        create_new(path)
    };
    let mut file = match file {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            bail!(
                "{}: exists already, and is left alone without --force",
                path.display()
            )
        }
        file => file.with_context(|| path.display().to_string())?,
    };
    file.write_all(content)
        .with_context(|| path.display().to_string())
}

/// Prints, in colour if that is wanted there. Nobody reading any more (`| head`) is no error.
pub fn print(text: &str) -> Result<()> {
    print_to(&mut anstream::stdout(), text.as_bytes())
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
