//! One step of the reference; one that has to wait lets others go first.

use vmadiff_contract::{
    About, Choice, Event, Mark, Offer, PAGE_SIZE, Refusal, StepKind, Stepped, Taken, TaskId,
};

use super::super::path::{Item, Race, What};
use super::super::rows::must_be_marked;
use super::{Done, Followed, Follower, Place, Trod};
use crate::judge::Rule;
use crate::run::Recorder;

impl Follower {
    /// Takes a step; one that has to wait first lets others go.
    pub(super) fn take(
        &mut self,
        race: &Race<'_>,
        reference: &mut dyn Stepped,
        call: usize,
        offer: Offer,
        mark: Option<&Mark>,
        place: Place,
    ) -> Followed<Done> {
        let task = offer.task;
        let entry =
            |reference: &mut dyn Stepped| place.and_then(|(mm, addr)| reference.entry(mm, addr));
        loop {
            self.ways.clear();
            reference.ways(task, &mut self.ways);
            let held = place.and_then(|(_, addr)| reference.held(task, addr));
            let before = entry(reference);
            let committed = self.committed(reference, &offer, mark);
            let choice = self.choose(race, reference, call, &offer, mark, (before, held));
            let upto = match mark.map(|mark| mark.about) {
                Some(About::Entry { addr, .. }) => addr.saturating_add(PAGE_SIZE),
                Some(About::Range { end, .. }) => end,
                _ => u64::MAX,
            };
            match reference.take_upto(task, choice, upto) {
                Ok(taken) => {
                    self.took(race, reference, call, Offer { choice, ..offer });
                    // A page that could not be had: who populates may go on with another area.
                    self.calls[call].refusal_told &= offer.list != "populate";
                    return Ok(Done {
                        offer,
                        choice,
                        refused: reference.refused() || choice == Choice::GiveUp,
                        left_alone: reference.left_alone(),
                        returned: match taken {
                            Taken::Returned(outcome) => Some(outcome),
                            Taken::Step => None,
                        },
                        before,
                        after: entry(reference),
                        held,
                        charged: self.committed(reference, &offer, mark).abs_diff(committed),
                    });
                }
                Err(Refusal::Waits(_)) if self.let_others_go(race, reference, call) => {}
                Err(Refusal::Waits(guard)) => {
                    let what = format!(
                        "the candidate did what has to wait in the reference ({guard}): {}",
                        offer.what
                    );
                    return Err(self.object(Rule::FaultUnexplained, guard, Some(offer), what));
                }
                Err(Refusal::Choice | Refusal::Idle) => {
                    let what = format!("the reference has no such choice at: {}", offer.what);
                    return Err(self.object(Rule::FaultUnexplained, "choice", Some(offer), what));
                }
            }
        }
    }

    /// Committed memory, where a step or its mark is about that.
    fn committed(
        &mut self,
        reference: &mut dyn Stepped,
        offer: &Offer,
        mark: Option<&Mark>,
    ) -> u64 {
        let charges = |kind| matches!(kind, StepKind::Charge | StepKind::Uncharge);
        if !mark.is_some_and(|mark| charges(mark.kind) || charges(offer.kind)) {
            return 0;
        }
        reference.observe(About::Committed, &mut self.ours);
        self.ours.committed
    }

    /// Keeps what the step raised, and names what it made.
    fn drain(&mut self, race: &Race<'_>, call: usize) {
        let Self {
            names,
            calls,
            quiet,
            under_way,
            ..
        } = self;
        if under_way.last() != Some(&call)
            && let Some(at) = under_way.iter().position(|&other| other == call)
        {
            under_way.remove(at);
            under_way.push(call);
        }
        let pending = &mut calls[call];
        let kind = race.kind(call);
        Recorder::drain(|events| {
            for event in events {
                quiet.event(call, kind, event);
                match *event {
                    Event::VmaAlloc { vma, .. } => {
                        let mut theirs = race.life_of(call).iter().filter_map(|(_, e)| match e {
                            Event::VmaAlloc { vma, .. } => Some(*vma),
                            _ => None,
                        });
                        if let Some(theirs) = theirs.nth(pending.allocated) {
                            names.vmas.pair(theirs.0, vma.0);
                        }
                        pending.allocated += 1;
                    }
                    Event::AnonAlloc { anon } => {
                        let mut theirs = race.life_of(call).iter().filter_map(|(_, e)| match e {
                            Event::AnonAlloc { anon } => Some(*anon),
                            _ => None,
                        });
                        if let Some(theirs) = theirs.nth(pending.anons) {
                            names.anons.pair(theirs.0, anon.0);
                        }
                        pending.anons += 1;
                    }
                    Event::VmaLink { mm, .. } => {
                        let mut theirs = race.life_of(call).iter().filter_map(|(_, e)| match e {
                            Event::VmaLink { mm, .. } => Some(*mm),
                            _ => None,
                        });
                        if let Some(theirs) = theirs.nth(pending.linked) {
                            names.mms.pair(theirs.0.into(), mm.0.into());
                        }
                        pending.linked += 1;
                    }
                    _ => {}
                }
                if !matches!(event, Event::Note(_)) {
                    pending.events.push(*event);
                }
            }
        });
    }

    /// Counts a step that was taken, and keeps what it did.
    fn took(&mut self, race: &Race<'_>, reference: &mut dyn Stepped, call: usize, step: Offer) {
        self.taken += 1;
        self.about.clear();
        reference.footprint(&mut self.about);
        if let Some(trail) = &mut self.trail {
            trail.push(Trod {
                item: self.item,
                call,
                step,
                about: self.about.clone(),
            });
        }
        self.drain(race, call);
    }

    /// Takes a call that marks a flush up to there, where nothing is to be flushed: steps about nothing,
    /// as it would not know later that there was nothing.
    pub(super) fn come_to_flush(
        &mut self,
        race: &Race<'_>,
        reference: &mut dyn Stepped,
        call: usize,
        task: TaskId,
    ) {
        if self.calls[call].flushed_at == self.taken || !self.others_come_next(race, call) {
            return;
        }
        while let Some(offer) = reference.next(task)
            && !matches!(offer.kind, StepKind::Flush | StepKind::Return)
            && !reference.takes_hold(task)
            && self.only_goes_on(reference, task)
            && is_about_nothing(reference, task)
            && reference.take(task, Choice::Go).is_ok()
        {
            self.took(race, reference, call, offer);
        }
        self.calls[call].flushed_at = self.taken;
    }

    /// Whether another call is told of before this one is again, but for its flush.
    fn others_come_next(&self, race: &Race<'_>, call: usize) -> bool {
        let of_flush = |item: &&Item| match item.what {
            What::Mark(mark) => item.call as usize == call && mark.kind == StepKind::Flush,
            What::Begin | What::End => false,
        };
        let mut later = race.items[self.item..].iter();
        later
            .find(|item| !of_flush(item))
            .is_some_and(|next| next.call as usize != call)
    }

    /// Lets another call take a step that needs no mark, and for which it takes no more of
    /// mmap_sem; whether one did. What others can see comes last: it may be told only later.
    fn let_others_go(&mut self, race: &Race<'_>, reference: &mut dyn Stepped, call: usize) -> bool {
        [false, true].into_iter().any(|seen| {
            (0..self.under_way.len()).any(|at| {
                let other = self.under_way[at];
                other != call && self.lets_go(race, reference, other, seen)
            })
        })
    }

    /// Whether a call takes its next step for another one, which may be `seen` by others or not.
    fn lets_go(
        &mut self,
        race: &Race<'_>,
        reference: &mut dyn Stepped,
        call: usize,
        seen: bool,
    ) -> bool {
        let Some((task, offer)) = self.calls[call]
            .task
            .and_then(|task| Some((task, reference.next(task)?)))
        else {
            return false;
        };
        let choice = self.goes_on(race, reference, call, &offer);
        let free = offer.kind != StepKind::Return
            && !reference.takes_hold(task)
            && !self.has_places_left(reference, task)
            && (choice != Choice::Go
                || seen && !must_be_marked(&offer)
                || does_nothing(reference, task));
        if !free || reference.take(task, choice).is_err() {
            return false;
        }
        self.took(race, reference, call, Offer { choice, ..offer });
        // It tells of that when it comes to its turn.
        let pending = &mut self.calls[call];
        let told = match offer.kind {
            StepKind::Pass => choice == Choice::Go,
            StepKind::Decide => false,
            _ => !must_be_marked(&offer),
        };
        if told {
            let about = self.about.iter().map(|&about| (offer, about));
            pending.early.extend(about);
        }
        pending.refused |= reference.refused() && !pending.refusal_told;
        true
    }
}

/// Whether others can see what a step did; of a pass over nothing there is nothing to see.
pub(super) fn can_be_seen(kind: StepKind, about: &[About]) -> bool {
    let entry = |about: &About| matches!(about, About::Entry { .. });
    match kind {
        StepKind::Pass | StepKind::Entry => about.iter().any(entry),
        _ => !about.is_empty(),
    }
}

/// Whether a step would touch nothing that others can see, by taking it on a copy.
pub(super) fn does_nothing(reference: &dyn Stepped, task: TaskId) -> bool {
    ahead(reference, task, 1).is_some_and(|(offer, about)| !can_be_seen(offer.kind, &about))
}

/// Whether a task's next step, which can only go on, reads and writes nothing of others, and refuses nothing, by
/// taking it on a copy.
fn is_about_nothing(reference: &dyn Stepped, task: TaskId) -> bool {
    on_a_copy(reference, task, 1).is_some_and(|(_, about, refused)| about.is_empty() && !refused)
}

/// A task's next step, and what the last of so many of its steps would be about, by taking them on a copy;
/// none if one of them cannot be taken.
pub(in crate::judge::steps) fn ahead(
    reference: &dyn Stepped,
    task: TaskId,
    steps: usize,
) -> Option<(Offer, Vec<About>)> {
    on_a_copy(reference, task, steps).map(|(offer, about, _)| (offer, about))
}

/// The same, and whether the last of them refused.
fn on_a_copy(
    reference: &dyn Stepped,
    task: TaskId,
    steps: usize,
) -> Option<(Offer, Vec<About>, bool)> {
    let (mut copy, mut about) = (reference.fork(), Vec::new());
    let offer = copy.next(task);
    let taken = (0..steps).all(|_| copy.take(task, Choice::Go).is_ok());
    copy.footprint(&mut about);
    let refused = copy.refused();
    Recorder::clear();
    offer.filter(|_| taken).map(|offer| (offer, about, refused))
}
