//! Selectively uniform random walk (Zhao, Wolff, Mathur, Roychoudhury, ASPLOS 2025).

use super::dependence::{depends, of_machine};
use super::random::Random;
use super::{Choice, Pending, Policy};
use crate::sim::{Step, TASKS, What};

/// Draws whose next interesting access comes first, each task as likely as the share that it has of those
/// that are left; until that access is made, tasks run at random but for interesting accesses, which wait.
/// So every order of the interesting accesses is equally likely, however many others the tasks make.
///
/// Interesting is what tasks race for: the accesses to one object, drawn by the seed among those that two
/// tasks accessed and one wrote in a run that was measured before. Their sites stand for them, since names
/// of objects differ from run to run. Without a measured run, or where nothing is raced for, it is a walk.
#[derive(Clone, Debug)]
pub struct Surw {
    seed: u64,
    random: Random,
    /// Of the measured run: who made which kind of access where, to which object.
    measured: Vec<Access>,
    /// By object: its last access in `measured`, and by access the one before it to the same object.
    last: Vec<Option<u32>>,
    before: Vec<Option<u32>>,
    /// Accesses that a draw has found nobody to race for, in order. Kept for its room, as `sites` is.
    alone: Vec<Alike>,
    /// The sites of the drawn object, by their numbers.
    sites: Vec<u32>,
    /// By task, the interesting accesses that it has left.
    left: [u32; TASKS + 1],
    /// Whose interesting access comes next.
    next: Option<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Access {
    object: u32,
    task: u8,
    site: u32,
    kind: crate::Kind,
}

/// Accesses that are raced for alike: those of a task, of a kind, to an object unless the kind is of the machine.
type Alike = (Option<u32>, u8, crate::Kind);

impl Access {
    fn alike(&self) -> Alike {
        let of_one = !of_machine(self.kind);
        (of_one.then_some(self.object), self.task, self.kind)
    }
}

impl Surw {
    /// The walk of this seed.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            random: Random::new(seed),
            measured: Vec::new(),
            last: Vec::new(),
            before: Vec::new(),
            alone: Vec::new(),
            sites: Vec::new(),
            left: [0; TASKS + 1],
            next: None,
        }
    }

    /// Takes another seed.
    pub fn reseed(&mut self, seed: u64) {
        self.seed = seed;
    }

    /// Has the accesses of this run stand for those of runs to come.
    pub fn measure(&mut self, steps: &[Step]) {
        let accesses = steps.iter().filter_map(|step| match step.what {
            What::Access { kind, object } if object != 0 => Some(Access {
                object,
                task: step.task,
                site: step.site.number(),
                kind,
            }),
            _ => None,
        });
        self.measured.clear();
        self.measured.extend(accesses);
        self.last.clear();
        self.before.clear();
        for (at, access) in (0..).zip(&self.measured) {
            let object = access.object as usize;
            if self.last.len() <= object {
                self.last.resize(object + 1, None);
            }
            self.before.push(self.last[object].replace(at));
        }
    }

    /// The accesses to an object, the last one first.
    fn of_object(&self, object: u32) -> impl Iterator<Item = &Access> {
        let last = self.last.get(object as usize).copied().flatten();
        let all = std::iter::successors(last, |&at| self.before[at as usize]);
        all.map(|at| &self.measured[at as usize])
    }

    /// A task is about to make an access that is not drawn: one less is left.
    pub fn passed(&mut self, arrived: &Pending) {
        if self.is_interesting(arrived) {
            let left = &mut self.left[usize::from(arrived.task)];
            *left = left.saturating_sub(1);
        }
    }

    /// Draws what is interesting, and counts who does how much of it.
    fn draw(&mut self) {
        self.sites.clear();
        self.left = [0; TASKS + 1];
        let drawn = self.random.below(self.measured.len().max(1));
        // Of all accesses the one that is drawn, or the next that is raced for: what is accessed often
        // is drawn often.
        let (before, from) = self.measured.split_at(drawn.min(self.measured.len()));
        let mut all = from.iter().chain(before);
        // A run makes the same access by the thousand: whether it is raced for is asked once.
        let mut alone = std::mem::take(&mut self.alone);
        alone.clear();
        let raced_for = all.find(|access| {
            let Err(place) = alone.binary_search(&access.alike()) else {
                return false;
            };
            let raced_for = self.is_raced_for(access);
            if !raced_for {
                alone.insert(place, access.alike());
            }
            raced_for
        });
        let object = raced_for.map(|access| access.object);
        self.alone = alone;
        let Some(object) = object else {
            return;
        };
        let mut sites = std::mem::take(&mut self.sites);
        for access in self.of_object(object) {
            if !sites.contains(&access.site) {
                sites.push(access.site);
            }
        }
        self.sites = sites;
        for access in &self.measured {
            if self.sites.contains(&access.site) {
                self.left[usize::from(access.task)] += 1;
            }
        }
    }

    fn is_raced_for(&self, access: &Access) -> bool {
        let of = |one: &Access| (one.object, one.kind);
        let races = |other: &Access| other.task != access.task && depends(of(access), of(other));
        if of_machine(access.kind) {
            self.measured.iter().any(races)
        } else {
            self.of_object(access.object).any(races)
        }
    }

    fn is_interesting(&self, at: &Pending) -> bool {
        self.sites.contains(&at.site.number())
    }

    /// Draws whose interesting access comes next, among tasks that can move.
    fn draw_next(&mut self, choice: &Choice<'_>) -> Option<u8> {
        let tasks = choice.runnable().map(|index| choice.pending[index].task);
        let left = |task: u8| self.left[usize::from(task)] as usize;
        let all: usize = tasks.clone().map(left).sum();
        if all == 0 {
            return None;
        }
        let mut drawn = self.random.below(all);
        tasks.into_iter().find(|&task| {
            let share = self.left[usize::from(task)] as usize;
            let is_drawn = drawn < share;
            drawn = drawn.saturating_sub(share);
            is_drawn
        })
    }

    /// Whether the access may be made now: no interesting one of another task comes before it.
    fn may_go(&self, at: &Pending) -> bool {
        !self.is_interesting(at) || self.next.is_none_or(|next| next == at.task)
    }
}

impl Policy for Surw {
    fn begin(&mut self) {
        self.random = Random::new(self.seed);
        self.next = None;
        self.draw();
    }

    fn pick(&mut self, choice: &Choice<'_>) -> usize {
        let is_there = |next: u8| choice.pending.iter().any(|at| at.task == next);
        if !self.next.is_some_and(is_there) {
            self.next = self.draw_next(choice);
        }
        let mut count = choice
            .runnable()
            .filter(|&index| self.may_go(&choice.pending[index]))
            .count();
        if count == 0 {
            // The one that is drawn waits for what the others have: another is drawn.
            self.next = self.draw_next(choice);
            count = choice
                .runnable()
                .filter(|&index| self.may_go(&choice.pending[index]))
                .count();
        }
        if count == 0 {
            self.next = None;
            count = choice.runnable().count();
        }
        let drawn = self.random.below(count.max(1));
        let mut may = choice
            .runnable()
            .filter(|&index| self.may_go(&choice.pending[index]));
        let picked = may.nth(drawn).unwrap_or(choice.default);
        let at = &choice.pending[picked];
        if self.is_interesting(at) {
            let left = &mut self.left[usize::from(at.task)];
            *left = left.saturating_sub(1);
            self.next = None;
        }
        picked
    }

    fn pick_callback(&mut self, ready: usize) -> usize {
        self.random.below(ready)
    }
}
