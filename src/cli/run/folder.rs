//! The programs in folders, in the order of their names.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::super::input::{files_in, is_folder};

/// The programs that were asked for.
pub struct Found {
    pub files: Vec<PathBuf>,
    /// Some were found in a folder.
    pub of_folder: bool,
}

/// The files as they were named, with the programs of a folder in its place.
pub fn programs(named: &[PathBuf]) -> Result<Found> {
    let mut found = Found {
        files: Vec::new(),
        of_folder: false,
    };
    for path in named {
        if !is_folder(path) {
            found.files.push(path.clone());
            continue;
        }
        found.of_folder = true;
        let before = found.files.len();
        let programs = files_in(path)?
            .into_iter()
            .filter(|file| may_be_program(file));
        found.files.extend(programs);
        if found.files.len() == before {
            bail!(
                "{}: expected programs: files named .vma or .bytes, or without an extension",
                path.display()
            );
        }
    }
    Ok(found)
}

/// Whether a file of a folder is taken for a program: its name says so, or nothing, as an engine's
/// inputs are named.
pub fn may_be_program(path: &Path) -> bool {
    path.extension()
        .is_none_or(|end| end == "vma" || end == "bytes")
}
