//! What is left unjudged: runs that no order of whole sections explains, and that are legal
//! nevertheless. Each reason is told, and counted; docs/compared.md has them.

use vmadiff_contract::{Advice, Call, Errno, Fail, MapFlags, Outcome, PAGE_SIZE, SegvCode};

use super::parts::{Act, Holds, Part, has_stack};
use super::replay::{Objection, Trial};
use crate::judge::Rule;

/// Why a run with these objections is left unjudged.
pub fn why(trial: &Trial<'_>, objections: &[Objection]) -> Option<&'static str> {
    step_by_step(trial)
        .or_else(|| reclaimed_elsewhere(trial, objections))
        .or_else(|| charged_meanwhile(trial))
        .or_else(|| reused_meanwhile(trial, objections))
        .or_else(|| grown_meanwhile(trial, objections))
        .or_else(|| refused_by_what_is_gone(trial, objections))
        .or_else(|| unflushed(trial, objections))
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

/// Reclaim finds a page at one moment and takes it from whoever maps it at a later one. If the page
/// was unmapped, replaced or shared between, what it answers is that of no moment.
fn reclaimed_elsewhere(trial: &Trial<'_>, objections: &[Objection]) -> Option<&'static str> {
    let Trial {
        program,
        woven,
        parts,
    } = *trial;
    let raced = |reclaim: &Part| {
        let Some(at_page) = reclaimed(trial, reclaim) else {
            return false;
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
    // It is taken from where it has been moved to, whatever is found there meanwhile.
    let moved = |reclaim: &Part| {
        let Some(at_page) = reclaimed(trial, reclaim) else {
            return false;
        };
        let mut others = parts.list.iter().filter(|other| other.overlaps(reclaim));
        others.any(|other| {
            let at_page = Part {
                mm: other.mm,
                ..at_page
            };
            other.moves(program, woven, &at_page).is_some()
        })
    };
    // What it answers, or what its page is afterwards.
    let about = |reclaim: &Part| {
        let page = reclaimed(trial, reclaim).and_then(|part| part.page);
        objections.iter().any(|objection| {
            let itself = objection.part.map(|i| parts.list[i].call) == Some(reclaim.call);
            itself || objection.page == page
        })
    };
    let mut reclaims = parts.list.iter();
    reclaims
        .any(|part| moved(part) || raced(part) && about(part))
        .then_some("a page that is reclaimed is unmapped, replaced or shared meanwhile")
}

/// A reclaim, about its page.
fn reclaimed(trial: &Trial<'_>, part: &Part) -> Option<Part> {
    let Call::Reclaim { addr } = trial.program.calls[part.call].call else {
        return None;
    };
    Some(Part {
        page: Some(addr & !(PAGE_SIZE - 1)),
        ..*part
    })
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
        )
}

/// Memory is charged before it is asked whether that was too much, and areas are charged one by one:
/// what another call finds charged meanwhile may be what is given back at once.
fn charged_meanwhile(trial: &Trial<'_>) -> Option<&'static str> {
    let Trial { program, parts, .. } = *trial;
    if program.config.commit_limit == u64::MAX {
        return None;
    }
    let stack = has_stack(trial.program);
    let charges = |part: &Part| match part.act {
        Act::Section => charges(&program.calls[part.call].call),
        // It grows a stack.
        Act::Fault(_) | Act::Refused(_) => stack,
        _ => false,
    };
    let raced = |part: &Part| {
        let others = parts.list.iter().filter(|other| charges(other));
        let mut raced = others.filter(|other| other.call != part.call && other.overlaps(part));
        raced.any(|other| fell_short(trial, part) || fell_short(trial, other))
    };
    let mut list = parts.list.iter();
    list.any(|part| charges(part) && raced(part))
        .then_some("calls that overlap charge memory up to the commit limit")
}

/// fork asks link by link whether somebody else still uses an anon_vma, and takes the first that nobody
/// does; areas of other address spaces give theirs up one by one.
fn reused_meanwhile(trial: &Trial<'_>, objections: &[Objection]) -> Option<&'static str> {
    let Trial { program, parts, .. } = *trial;
    let about_anons = |objection: &Objection| {
        objection.rule == Rule::State
            && matches!(objection.field, "vmas.anon" | "vmas.anon_chain" | "anons")
    };
    let leaves = |fork: &Part, other: &Part| {
        let call = &program.calls[other.call].call;
        let gives_up = takes_areas(call);
        gives_up && other.is_section() && other.mm != fork.mm && other.overlaps(fork)
    };
    let raced = |fork: &Part| {
        let forks = program.calls[fork.call].call == Call::Fork;
        forks && parts.list.iter().any(|other| leaves(fork, other))
    };
    (objections.iter().all(about_anons) && parts.list.iter().any(raced))
        .then_some("fork asks who uses an anon_vma while others give theirs up one by one")
}

/// A fault grows a stack before it maps the page, and calls that hold mmap_sem for reading too may find
/// the area grown and the page missing.
fn grown_meanwhile(trial: &Trial<'_>, objections: &[Objection]) -> Option<&'static str> {
    let parts = trial.parts;
    if !has_stack(trial.program) {
        return None;
    }
    let looks = |part: &Part| part.is_section() && part.holds == Holds::Read;
    let grows = |part: &Part| matches!(part.act, Act::Fault(_) | Act::Refused(_));
    // The reader, or the call whose fault it overlaps.
    let raced = |part: &Part| {
        let mut pairs = parts.list.iter().flat_map(|reader| {
            let faults = parts.list.iter().filter(|fault| grows(fault));
            let faults = faults.filter(|fault| fault.mm == reader.mm && fault.overlaps(reader));
            faults.map(move |fault| (reader, fault))
        });
        pairs.any(|(reader, fault)| looks(reader) && [reader.call, fault.call].contains(&part.call))
    };
    let mut about = objections.iter().filter_map(|objection| objection.part);
    about
        .any(|i| raced(&parts.list[i]))
        .then_some("a stack grows under a call that holds mmap_sem for reading")
}

/// A processor says of an access that it was refused by an entry, or that it found none, and asks what
/// the area allows later. If the page was unmapped between, a stack grows back and the access is refused
/// though no entry refuses it.
fn refused_by_what_is_gone(trial: &Trial<'_>, objections: &[Objection]) -> Option<&'static str> {
    let Trial {
        program,
        woven,
        parts,
    } = *trial;
    if !has_stack(trial.program) {
        return None;
    }
    let refused = parts.list.iter().filter(|part| {
        let access = matches!(part.act, Act::Refused(_));
        let why = woven.outcomes[part.call];
        access && matches!(why, Some(Outcome::Segv(SegvCode::AccErr)))
    });
    let unmapped = |part: &&Part| {
        let mut others = parts.list.iter().filter(|other| other.overlaps(part));
        others.any(|other| other.is_section() && takes_areas(&program.calls[other.call].call))
    };
    let mut raced = refused.filter(unmapped);
    let about = |part: &Part| objections.iter().all(|o| o.page == part.page);
    raced.any(about).then_some(
        "an access is refused by an entry whose area is unmapped and grown again meanwhile",
    )
}

/// A call that unmaps takes entries out first and flushes TLBs last. If a file loses a page between,
/// nothing maps it any more that would have to be flushed, and accesses may still go by the old entry.
fn unflushed(trial: &Trial<'_>, objections: &[Objection]) -> Option<&'static str> {
    let Trial {
        program,
        woven,
        parts,
    } = *trial;
    let loses = |call: usize| {
        let call = &program.calls[call].call;
        let remove = matches!(call, Call::Madvise { advice, .. } if *advice == Advice::Remove);
        remove || matches!(call, Call::Ftruncate { .. } | Call::Fallocate { .. })
    };
    let raced = |access: &Part| {
        let unmaps = parts.list.iter().filter(|other| {
            let unmaps = other.is_section() && takes_areas(&program.calls[other.call].call);
            unmaps && other.mm == access.mm && other.may_reach(program, woven, access)
        });
        let mut unmaps = unmaps.filter(|other| other.overlaps(access));
        access.act == Act::Access && unmaps.any(|other| trial.meets(other.call, loses))
    };
    let mut about = objections.iter().filter_map(|objection| objection.part);
    about.any(|i| raced(&parts.list[i])).then_some(
        "an access goes by an entry that is not flushed yet, of a page that its file loses",
    )
}

/// Whether a fork that overlaps the call fails: its child gives up the pages that it had copied.
fn overlaps_failed_fork(trial: &Trial<'_>, call: usize) -> bool {
    let calls = &trial.program.calls;
    trial.meets(call, |fork| {
        let failed = matches!(trial.woven.outcomes[fork], Some(Outcome::Errno(_)));
        calls[fork].call == Call::Fork && failed
    })
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

/// Whether the call got no memory.
fn fell_short(trial: &Trial<'_>, part: &Part) -> bool {
    let call = trial.program.calls[part.call].call;
    match (call, trial.woven.outcomes[part.call]) {
        (Call::Brk { addr }, Some(Outcome::Value(brk))) => brk != addr,
        // A stack that could not grow.
        (_, Some(Outcome::Segv(code))) => code == SegvCode::MapErr,
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
