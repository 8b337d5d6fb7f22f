//! Folders, and the programs in them, in the order of their names.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::input::{STDIN, name};
use super::output::warn_once;
use crate::artifacts::COUNTS;
use crate::files::{Identity, identity};

/// Whether this names a folder: standard input is none, whatever has its name.
pub fn is_folder(path: &Path) -> bool {
    path != Path::new(STDIN) && path.is_dir()
}

/// The programs that were asked for.
pub struct Found {
    pub files: Vec<PathBuf>,
    /// Some were found in a folder.
    pub of_folder: bool,
}

/// The files as they were named, with the programs of a folder in its place.
///
/// # Errors
/// If a folder has none, and what [`files_in`] refuses.
pub fn programs(named: &[PathBuf]) -> Result<Found> {
    let mut found = Found {
        files: Vec::new(),
        of_folder: false,
    };
    let mut others = Vec::new();
    for path in named {
        if !is_folder(path) {
            found.files.push(path.clone());
            continue;
        }
        found.of_folder = true;
        let (programs, more): (Vec<_>, Vec<_>) = files_in(path)?
            .into_iter()
            .partition(|file| may_be_program(file));
        others.extend(more);
        if programs.is_empty() {
            warn_of_left_out(&others);
            bail!("{}: found no file, expected programs", path.display());
        }
        found.files.extend(programs);
    }
    warn_of_left_out(&others);
    Ok(found)
}

/// Says on standard error what of a folder was not taken for a program.
fn warn_of_left_out(others: &[PathBuf]) {
    let others = others.iter().map(PathBuf::as_path);
    // It stands beside programs that were found, and was written here.
    let others: Vec<&Path> = others
        .filter(|path| path.file_name() != Some(COUNTS.as_ref()))
        .collect();
    warn_once(
        &others,
        "left out: programs are named .vma or .bytes, or have no extension",
    );
}

/// Whether a file of a folder is taken for a program: its name says so, or nothing, as an engine's
/// inputs are named.
pub fn may_be_program(path: &Path) -> bool {
    path.extension()
        .is_none_or(|end| end == "vma" || end == "bytes")
}

/// The files in a folder, at any depth, in the order of their names. What begins with a dot is left out:
/// AFL++ keeps its books in `.state` and `.synced`, beside its inputs. However many links lead to a folder, what
/// is in it comes once.
pub fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let (mut files, mut visited) = (Vec::new(), BTreeSet::new());
    // By its own name before that of a link.
    let mut folders = VecDeque::from([folder.to_owned()]);
    while let Some(next) = folders.pop_front() {
        add_files(&next, &mut visited, &mut files, &mut folders)?;
    }
    files.sort();
    Ok(files)
}

/// Adds the files of a folder and of those in it, and the links to folders, which come later.
fn add_files(
    folder: &Path,
    visited: &mut BTreeSet<Identity>,
    files: &mut Vec<PathBuf>,
    links: &mut VecDeque<PathBuf>,
) -> Result<()> {
    let which = identity(folder).with_context(|| name(folder))?;
    if !visited.insert(which) {
        return Ok(());
    }
    for path in inside(folder)? {
        let hidden = |name: &std::ffi::OsStr| name.as_encoded_bytes().starts_with(b".");
        if path.file_name().is_some_and(hidden) {
            continue;
        }
        match path.is_dir() {
            true if path.is_symlink() => links.push_back(path),
            true => add_files(&path, visited, files, links)?,
            false => files.push(path),
        }
    }
    Ok(())
}

/// What stands in a folder that is looked through, in the order of names. A pipe, which may never end,
/// is refused there, and a link to a folder that the link is in, whose programs would come again.
fn inside(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| name(folder))? {
        let path = entry.with_context(|| name(folder))?.path();
        if path.is_symlink() && path.is_dir() {
            let target = path.canonicalize().with_context(|| name(&path))?;
            let here = folder.canonicalize().with_context(|| name(folder))?;
            if here.starts_with(&target) {
                bail!(
                    "{}: is a link to {}, which it is in; expected programs",
                    name(&path),
                    target.display()
                );
            }
        }
        if path.exists() && !path.is_file() && !path.is_dir() && may_be_program(&path) {
            bail!(
                "{}: is no file and no folder, expected programs",
                name(&path)
            );
        }
        paths.push(path);
    }
    paths.sort();
    Ok(paths)
}
