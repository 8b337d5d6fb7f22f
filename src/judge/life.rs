//! What a call raised about VMAs and their files, against what it raised in the reference.

use vmadiff_contract::{Event, VmaId};

use super::names::Names;

/// What is compared, in this order, and its name in signatures. The order of links and of unlinks
/// among themselves is nobody's business.
const NAMES: [&str; 6] = [
    "vma-alloc",
    "vma-link",
    "vma-unlink",
    "vma-open",
    "vma-close",
    "file-put",
];
const SETS: [bool; 6] = [false, true, true, false, false, false];

/// Whether an event is of those that are compared, or that pair what the two managers allocate.
pub fn is_read(event: &Event) -> bool {
    matches!(event, Event::AnonAlloc { .. }) || entry(event, |vma| vma).is_some()
}

/// Room for the comparison.
#[derive(Default)]
pub struct Life {
    ours: Vec<(u8, u32, u32)>,
    theirs: Vec<(u8, u32, u32)>,
}

impl Life {
    /// Pairs the VMAs that the two allocated, and compares; the kind of event in which they differ.
    pub fn differs(
        &mut self,
        names: &mut Names,
        ours: &[Event],
        theirs: &[(u32, Event)],
    ) -> Option<&'static str> {
        pair(names, ours, theirs);
        let same = |vma: VmaId| vma;
        self.ours.clear();
        self.ours
            .extend(ours.iter().filter_map(|event| entry(event, same)));
        self.theirs.clear();
        let named = |vma: VmaId| names.vma(vma);
        self.theirs
            .extend(theirs.iter().filter_map(|(_, event)| entry(event, named)));
        if self.ours == self.theirs {
            return None;
        }
        for list in [&mut self.ours, &mut self.theirs] {
            list.sort_by_key(|&(kind, vma, _)| {
                (kind, if SETS[usize::from(kind)] { vma } else { 0 })
            });
        }
        let kind = |kind: u8, list: &[(u8, u32, u32)]| -> Vec<(u8, u32, u32)> {
            list.iter().filter(|e| e.0 == kind).copied().collect()
        };
        (0..NAMES.len() as u8)
            .find(|&k| kind(k, &self.ours) != kind(k, &self.theirs))
            .map(|k| NAMES[usize::from(k)])
    }
}

/// The VMAs that a call allocates, one after another, are the same in both.
fn pair(names: &mut Names, ours: &[Event], theirs: &[(u32, Event)]) {
    let allocated = |event: &Event| match *event {
        Event::VmaAlloc { vma, .. } => Some(vma.0),
        _ => None,
    };
    let theirs = theirs.iter().filter_map(|(_, event)| allocated(event));
    for (theirs, ours) in theirs.zip(ours.iter().filter_map(allocated)) {
        names.vmas.pair(theirs, ours);
    }
}

/// The kind of an event and the VMAs that it is about. Address spaces and files are left to the
/// state that they lead to.
fn entry(event: &Event, name: impl Fn(VmaId) -> VmaId) -> Option<(u8, u32, u32)> {
    Some(match *event {
        Event::VmaAlloc { vma, copy_of } => (0, name(vma).0, copy_of.map_or(0, |of| name(of).0)),
        Event::VmaLink { vma, .. } => (1, name(vma).0, 0),
        Event::VmaUnlink { vma } => (2, name(vma).0, 0),
        Event::VmaOpen { vma } => (3, name(vma).0, 0),
        Event::VmaClose { vma } => (4, name(vma).0, 0),
        Event::FilePut { vma, .. } => (5, name(vma).0, 0),
        _ => return None,
    })
}
