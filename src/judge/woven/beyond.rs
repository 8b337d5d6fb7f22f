//! What is left unjudged: runs that no order of whole sections explains, and that are legal
//! nevertheless. Each reason is told, and counted; docs/compared.md has them.

use vmadiff_contract::{Advice, Call, Errno, Fail, Outcome, PAGE_SIZE};

use super::parts::{Act, Part};
use super::replay::{Objection, Trial};

/// Why a run with these objections is left unjudged.
pub fn why(trial: &Trial<'_>, objections: &[Objection]) -> Option<&'static str> {
    step_by_step(trial)
        .or_else(|| reclaimed_elsewhere(trial, objections))
        .or_else(|| charged_meanwhile(trial, objections))
}

/// Calls that go step by step where the reference has one moment.
fn step_by_step(trial: &Trial<'_>) -> Option<&'static str> {
    let calls = &trial.program.calls;
    let overlap = |a: usize, is: &dyn Fn(&Call) -> bool| {
        (0..calls.len()).any(|b| a != b && is(&calls[b].call) && trial.parts.calls_overlap(a, b))
    };
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
            Call::Fork if overlap(a, &|c| matches!(c, Call::Reclaim { .. })) => {
                Some("a page is swapped out in one address space and just then copied to another")
            }
            Call::NumaScan { .. } | Call::Collapse { .. }
                if overlap(a, &|c| takes_pages(c) || *c == Call::Exit) =>
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
            } if trial.parts.sections_of(a) > 2 && overlap(a, &|_| true) => {
                Some("MADV_REMOVE gives mmap_sem up between areas")
            }
            _ => None,
        }
    })
}

/// Reclaim finds a page at one moment and takes it from whoever maps it at a later one. If the page
/// was unmapped, replaced or shared between, what it answers is that of no moment.
fn reclaimed_elsewhere(trial: &Trial<'_>, objections: &[Objection]) -> Option<&'static str> {
    let Trial {
        program,
        woven,
        parts,
    } = *trial;
    let raced = |reclaim: &Part| {
        let Call::Reclaim { addr } = program.calls[reclaim.call].call else {
            return false;
        };
        let at_page = Part {
            page: Some(addr & !(PAGE_SIZE - 1)),
            ..*reclaim
        };
        parts.list.iter().any(|other| {
            let reaches = match other.act {
                Act::Section => other.may_reach(program, woven, &at_page),
                Act::Fault(_) => other.page == at_page.page,
                _ => false,
            };
            other.call != reclaim.call && reaches && other.overlaps(reclaim)
        })
    };
    let about = objections.iter().filter_map(|objection| objection.part);
    about
        .map(|i| &parts.list[i])
        .any(raced)
        .then_some("a page that is reclaimed is unmapped, replaced or shared meanwhile")
}

/// Calls that take pages away without mmap_sem held for writing.
fn takes_pages(call: &Call) -> bool {
    matches!(
        call,
        Call::Munmap { .. }
            | Call::Brk { .. }
            | Call::Mremap { .. }
            | Call::Madvise { .. }
            | Call::Ftruncate { .. }
            | Call::Fallocate { .. }
            | Call::Reclaim { .. }
    )
}

/// Memory is charged before it is asked whether that was too much, and areas are charged one by one:
/// what another call finds charged meanwhile may be what is given back at once.
fn charged_meanwhile(trial: &Trial<'_>, objections: &[Objection]) -> Option<&'static str> {
    let Trial { program, parts, .. } = *trial;
    if program.config.commit_limit == u64::MAX {
        return None;
    }
    let charges = |part: &Part| part.is_section() && charges(&program.calls[part.call].call);
    let raced = |part: &Part| {
        let others = parts.list.iter().filter(|other| charges(other));
        let mut raced = others.filter(|other| other.call != part.call && other.overlaps(part));
        raced.any(|other| fell_short(trial, part) || fell_short(trial, other))
    };
    let mut about = objections.iter().filter_map(|objection| objection.part);
    about
        .any(|i| charges(&parts.list[i]) && raced(&parts.list[i]))
        .then_some("calls that overlap charge memory up to the commit limit")
}

/// Whether the call got no memory.
fn fell_short(trial: &Trial<'_>, part: &Part) -> bool {
    let call = trial.program.calls[part.call].call;
    match (call, trial.woven.outcomes[part.call]) {
        (Call::Brk { addr }, Some(Outcome::Value(brk))) => brk != addr,
        (_, outcome) => outcome == Some(Outcome::Errno(Errno::ENOMEM)),
    }
}

/// Calls that charge memory.
fn charges(call: &Call) -> bool {
    matches!(
        call,
        Call::Mmap { .. }
            | Call::Mremap { .. }
            | Call::Mprotect { .. }
            | Call::Brk { .. }
            | Call::Fork
    )
}
