//! What calls find of areas while others are at them one by one: memory that is charged, anon_vmas
//! that are given up, stacks that grow.

use vmadiff_contract::{Call, Errno, Outcome, SegvCode};

use super::takes_areas;
use crate::judge::Rule;
use crate::judge::woven::parts::{Act, Holds, Part, has_stack};
use crate::judge::woven::replay::{Objection, Trial};

/// Memory is charged before it is asked whether that was too much, and areas are charged one by one:
/// what another call finds charged meanwhile may be what is given back at once.
pub(super) fn charged_meanwhile(trial: &Trial<'_>) -> Option<&'static str> {
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

/// fork asks link by link whether somebody else still uses an anon_vma, and takes the first that nobody
/// does; areas of other address spaces give theirs up one by one.
pub(super) fn reused_meanwhile(
    trial: &Trial<'_>,
    objections: &[Objection],
) -> Option<&'static str> {
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

/// A stack's growth and munmap's downgraded part count beside each other, and what one writes between the
/// other's read and its write is lost.
pub(super) fn counted_beside(trial: &Trial<'_>, objections: &[Objection]) -> bool {
    let Trial { program, parts, .. } = *trial;
    const COUNTERS: [&str; 4] = ["total_pages", "data_pages", "stack_pages", "exec_pages"];
    let counter = |objection: &Objection| {
        let field = objection.field.strip_prefix("mms.");
        objection.rule == Rule::State && field.is_some_and(|field| COUNTERS.contains(&field))
    };
    let unmaps = |part: &Part| part.is_section() && takes_areas(&program.calls[part.call].call);
    let grows = |part: &Part| matches!(part.act, Act::Fault(_) | Act::Refused(_));
    let raced = |fault: &Part| {
        let mut others = parts.list.iter().filter(|other| other.mm == fault.mm);
        grows(fault) && others.any(|other| unmaps(other) && other.overlaps(fault))
    };
    has_stack(program) && objections.iter().all(counter) && parts.list.iter().any(raced)
}

/// A fault grows a stack before it maps the page, and calls that hold mmap_sem for reading too may find
/// the area grown and the page missing.
pub(super) fn grown_meanwhile(trial: &Trial<'_>, objections: &[Objection]) -> Option<&'static str> {
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
