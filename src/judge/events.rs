//! Which events are compared between the managers, and how; the reasons are in docs/compared.md.
//!
//! Within one call, kind by kind: the same objects. The order counts where it gives names
//! (allocations) or is a rule (`remove_vma` goes by address); links and unlinks are sets.

use vmadiff_contract::{Event, VmaId};

/// Kinds of compared events.
const KINDS: usize = 10;

/// Their names, as signatures have them.
const NAMES: [&str; KINDS] = [
    "vma-alloc",
    "vma-link",
    "vma-unlink",
    "vma-open",
    "vma-close",
    "file-put",
    "file-free",
    "anon-alloc",
    "anon-free",
    "policy-alloc",
];

/// Those whose order within a call is not compared.
const SETS: [bool; KINDS] = [
    false, true, true, false, false, false, false, false, true, false,
];

/// A compared event's kind and what it says; none for an event that is not compared.
#[inline]
fn compared(event: &Event) -> Option<(usize, u64)> {
    let pair = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
    Some(match *event {
        Event::VmaAlloc { vma, copy_of } => {
            (0, pair(vma.0, copy_of.map_or(0, |VmaId(original)| original)))
        }
        Event::VmaLink { vma, mm } => (1, pair(vma.0, mm.0.into())),
        Event::VmaUnlink { vma } => (2, vma.0.into()),
        Event::VmaOpen { vma } => (3, vma.0.into()),
        Event::VmaClose { vma } => (4, vma.0.into()),
        Event::FilePut { file, vma } => (5, pair(vma.0, file.0)),
        Event::FileFree { file } => (6, file.0.into()),
        Event::AnonAlloc { anon } => (7, anon.0.into()),
        Event::AnonFree { anon } => (8, anon.0.into()),
        Event::PolicyAlloc { policy } => (9, policy.0.into()),
        // Laws instead: a free may wait for a grace period, a count belongs to who counts, frames
        // are allocated ahead, and only one manager has page tables.
        Event::VmaGet { .. }
        | Event::VmaPut { .. }
        | Event::VmaFree { .. }
        | Event::PolicyFree { .. }
        | Event::FrameAlloc { .. }
        | Event::FrameFree { .. }
        | Event::TableAlloc { .. }
        | Event::TableFree { .. }
        | Event::Misuse(_)
        // Never judged.
        | Event::Note(_) => return None,
    })
}

/// A running digest of a manager's compared events: equal events give equal digests. For the fast
/// path, where no list is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest([u64; KINDS]);

impl Digest {
    /// Takes an event in.
    #[inline]
    pub fn event(&mut self, event: &Event) {
        if let Some((kind, value)) = compared(event) {
            let value = value.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let value = value ^ value >> 29;
            let sum = &mut self.0[kind];
            let base = if SETS[kind] {
                *sum
            } else {
                sum.wrapping_mul(0xd134_2543_de82_ef95)
            };
            *sum = base.wrapping_add(value);
        }
    }
}

/// The first kind of event in which two lists differ, and how.
pub fn difference(reference: &[Event], candidate: &[Event]) -> Option<(&'static str, String)> {
    (0..KINDS).find_map(|kind| {
        let (ours, theirs) = (only(kind, reference), only(kind, candidate));
        if values(kind, &ours) == values(kind, &theirs) {
            return None;
        }
        let what = format!(
            "{} events differ: the reference has {}, the candidate {}",
            NAMES[kind],
            list(&ours),
            list(&theirs)
        );
        Some((NAMES[kind], what))
    })
}

fn only(kind: usize, events: &[Event]) -> Vec<Event> {
    let of_kind = |e: &&Event| compared(e).is_some_and(|(k, _)| k == kind);
    events.iter().filter(of_kind).copied().collect()
}

fn values(kind: usize, events: &[Event]) -> Vec<u64> {
    let mut values: Vec<_> = events.iter().filter_map(compared).map(|(_, v)| v).collect();
    if SETS[kind] {
        values.sort_unstable();
    }
    values
}

fn list(events: &[Event]) -> String {
    let names: Vec<_> = events.iter().map(subject).collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(" ")
    }
}

fn subject(event: &Event) -> String {
    match *event {
        Event::VmaAlloc {
            vma,
            copy_of: Some(original),
        } => format!("{vma} of {original}"),
        Event::VmaAlloc { vma, copy_of: None }
        | Event::VmaUnlink { vma }
        | Event::VmaOpen { vma }
        | Event::VmaClose { vma } => vma.to_string(),
        Event::VmaLink { vma, mm } => format!("{vma} in {mm}"),
        Event::FilePut { file, vma } => format!("{file} by {vma}"),
        Event::FileFree { file } => file.to_string(),
        Event::AnonAlloc { anon } | Event::AnonFree { anon } => anon.to_string(),
        Event::PolicyAlloc { policy } => policy.to_string(),
        ref other => format!("{other:?}"),
    }
}
