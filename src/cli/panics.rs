//! Panics: those of a manager are findings, and the report has their words; one that comes all
//! the way up is the harness's own, and is shown.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic;
use std::sync::Mutex;

/// The last panic of this process: its words, and where it came from.
static LAST: Mutex<Option<(String, Backtrace)>> = Mutex::new(None);

/// From now on panics are kept instead of printed.
pub fn keep() {
    panic::set_hook(Box::new(|info| {
        // Not put into words here: shrinking can meet the same panic a thousand times.
        if let Ok(mut last) = LAST.lock() {
            *last = Some((info.to_string(), Backtrace::capture()));
        }
    }));
}

/// What the last panic said, and where if RUST_BACKTRACE asks for it.
pub fn last() -> String {
    match LAST.lock().ok().and_then(|mut last| last.take()) {
        Some((words, from)) if from.status() == BacktraceStatus::Captured => {
            format!("{words}\n{from}")
        }
        Some((words, _)) => words,
        None => "a panic".to_owned(),
    }
}
