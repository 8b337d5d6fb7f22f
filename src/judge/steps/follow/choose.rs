//! Which way a step goes, where it can go more than one: what the mark tells says it, or the call's
//! next one, or what the call answers.

use vmadiff_contract::{
    About, Choice, Mark, MmId, Offer, PageState, StepKind, Stepped, TaskId, Told,
};

use super::super::path::{Race, What};
use super::super::rows::may_tell;
use super::Follower;
use super::take::ahead;

impl Follower {
    /// The way that a step goes, by what the mark tells; the entry that it is about is given as the table and
    /// as the TLB has it.
    pub(super) fn choose(
        &self,
        race: &Race<'_>,
        reference: &dyn Stepped,
        call: usize,
        offer: &Offer,
        mark: Option<&Mark>,
        (before, held): (Option<PageState>, Option<PageState>),
    ) -> Choice {
        if self.ways.len() == 1 {
            // Nearly all steps: they can only go on.
            return Choice::Go;
        }
        let may = |choice| self.ways.contains(&choice);
        let refused = mark.is_some_and(|mark| mark.told == Told::Refused);
        let fits = mark.is_some_and(|mark| may_tell(mark.kind, offer));
        let outcome = race.outcomes[call];
        if may(Choice::Stale) && fits {
            let told = mark.map(|mark| mark.told);
            if let (Some(Told::Entry { before: by, .. }), Some(held)) = (told, held) {
                let by = self.names.entry(by, held.mm, held.addr);
                let other = by != before || self.touches_another(race, reference, call, offer.task);
                if by == Some(held) && other {
                    return Choice::Stale;
                }
            }
        }
        if may(Choice::Again) && mark.is_some_and(|mark| begins_a_fault(mark, offer)) {
            return Choice::Again;
        }
        let allowed = |mark: &Mark| matches!(mark.told, Told::Flags(_));
        if may(Choice::Again) && offer.row == 0 && fits && mark.is_some_and(allowed) {
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
        let changed = matches!(mark.map(|mark| mark.told), Some(Told::Entry { before, after }) if before != after);
        if may(Choice::OneByOne) && fits && (done || changed) {
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
        let walks = offer.list == "reclaim" && offer.row == 2;
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
            && let Some(at) = self.at(offer, mm, addr)
        {
            return at;
        }
        let whose = mark.filter(|_| fits);
        let whose = whose.and_then(|mark| self.names.tlb_of(mark.about));
        match whose.map(Choice::Of) {
            Some(of) if may(of) => of,
            _ => Choice::Go,
        }
    }

    /// The way to this place. Of areas it may be the one that the place is in: what lies before it may have been
    /// told already.
    fn at(&self, offer: &Offer, mm: MmId, place: u64) -> Option<Choice> {
        let starts = self.ways.iter().filter_map(|way| match *way {
            Choice::At { mm: of, addr } if of == mm => Some(addr),
            _ => None,
        });
        let below = offer.list == "unmap a file's pages";
        let start = starts.filter(|&start| start == place || below && start < place);
        start.max().map(|addr| Choice::At { mm, addr })
    }

    /// Whether the call's next mark tells that an allocation failed.
    fn fails_next(&self, race: &Race<'_>, call: usize) -> bool {
        let next = self.next_of(race, call);
        next.is_some_and(|mark| mark.kind == StepKind::Allocate && mark.told == Told::Refused)
    }

    /// Whether an access by the table's entry, which looks like that of the TLB, would be to another frame
    /// than the one that is touched next.
    fn touches_another(
        &self,
        race: &Race<'_>,
        reference: &dyn Stepped,
        call: usize,
        task: TaskId,
    ) -> bool {
        let next = self.next_of(race, call).map(|mark| (mark.kind, mark.about));
        let Some((StepKind::Touch, About::Frame(theirs))) = next else {
            return false;
        };
        let Some(touched) = self.names.frames.get(theirs.0) else {
            return false;
        };
        let another = |about: &About| matches!(about, About::Frame(frame) if frame.0 != touched);
        // The walk, and the access.
        ahead(reference, task, 2).is_some_and(|(_, about)| about.iter().any(another))
    }

    /// How a call goes on where another one waits for it: as it comes, from the start of its fault or without
    /// the memory that it asks for if its next mark says so, or out of a walk over entries if it tells of
    /// no other.
    pub(super) fn goes_on(
        &mut self,
        race: &Race<'_>,
        reference: &mut dyn Stepped,
        call: usize,
        offer: &Offer,
    ) -> Choice {
        if self.begins_again(race, reference, call, offer) {
            return Choice::Again;
        }
        if self.fails_next(race, call) && self.may_go(reference, offer, Choice::Fail) {
            return Choice::Fail;
        }
        if offer.list != "reclaim" || offer.row != 2 {
            return Choice::Go;
        }
        let looks = self.next_of(race, call).is_some_and(|mark| {
            mark.kind == StepKind::Decide && matches!(mark.about, About::Entry { .. })
        });
        if !looks && self.may_go(reference, offer, Choice::GiveUp) {
            Choice::GiveUp
        } else {
            Choice::Go
        }
    }

    /// Whether a step may go this way.
    fn may_go(&mut self, reference: &mut dyn Stepped, offer: &Offer, way: Choice) -> bool {
        self.ways.clear();
        reference.ways(offer.task, &mut self.ways);
        self.ways.contains(&way)
    }

    /// Whether a walk has more than one place left, of which its own next mark says the one that comes next.
    pub(super) fn has_places_left(&mut self, reference: &mut dyn Stepped, task: TaskId) -> bool {
        self.ways.clear();
        reference.ways(task, &mut self.ways);
        self.ways.iter().any(|way| matches!(way, Choice::At { .. }))
    }

    /// Whether a task's next step has no other way than to go on.
    pub(super) fn only_goes_on(&mut self, reference: &mut dyn Stepped, task: TaskId) -> bool {
        self.ways.clear();
        reference.ways(task, &mut self.ways);
        self.ways.len() == 1
    }

    /// What a call tells next, behind the item that is followed.
    fn next_of(&self, race: &Race<'_>, call: usize) -> Option<Mark> {
        self.later_of(race, call).next()
    }

    /// All that a call tells behind the item that is followed, until it ends.
    pub(super) fn later_of<'a>(
        &self,
        race: &'a Race<'_>,
        call: usize,
    ) -> impl Iterator<Item = Mark> + use<'a> {
        let later = race.items[self.item..].iter().skip(1);
        let own = later.filter(move |item| item.call as usize == call);
        own.map_while(|item| match item.what {
            What::Mark(mark) => Some(mark),
            What::Begin | What::End => None,
        })
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
        let next = self.next_of(race, call);
        let begins = next.is_some_and(|mark| begins_a_fault(&mark, offer));
        begins && self.may_go(reference, offer, Choice::Again)
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
