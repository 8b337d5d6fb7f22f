//! The machine that a log's program ran on, as far as the log shows it.

use vmadiff_contract::{Config, PAGE_SIZE};

use crate::program::settings::fit_together;
use crate::program::strace::listing::{Area, Listing};
use crate::program::strace::log::Event;

/// The machine that the log's first process ran on.
pub(super) fn config(events: &[Event], tasks: u8, start: Option<&Listing>) -> Config {
    let mut config = Config {
        tasks,
        ..Config::default()
    };
    let listed = start.and_then(heap_of).map(|(start, _)| start);
    if let Some(start) = listed.or_else(|| heap(events)) {
        config.start_brk = start - start % PAGE_SIZE;
    }
    // What lies above the first place that Linux chose was there before the log began.
    let first = events
        .iter()
        .find(|event| event.call() == "mmap" && event.number(0) == Some(0));
    let end = first.and_then(|event| event.value()?.checked_add(event.number(1)?));
    let end = end.and_then(|end| end.checked_next_multiple_of(PAGE_SIZE));
    let top = start.map(|listing| top_of(listing, config.task_size));
    // A log may say anything: that 0 bytes were mapped at 0, too.
    if let Some(base) = end.max(top).filter(|&base| base >= PAGE_SIZE) {
        config.mmap_base = base;
    }
    fit_together(&mut config);
    config
}

/// Where the heap begins: what the first `brk(NULL)` answers.
pub(super) fn heap(events: &[Event]) -> Option<u64> {
    let first = events.iter().find(|event| event.call() == "brk")?;
    first
        .value()
        .filter(|&start| first.number(0) == Some(0) && start >= PAGE_SIZE)
}

/// Whether a listing tells where the heap is.
pub(super) fn has_heap(listing: &Listing) -> bool {
    heap_of(listing).is_some()
}

/// Where the heap begins and ends.
pub(super) fn heap_of(listing: &Listing) -> Option<(u64, u64)> {
    let mut heap = listing.areas.iter().filter(|area| area.name == "[heap]");
    let first = heap.next()?;
    Some((first.start, heap.next_back().unwrap_or(first).end))
}

/// Places are looked for below the end of the highest area that is neither the stack nor the
/// kernel's.
fn top_of(listing: &Listing, task_size: u64) -> u64 {
    let is_mapped = |area: &&Area| !area.name.starts_with("[stack]") && !is_kernels(area);
    let mut mapped = listing
        .areas
        .iter()
        .filter(is_mapped)
        .filter(|area| area.end <= task_size);
    mapped.next_back().map_or(0, |area| area.end)
}

/// What the kernel maps and no call does.
pub(super) fn is_kernels(area: &Area) -> bool {
    ["[vdso", "[vvar", "[vsyscall", "[vectors", "[uprobes"]
        .iter()
        .any(|name| area.name.starts_with(name))
}
