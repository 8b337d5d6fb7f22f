//! Probabilistic concurrency testing (Burckhardt, Kothari, Musuvathi, Nagarakatte, ASPLOS 2010).

use super::random::Random;
use super::{Choice, Policy};
use crate::sim::TASKS;

/// Runs the task of the highest priority. Priorities are random, and at `depth` − 1 random points
/// that of the running task falls below all others. A bug that `depth` ordered events make is then
/// found with probability at least 1 / (n · k^(depth−1)), for n tasks and k points.
///
/// Unlike the paper's, a task's priority is drawn when it is first seen, and k is given, not
/// measured: a run must depend on nothing but its input.
#[derive(Clone, Debug)]
pub struct Pct {
    seed: u64,
    points: u32,
    random: Random,
    /// By task; 0: not drawn yet. Drawn ones are above all that fell.
    priorities: [u64; TASKS + 1],
    /// The points at which the running task falls, counted from the start of the run.
    falls: Vec<u32>,
    made: u32,
}

impl Pct {
    /// Priorities of this seed, for bugs of `depth` ordered events in runs of about `points`
    /// scheduling points.
    pub fn new(seed: u64, depth: u32, points: u32) -> Self {
        Self {
            seed,
            points,
            random: Random::new(seed),
            priorities: [0; TASKS + 1],
            falls: vec![0; depth.saturating_sub(1) as usize],
            made: 0,
        }
    }

    /// Takes another seed and keeps the rest.
    pub fn reseed(&mut self, seed: u64) {
        self.seed = seed;
    }
}

impl Policy for Pct {
    fn begin(&mut self) {
        self.random = Random::new(self.seed);
        self.priorities = [0; TASKS + 1];
        self.made = 0;
        for fall in &mut self.falls {
            *fall = self.random.below(self.points.max(1) as usize) as u32;
        }
    }

    fn pick(&mut self, choice: &Choice<'_>) -> usize {
        for at in choice.pending {
            let priority = &mut self.priorities[usize::from(at.task)];
            if *priority == 0 {
                *priority = self.random.next() | 1 << 63;
            }
        }
        for (rank, fall) in (1_u64..).zip(&self.falls) {
            if *fall == self.made {
                self.priorities[usize::from(choice.arrived.task)] = rank;
            }
        }
        self.made += 1;
        choice
            .runnable()
            .max_by_key(|&index| self.priorities[usize::from(choice.pending[index].task)])
            .unwrap_or(choice.default)
    }

    fn pick_callback(&mut self, ready: usize) -> usize {
        self.random.below(ready)
    }
}
