//! The random walk, and the generator that all drawing policies share.

use super::{Choice, Policy};

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014). Its stream is a part of what a seed means, so it
/// stands here and not in a library that may change it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// A number below `bound`, which is small: the bias does not matter.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }
}

/// Chooses uniformly among the tasks that can move, at each point. In a study of schedulers (Thomson,
/// Donaldson, Betts, PPoPP 2014) as good as bounding the number of preemptions.
#[derive(Clone, Debug)]
pub struct RandomWalk {
    seed: u64,
    random: Random,
}

impl RandomWalk {
    /// The walk of this seed.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            random: Random::new(seed),
        }
    }

    /// Takes another seed.
    pub fn reseed(&mut self, seed: u64) {
        self.seed = seed;
    }
}

impl Policy for RandomWalk {
    fn begin(&mut self) {
        self.random = Random::new(self.seed);
    }

    fn pick(&mut self, choice: &Choice<'_>) -> usize {
        let count = choice.runnable().count();
        if count == 1 {
            return choice.default;
        }
        let drawn = self.random.below(count);
        choice.runnable().nth(drawn).unwrap_or(choice.default)
    }

    fn pick_callback(&mut self, ready: usize) -> usize {
        self.random.below(ready)
    }
}
