//! Choices, all drawn from one seeded generator, so that a seed gives the same program everywhere.

use mutatis::Rng;

/// Draws.
pub(super) struct Dice<'a>(pub &'a mut Rng);

impl Dice<'_> {
    /// A number below `limit`, which is at least 1.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.index(limit as usize) as u64
    }

    /// An index into `len` things, at least one.
    pub fn index(&mut self, len: usize) -> usize {
        self.0.gen_index(len).expect("something to choose from")
    }

    /// True once in so many times.
    pub fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One of these, each as likely.
    pub fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.index(all.len())]
    }

    /// One of these, as likely as its weight says; not all weights are 0.
    pub fn weighted<T: Copy>(&mut self, all: &[(u32, T)]) -> T {
        let total: u32 = all.iter().map(|(weight, _)| weight).sum();
        let mut left = self.below(total.into()) as u32;
        for &(weight, value) in all {
            if left < weight {
                return value;
            }
            left -= weight;
        }
        unreachable!("the weights sum up to the total")
    }

    /// Any word.
    pub fn word(&mut self) -> u64 {
        self.0.gen_u64()
    }
}
