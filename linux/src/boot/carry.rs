//! What the command takes along into a guest: itself, its loader, and the libraries that it is linked
//! with.
//!
//! The libraries are those that the running process has mapped, under the names by which others ask for
//! them; the loader is told by LD_LIBRARY_PATH where they are, so that it does not matter where the
//! distribution keeps them.

use std::path::{Path, PathBuf};

use goblin::elf::Elf;

use super::cpio::Archive;
use super::{CannotBoot, Machinery};

/// Where libraries are in a guest.
pub const LIBRARIES: &str = "/vmadiff-libraries";

/// Folders that a guest mounts on, or works in.
const FOLDERS: [&str; 4] = ["proc", "sys", "dev", "tmp"];

/// The initramfs: the command as /init, what it needs, and the files asked for.
pub fn initramfs(machinery: &Machinery) -> Result<Vec<u8>, CannotBoot> {
    let mut archive = Archive::default();
    for folder in FOLDERS {
        archive.folder(folder);
    }
    let own = std::fs::read("/proc/self/exe").map_err(|error| CannotBoot::Io {
        what: "reading the command itself",
        error,
    })?;
    let program = Linked::of(&own).map_err(CannotBoot::Initramfs)?;
    archive.file("/init", program.loaded(&own));
    if let Some(loader) = &program.interpreter {
        let path = Path::new(loader);
        let bytes = std::fs::read(path)
            .map_err(|error| CannotBoot::Initramfs(format!("{loader}: {error}")))?;
        archive.file(loader, &bytes);
        for library in mapped_libraries()? {
            let bytes = std::fs::read(&library).map_err(|error| {
                CannotBoot::Initramfs(format!("{}: {error}", library.display()))
            })?;
            let linked = Linked::of(&bytes).map_err(CannotBoot::Initramfs)?;
            let file_name = || {
                library
                    .file_name()
                    .map(|name| name.to_string_lossy().into_owned())
            };
            let Some(name) = linked.name.clone().or_else(file_name) else {
                continue;
            };
            archive.file(&format!("{LIBRARIES}/{name}"), linked.loaded(&bytes));
        }
    }
    for (path, content) in &machinery.files {
        archive.file(path, content);
    }
    Ok(archive.finish())
}

/// Shared libraries that this process has mapped.
fn mapped_libraries() -> Result<Vec<PathBuf>, CannotBoot> {
    let maps = std::fs::read_to_string("/proc/self/maps").map_err(|error| CannotBoot::Io {
        what: "/proc/self/maps",
        error,
    })?;
    let paths = maps.lines().filter_map(|line| line.splitn(6, ' ').nth(5));
    let mut libraries: Vec<PathBuf> = paths
        .map(str::trim)
        .filter(|path| path.starts_with('/') && path.contains(".so"))
        .map(PathBuf::from)
        .collect();
    libraries.sort();
    libraries.dedup();
    Ok(libraries)
}

/// What a program or a library says of itself.
struct Linked {
    /// The loader that a program asks for; none: it is static, or a library.
    interpreter: Option<String>,
    /// The name by which a library is asked for.
    name: Option<String>,
    /// Bytes of the file that are ever loaded: what is for debuggers lies behind.
    end: usize,
}

impl Linked {
    fn of(bytes: &[u8]) -> Result<Self, String> {
        let elf = Elf::parse(bytes).map_err(|error| error.to_string())?;
        let ends = elf
            .program_headers
            .iter()
            .map(|part| part.p_offset + part.p_filesz);
        let end = usize::try_from(ends.max().unwrap_or(0)).map_err(|error| error.to_string())?;
        Ok(Self {
            interpreter: elf.interpreter.map(str::to_owned),
            name: elf.soname.map(str::to_owned),
            end: end.min(bytes.len()),
        })
    }

    /// The part of the file that is ever loaded. The section headers, which lie behind, are only for
    /// debuggers: the loader does not look at them.
    fn loaded<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[..self.end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test itself is linked as the command is.
    #[test]
    fn a_command_is_taken_along_with_all_it_is_linked_with() {
        let own = std::fs::read("/proc/self/exe").unwrap();
        let needed = Elf::parse(&own).unwrap();
        let program = Linked::of(&own).unwrap();
        assert!(
            program.end < own.len(),
            "what is for debuggers stays behind"
        );
        let libraries = mapped_libraries().unwrap();
        let names = libraries.iter().map(|path| {
            let bytes = std::fs::read(path).unwrap();
            Linked::of(&bytes).unwrap().name.unwrap_or_default()
        });
        let names: Vec<String> = names.collect();
        for library in needed.libraries {
            let is_loader = program
                .interpreter
                .as_deref()
                .is_some_and(|path| path.ends_with(library));
            assert!(
                is_loader || names.iter().any(|name| name == library),
                "{library}: {names:?}"
            );
        }
    }
}
