//! Every event dropped, doubled, moved into the call after or before; every misuse inserted.

use vmadiff::judge::{Rule, Side};
use vmadiff::run::Observation;
use vmadiff_contract::{
    AnonId, Call, Event, FileId, FrameId, Misuse, MmId, Note, PolicyId, TableId, VmaId,
};

use crate::story::{BREACH, Story, alloc};
use crate::{check, forged, nothing_wrong};

/// What is done to an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Forgery {
    Dropped,
    Doubled,
    /// To the beginning of the next call.
    Later,
    /// To the end of the call before.
    Sooner,
}

use Forgery::{Doubled, Dropped, Later, Sooner};
use Side::{Candidate, Reference};

/// The rules of which one must object; none: the forgery is legal, or harmless by design.
fn rules(side: Side, forgery: Forgery, event: &Event) -> &'static [Rule] {
    match (event, forgery) {
        (Event::VmaAlloc { .. }, Dropped | Doubled | Later) => &[Rule::Ordinal],
        (Event::VmaAlloc { vma: VmaId(5), .. }, Sooner) => &[Rule::Ordinal],
        (Event::VmaAlloc { .. }, Sooner) => &[Rule::VmaLeaked],
        (Event::VmaLink { .. }, Dropped | Doubled | Later) => &[Rule::VmaTree],
        (Event::VmaLink { .. }, Sooner) => &[Rule::Ordinal],
        (Event::VmaUnlink { .. }, Dropped | Later) if side == Reference => &[Rule::VmaFreedLinked],
        (Event::VmaUnlink { vma: VmaId(2) }, Sooner) => &[Rule::Ordinal],
        (Event::VmaUnlink { .. }, _) => &[Rule::VmaTree],
        (
            Event::VmaGet {
                vma: VmaId(1),
                refs: 3,
            },
            Sooner,
        ) => &[Rule::VmaReferences],
        (Event::VmaGet { .. }, Sooner) => &[Rule::Ordinal],
        (Event::VmaGet { .. }, _) => &[Rule::VmaReferences],
        (Event::VmaPut { .. }, _) => put(forgery, event),
        (Event::VmaOpen { vma: VmaId(2) }, Later) => &[Rule::VmaClose, Rule::Events],
        (Event::VmaOpen { .. }, Dropped | Later) => &[Rule::Events],
        (Event::VmaOpen { .. }, Doubled) => &[Rule::VmaClose],
        (Event::VmaOpen { .. }, Sooner) => &[Rule::Ordinal],
        (Event::VmaClose { vma: VmaId(2) }, Sooner) => &[Rule::Ordinal],
        (Event::VmaClose { .. }, _) => &[Rule::VmaClose],
        (Event::VmaFree { .. }, _) => freed(side, forgery, event),
        (Event::FilePut { .. }, _) => file_put(forgery, event),
        (Event::FileFree { .. }, Dropped | Doubled | Later) => &[Rule::FileFreedOnce],
        (Event::FileFree { .. }, Sooner) => &[Rule::FileUsedAfterFree],
        (Event::AnonAlloc { .. }, Dropped | Doubled | Later) => &[Rule::Ordinal],
        (Event::AnonAlloc { .. }, Sooner) => &[Rule::AnonLeaked],
        (Event::AnonFree { .. }, Dropped | Later) => &[Rule::AnonLeaked],
        (Event::AnonFree { .. }, Doubled) => &[Rule::AnonFreedOnce],
        (Event::AnonFree { .. }, Sooner) => &[Rule::AnonUsedAfterFree],
        (Event::PolicyAlloc { .. }, Sooner) if side == Reference => &[Rule::PolicyLeaked],
        (Event::PolicyAlloc { .. }, Sooner) => &[Rule::Events],
        // The candidate's policy2 is not freed in that call.
        (
            Event::PolicyAlloc {
                policy: PolicyId(2),
            },
            Dropped | Later,
        ) if side == Candidate => &[Rule::Events],
        (Event::PolicyAlloc { .. }, _) => &[Rule::Ordinal],
        (Event::PolicyFree { .. }, _) => policy_freed(side, forgery, event),
        (Event::FrameAlloc { .. }, Doubled) => &[Rule::Ordinal],
        (Event::FrameAlloc { .. }, _) => &[Rule::FrameLeaked],
        (Event::FrameFree { .. }, Doubled) => &[Rule::FrameFreedOnce],
        (Event::FrameFree { .. }, _) => &[Rule::FrameLeaked],
        (Event::TableAlloc { .. }, Dropped | Doubled) => &[Rule::Ordinal],
        (Event::TableAlloc { table: TableId(1) }, Later) => &[Rule::Ordinal],
        (Event::TableAlloc { table: TableId(2) }, Sooner) => &[Rule::Ordinal],
        (Event::TableFree { .. }, Dropped) => &[Rule::TableLeaked],
        (Event::TableFree { .. }, Doubled) => &[Rule::TableFreedOnce],
        // Tables have no law but their life: within it, when is the manager's business.
        (Event::TableAlloc { .. } | Event::TableFree { .. }, Later | Sooner) => &[],
        (Event::Misuse(misuse), _) => unreachable!("{misuse:?} in an agreeing run"),
        (Event::Note(_), _) => &[],
    }
}

fn put(forgery: Forgery, event: &Event) -> &'static [Rule] {
    let Event::VmaPut {
        vma: VmaId(vma),
        refs,
    } = *event
    else {
        unreachable!()
    };
    match (forgery, vma, refs) {
        // The allocation's put of #2 and #3 may come as late as the tree's; and the tree's may
        // come as soon as nobody is inside.
        (Later, 2 | 3, 1) | (Sooner, 2 | 3, 0) => &[],
        (Sooner, 2, 1) => &[Rule::Ordinal],
        (Dropped | Later, _, 0) => &[Rule::VmaFreedReferenced],
        (Dropped, 2, 1) => &[Rule::VmaReferences],
        _ => &[Rule::VmaReferences],
    }
}

fn freed(side: Side, forgery: Forgery, event: &Event) -> &'static [Rule] {
    let Event::VmaFree { vma: VmaId(vma) } = *event else {
        unreachable!()
    };
    let unlinked = vma == 2 || vma == 3;
    match (forgery, side) {
        (Doubled, _) => &[Rule::VmaFreedOnce],
        (Dropped | Later, Reference) if unlinked => &[Rule::VmaFreedLate],
        // #3 goes before any grace period ends, so that it may still go later.
        (Later, Candidate) if vma == 3 => &[],
        (Dropped | Later, _) => &[Rule::VmaLeaked],
        (Sooner, Reference) if vma == 2 => &[Rule::Ordinal],
        (Sooner, Candidate) => &[Rule::VmaFreedReferenced],
        // Torn down before its close, or before its tree is.
        (Sooner, Reference) => &[Rule::VmaClose, Rule::FilePut],
    }
}

fn file_put(forgery: Forgery, event: &Event) -> &'static [Rule] {
    let Event::FilePut {
        vma: VmaId(vma), ..
    } = *event
    else {
        unreachable!()
    };
    match (forgery, vma) {
        (Doubled, _) => &[Rule::FilePut],
        (Sooner, 2) => &[Rule::Ordinal],
        // #2 was never between two calls, so that no state showed its file.
        (Dropped | Later, 2) => &[Rule::Events],
        (Dropped | Later, _) => &[Rule::FilePut],
        (Sooner, 1 | 4) => &[Rule::VmaClose],
        (Sooner, _) => &[Rule::FilePut],
    }
}

fn policy_freed(side: Side, forgery: Forgery, event: &Event) -> &'static [Rule] {
    let Event::PolicyFree {
        policy: PolicyId(policy),
    } = *event
    else {
        unreachable!()
    };
    match (forgery, side, policy) {
        (Doubled, ..) => &[Rule::PolicyFreedOnce],
        // Outside a grace period the candidate's may wait, and be as soon as nobody holds it.
        (Later, Candidate, 1 | 3) | (Sooner, Candidate, 2 | 4) => &[],
        (Dropped | Later, ..) => &[Rule::PolicyLeaked],
        (Sooner, Reference, 2) => &[Rule::Ordinal],
        (Sooner, ..) => &[Rule::PolicyUsedAfterFree],
    }
}

#[test]
pub fn an_event_dropped_doubled_or_moved_is_objected_to() {
    let story = Story::told();
    let mut wrong = Vec::new();
    for (side, seen) in [(Reference, &story.ours), (Candidate, &story.theirs)] {
        for list in 0..=seen.calls.len() {
            for event in 0..events(seen, list).len() {
                for forgery in [Dropped, Doubled, Later, Sooner] {
                    wrong.extend(forge(&story, seen, side, list, event, forgery));
                }
            }
        }
    }
    nothing_wrong(&wrong);
}

fn forge(
    story: &Story,
    seen: &Observation,
    side: Side,
    list: usize,
    at: usize,
    how: Forgery,
) -> Option<String> {
    let target = match how {
        Dropped | Doubled => list,
        Later if list < seen.calls.len() => list + 1,
        Sooner if list > 0 => list - 1,
        Later | Sooner => return None,
    };
    let event = events(seen, list)[at];
    let what = format!("call {list}, event {at}, {event:?} {how:?}");
    let rules = if target != list && waits(story, target) && !can_wait(side, &event) {
        // What shows first: that it was put off, or that it is missing where it belongs.
        &[rules(side, how, &event), &[Rule::Deferred]].concat()
    } else {
        rules(side, how, &event)
    };
    forged(story, side, &what, rules, |o| match how {
        Dropped => drop(events_mut(o, list).remove(at)),
        Doubled => events_mut(o, list).insert(at, event),
        Later => {
            events_mut(o, list).remove(at);
            events_mut(o, target).insert(0, event);
        }
        Sooner => {
            events_mut(o, list).remove(at);
            events_mut(o, target).push(event);
        }
    })
}

/// Whether the call only runs what was put off.
fn waits(story: &Story, list: usize) -> bool {
    let call = story.program.calls.get(list).map(|step| step.call);
    call == Some(Call::Softirq) || list == story.ours.calls.len()
}

fn can_wait(side: Side, event: &Event) -> bool {
    let candidates = matches!(
        event,
        Event::VmaPut { .. }
            | Event::VmaFree { .. }
            | Event::PolicyFree { .. }
            | Event::TableFree { .. }
    );
    side == Candidate && candidates || matches!(event, Event::Note(_))
}

/// The events of a call, or behind the last one those that were deferred.
fn events(seen: &Observation, list: usize) -> &[Event] {
    seen.calls
        .get(list)
        .map_or(&seen.deferred, |call| &call.events)
}

fn events_mut(seen: &mut Observation, list: usize) -> &mut Vec<Event> {
    seen.calls
        .get_mut(list)
        .map_or(&mut seen.deferred, |call| &mut call.events)
}

/// The rule of each misuse; a new one cannot be forgotten.
fn misuse_rule(misuse: Misuse) -> Rule {
    match misuse {
        Misuse::DeadVma(_) => Rule::MisuseDeadVma,
        Misuse::DeadFrame(_) => Rule::MisuseDeadFrame,
        Misuse::DeadTable(_) => Rule::MisuseDeadTable,
        Misuse::DeadLock(_) => Rule::MisuseDeadLock,
        Misuse::LostTable(_) => Rule::MisuseLostTable,
        Misuse::LostPage(_) => Rule::MisuseLostPage,
        Misuse::DeadAnon(_) => Rule::MisuseDeadAnon,
        Misuse::DeadPolicy(_) => Rule::MisuseDeadPolicy,
        Misuse::DeadFile(_) => Rule::MisuseDeadFile,
        Misuse::FreedLinked(_) => Rule::MisuseFreedLinked,
        Misuse::FreedInTlb(_) => Rule::MisuseFreedInTlb,
        Misuse::FreedTableInUse(_) => Rule::MisuseFreedTableInUse,
        Misuse::OpenInvalidation(_) => Rule::MisuseOpenInvalidation,
        Misuse::Breach(_, breach) => Rule::Breach(breach),
    }
}

static MISUSES: [Misuse; 14] = [
    Misuse::DeadVma(VmaId(1)),
    Misuse::DeadFrame(FrameId(1)),
    Misuse::DeadTable(TableId(1)),
    Misuse::DeadLock(TableId(1)),
    Misuse::LostTable(TableId(1)),
    Misuse::LostPage(FrameId(1)),
    Misuse::DeadAnon(AnonId(1)),
    Misuse::DeadPolicy(PolicyId(1)),
    Misuse::DeadFile(FileId(1)),
    Misuse::FreedLinked(VmaId(1)),
    Misuse::FreedInTlb(FrameId(1)),
    Misuse::FreedTableInUse(TableId(1)),
    Misuse::OpenInvalidation(MmId(1)),
    Misuse::Breach(VmaId(1), &BREACH),
];

#[test]
pub fn a_misuse_anywhere_is_objected_to() {
    let story = Story::told();
    for (side, seen) in [(Reference, &story.ours), (Candidate, &story.theirs)] {
        for list in 0..=seen.calls.len() {
            for misuse in MISUSES {
                let what = format!("{misuse:?} in call {list}");
                check(&story, side, &what, &[misuse_rule(misuse)], |o| {
                    events_mut(o, list).insert(0, Event::Misuse(misuse));
                });
            }
        }
    }
}

#[test]
pub fn a_note_anywhere_is_not() {
    let story = Story::told();
    for (side, seen) in [(Reference, &story.ours), (Candidate, &story.theirs)] {
        for list in 0..=seen.calls.len() {
            check(&story, side, "note", &[], |o| {
                events_mut(o, list).insert(0, Event::Note(Note::Cow));
            });
        }
    }
}

#[test]
pub fn what_is_dead_or_unknown_is_not_to_be_named() {
    let story = Story::told();
    let deferred = story.ours.calls.len();
    let cases: [(usize, Event, Rule); 9] = [
        (
            6,
            Event::VmaUnlink { vma: VmaId(2) },
            Rule::VmaUsedAfterFree,
        ),
        (
            6,
            Event::VmaGet {
                vma: VmaId(2),
                refs: 1,
            },
            Rule::VmaUsedAfterFree,
        ),
        (6, Event::VmaClose { vma: VmaId(2) }, Rule::VmaUsedAfterFree),
        (
            6,
            Event::FilePut {
                file: FileId(1),
                vma: VmaId(2),
            },
            Rule::VmaUsedAfterFree,
        ),
        (6, alloc(3, 2), Rule::VmaUsedAfterFree),
        (
            13,
            Event::FilePut {
                file: FileId(2),
                vma: VmaId(1),
            },
            Rule::VmaClose,
        ),
        (6, Event::VmaFree { vma: VmaId(99) }, Rule::Ordinal),
        (
            6,
            Event::FileFree {
                file: FileId(u32::MAX),
            },
            Rule::Ordinal,
        ),
        (
            deferred,
            Event::VmaGet {
                vma: VmaId(1),
                refs: 1,
            },
            Rule::Deferred,
        ),
    ];
    for side in [Reference, Candidate] {
        for (list, event, rule) in cases {
            let what = format!("{event:?} in call {list}");
            check(&story, side, &what, &[rule], |o| {
                events_mut(o, list).insert(0, event);
            });
        }
    }
}

#[test]
pub fn a_frame_allocated_ahead_and_not_given_back_is_objected_to() {
    let story = Story::told();
    check(
        &story,
        Candidate,
        "leaked frame",
        &[Rule::FrameLeaked],
        |o| {
            o.calls[3]
                .events
                .push(Event::FrameAlloc { frame: FrameId(2) });
        },
    );
}
