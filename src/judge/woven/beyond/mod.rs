//! What is left unjudged: runs that no order of whole sections explains, and that are legal
//! nevertheless. Each reason is told, and counted; docs/compared.md has them.

mod areas;
mod pages;

use vmadiff_contract::{Advice, Call, Fail, MapFlags, Outcome, Resource};

use super::replay::{Objection, Trial};

/// Why a run with these objections is left unjudged.
pub fn why(trial: &Trial<'_>, objections: &[Objection]) -> Option<&'static str> {
    step_by_step(trial)
        .or_else(|| pages::reclaimed_elsewhere(trial, objections))
        .or_else(|| areas::charged_meanwhile(trial))
        .or_else(|| areas::reused_meanwhile(trial, objections))
        .or_else(|| areas::grown_meanwhile(trial, objections))
        .or_else(|| pages::refused_by_what_is_gone(trial, objections))
        .or_else(|| pages::unflushed(trial, objections))
}

/// Whether a run with these objections may be legal all the same, and the judge of steps knows: it is
/// objected to only if that one objects, too.
pub fn steps_know(trial: &Trial<'_>, objections: &[Objection]) -> bool {
    evicts_beside_others(trial) || areas::counted_beside(trial, objections)
}

/// A page is looked at, unmapped and dropped at three moments, and may lie in a hole that is being punched.
fn evicts_beside_others(trial: &Trial<'_>) -> bool {
    let mut calls = trial.program.calls.iter().enumerate();
    calls.any(|(a, step)| {
        matches!(step.call, Call::Evict { .. }) && trial.meets(a, |b| !is_idle(trial, b))
    })
}

/// Whether the call has nothing to do with files and their pages.
fn is_idle(trial: &Trial<'_>, call: usize) -> bool {
    matches!(
        trial.program.calls[call].call,
        Call::Softirq | Call::SetMempolicy { .. } | Call::GetMempolicy { .. }
    )
}

/// Calls that go step by step where the reference has one moment.
fn step_by_step(trial: &Trial<'_>) -> Option<&'static str> {
    let calls = &trial.program.calls;
    let overlap = |a: usize, is: &dyn Fn(&Call) -> bool| trial.meets(a, |b| is(&calls[b].call));
    (0..calls.len()).find_map(|a| {
        let step = &calls[a];
        match step.call {
            Call::Load { .. } | Call::Store { .. } | Call::Exec { .. }
                if step.fail != Fail::NONE && overlap(a, &|_| true) =>
            {
                Some("an allocation of a fault fails while other calls overlap it")
            }
            Call::Fork if overlap(a, &|c| matches!(c, Call::Open { .. } | Call::Close { .. })) => {
                Some("fork copies descriptors and areas at different times")
            }
            // copy_signal comes between dup_fd and dup_mmap.
            Call::Fork if overlap(a, &|c| matches!(c, Call::SetRlimit { .. })) => {
                Some("fork copies limits and areas at different times")
            }
            // do_mlock: can_do_mlock comes before mmap_sem, and asks the limit that is asked again.
            Call::Mlock { .. } | Call::Mlock2 { .. } | Call::Mlockall { .. }
                if overlap(a, &sets_memlock) =>
            {
                Some("mlock looks at its limit before it has mmap_sem")
            }
            Call::Mmap { fd, flags, .. }
                if !flags.contains(MapFlags::ANONYMOUS)
                    && overlap(a, &|c| *c == Call::Close { fd }) =>
            {
                Some("mmap looks a descriptor up that is closed before it maps")
            }
            Call::Fork if overlap(a, &|c| matches!(c, Call::Reclaim { .. })) => {
                Some("a page is swapped out in one address space and just then copied to another")
            }
            Call::NumaScan { .. } | Call::Collapse { .. }
                if overlap(a, &|c| takes_pages(c) || *c == Call::Exit)
                    || overlaps_failed_fork(trial, a) =>
            {
                Some(
                    "pages that fork shared are given up one by one while it is asked who has them",
                )
            }
            Call::Mincore { .. } if overlap(a, &takes_pages) => {
                Some("mincore looks at pages one by one while they are taken away one by one")
            }
            Call::Madvise {
                advice: Advice::Remove,
                ..
            } if left_an_area(trial, a) && overlap(a, &|_| true) => {
                Some("MADV_REMOVE gives mmap_sem up between areas")
            }
            _ => None,
        }
    })
}

/// Whether MADV_REMOVE was done with an area and went on to another, or to its refusal: each is marked,
/// and so is the end of a call that succeeds.
fn left_an_area(trial: &Trial<'_>, call: usize) -> bool {
    let failed = matches!(trial.woven.outcomes[call], Some(Outcome::Errno(_)));
    trial.parts.sections_of(call) > if failed { 1 } else { 2 }
}

/// Whether a fork that overlaps the call fails: its child gives up the pages that it had copied.
fn overlaps_failed_fork(trial: &Trial<'_>, call: usize) -> bool {
    let calls = &trial.program.calls;
    trial.meets(call, |fork| {
        let failed = matches!(trial.woven.outcomes[fork], Some(Outcome::Errno(_)));
        calls[fork].call == Call::Fork && failed
    })
}

/// Calls that change how much may be locked.
fn sets_memlock(call: &Call) -> bool {
    let set = Resource::MemLock;
    matches!(*call, Call::SetRlimit { resource, .. } if resource == set)
}

/// Calls that take pages away without mmap_sem held for writing.
fn takes_pages(call: &Call) -> bool {
    let replaces = |flags: &MapFlags| flags.contains(MapFlags::FIXED);
    matches!(call, Call::Mmap { flags, .. } if replaces(flags))
        || matches!(
            call,
            Call::Munmap { .. }
                | Call::Brk { .. }
                | Call::Mremap { .. }
                | Call::Madvise { .. }
                | Call::Ftruncate { .. }
                | Call::Fallocate { .. }
                | Call::Reclaim { .. }
                | Call::Evict { .. }
        )
}

/// Calls that take areas away, and so their links to anon_vmas.
fn takes_areas(call: &Call) -> bool {
    matches!(
        call,
        Call::Exit
            | Call::Munmap { .. }
            | Call::Mmap { .. }
            | Call::Mremap { .. }
            | Call::Brk { .. }
    )
}
