//! Programs that were found, written as text and never over another.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Files of one signature in one folder, above which something is wrong.
const NUMBERED: u32 = 10_000;

/// Writes a text into `folder`, named by a signature.
pub fn write_signed(folder: &Path, signature: &str, text: &str) -> Result<PathBuf> {
    write_new(folder, &slug(signature), text)
}

/// Writes the smaller program beside the one that it was made from: `x.min.vma` beside `x.vma`.
pub fn write_beside(original: &Path, text: &str) -> Result<PathBuf> {
    let folder = original.parent().unwrap_or(Path::new("."));
    let stem = original.file_stem().unwrap_or_default().to_string_lossy();
    write_new(folder, &format!("{stem}.min"), text)
}

/// Writes `text` to `folder/stem.vma`, or `stem-2.vma` and so on if that exists.
fn write_new(folder: &Path, stem: &str, text: &str) -> Result<PathBuf> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    for number in 1..=NUMBERED {
        let name = if number == 1 {
            format!("{stem}.vma")
        } else {
            format!("{stem}-{number}.vma")
        };
        let path = folder.join(name);
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(mut file) => {
                file.write_all(text.as_bytes())
                    .with_context(|| path.display().to_string())?;
                return Ok(path);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        }
    }
    bail!(
        "{}: {NUMBERED} files named {stem}-N.vma exist already",
        folder.display()
    )
}

/// A file name out of a signature: `outcome/munmap/value` becomes `outcome-munmap-value`.
fn slug(signature: &str) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    signature.chars().map(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let stem = slug("state/mmap/vmas.flags");
        let first = write_new(folder.path(), &stem, "one\n").unwrap();
        let second = write_new(folder.path(), &stem, "two\n").unwrap();
        assert_eq!(first.file_name().unwrap(), "state-mmap-vmas-flags.vma");
        assert_eq!(second.file_name().unwrap(), "state-mmap-vmas-flags-2.vma");
        assert_eq!(std::fs::read_to_string(first).unwrap(), "one\n");
    }
}
