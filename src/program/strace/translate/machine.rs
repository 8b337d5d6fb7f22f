//! The machine that a log's program ran on, as far as the log shows it.

use vmadiff_contract::{Config, PAGE_SIZE};

use crate::program::settings::fit_together;
use crate::program::strace::log::Event;

/// The machine that the log's first process ran on, as far as the log shows it.
pub(super) fn config(events: &[Event], tasks: u8) -> Config {
    let mut config = Config {
        tasks,
        ..Config::default()
    };
    if let Some(start) = heap(events) {
        config.start_brk = start - start % PAGE_SIZE;
    }
    // What lies above the first place that Linux chose was there before the log began.
    let first = events
        .iter()
        .find(|event| event.name == "mmap" && event.number(0) == Some(0));
    let end = first.and_then(|event| event.value()?.checked_add(event.number(1)?));
    if let Some(base) = end.and_then(|end| end.checked_next_multiple_of(PAGE_SIZE)) {
        config.mmap_base = base;
    }
    fit_together(&mut config);
    config
}

/// Where the heap begins: what the first `brk(NULL)` answers.
pub(super) fn heap(events: &[Event]) -> Option<u64> {
    let first = events.iter().find(|event| event.name == "brk")?;
    first
        .value()
        .filter(|&start| first.number(0) == Some(0) && start >= PAGE_SIZE)
}
