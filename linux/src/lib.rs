//! Runs programs of memory calls on the running Linux kernel, to hold a reference against it.
//!
//! A program runs in a forked child that has nothing in its address space but two areas of its own
//! and what the program maps; the calls are real system calls, loads and stores. What the kernel
//! answered, and what /proc shows of the child, is compared with a [`Manager`] that is given the
//! same calls. Serial programs only.
//!
//! ```no_run
//! # #[cfg(all(target_os = "linux", target_arch = "x86_64"))] {
//! use vmadiff_contract::{Call, Config, TaskId};
//! use vmadiff_linux::{Linux, Look};
//!
//! let mut linux = Linux::new().unwrap();
//! let calls = [(TaskId(1), Call::Load { addr: Config::WINDOW })];
//! let run = linux.run(&Config::default(), &calls, Look::AtEnd).unwrap();
//! println!("{:?}", run.answers);
//! # }
//! ```
//!
//! The running of programs is there on Linux on x86-64 only; the rest compiles anywhere.
//!
//! [`Manager`]: vmadiff_contract::Manager

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod agent;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod boot;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod decode;
mod diff;
mod fit;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod known;
mod machine;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod open;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod plan;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod proc;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod run;
mod seen;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod session;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod smaps;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod trial;
mod zone;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub use agent::Failed;
pub use diff::{Difference, Field, differences, view};
pub use fit::CALLS;
pub use fit::{Fitting, Unfit, fits_config};
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub use known::{Context, Known, known, whose};
pub use machine::{Machine, TASK_SIZE};
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub use run::{Linux, Look, Run, Stopped, stay_on_one_processor};
pub use seen::{Answer, Area, Object, Page, Seen, Space};
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub use trial::{Boot, Closeness, Finding, Settled, Trial, Verdict};
pub use zone::Zones;

/// Where the areas lie that fill an agent's map, if a program is to meet a lower limit: above all
/// that programs map, so that who reads the map from below can stop there.
const fn ballast_range() -> std::ops::Range<u64> {
    machine::TASK_SIZE - (1 << 30)..machine::TASK_SIZE - (1 << 29)
}

/// Areas of an agent's own: the code and the shared memory.
const OWN_AREAS: u64 = 2;

/// Where an agent has its own memory, in every process that runs a program.
const fn agent_range() -> std::ops::Range<u64> {
    0x2000_0000_0000..0x2000_0002_1000
}
