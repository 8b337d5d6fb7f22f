//! From a mark to the step that it tells of: steps before it that need no mark are taken silently.

use vmadiff_contract::{About, Choice, Mark, StepKind, Stepped, TaskId, Told};

use super::super::path::{Item, Race};
use super::super::rows::{may_tell, must_be_marked};
use super::look::{covers, flushed};
use super::take::can_be_seen;
use super::{Done, Followed, Follower, Place, SILENT_MAX};
use crate::judge::Rule;

impl Follower {
    pub(super) fn mark(
        &mut self,
        race: &Race<'_>,
        reference: &mut dyn Stepped,
        item: Item,
        mark: &Mark,
    ) -> Followed {
        let call = item.call as usize;
        self.begin_late(race, reference, call);
        let Some(task) = self.calls[call].task else {
            return Err(self.misplaced(None, "a step is marked of a call that has none"));
        };
        if self.is_more_of_the_last(call, mark) {
            return self.compare_more(reference, call, mark);
        }
        if self.was_early(reference, call, mark) {
            return Ok(());
        }
        let place = self.place(mark);
        for _ in 0..SILENT_MAX {
            let Some(offer) = reference.next(task) else {
                let what = "no step of the call is the one that is marked";
                return Err(self.misplaced(None, what));
            };
            if mark.kind == StepKind::Flush
                && !self.is_to_flush(reference, task, &offer, mark)
                && !self.flush_is_ahead(race, reference, call, task, mark)
            {
                // A TLB may forget at any time. But the call has come to its flush.
                self.come_to_flush(race, reference, call, task);
                self.forget(reference, task, mark);
                return Ok(());
            }
            if self.is_only_a_look(reference, &offer, mark, place)
                || self.has_passed(reference, &offer, mark)
            {
                return Ok(());
            }
            if offer.kind == StepKind::Return {
                let what = "a step is marked, and the reference has none left";
                return Err(self.misplaced(Some(offer), what));
            }
            let done = self.take(race, reference, call, offer, Some(mark), place)?;
            if self.is_told(&done, mark)? {
                self.compare(reference, call, &done, mark)?;
                self.forget(reference, task, mark);
                return Ok(());
            }
            // What was read may be told before that it refused.
            let pending = &mut self.calls[call];
            pending.refused |= done.refused && !pending.refusal_told;
            // Of a stretch that is marked a step may have passed over a part.
            let within = |&about: &About| covers(mark.about, about);
            if !self.about.iter().all(within) {
                self.may_be_silent(&done)?;
            }
        }
        Err(self.bounded())
    }

    /// What a flush covers its TLB has no more, also what the tables still have: were it kept, it would
    /// be in the reference's alone once they have it no more.
    fn forget(&self, reference: &mut dyn Stepped, by: TaskId, mark: &Mark) {
        let (start, end) = flushed(mark);
        if let Some(task) = self
            .names
            .tlb_of(mark.about)
            .filter(|_| mark.kind == StepKind::Flush)
        {
            reference.forget(by, task, start, end);
        }
    }

    pub(super) fn place(&self, mark: &Mark) -> Place {
        match mark.about {
            About::Entry { mm, addr } => self.names.mm(mm).map(|mm| (mm, addr)),
            _ => None,
        }
    }

    /// Whether the step that was taken is the one that a mark tells of.
    fn is_told(&mut self, done: &Done, mark: &Mark) -> Followed<bool> {
        if mark.told == Told::Refused && done.refused {
            return Ok(true);
        }
        let offer = &done.offer;
        if !may_tell(mark.kind, offer) || !self.names.is_one_of(mark.about, &self.about) {
            return Ok(false);
        }
        if matches!(mark.told, Told::Flags(_)) && offer.list == "fault" && offer.row != 0 {
            return Ok(false);
        }
        if let Told::Entry { before, after } = mark.told
            && done.left_alone
            && before != after
        {
            return Ok(false);
        }
        let About::Range { start, end, .. } = mark.about else {
            return Ok(true);
        };
        let stretch = mark.kind == StepKind::Pass || offer.list == "msync, mincore";
        if !stretch {
            return Ok(true);
        }
        // A stretch that the candidate saw empty may be more than one step.
        let inside = |about: &&About| match about {
            About::Entry { addr, .. } => start <= *addr && *addr < end,
            _ => false,
        };
        if let Some(&About::Entry { addr, .. }) = self.about.iter().find(inside) {
            let what =
                format!("a pass found nothing at {addr:#x}, where the reference has an entry");
            return Err(self.object(Rule::State, "entry", Some(done.offer), what));
        }
        let mut ranges = self.about.iter().filter_map(|about| match about {
            About::Range { end, .. } => Some(*end),
            _ => None,
        });
        Ok(ranges.any(|stop| stop >= end))
    }

    /// A step that others can see has to be marked.
    pub(super) fn may_be_silent(&self, done: &Done) -> Followed {
        // An unmapping that found nothing.
        if done.offer.list == "munmap" && matches!(self.about[..], [About::Areas(_)]) {
            return Ok(());
        }
        if done.left_alone
            || !can_be_seen(done.offer.kind, &self.about)
            || done.refused
            || done.choice == Choice::Again
            || !must_be_marked(&done.offer)
        {
            return Ok(());
        }
        let what = format!("a step is not marked: {}", done.offer.what);
        Err(self.object(Rule::CommitPoint, "missing", Some(done.offer), what))
    }
}
