//! Schedules: what was drawn becomes a list of switches, which gets shorter, and each switch comes
//! as late as it can: just before the access that it matters to.

use super::{Attempt, Shrinker};
use crate::program::{Moment, Policy, Program, Schedule};

/// Places tried for one switch.
const PLACES: usize = 64;

impl<A: FnMut(&Program) -> Attempt> Shrinker<A> {
    /// Makes a schedule a list of switches that go by names of places.
    pub(super) fn pin(&mut self) -> bool {
        let Schedule {
            policy, switches, ..
        } = &self.best.schedule;
        let by_name = switches.iter().all(|s| !matches!(s.at, Moment::Gap(_)));
        let pinned = *policy == Policy::Preemptions && by_name;
        let Some(passes) = self.passes.as_ref().filter(|_| !pinned) else {
            return false;
        };
        let schedule = Schedule {
            switches: passes.switches().to_vec(),
            ..Schedule::default()
        };
        self.change(|program| program.schedule = schedule)
    }

    /// Drops switches, runs of them first, from the end.
    pub(super) fn drop_switches(&mut self) -> bool {
        let mut changed = self.change(|program| program.schedule = Schedule::default());
        let mut size = self.best.schedule.switches.len();
        while size > 0 {
            let mut end = self.best.schedule.switches.len();
            while end > 0 {
                let start = end.saturating_sub(size);
                changed |= self.change(|program| drop(program.schedule.switches.drain(start..end)));
                end = start;
            }
            size /= 2;
        }
        changed
    }

    /// Moves switches to where they matter.
    pub(super) fn move_switches(&mut self) -> bool {
        let mut changed = false;
        for index in (0..self.best.schedule.switches.len()).rev() {
            let switch = self.best.schedule.switches[index];
            let later = self.passes.as_ref().map(|passes| passes.later(&switch));
            let later = later.unwrap_or_default();
            let nearest = later.len().saturating_sub(PLACES);
            changed |= later[nearest..]
                .iter()
                .any(|at| self.change(|program| program.schedule.switches[index].at = *at));
        }
        changed
    }
}
