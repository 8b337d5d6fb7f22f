//! Is a file a kernel that qemu can boot? By the boot protocol's header (Documentation/arch/x86/boot.rst).

use std::path::{Path, PathBuf};

use super::CannotBoot;

/// A bzImage for x86-64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Where it is.
    pub path: PathBuf,
    /// What it calls itself: the release and the build, if the header says.
    pub release: Option<String>,
}

/// Where a build of the kernel leaves the image, in its tree.
const IN_A_TREE: &str = "arch/x86/boot/bzImage";
/// `HdrS`, at its place.
const MAGIC: (usize, &[u8]) = (0x202, b"HdrS");
/// Two bytes, the lowest bit says that there is a 64-bit entry (`XLF_KERNEL_64`).
const XLOADFLAGS: usize = 0x236;
/// Two bytes: where the release's text is, 0x200 further on.
const KERNEL_VERSION: usize = 0x20e;

impl Image {
    /// Looks at an image; of a folder, at the image that a build has left in it.
    ///
    /// # Errors
    /// What is there instead.
    pub fn open(path: &Path) -> Result<Self, CannotBoot> {
        let path = if path.is_dir() && path.join(IN_A_TREE).is_file() {
            path.join(IN_A_TREE)
        } else {
            path.to_owned()
        };
        let not = |why: String| CannotBoot::Image {
            path: path.clone(),
            why,
        };
        if path.is_dir() {
            return Err(not(format!(
                "a folder without {IN_A_TREE}; expected a kernel image, or the tree that one was built in"
            )));
        }
        let bytes = std::fs::read(&path).map_err(|error| not(error.to_string()))?;
        let release = look(&bytes).map_err(|what| {
            not(format!(
                "{what}; expected a bzImage for x86-64, such as {IN_A_TREE} or /boot/vmlinuz-*"
            ))
        })?;
        Ok(Self { path, release })
    }
}

/// The release that a bzImage names.
///
/// # Errors
/// What the bytes are instead.
fn look(bytes: &[u8]) -> Result<Option<String>, String> {
    let at = |offset: usize, what: &[u8]| bytes.get(offset..offset + what.len()) == Some(what);
    let short = |offset: usize| {
        let two = bytes.get(offset..offset + 2)?;
        Some(u16::from_le_bytes([two[0], two[1]]))
    };
    if !at(MAGIC.0, MAGIC.1) {
        return Err(instead(bytes));
    }
    if short(XLOADFLAGS).is_none_or(|flags| flags & 1 == 0) {
        return Err("a kernel for 32-bit x86".into());
    }
    let release = short(KERNEL_VERSION).filter(|&offset| offset != 0);
    let text = release.and_then(|offset| bytes.get(usize::from(offset) + 0x200..));
    let text = text.map(|text| {
        let end = text.iter().take(256).position(|&byte| byte == 0);
        String::from_utf8_lossy(&text[..end.unwrap_or(0)]).into_owned()
    });
    Ok(text.filter(|text| !text.is_empty()))
}

/// What bytes are that are no bzImage.
fn instead(bytes: &[u8]) -> String {
    const ELF_MACHINES: [(u16, &str); 4] =
        [(3, "x86"), (62, "x86-64"), (183, "arm64"), (243, "RISC-V")];
    let at = |offset: usize, what: &[u8]| bytes.get(offset..offset + what.len()) == Some(what);
    if bytes.is_empty() {
        return "an empty file".into();
    }
    if at(0, b"\x7fELF") {
        let machine = bytes
            .get(18..20)
            .map(|two| u16::from_le_bytes([two[0], two[1]]));
        let name = ELF_MACHINES
            .iter()
            .find(|(number, _)| Some(*number) == machine);
        return match name {
            Some((62, _)) => {
                "an ELF file, as vmlinux is: the kernel before it is made bootable".into()
            }
            Some((_, name)) => format!("an ELF file for {name}"),
            None => "an ELF file for another architecture".into(),
        };
    }
    for (offset, magic, what) in [
        (0x38, &b"ARM\x64"[..], "a kernel for arm64"),
        (0x30, b"RISCV", "a kernel for RISC-V"),
        (
            4,
            b"zimg",
            "a compressed EFI image, as arm64 and others have",
        ),
        (
            0,
            b"\x1f\x8b",
            "a gzip-compressed file, as kernels for arm64 are",
        ),
        (
            0,
            b"!<arch>",
            "a Debian package or an archive: unpack it, for example by `dpkg -x`",
        ),
    ] {
        if at(offset, magic) {
            return what.into();
        }
    }
    "no kernel image".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header of this machine's kind, with a release at 0x400.
    fn header() -> Vec<u8> {
        let mut bytes = vec![0; 0x500];
        bytes[MAGIC.0..MAGIC.0 + 4].copy_from_slice(MAGIC.1);
        bytes[XLOADFLAGS] = 1;
        bytes[KERNEL_VERSION..KERNEL_VERSION + 2].copy_from_slice(&0x200_u16.to_le_bytes());
        bytes[0x400..0x40d].copy_from_slice(b"6.12.1 (me) #");
        bytes
    }

    #[test]
    fn a_bzimage_names_its_release() {
        assert_eq!(look(&header()), Ok(Some("6.12.1 (me) #".into())));
        let mut silent = header();
        silent[KERNEL_VERSION] = 0;
        silent[KERNEL_VERSION + 1] = 0;
        assert_eq!(look(&silent), Ok(None));
    }

    #[test]
    fn what_is_no_image_for_x86_64_is_named() {
        let mut small = header();
        small[XLOADFLAGS] = 0;
        assert!(look(&small).unwrap_err().contains("32-bit"));
        let mut elf = vec![0; 64];
        elf[..4].copy_from_slice(b"\x7fELF");
        elf[18] = 62;
        assert!(look(&elf).unwrap_err().contains("vmlinux"));
        elf[18] = 183;
        assert!(look(&elf).unwrap_err().contains("arm64"));
        let mut arm = vec![0; 64];
        arm[0x38..0x3c].copy_from_slice(b"ARM\x64");
        assert!(look(&arm).unwrap_err().contains("arm64"));
        for (bytes, word) in [
            (&b""[..], "empty"),
            (b"#!/bin/sh\n", "no kernel"),
            (b"\x1f\x8b\x08", "gzip"),
        ] {
            assert!(look(bytes).unwrap_err().contains(word));
        }
    }

    #[test]
    fn a_folder_stands_for_the_image_that_was_built_in_it() {
        let folder = std::env::temp_dir().join(format!("vmadiff-image-{}", std::process::id()));
        let boot = folder.join("arch/x86/boot");
        std::fs::create_dir_all(&boot).unwrap();
        let without = Image::open(&folder).unwrap_err().to_string();
        assert!(without.contains("a folder without"), "{without}");
        std::fs::write(boot.join("bzImage"), header()).unwrap();
        let found = Image::open(&folder);
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(found.unwrap().path, boot.join("bzImage"));
    }
}
