//! What calls find of pages while others take them away: a page that is found at one moment and taken at a
//! later one, an entry that is out and not flushed yet.

use vmadiff_contract::{Advice, Call, Outcome, PAGE_SIZE, SegvCode};

use super::takes_areas;
use crate::judge::woven::parts::{Act, Part, has_stack};
use crate::judge::woven::replay::{Objection, Trial};

/// Reclaim finds a page at one moment and takes it from whoever maps it at a later one. If the page
/// was unmapped, replaced or shared between, what it answers is that of no moment.
pub(super) fn reclaimed_elsewhere(
    trial: &Trial<'_>,
    objections: &[Objection],
) -> Option<&'static str> {
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

/// A processor says of an access that it was refused by an entry, or that it found none, and asks what
/// the area allows later. If the page was unmapped between, a stack grows back and the access is refused
/// though no entry refuses it.
pub(super) fn refused_by_what_is_gone(
    trial: &Trial<'_>,
    objections: &[Objection],
) -> Option<&'static str> {
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
pub(super) fn unflushed(trial: &Trial<'_>, objections: &[Objection]) -> Option<&'static str> {
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
