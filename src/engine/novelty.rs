//! Which inputs libFuzzer keeps. It tells nobody, so the question is asked again here, by its own
//! rule and of the counters that it will look at.
//!
//! A feature is a counter together with the bucket of its value (1, 2, 3, 4-7, 8-15, 16-31, 32-127,
//! 128-255). An input is kept if it has a feature that none before it had; and it takes the place of
//! the input that it was mutated from if it is shorter and has all features for which that one was
//! kept. (FuzzerCorpus.h, `AddFeature` and `Replace`; FuzzerLoop.cpp, `RunOne`.)

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// A counter and a bucket: eight times the counter's index, plus the bucket's.
type Feature = u32;

/// What an input is to libFuzzer's corpus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Worth {
    /// Nothing in it is new.
    None,
    /// It has a feature that none before it had.
    New,
    /// It is a shorter one in the place of the input that it was mutated from, which may have a file.
    Shorter(Option<String>),
}

/// An input of the corpus.
#[derive(Debug)]
struct Unit {
    length: usize,
    /// Those that it was the first to have, in order.
    first: Vec<Feature>,
    /// Its name in the corpus, if this job wrote it.
    file: Option<String>,
}

/// The features seen so far, and the inputs that had them first.
pub struct Novelty {
    /// A bit for each bucket of each counter.
    seen: Vec<u8>,
    /// By a hash of their bytes. Nothing is decided by the order in it, nor by the hash's value.
    units: HashMap<u64, Unit>,
    hashes: RandomState,
    /// The input that is mutated.
    base: Option<u64>,
    /// The input that was kept last.
    last: Option<u64>,
    /// Used again and again: the features of the last execution.
    found: Vec<Feature>,
}

impl Novelty {
    /// With nothing seen of so many counters.
    pub fn new(counters: usize) -> Self {
        Self {
            seen: vec![0; counters],
            units: HashMap::new(),
            hashes: RandomState::new(),
            base: None,
            last: None,
            found: Vec::new(),
        }
    }

    /// Takes note of an input that libFuzzer is about to mutate, or of what it has mutated so far.
    pub fn mutates(&mut self, input: &[u8]) {
        let hash = self.hashes.hash_one(input);
        if self.units.contains_key(&hash) {
            self.base = Some(hash);
        }
    }

    /// Takes note of an input that was executed and not rejected, with its counters.
    pub fn executed(&mut self, input: &[u8], counters: &[u8]) -> Worth {
        let mut first = Vec::new();
        self.found.clear();
        for (index, value) in non_zero(counters) {
            let bucket = bucket(value);
            let feature = index as Feature * 8 + bucket;
            self.found.push(feature);
            if self.seen[index] & 1 << bucket == 0 {
                self.seen[index] |= 1 << bucket;
                first.push(feature);
            }
        }
        if !first.is_empty() {
            self.add(input, first);
            return Worth::New;
        }
        let Some(base) = self.base.filter(|base| self.is_shorter(input, *base)) else {
            return Worth::None;
        };
        let unit = self.units.remove(&base).expect("it was looked at");
        self.add(input, unit.first);
        Worth::Shorter(unit.file)
    }

    /// Takes note of the file that the input which was kept last got.
    pub fn written(&mut self, file: String) {
        if let Some(unit) = self.last.and_then(|last| self.units.get_mut(&last)) {
            unit.file = Some(file);
        }
    }

    /// Whether an input can take a unit's place.
    fn is_shorter(&self, input: &[u8], unit: u64) -> bool {
        self.units.get(&unit).is_some_and(|unit| {
            let has = |feature| self.found.binary_search(feature).is_ok();
            input.len() < unit.length && !unit.first.is_empty() && unit.first.iter().all(has)
        })
    }

    fn add(&mut self, input: &[u8], first: Vec<Feature>) {
        let length = input.len();
        let hash = self.hashes.hash_one(input);
        let file = None;
        self.units.insert(
            hash,
            Unit {
                length,
                first,
                file,
            },
        );
        self.base = None;
        self.last = Some(hash);
    }
}

/// The counters that were moved, with their indexes, in order.
fn non_zero(counters: &[u8]) -> impl Iterator<Item = (usize, u8)> {
    /// Looked at together: nearly all counters are 0.
    const BLOCK: usize = 32;
    let blocks = counters.chunks(BLOCK).enumerate();
    blocks
        .filter(|(_, block)| block.iter().fold(0, |any, value| any | value) != 0)
        .flat_map(|(block, values)| (block * BLOCK..).zip(values.iter().copied()))
        .filter(|&(_, value)| value != 0)
}

fn bucket(value: u8) -> u32 {
    match value {
        0..=2 => u32::from(value.max(1)) - 1,
        3 => 2,
        4..=7 => 3,
        8..=15 => 4,
        16..=31 => 5,
        32..=127 => 6,
        128.. => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(moved: &[(usize, u8)]) -> Vec<u8> {
        let mut counters = vec![0; 100];
        for &(index, value) in moved {
            counters[index] = value;
        }
        counters
    }

    #[test]
    fn a_new_bucket_of_a_counter_is_new() {
        let mut novelty = Novelty::new(100);
        let mut is = |value| novelty.executed(&[value], &counters(&[(7, value)]));
        for value in [1, 2, 3, 4, 8, 16, 32, 128] {
            assert_eq!(is(value), Worth::New, "{value}");
        }
        for value in [1, 5, 7, 15, 31, 33, 127, 255] {
            assert_eq!(is(value), Worth::None, "{value}");
        }
    }

    #[test]
    fn a_shorter_one_takes_the_place_of_its_base_only() {
        let mut novelty = Novelty::new(100);
        let (one, other) = (counters(&[(3, 1), (99, 1)]), counters(&[(5, 1)]));
        assert_eq!(novelty.executed(b"a long one", &one), Worth::New);
        assert_eq!(novelty.executed(b"another", &other), Worth::New);
        assert_eq!(novelty.executed(b"short", &one), Worth::None);
        novelty.mutates(b"another");
        assert_eq!(novelty.executed(b"short", &one), Worth::None);
        novelty.mutates(b"a long one");
        assert_eq!(
            novelty.executed(b"lacks one", &counters(&[(3, 1)])),
            Worth::None
        );
        assert_eq!(novelty.executed(b"as long as", &one), Worth::None);
        assert_eq!(novelty.executed(b"short", &one), Worth::Shorter(None));
        novelty.written("file".into());
        novelty.mutates(b"short");
        let replaced = Worth::Shorter(Some("file".into()));
        assert_eq!(novelty.executed(b"tiny", &one), replaced);
    }
}
