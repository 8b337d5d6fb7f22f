//! A folder of inputs as engines read it: what in it is none is named before anything is made of it.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::cli::explain;
use crate::cli::input::{files_in, refuse_large};

/// The inputs of a folder, at any depth.
///
/// # Errors
/// Names a pipe, a link to a folder that it is in, a file that is too large, and a program as text: engines
/// would read its letters as bytes, and fill the folder with what they make of them.
pub fn inputs(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut inputs = files_in(folder)?;
    inputs.retain(|path| path.is_file());
    for path in &inputs {
        if path.extension().is_some_and(|extension| extension == "vma") {
            let folder = folder.display();
            let myself = explain::hinted();
            bail!(
                "{}: found a program as text, expected a folder of inputs (bytes); make them of it with \
                 `{myself} corpus seeds {folder} -o DIR`, then `{myself} fuzz --corpus DIR`",
                path.display()
            );
        }
        refuse_large(path)?;
    }
    Ok(inputs)
}
