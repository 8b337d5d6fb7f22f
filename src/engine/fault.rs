//! A harness that fails on purpose, to see that a campaign keeps what it has and says what happened.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// It panics where nobody expects it.
    Panic,
    /// It does not come back from a program.
    Hang,
    /// It takes all the memory it may have, and more.
    Memory,
}

impl Fault {
    /// The execution in which it fails: by then there is a corpus to lose.
    pub const EXECUTION: u64 = 1000;

    /// Fails. A hang ends after some minutes by itself, so that nothing is left behind.
    pub fn strike(self, memory_mib: u32) {
        const LONG: Duration = Duration::from_secs(300);
        match self {
            Self::Panic => panic!("a fault of the harness, on purpose"),
            Self::Hang => std::thread::sleep(LONG),
            Self::Memory => {
                // Written to, so that it is resident.
                let hoard = vec![1_u8; (memory_mib as usize + 64) << 20];
                std::thread::sleep(LONG);
                drop(std::hint::black_box(hoard));
            }
        }
    }
}
