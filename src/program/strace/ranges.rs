//! Sets of addresses, as ranges.

use std::collections::{BTreeMap, BTreeSet};

/// A set of addresses. Ranges that touch are one.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranges {
    /// By start, the end.
    by_start: BTreeMap<u64, u64>,
}

impl Ranges {
    /// The parts of a range that are in the set, in order.
    pub fn parts(&self, start: u64, end: u64) -> Vec<(u64, u64)> {
        let first = self.by_start.range(..=start).next_back();
        let first = first.filter(|(_, to)| **to > start).map(|(from, _)| *from);
        let inside = self.by_start.range(first.unwrap_or(start)..end.max(start));
        let parts = inside.map(|(&from, &to)| (from.max(start), to.min(end)));
        parts.filter(|(from, to)| from < to).collect()
    }

    /// Whether any of a range is in the set.
    pub fn meets(&self, start: u64, end: u64) -> bool {
        let before = self.by_start.range(..end).next_back();
        start < end && before.is_some_and(|(_, to)| *to > start)
    }

    /// Whether all of a range is in the set.
    pub fn covers(&self, start: u64, end: u64) -> bool {
        let before = self.by_start.range(..=start).next_back();
        start >= end || before.is_some_and(|(_, to)| *to >= end)
    }

    /// Adds a range.
    pub fn insert(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        let (mut from, mut to) = (start, end);
        // Those that touch become one with it.
        while let Some((&s, &e)) = self
            .by_start
            .range(..=to)
            .next_back()
            .filter(|(_, e)| **e >= from)
        {
            self.by_start.remove(&s);
            from = from.min(s);
            to = to.max(e);
        }
        self.by_start.insert(from, to);
    }

    /// Takes a range away.
    pub fn remove(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        while let Some((&s, &e)) = self
            .by_start
            .range(..end.max(start))
            .next_back()
            .filter(|(_, e)| **e > start)
        {
            self.by_start.remove(&s);
            if e > end {
                self.by_start.insert(end, e);
            }
            if s < start {
                self.by_start.insert(s, start);
                break;
            }
        }
    }
}

/// The addresses that are free below an end, and the highest place for a length: in a time that
/// does not grow with the number of ranges but with the number of different lengths.
#[derive(Clone, Debug)]
pub(super) struct Gaps {
    free: Ranges,
    /// Nothing outside counts.
    start: u64,
    end: u64,
    /// By length, the starts.
    by_len: BTreeMap<u64, BTreeSet<u64>>,
}

impl Gaps {
    /// All from `start` to `end`.
    pub fn new(start: u64, end: u64) -> Self {
        let mut gaps = Self {
            free: Ranges::default(),
            start,
            end,
            by_len: BTreeMap::new(),
        };
        gaps.give(start, end);
        gaps
    }

    /// A range is no longer free.
    pub fn take(&mut self, start: u64, end: u64) {
        self.change(start, end, Ranges::remove);
    }

    /// A range is free.
    pub fn give(&mut self, start: u64, end: u64) {
        self.change(start.max(self.start), end.min(self.end), Ranges::insert);
    }

    /// Where the highest `len` bytes are.
    pub fn highest(&self, len: u64) -> Option<u64> {
        let fitting = self.by_len.range(len.max(1)..);
        let places = fitting.filter_map(|(size, starts)| Some(starts.last()? + size - len));
        places.max()
    }

    fn change(&mut self, start: u64, end: u64, change: impl Fn(&mut Ranges, u64, u64)) {
        if start >= end {
            return;
        }
        for (from, to) in self.around(start, end) {
            if let Some(starts) = self.by_len.get_mut(&(to - from)) {
                starts.remove(&from);
                if starts.is_empty() {
                    self.by_len.remove(&(to - from));
                }
            }
        }
        change(&mut self.free, start, end);
        for (from, to) in self.around(start, end) {
            self.by_len.entry(to - from).or_default().insert(from);
        }
    }

    /// The free ranges that meet or touch a range.
    fn around(&self, start: u64, end: u64) -> Vec<(u64, u64)> {
        let first = self.free.by_start.range(..start).next_back();
        let first = first.filter(|(_, to)| **to >= start);
        let others = self.free.by_start.range(start..=end);
        first
            .into_iter()
            .chain(others)
            .map(|(&from, &to)| (from, to))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The sets are what a table of pages says.
        #[test]
        fn ranges_and_gaps_are_sets(changes in prop::collection::vec((any::<bool>(), 0..40_u64, 0..9_u64), 0..40)) {
            let (mut ranges, mut gaps) = (Ranges::default(), Gaps::new(0, 30));
            let mut pages = [false; 64];
            for (is_in, start, len) in changes {
                let end = start + len;
                pages[start as usize..end as usize].fill(is_in);
                if is_in {
                    ranges.insert(start, end);
                    gaps.take(start, end);
                } else {
                    ranges.remove(start, end);
                    gaps.give(start, end);
                }
            }
            for start in 0..50 {
                for end in start..50 {
                    let inside = &pages[start..end];
                    let (from, to) = (start as u64, end as u64);
                    prop_assert_eq!(ranges.covers(from, to), inside.iter().all(|is_in| *is_in));
                    prop_assert_eq!(ranges.meets(from, to), inside.iter().any(|is_in| *is_in));
                    let parts = ranges.parts(from, to);
                    let count: u64 = parts.iter().map(|(from, to)| to - from).sum();
                    prop_assert_eq!(count as usize, inside.iter().filter(|is_in| **is_in).count());
                }
            }
            for len in 1..32_usize {
                let highest = (0..=30_usize.saturating_sub(len)).rev().find(|&at| at + len <= 30 && pages[at..at + len].iter().all(|is_in| !is_in));
                prop_assert_eq!(gaps.highest(len as u64), highest.map(|at| at as u64));
            }
        }
    }
}
