//! Partial order sampling (Yuan, Yang, Gu, CAV 2018).

use super::dependence::races;
use super::random::Random;
use super::{Choice, Policy};
use crate::sim::TASKS;

/// Gives each pending access a random priority and makes the highest; then those that race with
/// it draw again. Orders of accesses that race come out more evenly than by a random walk, and
/// those that do not race cost no luck.
#[derive(Clone, Debug)]
pub struct Pos {
    seed: u64,
    random: Random,
    /// Of the pending access, by task; 0: not drawn yet.
    priorities: [u64; TASKS + 1],
}

impl Pos {
    /// Priorities of this seed.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            random: Random::new(seed),
            priorities: [0; TASKS + 1],
        }
    }

    /// Takes another seed.
    pub fn reseed(&mut self, seed: u64) {
        self.seed = seed;
    }
}

impl Policy for Pos {
    fn begin(&mut self) {
        self.random = Random::new(self.seed);
        self.priorities = [0; TASKS + 1];
    }

    fn pick(&mut self, choice: &Choice<'_>) -> usize {
        let (mut highest, mut most) = (choice.default, 0);
        for (index, at) in choice.pending.iter().enumerate() {
            let priority = &mut self.priorities[usize::from(at.task)];
            if *priority == 0 {
                *priority = self.random.next() | 1;
            }
            if at.runnable && *priority >= most {
                (highest, most) = (index, *priority);
            }
        }
        let chosen = &choice.pending[highest];
        for at in choice.pending {
            if at.task == chosen.task || races(at, chosen) {
                self.priorities[usize::from(at.task)] = 0;
            }
        }
        highest
    }

    fn pick_callback(&mut self, ready: usize) -> usize {
        self.random.below(ready)
    }
}
