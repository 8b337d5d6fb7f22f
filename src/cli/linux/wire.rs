//! What the command and itself in a guest say to each other: a task, as a file in the guest, and
//! messages, a line of JSON each.

use serde::{Deserialize, Serialize};
use vmadiff::linux::Tally;
use vmadiff_linux::Machine;

use super::line::Line;

/// Where a guest finds its task.
pub const TASK: &str = "/vmadiff-task.json";

/// What a guest is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Task {
    /// Run these programs: name and text.
    Run {
        programs: Vec<(String, String)>,
        boundaries: bool,
    },
    /// Fuzz.
    Fuzz {
        runs: Option<u64>,
        seconds: Option<u64>,
        seed: u64,
        jobs: u32,
        boundaries: bool,
    },
}

/// What a guest says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Message {
    /// It is up, and this is what it is like.
    Up(Box<Machine>),
    /// What the program of this number came to.
    Ran { number: usize, line: Line },
    /// All that was done so far.
    Tally(Box<Tally>),
    /// A finding, made small.
    Found {
        signature: String,
        what: String,
        text: String,
    },
    /// It is done.
    Done,
    /// The command in the guest failed.
    Failed(String),
    /// The command in the guest is gone, by a signal or a panic of its own.
    Gone(String),
}

/// Said to a guest that is to stop where it is and report.
pub const STOP: &str = "stop";
