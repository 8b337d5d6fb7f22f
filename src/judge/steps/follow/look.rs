//! Marks for which the reference has no step of its own: one more object of the step that was told
//! last, a read of which nothing came, a flush of a TLB that holds nothing.

use vmadiff_contract::{
    About, Choice, Mark, MmId, Offer, PAGE_SIZE, Snapshot, StepKind, Stepped, TaskId, Told,
};

use super::super::path::Race;
use super::super::rows::{may_tell, must_be_marked};
use super::take::{can_be_seen, does_nothing};
use super::{Follower, Place, SILENT_MAX};
use crate::run::Recorder;

impl Follower {
    /// Whether a mark that may be left out tells of nothing that the reference does: it was read
    /// and nothing came of it, or the reference does it at another moment, where nobody sees when.
    pub(super) fn is_only_a_look(
        &self,
        reference: &mut dyn Stepped,
        offer: &Offer,
        mark: &Mark,
        place: Place,
    ) -> bool {
        if let (StepKind::Entry, Told::Entry { before, after }) = (mark.kind, mark.told) {
            // A fault that found its entry as it is wanted, and has ended in the reference.
            let ours = place.and_then(|(mm, addr)| reference.entry(mm, addr));
            let theirs = place.and_then(|(mm, addr)| self.names.entry(before, mm, addr));
            return before == after && offer.list != "fault" && ours == theirs;
        }
        if mark.kind == StepKind::Copy && offer.list == "reclaim" {
            // Contents are written out with each entry that goes; those that count are the last.
            return offer.kind != StepKind::Copy;
        }
        let read = matches!(mark.told, Told::Done | Told::Number(_));
        let limit =
            matches!(mark.about, About::Counters(_)) && matches!(mark.told, Told::Number(_));
        let free = match mark.kind {
            StepKind::Put | StepKind::Uncharge | StepKind::Policy => true,
            StepKind::Unlink => !matches!(mark.about, About::File(_)),
            StepKind::Decide | StepKind::Allocate => read && !limit,
            _ => false,
        };
        // A pass over nothing is told, too, but not always to the end of its range: what can only come
        // behind it says that it is over. Of what else does nothing there is nothing to tell.
        let passes = offer.kind == StepKind::Pass && !ends_passes(mark);
        let stands = || {
            must_be_marked(offer)
                && !may_tell(mark.kind, offer)
                && (passes || !does_nothing(&*reference, offer.task))
        };
        free && (offer.kind == StepKind::Return || stands())
    }

    /// Whether a mark is about another object of the step that was told last.
    pub(super) fn is_more_of_the_last(&mut self, call: usize, mark: &Mark) -> bool {
        let Self { names, calls, .. } = self;
        let pending = &mut calls[call];
        if mark.told == Told::Refused && pending.refused {
            (pending.refused, pending.refusal_told) = (false, true);
            return true;
        }
        let tells = pending.step.is_some_and(|step| may_tell(mark.kind, &step));
        if !tells || mark.kind == StepKind::Flush {
            return false;
        }
        let mut last = pending.last.iter();
        let Some(at) = last.position(|&ours| names.is_one_of(mark.about, &[ours])) else {
            return false;
        };
        if !matches!(pending.last[at], About::Range { .. }) {
            pending.last.swap_remove(at);
            return true;
        }
        // Of a range each entry is told once.
        let again = pending.told.contains(&mark.about);
        pending.told.push(mark.about);
        !again
    }

    /// Whether a mark tells of a step that was taken where another call waited for it.
    pub(super) fn was_early(
        &mut self,
        reference: &mut dyn Stepped,
        call: usize,
        mark: &Mark,
    ) -> bool {
        let Self { names, calls, .. } = self;
        let early = &mut calls[call].early;
        let Some(at) = early.iter().position(|&(offer, about)| {
            let range = matches!(about, About::Range { .. });
            may_tell(mark.kind, &offer)
                && names.is_one_of(mark.about, &[about])
                && (!range || covers(about, mark.about))
        }) else {
            return false;
        };
        let About::Range { mm, .. } = early[at].1 else {
            early.remove(at);
            return true;
        };
        // A pass over nothing, which may be told by parts.
        is_empty(reference, &mut self.ours, mm, mark.about)
    }

    pub(super) fn is_to_flush(
        &mut self,
        reference: &mut dyn Stepped,
        task: TaskId,
        offer: &Offer,
        mark: &Mark,
    ) -> bool {
        self.ways.clear();
        reference.ways(task, &mut self.ways);
        let whose = self.names.tlb_of(mark.about);
        let of = |whose| {
            self.ways.contains(&Choice::Of(whose)) && flushes(reference, task, whose, flushed(mark))
        };
        offer.kind == StepKind::Flush && whose.is_some_and(of)
    }

    /// Whether a mark tells that a pass found nothing, of which there is nothing in the reference either,
    /// and the call has its passes behind it there: a pass over nothing is taken early where another
    /// call waits for what comes after it.
    pub(super) fn has_passed(
        &mut self,
        reference: &mut dyn Stepped,
        offer: &Offer,
        mark: &Mark,
    ) -> bool {
        let About::Range { mm, .. } = mark.about else {
            return false;
        };
        let passes = |offer: &Offer| offer.kind == StepKind::Pass;
        let over = offer.kind == StepKind::Return;
        if mark.kind != StepKind::Pass || passes(offer) || !(over || must_be_marked(offer)) {
            return false;
        }
        let Some(mm) = self
            .names
            .mm(mm)
            .filter(|_| over || !does_nothing(&*reference, offer.task))
        else {
            return false;
        };
        is_empty(reference, &mut self.ours, mm, mark.about)
    }

    /// Whether a flush of this TLB follows, behind steps that nobody else can see: not behind one that the call
    /// tells of after it.
    pub(super) fn flush_is_ahead(
        &self,
        race: &Race<'_>,
        reference: &mut dyn Stepped,
        call: usize,
        task: TaskId,
        mark: &Mark,
    ) -> bool {
        let whose = self.names.tlb_of(mark.about);
        let Some(whose) = whose.filter(|&whose| reference.holds_any(whose)) else {
            return false;
        };
        let (of, later) = (Choice::Of(whose), self.told_later(race, call));
        let mut copy = reference.fork();
        let (mut about, mut ways) = (Vec::new(), Vec::new());
        let mut ahead = false;
        for _ in 0..SILENT_MAX {
            let Some(offer) = copy.next(task) else { break };
            if offer.kind == StepKind::Flush {
                copy.ways(task, &mut ways);
                ahead = ways.contains(&of) && flushes(&mut *copy, task, whose, flushed(mark));
                break;
            }
            if offer.kind == StepKind::Return || copy.take(task, Choice::Go).is_err() {
                break;
            }
            about.clear();
            copy.footprint(&mut about);
            let mut later = later.iter();
            if must_be_marked(&offer) && can_be_seen(offer.kind, &about)
                || later.any(|mark| may_tell(mark.kind, &offer) && self.tells(mark, &about))
            {
                break;
            }
        }
        Recorder::clear();
        ahead
    }

    /// What a call tells of behind its flush: what it passes over and puts, and then what it decides, before it
    /// comes to more.
    fn told_later(&self, race: &Race<'_>, call: usize) -> Vec<Mark> {
        let (mut told, mut decides) = (Vec::new(), false);
        for mark in self.later_of(race, call) {
            match mark.kind {
                StepKind::Decide => decides = true,
                StepKind::Pass | StepKind::Put if !decides => {}
                // Behind what it decides they are of another pass over the same.
                StepKind::Flush | StepKind::Pass | StepKind::Put => continue,
                _ => break,
            }
            told.push(mark);
        }
        told
    }

    /// Whether a mark is about what a step did: a part of its range, its frame, or the file that it decided by.
    fn tells(&self, mark: &Mark, about: &[About]) -> bool {
        if mark.kind == StepKind::Decide {
            return matches!(mark.about, About::File(_)) && about.contains(&mark.about);
        }
        let (place, start, end) = match mark.about {
            About::Range { mm, start, end } => (mm, start, end),
            About::Entry { mm, addr } => (mm, addr, addr.saturating_add(PAGE_SIZE)),
            About::Frame(theirs) => {
                let ours = self.names.frames.get(theirs.0);
                let is =
                    |done: &About| matches!(done, About::Frame(frame) if Some(frame.0) == ours);
                return about.iter().any(is);
            }
            _ => return false,
        };
        let part = |done: &About| match *done {
            About::Range {
                mm,
                start: from,
                end: to,
            } => self.names.mm(place) == Some(mm) && start < to && from < end,
            _ => false,
        };
        about.iter().any(part)
    }
}

/// Whether a range, which a mark is about, has no entries in an address space of the reference.
fn is_empty(reference: &mut dyn Stepped, seen: &mut Snapshot, mm: MmId, range: About) -> bool {
    let About::Range { start, end, .. } = range else {
        return false;
    };
    reference.observe(About::Range { mm, start, end }, seen);
    let mut pages = seen.pages.iter();
    pages.all(|page| reference.entry(mm, page.addr).is_none())
}

/// Whether the next step of a task's call, which flushes this TLB, takes something from it that a mark's
/// flush covers. One of what another call has taken away is not this one's.
fn flushes(reference: &mut dyn Stepped, task: TaskId, whose: TaskId, covered: (u64, u64)) -> bool {
    let (start, end) = covered;
    let stale = reference.stale(whose, start, end);
    if stale == 0 || stale == reference.stale(whose, 0, u64::MAX) {
        return stale > 0;
    }
    let mut copy = reference.fork();
    let taken = copy.take(task, Choice::Of(whose)).is_ok();
    Recorder::clear();
    taken && copy.stale(whose, start, end) < stale
}

/// What a flush covers: all of a page of which it covers a part.
pub(super) fn flushed(mark: &Mark) -> (u64, u64) {
    match mark.told {
        Told::Range { start, end } => {
            let end = end.checked_next_multiple_of(PAGE_SIZE);
            (start & !(PAGE_SIZE - 1), end.unwrap_or(u64::MAX))
        }
        _ => (0, u64::MAX),
    }
}

/// Whether a range lies within another one.
pub(super) fn covers(all: About, part: About) -> bool {
    let bounds = |about| match about {
        About::Range { start, end, .. } => Some((start, end)),
        _ => None,
    };
    bounds(all)
        .zip(bounds(part))
        .is_some_and(|(all, part)| all.0 <= part.0 && part.1 <= all.1)
}

/// Whether a mark tells of what comes when all pages are out: areas leave their anon_vmas and counters.
fn ends_passes(mark: &Mark) -> bool {
    match mark.kind {
        StepKind::Unlink => true,
        StepKind::Put => matches!(
            mark.about,
            About::Counters(_) | About::Area(_) | About::Anon(_)
        ),
        _ => false,
    }
}
