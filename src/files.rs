//! Files that are whole or not there: each is written under a name of its own, then put in its
//! place. Everything that the command leaves on a disk is written here.
//!
//! A full disk, a kill or a power cut in between leaves what was there before. It may leave a file
//! named `.vmadiff-…` too, which nobody reads; [`sweep`] takes those away.

use std::cell::Cell;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
#[cfg(feature = "engine")]
use std::time::Duration;

use tempfile::NamedTempFile;

/// No input of an engine is larger, in bytes: what is came into a corpus by mistake.
pub const LARGEST_INPUT: u64 = 16 << 20;

/// Whether an input may have so many bytes.
///
/// # Errors
///
/// If it may not.
pub fn may_have(size: u64) -> io::Result<()> {
    if size <= LARGEST_INPUT {
        return Ok(());
    }
    let what = format!("has {size} bytes, expected at most {LARGEST_INPUT} in an input");
    Err(io::Error::other(what))
}

/// How the names begin of files that are not in their place yet.
const UNFINISHED: &str = ".vmadiff-";
/// Age above which an unfinished file belongs to a process that was killed.
#[cfg(feature = "engine")]
const ABANDONED: Duration = Duration::from_secs(3600);

/// How long content must last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// Through the end of the process.
    Process,
    /// Through a power cut, too: waits for the disk.
    Disk,
}

/// Writes a file that must not exist yet.
///
/// # Errors
///
/// [`io::ErrorKind::AlreadyExists`] if it does, or why it could not be written; then nothing is
/// there.
pub fn create(path: &Path, content: &[u8], lasting: Lasting) -> io::Result<()> {
    // The cheap question first: most inputs of a corpus that others fill are there already.
    if path.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let file = unfinished(path, content, lasting)?;
    file.persist_noclobber(path)?;
    let synced = sync_folder(path, lasting);
    if synced.is_err() {
        // Not known to last: then it is not there, and can be written again.
        let _ = std::fs::remove_file(path);
    }
    synced
}

/// What tells a folder from others, whatever name it is reached by. Its path would be walked once more for each
/// level that it lies deep.
#[cfg(unix)]
pub fn identity(folder: &Path) -> io::Result<Identity> {
    use std::os::unix::fs::MetadataExt;
    let metadata = folder.metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}

/// What tells a folder from others, whatever name it is reached by.
#[cfg(not(unix))]
pub fn identity(folder: &Path) -> io::Result<Identity> {
    folder.canonicalize()
}

/// Which folder it is: its device and its number there.
#[cfg(unix)]
pub type Identity = (u64, u64);

/// Which folder it is: its path without links.
#[cfg(not(unix))]
pub type Identity = PathBuf;

/// Keeps an input under a name that is made of it; whether it was not there. An empty file there is what
/// a write left that failed, and is filled.
///
/// # Errors
///
/// [`io::ErrorKind::AlreadyExists`] if something else is there, and says what; or why it could not be written.
pub fn keep(path: &Path, content: &[u8]) -> io::Result<bool> {
    match create(path, content, Lasting::Process) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        written => return written.map(|()| true),
    }
    let size = content.len() as u64;
    let is = match path.metadata() {
        Ok(there) if !there.is_file() => format!("is no file, expected one of {size} bytes"),
        Ok(there) if there.len() == size => return Ok(false),
        Ok(there) if there.len() == 0 => {
            return replace(path, content, Lasting::Process).map(|()| true);
        }
        Ok(there) => format!("has {} bytes, expected {size}", there.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.is_symlink() => {
            format!("is a link to nothing, expected a file of {size} bytes")
        }
        Err(error) => return Err(error),
    };
    Err(io::Error::new(io::ErrorKind::AlreadyExists, is))
}

/// Whether an engine named a file so, libFuzzer or AFL++: then it may look like anything.
pub fn is_named_by_an_engine(name: &str) -> bool {
    let of_afl = name.strip_prefix("id:").and_then(|rest| rest.get(..6));
    is_by_an_engine(name) || of_afl.is_some_and(|id| id.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether libFuzzer, which names inputs by their SHA-1, wrote a file of this name.
pub fn is_by_an_engine(name: &str) -> bool {
    name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Writes a file in the place of what may be there. A link stays one; a device or a pipe is written
/// to and not replaced.
///
/// # Errors
///
/// Why it could not be written; then what was there is there still.
pub fn replace(path: &Path, content: &[u8], lasting: Lasting) -> io::Result<()> {
    // Asked of what a link points to: /dev/stdout may be one to a pipe, which has no path.
    let old = match path.metadata() {
        Ok(metadata) => Some(metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    if old.as_ref().is_some_and(|old| !old.is_file()) {
        let mut device = File::options().write(true).open(path)?;
        return device.write_all(content);
    }
    let path = place(path)?;
    let file = unfinished(&path, content, lasting)?;
    if let Some(permissions) = old.as_ref().map(Metadata::permissions) {
        file.as_file().set_permissions(permissions)?;
    }
    file.persist(&path)?;
    sync_folder(&path, lasting)
}

/// The path of a file in whose place another is put: behind links, also where the last one points to
/// nothing.
fn place(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        match path.canonicalize() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            known => return known,
        }
        let Ok(target) = path.read_link() else {
            return Ok(path);
        };
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    Err(io::Error::other("too many links"))
}

/// Links that lead to one another, as many as Linux follows.
const LINKS_MAX: usize = 40;

/// Whether files can be written into a folder, tried with one of a few blocks.
///
/// # Errors
///
/// Why they can not.
pub fn probe(folder: &Path) -> io::Result<()> {
    const SIZE: usize = 4 * 4096;
    unfinished(&folder.join("probe"), &[0; SIZE], Lasting::Process)?.close()
}

/// Takes away what killed processes left unfinished in a folder. That it cannot is no trouble:
/// nobody reads those files.
#[cfg(feature = "engine")]
pub fn sweep(folder: &Path) {
    let Ok(entries) = folder.read_dir() else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let age = modified.ok().and_then(|modified| modified.elapsed().ok());
        if name.as_encoded_bytes().starts_with(UNFINISHED.as_bytes())
            && age.is_some_and(|age| age > ABANDONED)
        {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// The content under a name that is gone if the file is not put in its place.
fn unfinished(path: &Path, content: &[u8], lasting: Lasting) -> io::Result<NamedTempFile> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    // The system's own error: that of `tempfile` adds a name that says nothing.
    let number = Cell::new(None);
    let made = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .make_in(folder, |path| {
            let opened = OpenOptions::new().write(true).create_new(true).open(path);
            number.set(opened.as_ref().err().and_then(io::Error::raw_os_error));
            opened
        });
    let file = made.map_err(|error| number.get().map_or(error, io::Error::from_raw_os_error))?;
    // Not by the file's own `write_all`, whose errors have its name.
    file.as_file().write_all(content)?;
    if lasting == Lasting::Disk {
        file.as_file().sync_all()?;
    }
    Ok(file)
}

/// A new name lasts once its folder is on the disk.
fn sync_folder(path: &Path, lasting: Lasting) -> io::Result<()> {
    if lasting == Lasting::Process {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    match File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all()) {
        // Some file systems do not sync folders.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        synced => synced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::read;

    #[test]
    fn what_exists_is_not_created_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one");
        create(&path, b"first", Lasting::Disk).unwrap();
        let again = create(&path, b"second", Lasting::Process).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(read(&path).unwrap(), b"first");
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn links_stay_links_and_devices_devices() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        create(&file, b"old", Lasting::Process).unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        replace(&link, b"new", Lasting::Disk).unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(read(&file).unwrap(), b"new");
        let early = folder.path().join("early");
        std::os::unix::fs::symlink("later", &early).unwrap();
        replace(&early, b"new", Lasting::Process).unwrap();
        assert!(early.symlink_metadata().unwrap().is_symlink());
        assert_eq!(read(folder.path().join("later")).unwrap(), b"new");
        let null = folder.path().join("null");
        std::os::unix::fs::symlink("/dev/null", &null).unwrap();
        replace(&null, b"gone", Lasting::Process).unwrap();
        assert!(!Path::new("/dev/null").metadata().unwrap().is_file());
    }

    #[test]
    fn errors_are_the_systems_own() {
        let error = create(Path::new("/proc/nowhere/file"), b"", Lasting::Process).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(2), "{error}");
        assert!(!error.to_string().contains(UNFINISHED), "{error}");
    }

    #[test]
    fn only_what_is_old_and_unfinished_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        let age = std::time::SystemTime::now() - 2 * ABANDONED;
        for (name, is_old) in [(".vmadiff-a", true), (".vmadiff-b", false), ("c", true)] {
            let file = File::create(folder.path().join(name)).unwrap();
            if is_old {
                file.set_modified(age).unwrap();
            }
        }
        sweep(folder.path());
        let left = [".vmadiff-a", ".vmadiff-b", "c"].map(|name| folder.path().join(name).exists());
        assert_eq!(left, [false, true, true]);
    }
}
