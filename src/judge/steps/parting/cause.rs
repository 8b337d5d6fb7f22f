//! Which step of which other call made it so: by what steps are about, and which calls overlap.

use vmadiff_contract::{About, Offer, StepKind};

use super::StepAt;
use super::find::Followed;
use crate::judge::names::Names;
use crate::judge::steps::follow::Trod;

/// How often what made something so is itself traced back to what made that so.
const BACK_MAX: usize = 3;

impl Followed<'_> {
    /// The last step of another call, before this place of the trail, that wrote what this step is
    /// about: one that overlaps it. `area`: first one that changed which area is where. Where there is
    /// none, whoever wrote that before, and what that call had raced with.
    pub(super) fn cause(
        &self,
        before: usize,
        call: usize,
        about: &[About],
        area: bool,
    ) -> Option<StepAt> {
        let mut found = area
            .then(|| self.conflict(before, call, about, moves_areas))
            .flatten();
        found = found.or_else(|| self.conflict(before, call, about, writes));
        let (mut before, mut call) = (before, call);
        let mut about = about.to_vec();
        for _ in 0..BACK_MAX {
            if found.is_some() {
                break;
            }
            let earlier = self.trail[..before].iter();
            let wrote = |trod: &Trod| trod.call != call && writes(trod.step.kind);
            before = earlier
                .clone()
                .rposition(|trod| wrote(trod) && meets(trod, &about))?;
            call = self.trail[before].call;
            // Of a call that had ended: what it had to do with whom, over all of its steps.
            let own = self.trail[..=before]
                .iter()
                .filter(|trod| trod.call == call);
            about = own.flat_map(|trod| trod.about.clone()).collect();
            found = self.conflict(before, call, &about, writes);
        }
        let trod = &self.trail[found?];
        let item = self.race.items[trod.item].at as usize;
        Some(self.step_at(trod.call, trod.step, item, &trod.about))
    }

    /// The last step of this kind, of a call that overlaps, that met what a step is about.
    pub(super) fn conflict(
        &self,
        before: usize,
        call: usize,
        about: &[About],
        is: fn(StepKind) -> bool,
    ) -> Option<usize> {
        self.trail[..before].iter().rposition(|trod| {
            let other = trod.call != call && is(trod.step.kind);
            other && meets(trod, about) && self.overlap(trod.call, call)
        })
    }

    /// The last step of another call that was under way.
    pub(super) fn beside(&self, before: usize, call: usize) -> Option<StepAt> {
        let trod = self.trail[..before]
            .iter()
            .rfind(|trod| trod.call != call && self.overlap(trod.call, call))?;
        let item = self.race.items[trod.item].at as usize;
        Some(self.step_at(trod.call, trod.step, item, &trod.about))
    }

    /// Whether two calls were under way at the same time.
    fn overlap(&self, one: usize, other: usize) -> bool {
        let ((a, b), (c, d)) = (self.spans[one], self.spans[other]);
        a < d && c < b
    }
}

/// Whether a step reads which area is where.
pub(super) fn is_of_an_area(step: &Offer, about: &[About]) -> bool {
    let area = |about: &About| matches!(about, About::Area(_) | About::Areas(_));
    step.kind == StepKind::Decide && about.iter().any(area)
}

/// Whether a step meets what another is about.
fn meets(trod: &Trod, about: &[About]) -> bool {
    let same = |one: &About| about.iter().any(|other| meet(*one, *other));
    trod.about.iter().any(same)
}

/// Whether a step changes which area is where.
fn moves_areas(kind: StepKind) -> bool {
    matches!(
        kind,
        StepKind::Cut | StepKind::Merge | StepKind::Link | StepKind::Detach | StepKind::Resize
    )
}

/// Whether a step changes what it is about.
pub(super) fn writes(kind: StepKind) -> bool {
    match kind {
        StepKind::Descriptor
        | StepKind::Number
        | StepKind::Cut
        | StepKind::Merge
        | StepKind::Link
        | StepKind::Detach
        | StepKind::Resize
        | StepKind::Flags
        | StepKind::Policy
        | StepKind::Pass
        | StepKind::Entry
        | StepKind::Copy
        | StepKind::Flush
        | StepKind::Anon
        | StepKind::Unlink
        | StepKind::Put
        | StepKind::Size
        | StepKind::Drop => true,
        // Counters meet everybody.
        StepKind::Charge
        | StepKind::Uncharge
        | StepKind::Count
        | StepKind::Decide
        | StepKind::Allocate
        | StepKind::Walk
        | StepKind::Touch
        | StepKind::Return => false,
    }
}

/// Whether two objects are one, or one is a part of the other.
fn meet(one: About, other: About) -> bool {
    let within = |mm, addr, of, start, end| mm == of && start <= addr && addr < end;
    match (one, other) {
        (About::Counters(_) | About::Committed, _) | (_, About::Counters(_) | About::Committed) => {
            false
        }
        (About::Entry { mm, addr }, About::Range { mm: of, start, end })
        | (About::Range { mm: of, start, end }, About::Entry { mm, addr }) => {
            within(mm, addr, of, start, end)
        }
        (
            About::Range { mm, start, end },
            About::Range {
                mm: of,
                start: from,
                end: to,
            },
        ) => mm == of && start < to && from < end,
        _ => one == other,
    }
}

/// An object of the candidate's in the reference's names.
pub(super) fn ours(names: &Names, theirs: About) -> Option<About> {
    use vmadiff_contract::{AnonId, FileId, FrameId, PolicyId, VmaId};
    Some(match theirs {
        About::Counters(mm) => About::Counters(names.mm(mm)?),
        About::Areas(mm) => About::Areas(names.mm(mm)?),
        About::Area(vma) => About::Area(VmaId(names.vmas.get(vma.0)?)),
        About::Entry { mm, addr } => About::Entry {
            mm: names.mm(mm)?,
            addr,
        },
        About::Range { mm, start, end } => About::Range {
            mm: names.mm(mm)?,
            start,
            end,
        },
        About::Frame(frame) => About::Frame(FrameId(names.frames.get(frame.0)?)),
        About::Anon(anon) => About::Anon(AnonId(names.anons.get(anon.0)?)),
        About::Policy(policy) => About::Policy(PolicyId(names.policies.get(policy.0)?)),
        About::File(file) => About::File(FileId(names.files.get(file.0)?)),
        About::FilePage { file, index } => About::FilePage {
            file: FileId(names.files.get(file.0)?),
            index,
        },
        About::Descriptor { mm, fd } => About::Descriptor {
            mm: names.mm(mm)?,
            fd,
        },
        About::Committed => About::Committed,
        About::Tlb(task) => About::Tlb(names.task(task)?),
        About::Task(task) => About::Task(names.task(task)?),
    })
}
