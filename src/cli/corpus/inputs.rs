//! A folder of inputs as engines read it: what in it is none is named before anything is made of it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use vmadiff::program::form::Form;

use crate::cli::explain;
use crate::cli::folder::files_in;
use crate::files::{is_named_by_an_engine, may_have};

/// The inputs of a folder, at any depth.
///
/// # Errors
/// Names a pipe, a link to a folder that it is in or to nothing, a file that cannot be read or is too large,
/// and a program as text: engines would read its letters as bytes, and fill the folder with what they make of
/// them.
pub fn inputs(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut inputs = files_in(folder)?;
    // A link to nothing stays, and opening it tells.
    inputs.retain(|path| path.is_file() || leads_nowhere(path));
    for path in &inputs {
        let file = open(path)?;
        let named = path.file_name().unwrap_or_default().to_string_lossy();
        if is_named_by_an_engine(&named) {
            // It may look like anything.
            continue;
        }
        let mut content = Vec::new();
        let read = file.take(ENOUGH).read_to_end(&mut content);
        read.with_context(|| path.display().to_string())?;
        if !content.is_empty() && Form::of(path, &content).0 == Form::Text {
            let folder = folder.display();
            let myself = explain::hinted();
            bail!(
                "{}: found a program as text, expected a folder of inputs (bytes); make them of it with \
                 `{myself} corpus seeds {folder} -o DIR`, then `{myself} fuzz --corpus DIR` (bytes that look like \
                 text are named .bytes)",
                path.display()
            );
        }
    }
    Ok(inputs)
}

/// How much is read of a file to tell texts from bytes.
const ENOUGH: u64 = 1 << 12;

/// An input that can be read.
fn open(path: &Path) -> Result<File> {
    let what = || path.display().to_string();
    if leads_nowhere(path) {
        bail!("{}: is a link to nothing, expected an input", what());
    }
    let file = File::open(path).with_context(what)?;
    let size = file.metadata().with_context(what)?.len();
    may_have(size).with_context(what)?;
    Ok(file)
}

/// Whether this is a link to nothing; what another has taken away meanwhile is none.
fn leads_nowhere(path: &Path) -> bool {
    path.is_symlink() && !path.exists()
}
