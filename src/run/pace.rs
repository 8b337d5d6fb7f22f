//! How often the states of a long run are looked at, and which of them are kept.
//!
//! A state has an entry for each area, page and byte. To look at all of them after every call takes
//! time by the product of calls and entries, to keep them takes memory by it. So a long program runs
//! in two passes. The first compares, call by call while states are small; the larger they are, the
//! more calls pass between two looks, and where a look finds a difference, the stretch before it runs
//! again call by call. The second keeps what reports and expectations ask for: states around a
//! divergence, at the points that a text names, and at both ends.

use std::collections::BTreeSet;
use std::ops::Range;

use vmadiff_contract::Snapshot;

/// Programs of more calls than this are long.
const SHORT: usize = 256;

/// Entries of a state that are looked at after every call, however long the program is.
const SMALL: usize = 1024;

/// Entries that all states that are kept may have together, per manager: some 30 MB.
const KEPT: usize = 200_000;

/// States that are kept at both ends of a run, and on each side of a divergence.
const AROUND: usize = 16;

/// More exits than end a run: one for each task.
const EXITS: usize = vmadiff_contract::MAX_TASKS as usize + 1;

/// When the states of a run are looked at.
#[derive(Clone, Debug)]
pub struct Pace {
    calls: usize,
    /// The calls after each of which states are looked at, whatever their size.
    close: Range<usize>,
    /// The first call that has not been looked at.
    next: usize,
    /// Entries of the last state that was looked at.
    size: usize,
    largest: usize,
    /// Entries of all states together, had every state the size of the next one looked at.
    total: usize,
}

impl Pace {
    /// For a program of this many calls.
    pub fn of(calls: usize) -> Self {
        Self {
            calls,
            close: 0..0,
            next: 0,
            size: 0,
            largest: 0,
            total: 0,
        }
    }

    /// Looks again, after each call of this range too.
    pub fn closer(&self, range: Range<usize>) -> Self {
        Self {
            close: range,
            ..Self::of(self.calls)
        }
    }

    /// Whether the program is so long that a pass has to say what to keep.
    pub fn is_long(&self) -> bool {
        self.calls > SHORT
    }

    /// Whether states are looked at after the call of this index; behind the last come exits.
    pub fn is_due(&self, at: usize) -> bool {
        let unlooked = at + 1 - self.next;
        !self.is_long()
            || at + 1 >= self.calls
            || self.close.contains(&at)
            || unlooked * SMALL >= self.size
    }

    /// A state was looked at after the call of this index.
    pub fn looked(&mut self, at: usize, state: &Snapshot) {
        let Snapshot {
            tasks: _,
            mms: _,
            vmas,
            pages,
            bytes,
            fds: _,
            files: _,
            file_bytes,
            absent,
            limits: _,
            committed: _,
            anon_frames: _,
            anons: _,
            protocol: _,
        } = state;
        self.size = vmas.len() + pages.len() + bytes.len() + file_bytes.len() + absent.len();
        self.largest = self.largest.max(self.size);
        self.total = self.total.saturating_add(self.size * (at + 1 - self.next));
        self.next = at + 1;
    }

    /// Whether the state after the last call was looked at.
    pub fn has_looked(&self) -> bool {
        self.next == self.calls
    }

    /// The calls that have not been looked at, up to and with this one.
    pub fn unlooked(&self, at: usize) -> Range<usize> {
        self.next..at + 1
    }

    /// Which states a second pass keeps: around these places, and both ends.
    pub fn keep(&self, looks: &[usize], found: Option<usize>) -> Keep {
        if !self.is_long() || self.total <= KEPT {
            return Keep::All;
        }
        let around = (KEPT / 4 / self.largest.max(1)).clamp(1, AROUND);
        let end = self.calls;
        let mut kept: BTreeSet<usize> = (0..around)
            .chain(end.saturating_sub(around)..end + EXITS)
            .collect();
        if let Some(at) = found {
            kept.extend(at.saturating_sub(around)..at + around.min(2));
        }
        // A text names a point by how many calls have been made.
        kept.extend(looks.iter().filter_map(|look| look.checked_sub(1)));
        Keep::These(kept)
    }
}

/// Which states of a run are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// That after each call.
    #[default]
    All,
    /// Those after the calls of these indexes, exits behind the program's own calls.
    These(BTreeSet<usize>),
}

impl Keep {
    /// Whether the state after the call of this index is kept.
    pub fn has(&self, at: usize) -> bool {
        match self {
            Self::All => true,
            Self::These(these) => these.contains(&at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vmadiff_contract::{MmId, VmFlags, VmaId, VmaState};

    fn state(areas: usize) -> Snapshot {
        let area = VmaState {
            mm: MmId(1),
            start: 0,
            end: 0,
            vma: VmaId(1),
            flags: VmFlags::READ,
            pgoff: 0,
            file: None,
            policy: None,
            anon: None,
            anon_chain: 0,
        };
        Snapshot {
            vmas: vec![area; areas],
            ..Snapshot::default()
        }
    }

    /// After how many of so many calls states are looked at, if a call adds so many areas.
    fn looks(calls: usize, growth: usize) -> usize {
        let mut pace = Pace::of(calls);
        let mut looks = 0;
        for at in 0..calls {
            if pace.is_due(at) {
                pace.looked(at, &state(growth * (at + 1)));
                looks += 1;
            }
        }
        looks
    }

    #[test]
    fn small_states_and_short_programs_are_looked_at_after_every_call() {
        assert_eq!(looks(SHORT, 100), SHORT);
        assert_eq!(looks(5000, 0), 5000);
        assert_eq!(looks(SMALL, 1), SMALL);
    }

    #[test]
    fn large_states_are_looked_at_less_often() {
        let looks = looks(8 * SMALL, 1);
        assert!((2 * SMALL..5 * SMALL).contains(&looks), "{looks}");
    }

    #[test]
    fn a_closer_look_misses_nothing_of_its_stretch() {
        let mut pace = Pace::of(8 * SMALL).closer(5000..5100);
        let mut looked = Vec::new();
        for at in 0..8 * SMALL {
            if pace.is_due(at) {
                pace.looked(at, &state(10 * at));
                looked.push(at);
            }
        }
        assert!((5000..5100).all(|at| looked.contains(&at)));
        assert!(looked.len() < 3 * SMALL, "{}", looked.len());
    }

    #[test]
    fn what_is_kept_is_bounded_and_holds_what_was_asked_for() {
        let mut pace = Pace::of(10_000);
        pace.looked(9_999, &state(10_000));
        let Keep::These(kept) = pace.keep(&[0, 77], Some(500)) else {
            panic!("all are kept");
        };
        assert!(kept.contains(&76) && kept.contains(&499) && kept.contains(&500));
        assert!(kept.contains(&0) && kept.contains(&9_999));
        assert!(kept.len() < 40, "{}", kept.len());
    }
}
