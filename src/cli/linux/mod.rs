//! `vmadiff linux`: programs on the running kernel, and the reference compared with it.
//!
//! There is something to run them on only on Linux on x86-64; elsewhere the command says so.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod boot;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod booted;
#[cfg(all(feature = "engine", target_os = "linux", target_arch = "x86_64"))]
pub mod fuzz;
#[cfg(all(feature = "engine", target_os = "linux", target_arch = "x86_64"))]
pub mod guest;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod here;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod line;
#[cfg(all(feature = "engine", target_os = "linux", target_arch = "x86_64"))]
mod summary;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod wire;

use std::path::PathBuf;

use crate::status::Status;
use anyhow::Result;

/// Runs programs on the running kernel and compares the reference with it.
///
/// Each program runs in a process of its own that has nothing else in its address space. What
/// differs is a finding about the reference, unless newer kernels are known to differ there.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    vmadiff linux corpus/conformance\n  \
    vmadiff linux --boundaries program.vma\n  \
    vmadiff linux --kernel arch/x86/boot/bzImage corpus/conformance\n  \
    vmadiff linux --list")]
pub struct Args {
    /// Programs, or folders of them; `-` is standard input.
    #[arg(required_unless_present = "list")]
    files: Vec<PathBuf>,
    /// Also compares where one area ends and the next one starts.
    #[arg(long)]
    boundaries: bool,
    /// Prints one JSON object per program instead of text.
    #[arg(long)]
    json: bool,
    /// Which kernel, if not the running one.
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    #[command(flatten)]
    boot: boot::Args,
    /// With --kernel: memory of the guest, MiB.
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    #[arg(long, value_name = "MIB", default_value_t = boot::MEMORY, requires = "kernel",
          value_parser = clap::value_parser!(u32).range(32..))]
    memory: u32,
    /// Lists the known differences of the running kernel and of newer ones.
    #[arg(long, conflicts_with_all = ["files", "boundaries"])]
    list: bool,
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub fn run(args: &Args) -> Result<Status> {
    here::run(args)
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
pub fn run(_: &Args) -> Result<Status> {
    anyhow::bail!("programs can be run on the kernel of Linux on x86-64 only")
}
