//! Boots a kernel image to run programs on: qemu, an initramfs made of this very command, and two
//! serial lines, one for the kernel's log and one to talk over.
//!
//! No privileges, no network, no disk but a scratch file for swap. The processor is the machine's own
//! through KVM where that works, and emulated where it does not; which of the two is found out by
//! trying.

mod carry;
mod console;
mod cpio;
mod image;
pub mod init;
mod qemu;

use std::path::PathBuf;
use std::time::Duration;

pub use console::{Console, MARK, Report};
pub use image::Image;
pub use qemu::{Guest, Line, find as find_qemu};

/// What to boot and on what machine.
#[derive(Clone, Debug)]
pub struct Machinery {
    /// The kernel.
    pub image: Image,
    /// Processors.
    pub cpus: u32,
    /// Memory, MiB.
    pub memory: u32,
    /// Memory nodes; the memory is split evenly between them.
    pub nodes: u8,
    /// An emulated processor has five-level page tables; one under KVM has what the machine has.
    pub five_levels: bool,
    /// Words for the kernel's command line.
    pub append: Vec<String>,
    /// Files for the initramfs beside the command itself: path and content.
    pub files: Vec<(String, Vec<u8>)>,
}

/// Why a kernel could not be booted.
#[derive(Debug, thiserror::Error)]
pub enum CannotBoot {
    /// The image is not one.
    #[error("{}: {why}", .path.display())]
    Image {
        /// What was named.
        path: PathBuf,
        /// What it is instead, and what was expected.
        why: String,
    },
    /// There is no qemu.
    #[error(
        "qemu-system-x86_64 is not installed, and a kernel is booted in it: `apt install \
         qemu-system-x86` (Debian, Ubuntu), `dnf install qemu-system-x86-core` (Fedora), `pacman -S \
         qemu-system-x86` (Arch)"
    )]
    NoQemu,
    /// The command could not be put into an initramfs.
    #[error("making the initramfs: {0}")]
    Initramfs(String),
    /// A file or a process of this machine.
    #[error("{what}: {error}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What came of it.
        error: std::io::Error,
    },
    /// qemu refuses or failed.
    #[error("qemu ended before the kernel did ({status}): {said}")]
    Qemu {
        /// How it ended.
        status: String,
        /// Its standard error.
        said: String,
    },
}

/// How the processor is had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processor {
    /// The machine's own.
    Kvm,
    /// By emulation.
    Emulated,
}

impl Processor {
    /// How long a kernel may give no sign of life before it is taken for hung. Emulated processors
    /// share the machine with whatever else runs there.
    pub fn patience(self) -> Duration {
        match self {
            Self::Kvm => Duration::from_secs(45),
            Self::Emulated => Duration::from_secs(180),
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kvm => "KVM",
            Self::Emulated => "emulated",
        }
    }
}
