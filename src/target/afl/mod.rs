//! The mutator of programs as AFL++ loads it (`AFL_CUSTOM_MUTATOR_LIBRARY`).
//!
//! The same changes that libFuzzer gets, on the same records; and trimming by whole calls,
//! switches and settings, where AFL++'s own would cut through them. AFL++ mutates bytes beside
//! it: it has seen compares that this has not.

mod exports;
mod trim;

use crate::compare::Compare;
use crate::program::bytes::{HEADER, MAX_STEPS, RECORD};
use crate::program::mutate::{Flavour, Profile, crossover, mutate};

pub use trim::Trim;

/// Bytes of the longest program that is made: all calls, all switches and as many settings.
const LONGEST: usize = HEADER + RECORD * 3 * MAX_STEPS;

/// What afl-fuzz holds of a mutator between calls: [`afl_mutator!`](crate::afl_mutator) makes one.
pub struct Mutator {
    profile: Profile,
    seed: u32,
    /// What was made last: afl-fuzz reads it until it asks again.
    out: Vec<u8>,
    trim: Trim,
}

/// Programs one after another, of what the manager has.
impl From<Compare> for Profile {
    fn from(compared: Compare) -> Self {
        compared.pair().profile(Flavour::Serial)
    }
}

impl Mutator {
    /// Draws from this seed, programs of this kind.
    pub fn new(seed: u32, profile: impl Into<Profile>) -> Self {
        Self {
            profile: profile.into(),
            seed,
            out: Vec::new(),
            trim: Trim::default(),
        }
    }

    /// A change of `input`, or one time in eight a cross with `other`; at most `max_size` bytes.
    pub fn fuzz(&mut self, input: &[u8], other: &[u8], max_size: usize) -> &[u8] {
        // Odd: the share that other engines take for mutations of their own is AFL++'s havoc.
        self.seed = self.seed.wrapping_add(2) | 1;
        self.out.clear();
        self.out.resize(max_size.min(LONGEST), 0);
        let crosses = !other.is_empty() && self.seed % 16 == 1;
        let size = if crosses {
            crossover(input, other, &mut self.out, self.seed, &self.profile)
        } else {
            let size = input.len().min(self.out.len());
            self.out[..size].copy_from_slice(&input[..size]);
            let own = |_: &mut [u8], size, _| size;
            let max_size = self.out.len();
            mutate(&mut self.out, size, max_size, self.seed, &self.profile, own)
        };
        self.out.truncate(size);
        &self.out
    }

    /// Begins to trim `input`; how many steps that can take.
    pub fn begin_trim(&mut self, input: &[u8]) -> usize {
        self.trim = Trim::of(input);
        self.trim.steps()
    }

    /// The next smaller input to try.
    pub fn next_trim(&mut self) -> &[u8] {
        self.out = self.trim.smaller();
        &self.out
    }

    /// Whether the smaller one did as much; the steps that are done.
    pub fn end_step(&mut self, did_as_much: bool) -> usize {
        self.trim.settle(did_as_much)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::Program;
    use crate::program::mutate::generate;
    use crate::target::{interleaved_profile, serial_profile};

    /// Changes that a test makes.
    const CHANGES: usize = 200;

    #[test]
    fn the_same_seed_mutates_the_same_and_programs_stay_bounded() {
        let input = generate(1, &serial_profile()).encode();
        let other = generate(2, &serial_profile()).encode();
        let make = |seed| {
            let mut mutator = Mutator::new(seed, serial_profile());
            let all = (0..CHANGES).map(|_| mutator.fuzz(&input, &other, 1 << 20).to_vec());
            all.collect::<Vec<_>>()
        };
        let made = make(3);
        assert_eq!(made, make(3));
        assert!(made.iter().all(|bytes| bytes.len() <= LONGEST));
        let changed = made.iter().filter(|bytes| **bytes != input).count();
        assert!(changed * 4 > CHANGES * 3, "{changed} of {CHANGES}");
        let exact = |bytes: &Vec<u8>| Program::decode(bytes).encode() == *bytes;
        assert!(made.iter().all(exact), "whole records");
    }

    #[test]
    fn only_interleaved_programs_have_schedules() {
        let input = generate(1, &interleaved_profile()).encode();
        let switches = |profile| {
            let mut mutator = Mutator::new(3, profile);
            let made =
                (0..CHANGES / 4).map(|_| Program::decode(mutator.fuzz(&input, &[], 1 << 20)));
            made.map(|program| program.schedule.switches.len())
                .sum::<usize>()
        };
        assert_eq!(switches(serial_profile()), 0);
        assert!(switches(interleaved_profile()) > 0);
    }

    #[test]
    fn a_small_buffer_is_respected() {
        let input = generate(1, &serial_profile()).encode();
        for max_size in [0, 1, HEADER, HEADER + RECORD, 200] {
            let mut mutator = Mutator::new(5, serial_profile());
            assert!(mutator.fuzz(&input, &[], max_size).len() <= max_size);
        }
    }
}
