//! The `vmadiff` command.

mod artifacts;
mod cli;
#[cfg(feature = "engine")]
mod engine;
mod files;
mod status;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, paint, panics};
use status::{HarnessFailed, Status};

fn main() -> ExitCode {
    #[cfg(all(feature = "engine", target_os = "linux", target_arch = "x86_64"))]
    if vmadiff_linux::boot::init::is_init() {
        vmadiff_linux::boot::init::run(cli::GUEST);
    }
    let cli = Cli::parse();
    panics::keep();
    let status = match std::panic::catch_unwind(|| cli::run(cli)) {
        Ok(Ok(status)) => status,
        Ok(Err(error)) => {
            cli::complain(&error);
            if error.is::<HarnessFailed>() || is_the_machines(&error) {
                Status::HarnessFailed
            } else {
                Status::BadInput
            }
        }
        Err(_) => {
            tell!("{}: {}", paint::bad("harness failure"), panics::last());
            Status::HarnessFailed
        }
    };
    status.into()
}

/// Whether the machine is to blame for an error, and not what was asked for: a full disk, a broken
/// one, no memory, no descriptor or process left.
fn is_the_machines(error: &anyhow::Error) -> bool {
    use std::io::Error;
    use std::io::ErrorKind::{OutOfMemory, QuotaExceeded, StorageFull, WouldBlock};
    // Without a stable `ErrorKind`; the same numbers on every Unix.
    const EIO: i32 = 5;
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    let mut causes = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<Error>());
    causes.any(|error| {
        let kind = error.kind();
        matches!(kind, OutOfMemory | QuotaExceeded | StorageFull | WouldBlock)
            || matches!(error.raw_os_error(), Some(EIO | ENFILE | EMFILE))
    })
}
