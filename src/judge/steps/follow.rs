//! Takes the reference along the path that a candidate's marks are.
//!
//! At a mark the reference takes steps of the mark's call up to the one that the mark tells of;
//! steps before it that need no mark are taken silently. A step that has to wait lets other calls
//! take steps that need no mark. What a mark tells is compared with what the step did, what a call
//! answers when it returns, and the whole state at the end.

use vmadiff_contract::{
    About, Call, Choice, Event, Mark, MmId, Offer, Outcome, PAGE_SIZE, PageState, Refusal,
    Snapshot, StepKind, Stepped, Taken, TaskId, Told,
};

use super::path::{Item, Race, What};
use super::rows::{may_tell, must_be_marked};
use super::told::entry_text;
use crate::judge::life::Life;
use crate::judge::names::Names;
use crate::judge::{Rule, outcome, state};
use crate::program::text::outcome_text;
use crate::run::Recorder;

/// Where the candidate and the reference part.
#[derive(Clone, Debug)]
pub struct Objection {
    /// The rule that is broken.
    pub rule: Rule,
    /// The signature's field.
    pub field: &'static str,
    /// The item at which it shows; none: the state at the end.
    pub item: Option<usize>,
    /// The step of the reference at which they part.
    pub step: Option<Offer>,
    /// Another call that was under way then, the last one that took a step.
    pub with: Option<usize>,
    /// What differs, in a sentence.
    pub what: String,
}

type Followed<T = ()> = Result<T, Box<Objection>>;

/// Steps that one mark may stand behind; a call that populates takes a few thousand.
const SILENT_MAX: usize = 20_000;

/// A step that the reference took, for who wants to see its way.
#[derive(Clone, Debug)]
pub struct Trod {
    /// The item at which it was taken.
    pub item: usize,
    /// Whose call, by its index in the program.
    pub call: usize,
    /// The step, with the way that it went.
    pub step: Offer,
    /// What it was about.
    pub about: Vec<About>,
}

/// Follows one race after another; keeps its memory.
#[derive(Default)]
pub struct Follower {
    /// The steps that were taken, if they are kept.
    pub trail: Option<Vec<Trod>>,
    names: Names,
    life: Life,
    calls: Vec<Pending>,
    /// Calls that are under way, the one that took a step last behind the others.
    under_way: Vec<usize>,
    about: Vec<About>,
    ways: Vec<Choice>,
    ours: Snapshot,
    theirs: Snapshot,
    /// The item that is being followed.
    item: usize,
    /// Steps that were taken.
    taken: u64,
}

/// A call, as far as it has come.
#[derive(Default)]
struct Pending {
    /// Who makes it in the reference; none: it has not begun there, or was answered at once.
    task: Option<TaskId>,
    /// What it answers though it has no steps.
    answer: Option<Outcome>,
    /// Its task was not there when it began.
    unborn: bool,
    /// What it raised.
    events: Vec<Event>,
    allocated: usize,
    anons: usize,
    linked: usize,
    /// The step that was told last: another mark may tell of another object of it.
    last: Vec<About>,
    step: Option<Offer>,
    /// That step refused, which is yet to be told.
    refused: bool,
    /// A refusal was told: only undoing follows.
    refusal_told: bool,
    /// How many steps had been taken when it was told.
    told_at: u64,
}

/// A step that was taken.
struct Done {
    offer: Offer,
    choice: Choice,
    refused: bool,
    /// It only looked at its entry.
    left_alone: bool,
    returned: Option<Outcome>,
    /// The entry that the mark is about, before and after; and as the TLB held it.
    before: Option<PageState>,
    after: Option<PageState>,
    held: Option<PageState>,
}

/// An entry that a mark is about, in the reference's names.
type Place = Option<(MmId, u64)>;

impl Follower {
    /// Follows a race on a reference that may be in any state.
    ///
    /// # Errors
    /// Where they part.
    pub fn follow(&mut self, race: &Race<'_>, reference: &mut dyn Stepped) -> Followed {
        self.boot(race, reference);
        for (at, item) in race.items.iter().enumerate() {
            self.item = at;
            match item.what {
                What::Begin => self.begin(race, reference, item.call as usize),
                What::Mark(mark) => self.mark(race, reference, *item, &mark)?,
                What::End => self.end(race, reference, item.call as usize)?,
            }
        }
        self.settle(race, reference)
    }

    /// Which objects are which, as far as the last race told.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Steps of the reference that were taken since the follower was made.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    fn boot(&mut self, race: &Race<'_>, reference: &mut dyn Stepped) {
        let config = &race.program.config;
        reference.drive(config);
        Recorder::clear();
        self.names.clear(config.tasks.clamp(1, 8));
        self.under_way.clear();
        if let Some(trail) = &mut self.trail {
            trail.clear();
        }
        self.calls
            .resize_with(race.program.calls.len(), Pending::default);
        for call in &mut self.calls {
            let Pending {
                task,
                answer,
                unborn,
                events,
                allocated,
                anons,
                linked,
                last,
                step,
                refused,
                refusal_told,
                told_at,
            } = call;
            *told_at = 0;
            (*task, *answer, *step) = (None, None, None);
            (*unborn, *refused, *refusal_told) = (false, false, false);
            (*allocated, *anons, *linked) = (0, 0, 0);
            events.clear();
            last.clear();
        }
    }

    fn begin(&mut self, race: &Race<'_>, reference: &mut dyn Stepped, call: usize) {
        let (step, theirs) = (&race.program.calls[call], race.outcomes[call]);
        let pending = &mut self.calls[call];
        pending.answer = if theirs == Some(Outcome::Unsupported) {
            theirs
        } else if step.task == TaskId(0) && step.call == Call::Softirq {
            Some(Outcome::Value(0))
        } else {
            None
        };
        if pending.answer.is_some() {
            return;
        }
        let task = self.names.task(step.task);
        pending.unborn = task.is_none();
        let Some(task) = task else {
            // A fork that is under way may still make it.
            return;
        };
        match reference.begin(task, &step.call, step.fail) {
            Ok(()) => {
                pending.task = Some(task);
                self.under_way.push(call);
            }
            Err(outcome) => pending.answer = Some(outcome),
        }
    }

    /// Begins a call whose task was not there before.
    fn begin_late(&mut self, race: &Race<'_>, reference: &mut dyn Stepped, call: usize) {
        let pending = &self.calls[call];
        let no_task = race.outcomes[call] == Some(Outcome::NoTask);
        if pending.unborn && pending.task.is_none() && pending.answer.is_none() && !no_task {
            self.begin(race, reference, call);
        }
    }

    fn mark(
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
        let place = self.place(mark);
        for _ in 0..SILENT_MAX {
            let Some(offer) = reference.next(task) else {
                break;
            };
            if mark.kind == StepKind::Flush
                && !self.is_to_flush(reference, task, &offer, mark)
                && !self.flush_is_ahead(reference, task, mark)
            {
                // A TLB may forget at any time.
                return Ok(());
            }
            if self.is_only_a_look(reference, &offer, mark, place) {
                return Ok(());
            }
            if offer.kind == StepKind::Return {
                let what = "a step is marked, and the reference has none left";
                return Err(self.misplaced(Some(offer), what));
            }
            let done = self.take(race, reference, call, offer, Some(mark), place)?;
            if self.is_told(&done, mark)? {
                return self.compare(reference, call, &done, mark);
            }
            // What was read may be told before that it refused.
            let pending = &mut self.calls[call];
            pending.refused |= done.refused && !pending.refusal_told;
            if !covers(mark, &self.about) {
                self.may_be_silent(&done)?;
            }
        }
        Err(self.misplaced(None, "no step of the call is the one that is marked"))
    }

    /// Whether a mark that may be left out tells of nothing that the reference does: it was read
    /// and nothing came of it, or the reference does it at another moment, where nobody sees when.
    fn is_only_a_look(
        &self,
        reference: &dyn Stepped,
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
        let free = match mark.kind {
            StepKind::Put | StepKind::Unlink | StepKind::Uncharge | StepKind::Policy => true,
            StepKind::Decide | StepKind::Allocate => read,
            _ => false,
        };
        // A pass over nothing is told, too; of what else does nothing there is nothing to tell.
        let passes = matches!(offer.kind, StepKind::Pass | StepKind::Flush);
        let stands = || {
            must_be_marked(offer)
                && !may_tell(mark.kind, offer)
                && (passes || !does_nothing(reference, offer.task))
        };
        free && (offer.kind == StepKind::Return || stands())
    }

    /// Whether a mark is about another object of the step that was told last.
    fn is_more_of_the_last(&mut self, call: usize, mark: &Mark) -> bool {
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
        }
        true
    }

    /// Another object of the step that was told last: as it is now, if nobody has gone on since.
    fn compare_more(&self, reference: &dyn Stepped, call: usize, mark: &Mark) -> Followed {
        let (Some((mm, addr)), Told::Entry { after, .. }) = (self.place(mark), mark.told) else {
            return Ok(());
        };
        let ours = reference.entry(mm, addr);
        let theirs = self.names.entry(after, mm, addr);
        if self.calls[call].told_at != self.taken || ours == theirs {
            return Ok(());
        }
        let (a, b) = (entry_text(ours), entry_text(theirs));
        let what = format!("the entry of {addr:#x} is {a} in the reference, {b} in the candidate");
        Err(self.object(Rule::State, "entry", None, what))
    }

    fn place(&self, mark: &Mark) -> Place {
        match mark.about {
            About::Entry { mm, addr } => self.names.mm(mm).map(|mm| (mm, addr)),
            _ => None,
        }
    }

    fn is_to_flush(
        &mut self,
        reference: &mut dyn Stepped,
        task: TaskId,
        offer: &Offer,
        mark: &Mark,
    ) -> bool {
        self.ways.clear();
        reference.ways(task, &mut self.ways);
        let whose = self.names.tlb_of(mark.about);
        let of = |whose| self.ways.contains(&Choice::Of(whose));
        offer.kind == StepKind::Flush && whose.is_some_and(of)
    }

    /// Whether a flush of this TLB follows, behind steps that nobody else can see.
    fn flush_is_ahead(&self, reference: &dyn Stepped, task: TaskId, mark: &Mark) -> bool {
        let Some(of) = self.names.tlb_of(mark.about).map(Choice::Of) else {
            return false;
        };
        let mut copy = reference.fork();
        let (mut about, mut ways) = (Vec::new(), Vec::new());
        let mut ahead = false;
        for _ in 0..SILENT_MAX {
            let Some(offer) = copy.next(task) else { break };
            if offer.kind == StepKind::Flush {
                copy.ways(task, &mut ways);
                ahead = ways.contains(&of);
                break;
            }
            if offer.kind == StepKind::Return || copy.take(task, Choice::Go).is_err() {
                break;
            }
            about.clear();
            copy.footprint(&mut about);
            if must_be_marked(&offer) && can_be_seen(offer.kind, &about) {
                break;
            }
        }
        Recorder::clear();
        ahead
    }

    /// Takes a step; one that has to wait first lets others go.
    fn take(
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
            |reference: &dyn Stepped| place.and_then(|(mm, addr)| reference.entry(mm, addr));
        loop {
            self.ways.clear();
            reference.ways(task, &mut self.ways);
            let held = place.and_then(|(_, addr)| reference.held(task, addr));
            let before = entry(reference);
            let choice = self.choose(race, call, &offer, mark, before, held);
            let upto = match mark.map(|mark| mark.about) {
                Some(About::Entry { addr, .. }) => addr.saturating_add(PAGE_SIZE),
                Some(About::Range { end, .. }) => end,
                _ => u64::MAX,
            };
            match reference.take_upto(task, choice, upto) {
                Ok(taken) => {
                    self.taken += 1;
                    self.about.clear();
                    reference.footprint(&mut self.about);
                    self.keep(call, offer, choice);
                    self.drain(race, call);
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

    fn keep(&mut self, call: usize, offer: Offer, choice: Choice) {
        if let Some(trail) = &mut self.trail {
            trail.push(Trod {
                item: self.item,
                call,
                step: Offer { choice, ..offer },
                about: self.about.clone(),
            });
        }
    }

    /// The way that a step goes, by what the mark tells.
    fn choose(
        &self,
        race: &Race<'_>,
        call: usize,
        offer: &Offer,
        mark: Option<&Mark>,
        before: Option<PageState>,
        held: Option<PageState>,
    ) -> Choice {
        let may = |choice| self.ways.contains(&choice);
        let refused = mark.is_some_and(|mark| mark.told == Told::Refused);
        let fits = mark.is_some_and(|mark| may_tell(mark.kind, offer));
        let outcome = race.outcomes[call];
        if may(Choice::Stale) && fits {
            let told = mark.map(|mark| mark.told);
            if let (Some(Told::Entry { before: by, .. }), Some(held)) = (told, held) {
                let by = self.names.entry(by, held.mm, held.addr);
                if by == Some(held) && by != before {
                    return Choice::Stale;
                }
            }
        }
        if may(Choice::Again) && mark.is_some_and(|mark| begins_a_fault(mark, offer)) {
            return Choice::Again;
        }
        if may(Choice::Leave)
            && let Some(Told::Entry { before, after }) = mark.map(|mark| mark.told)
            && mark.is_some_and(|mark| mark.kind == StepKind::Entry)
            && before == after
        {
            return Choice::Leave;
        }
        let done = mark.is_some_and(|mark| mark.told == Told::Done);
        if may(Choice::OneByOne) && fits && done {
            return Choice::OneByOne;
        }
        if may(Choice::Shared)
            && fits
            && let Some(Told::Entry { before, after }) = mark.map(|mark| mark.told)
            && before == after
        {
            return Choice::Shared;
        }
        if may(Choice::Fail) {
            if fits && self.fails_next(race, call) {
                return Choice::Fail;
            }
            let fails = outcome.is_some_and(|outcome| !outcome.is_success());
            let told = mark.is_some_and(|mark| mark.kind == StepKind::Allocate);
            if told && refused || mark.is_none() && fails {
                return Choice::Fail;
            }
        }
        // A walk over entries gives up when there is none left for it, and tells nothing then.
        let walks = offer.kind == StepKind::Entry;
        if may(Choice::GiveUp) && (fits && refused && !walks || mark.is_none()) {
            return Choice::GiveUp;
        }
        if let Some(
            About::Entry { mm, addr }
            | About::Range {
                mm, start: addr, ..
            },
        ) = mark.map(|mark| mark.about)
            && let Some(mm) = self.names.mm(mm)
            && may(Choice::At { mm, addr })
        {
            return Choice::At { mm, addr };
        }
        let whose = mark.filter(|_| fits);
        let whose = whose.and_then(|mark| self.names.tlb_of(mark.about));
        match whose.map(Choice::Of) {
            Some(of) if may(of) => of,
            _ => Choice::Go,
        }
    }

    /// Whether the call's next mark tells that an allocation failed.
    fn fails_next(&self, race: &Race<'_>, call: usize) -> bool {
        let mut later = race.items[self.item..].iter().skip(1);
        let next = later.find(|item| item.call as usize == call);
        next.is_some_and(|item| match item.what {
            What::Mark(mark) => mark.kind == StepKind::Allocate && mark.told == Told::Refused,
            What::Begin | What::End => false,
        })
    }

    /// Keeps what the step raised, and names what it made.
    fn drain(&mut self, race: &Race<'_>, call: usize) {
        let Self {
            names,
            calls,
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
        Recorder::drain(|events| {
            for event in events {
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

    /// Lets another call take a step that needs no mark, and for which it takes no more of
    /// mmap_sem; whether one did.
    fn let_others_go(&mut self, race: &Race<'_>, reference: &mut dyn Stepped, call: usize) -> bool {
        for at in 0..self.under_way.len() {
            let other = self.under_way[at];
            let Some(task) = self.calls[other].task.filter(|_| other != call) else {
                continue;
            };
            let Some(offer) = reference.next(task) else {
                continue;
            };
            let again = self.begins_again(race, reference, other, &offer);
            let free = offer.kind != StepKind::Return
                && !reference.takes_hold(task)
                && (again || !must_be_marked(&offer) || does_nothing(reference, task));
            let choice = if again { Choice::Again } else { Choice::Go };
            if free && reference.take(task, choice).is_ok() {
                self.taken += 1;
                self.about.clear();
                reference.footprint(&mut self.about);
                self.keep(other, offer, choice);
                self.drain(race, other);
                return true;
            }
        }
        false
    }

    /// Whether a call's next mark says that its fault began again, and it may.
    fn begins_again(
        &mut self,
        race: &Race<'_>,
        reference: &mut dyn Stepped,
        call: usize,
        offer: &Offer,
    ) -> bool {
        if offer.list != "fault" {
            return false;
        }
        self.ways.clear();
        reference.ways(offer.task, &mut self.ways);
        let mut later = race.items[self.item..].iter().skip(1);
        let next = later.find(|item| item.call as usize == call);
        let begins = next.is_some_and(|item| match item.what {
            What::Mark(mark) => begins_a_fault(&mark, offer),
            What::Begin | What::End => false,
        });
        begins && self.ways.contains(&Choice::Again)
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
    fn may_be_silent(&self, done: &Done) -> Followed {
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

    /// What a mark tells, and what the step did.
    fn compare(
        &mut self,
        reference: &dyn Stepped,
        call: usize,
        done: &Done,
        mark: &Mark,
    ) -> Followed {
        let offer = Some(done.offer);
        // What was read may be told apart from that it refused.
        let segv = done.offer.list == "fault" && done.offer.row == 0;
        // A stack that grew does not allow the access, which is known since before it did.
        let grew = done.offer.list == "fault" && mark.kind == StepKind::Resize;
        let undoing = self.calls[call].refusal_told;
        let read = done.refused && (mark.kind == StepKind::Decide && !segv || grew || undoing);
        let refused = mark.told == Told::Refused;
        if done.refused != refused && mark.kind != StepKind::Allocate && !read {
            let (ours, theirs) = if done.refused {
                ("refuses", "goes on")
            } else {
                ("goes on", "refuses")
            };
            let what = format!(
                "the reference {ours} at: {}; the candidate {theirs}",
                done.offer.what
            );
            return Err(self.object(Rule::FaultUnexplained, "refused", offer, what));
        }
        match mark.told {
            Told::Entry { before, after } => self.compare_entry(done, mark, before, after)?,
            Told::Flags(theirs) => {
                if let About::Area(vma) = mark.about
                    && let Some(vma) = self.names.vmas.get(vma.0)
                {
                    let about = About::Area(vmadiff_contract::VmaId(vma));
                    reference.observe(about, &mut self.ours);
                    let ours = self.ours.vmas.first().map(|area| area.flags);
                    if ours.is_some_and(|ours| ours != theirs) {
                        let what = format!(
                            "the flags of #{vma} are {ours:?} in the reference, {theirs:?} in the \
                             candidate, at: {}",
                            done.offer.what
                        );
                        return Err(self.object(Rule::State, "flags", offer, what));
                    }
                }
            }
            Told::Done | Told::Refused | Told::Number(_) => {}
        }
        let Self {
            names,
            calls,
            about,
            ..
        } = self;
        let pending = &mut calls[call];
        (pending.step, pending.told_at) = (Some(done.offer), self.taken);
        pending.refused = read && !refused && !undoing;
        pending.refusal_told |= refused;
        pending.last.clear();
        // A collapse passes over its range in one step.
        let whole = done.offer.list == "collapse";
        let more = |ours: &&About| {
            let range = whole && matches!(ours, About::Range { .. });
            range || !names.is_one_of(mark.about, &[**ours])
        };
        pending.last.extend(about.iter().filter(more));
        Ok(())
    }

    fn compare_entry(
        &mut self,
        done: &Done,
        mark: &Mark,
        before: Option<PageState>,
        after: Option<PageState>,
    ) -> Followed {
        let Some((mm, addr)) = self.place(mark) else {
            return Ok(());
        };
        let theirs = [before, after].map(|entry| self.names.entry(entry, mm, addr));
        let walk = mark.kind == StepKind::Walk;
        let ours = match (walk, done.choice) {
            (true, Choice::Stale) => [done.held, done.held],
            (true, _) => [done.before, done.before],
            (false, _) => [done.before, done.after],
        };
        if theirs == ours {
            return Ok(());
        }
        let rule = if walk { Rule::StaleEntry } else { Rule::State };
        let [a, b] = ours.map(entry_text);
        let [c, d] = theirs.map(entry_text);
        let what = format!(
            "the entry of {addr:#x} goes from {a} to {b} in the reference, from {c} to {d} in the \
             candidate, at: {}",
            done.offer.what
        );
        Err(self.object(rule, "entry", Some(done.offer), what))
    }

    fn end(&mut self, race: &Race<'_>, reference: &mut dyn Stepped, call: usize) -> Followed {
        self.begin_late(race, reference, call);
        let ours = match (self.calls[call].answer, self.calls[call].task) {
            (Some(outcome), _) => outcome,
            (None, None) => Outcome::NoTask,
            (None, Some(task)) => self.finish(race, reference, call, task)?,
        };
        self.under_way.retain(|&other| other != call);
        let theirs = race.outcomes[call].unwrap_or(Outcome::NoTask);
        let step = &race.program.calls[call];
        if let (Call::Fork, Outcome::Value(ours), Outcome::Value(theirs)) =
            (step.call, ours, theirs)
        {
            if !self.names.tasks.pair(theirs as u32, ours as u32) {
                let what = format!("task {theirs} is made twice");
                return Err(self.object(Rule::Outcome, "value", None, what));
            }
        } else if let Some((field, what)) = outcome::difference(step.call.kind(), ours, theirs) {
            return Err(self.object(Rule::Outcome, field, None, what));
        }
        let Self {
            names, life, calls, ..
        } = self;
        let differs = life.differs(names, &calls[call].events, race.life_of(call));
        if let Some(kind) = differs {
            let what = format!("{kind} events differ from those of the same call in the reference");
            return Err(self.object(Rule::Events, kind, None, what));
        }
        Ok(())
    }

    /// Takes what is left of a call.
    fn finish(
        &mut self,
        race: &Race<'_>,
        reference: &mut dyn Stepped,
        call: usize,
        task: TaskId,
    ) -> Followed<Outcome> {
        for _ in 0..SILENT_MAX {
            let Some(offer) = reference.next(task) else {
                break;
            };
            let done = self.take(race, reference, call, offer, None, None)?;
            if let Some(outcome) = done.returned {
                return Ok(outcome);
            }
            self.may_be_silent(&done)?;
        }
        let theirs = race.outcomes[call].unwrap_or(Outcome::NoTask);
        let kind = race.program.calls[call].call.kind();
        let what = format!(
            "the candidate answers {}, and the reference is not done",
            outcome_text(kind, theirs)
        );
        Err(self.object(Rule::Outcome, "unfinished", None, what))
    }

    /// All calls have returned: compares the states.
    fn settle(&mut self, race: &Race<'_>, reference: &dyn Stepped) -> Followed {
        let Self {
            names,
            ours,
            theirs,
            ..
        } = self;
        reference.see(ours);
        names.translate(ours, race.state, theirs);
        if state::same(ours, theirs) {
            return Ok(());
        }
        let Some(first) = state::differences(ours, theirs).into_iter().next() else {
            return Ok(());
        };
        let lost = first.field.contains("bytes");
        let rule = if lost { Rule::LostStore } else { Rule::State };
        let mut objection = self.object(rule, first.field, None, first.what);
        objection.item = None;
        Err(objection)
    }

    fn misplaced(&self, step: Option<Offer>, what: &str) -> Box<Objection> {
        self.object(Rule::CommitPoint, "misplaced", step, what.to_owned())
    }

    #[cold]
    fn object(
        &self,
        rule: Rule,
        field: &'static str,
        step: Option<Offer>,
        what: String,
    ) -> Box<Objection> {
        let own = self.under_way.last();
        let others = self.under_way.iter().rev();
        let with = others.copied().find(|other| Some(other) != own);
        Box::new(Objection {
            rule,
            field,
            item: Some(self.item),
            step,
            with,
            what,
        })
    }
}

/// Whether a mark is the first read of a fault, its area, or that of one that populates, its entry;
/// and the fault is further on.
fn begins_a_fault(mark: &Mark, offer: &Offer) -> bool {
    let first = match (mark.about, mark.told) {
        (About::Area(_) | About::Areas(_), Told::Flags(_) | Told::Refused) => 0,
        (About::Entry { .. }, Told::Entry { .. }) => 1,
        _ => return false,
    };
    mark.kind == StepKind::Decide && offer.row > first
}

/// Whether a mark tells of a stretch of which a step passed over a part.
fn covers(mark: &Mark, about: &[About]) -> bool {
    let About::Range { start, end, .. } = mark.about else {
        return false;
    };
    let within = |about: &About| match *about {
        About::Range {
            start: from,
            end: to,
            ..
        } => start <= from && to <= end,
        _ => false,
    };
    about.iter().all(within)
}

/// Whether others can see what a step did; of a pass over nothing there is nothing to see.
fn can_be_seen(kind: StepKind, about: &[About]) -> bool {
    let entry = |about: &About| matches!(about, About::Entry { .. });
    match kind {
        StepKind::Pass | StepKind::Entry => about.iter().any(entry),
        _ => !about.is_empty(),
    }
}

/// Whether a step would touch nothing that others can see, by taking it on a copy.
fn does_nothing(reference: &dyn Stepped, task: TaskId) -> bool {
    let mut copy = reference.fork();
    let (mut about, kind) = (Vec::new(), copy.next(task).map(|offer| offer.kind));
    let taken = copy.take(task, Choice::Go).is_ok();
    copy.footprint(&mut about);
    Recorder::clear();
    taken && kind.is_some_and(|kind| !can_be_seen(kind, &about))
}
