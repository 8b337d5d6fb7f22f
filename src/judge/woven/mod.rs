//! Judges woven runs: explains what the candidate did, while its calls overlapped, by the reference.
//!
//! The run falls into parts (`parts`, `read`): sections, faults, accesses. In the order in which they were
//! marked they are replayed on the reference (`replay`), and almost always that agrees: outcomes,
//! what sections did to VMAs, and the state at the end, in the reference's names (`names`). Where it
//! doesn't, parts that overlap a section are moved to its other side (`order`, `search`): what a
//! page was before or after it is admissible to them, and nothing in between. If none of these
//! orders explains the run it is a divergence; if one does that has sections in another order than
//! their marks (`wing_gong`), the marks are wrong.
//!
//! What is compared and what not is in docs/compared.md.

mod life;
mod names;
mod order;
mod parts;
mod read;
mod replay;
mod search;
mod wing_gong;

use vmadiff_contract::{Advice, Call, Fail, PAGE_SIZE, Replay};

use super::{Divergence, Rule, Signature, Verdict};
use crate::program::Program;
use crate::run::Woven;
use order::Order;
use parts::{Act, Part, Parts};
use replay::{Objection, Replayer, Trial};
use search::Found;

/// Judges woven runs by a reference that is replayed; keeps its memory from run to run.
#[derive(Default)]
pub struct WovenJudge {
    parts: Parts,
    replayer: Replayer,
    order: Order,
    sorted: Vec<usize>,
}

impl WovenJudge {
    /// Judges a run that came to its end, by a reference that may be in any state.
    pub fn judge<R: Replay>(
        &mut self,
        program: &Program,
        reference: &mut R,
        woven: &Woven,
    ) -> Verdict {
        let Self {
            parts,
            replayer,
            order,
            sorted,
        } = self;
        parts.read(program, woven);
        if let Some(divergence) = miscounted(parts, woven) {
            return Verdict::Diverge(divergence);
        }
        order::natural(program, parts, order);
        order::sorted(order, sorted);
        let trial = Trial {
            program,
            woven,
            parts,
        };
        if replayer.run(&trial, reference, sorted, order, true) {
            return Verdict::Agree;
        }
        let objections = match search::search(replayer, &trial, reference, order) {
            Found::Order => return Verdict::Agree,
            Found::Nothing(objections) => objections,
        };
        if let Some(why) = beyond(&trial).or_else(|| reclaimed_elsewhere(&trial, &objections)) {
            return Verdict::Skip(why.to_owned());
        }
        let objection = objections.first().expect("no order is without objections");
        let mut divergence = diverges(&trial, objection);
        if wing_gong::explains(replayer, &trial, reference, order) {
            divergence.signature.rule = Rule::CommitPoint;
            divergence.what = format!(
                "another order of sections explains the run, that of their marks does not: {}",
                divergence.what
            );
        }
        Verdict::Diverge(divergence)
    }
}

/// Faults are counted as they are served, however calls overlap.
fn miscounted(parts: &Parts, woven: &Woven) -> Option<Divergence> {
    let state = woven.state.tasks.iter().find(|task| {
        let served = parts.faults.get(usize::from(task.task.0));
        served.is_some_and(|&served| served != task.minor_faults + task.major_faults)
    })?;
    let served = parts.faults[usize::from(state.task.0)];
    let counted = state.minor_faults + state.major_faults;
    Some(Divergence {
        signature: Signature {
            rule: Rule::FaultCount,
            call: "end",
            field: "tasks.faults",
        },
        at: None,
        side: Some(super::Side::Candidate),
        event: None,
        step: None,
        object: None,
        what: format!(
            "in the candidate, task {} was served {served} faults and counts {counted}",
            state.task
        ),
    })
}

fn diverges(trial: &Trial<'_>, objection: &Objection) -> Divergence {
    let part = objection.part.map(|i| &trial.parts.list[i]);
    let call = part.map_or("end", |part| {
        trial.program.calls[part.call].call.kind().name()
    });
    Divergence {
        signature: Signature {
            rule: objection.rule,
            call,
            field: objection.field,
        },
        at: part.map(|part| part.call),
        side: None,
        event: None,
        step: part.map(|part| part.at as usize),
        object: None,
        what: objection.what.clone(),
    }
}

/// Why no order of whole sections could explain a run that is legal nevertheless; docs/compared.md
/// has the reasons.
fn beyond(trial: &Trial<'_>) -> Option<&'static str> {
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
