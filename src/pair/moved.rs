//! What mremap comes to where places are free, or whether neighbours are one area is a matter of taste.

use std::ops::Range;

use vmadiff_contract::{Call, Errno, MmId, MoveFlags, Outcome, PAGE_SIZE, Snapshot, TaskId};

use super::Pair;
use crate::compare::{Shown, narrow};
use crate::program::Step;

impl Pair {
    /// Has the reference make a call of a program, `step`, as it was `told`. Told to move to a place that is
    /// taken it refuses, as mmap does of `MAP_FIXED_NOREPLACE`: mremap would put aside what is there.
    #[inline]
    pub(super) fn reference_makes(&mut self, step: &Step, told: &Step) -> Outcome {
        if matches!(told.call, Call::Mremap { .. }) && told != step && self.moves_onto(told) {
            return Outcome::Errno(Errno::EEXIST);
        }
        self.reference.instance.call(told)
    }

    /// Whether something is where an mremap is told to go.
    fn moves_onto(&mut self, told: &Step) -> bool {
        let Call::Mremap {
            new_addr,
            new_len,
            flags,
            ..
        } = told.call
        else {
            return false;
        };
        let state = self.reference.look_at_all();
        let place = new_addr..new_addr.saturating_add(whole(new_len));
        let mut there = areas_in(state, lives_in(state, told.task), &place);
        flags.contains(MoveFlags::FIXED) && there.next().is_some()
    }

    /// Whether one manager alone refused to resize or move (`EFAULT`) what looks like one area and is several
    /// to it.
    pub(super) fn keeps_apart(
        &mut self,
        step: &Step,
        reference: Outcome,
        candidate: Outcome,
    ) -> bool {
        let Call::Mremap {
            addr,
            old_len,
            new_len,
            ..
        } = step.call
        else {
            return false;
        };
        let errors = self.terms.view.shows(Shown::ERRORS);
        let refuses = |one: Outcome, other: Outcome| match one {
            Outcome::Errno(Errno::EFAULT) => one != other,
            Outcome::Errno(_) => !errors && other.is_success(),
            _ => false,
        };
        let refuser = if refuses(reference, candidate) {
            &mut self.reference
        } else if refuses(candidate, reference) {
            &mut self.candidate
        } else {
            return false;
        };
        // What a move shortens is cut first. Then the one that refused did nothing: its areas are those it had.
        let range = addr..addr.saturating_add(whole(old_len.min(new_len)));
        let mut state = refuser.look_at_all().clone();
        let mm = lives_in(&state, step.task);
        let several = areas_in(&state, mm, &range).count() > 1;
        narrow(&self.terms.view.with(Shown::AREAS), &mut state);
        several && areas_in(&state, mm, &range).eq([range.clone()])
    }
}

/// Bytes of the pages of a length.
fn whole(len: u64) -> u64 {
    len.div_ceil(PAGE_SIZE).saturating_mul(PAGE_SIZE)
}

fn lives_in(state: &Snapshot, task: TaskId) -> MmId {
    let mut tasks = state.tasks.iter();
    let of = tasks.find(|state| state.task == task);
    of.map_or(MmId(0), |task| task.mm)
}

/// What areas of an address space have of a range.
fn areas_in(state: &Snapshot, mm: MmId, range: &Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let areas = state.vmas.iter().filter(move |area| area.mm == mm);
    areas
        .map(|area| area.start.max(range.start)..area.end.min(range.end))
        .filter(|part| !part.is_empty())
}
