//! Whether any order at all explains a run, of those that respect real time: the search of Wing and
//! Gong, with a memory of where it has been (Lowe). Asked only when the marks do not explain it.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};

use vmadiff_contract::{Replay, Snapshot};

use super::order::Order;
use super::replay::{Replayer, Trial};

/// Parts that are replayed at most.
const PATIENCE: usize = 60_000;

/// Runs of more parts are not searched.
const MOST: usize = 64;

struct Search<'a, 'b, R> {
    trial: &'a Trial<'b>,
    replayer: &'a mut Replayer,
    reference: &'a mut R,
    settings: &'a Order,
    /// Parts that must come before each, as a set.
    before: Vec<u64>,
    /// Sets of parts that were done, with the state that they led to.
    /// Hashed without a random key: engines that guide by coverage see each step of a lookup.
    been: HashSet<(u64, u64), BuildHasherDefault<DefaultHasher>>,
    prefix: Vec<usize>,
    state: Snapshot,
    replayed: usize,
}

/// Whether there is such an order.
pub fn explains<R: Replay>(
    replayer: &mut Replayer,
    trial: &Trial<'_>,
    reference: &mut R,
    settings: &Order,
) -> bool {
    let list = &trial.parts.list;
    if list.len() > MOST {
        return false;
    }
    let before = |x: usize| {
        let earlier = |y: usize| {
            let ended = list[y].window.1 < list[x].window.0;
            ended || list[y].call == list[x].call && y < x
        };
        let set = (0..list.len()).filter(|&y| y != x && earlier(y));
        set.fold(0, |set, y| set | 1 << y)
    };
    let before = (0..list.len()).map(before).collect();
    let mut search = Search {
        trial,
        replayer,
        reference,
        settings,
        before,
        been: HashSet::default(),
        prefix: Vec::new(),
        state: Snapshot::default(),
        replayed: 0,
    };
    search.replayer.begin(trial, search.reference);
    search.go_on(0)
}

impl<R: Replay> Search<'_, '_, R> {
    /// The parts `done` have been replayed: tries all that may come next.
    fn go_on(&mut self, done: u64) -> bool {
        let count = self.trial.parts.list.len();
        if done.count_ones() as usize == count {
            return self.replayer.settle(self.trial, self.reference);
        }
        let digest = self.digest();
        if !self.been.insert((done, digest)) {
            return false;
        }
        let mut stale = false;
        for x in 0..count {
            let ready = done & 1 << x == 0 && self.before[x] & !done == 0;
            if !ready || self.replayed > PATIENCE {
                continue;
            }
            if stale {
                self.rewind();
            }
            stale = true;
            self.replayed += 1;
            let setting = self.settings[x];
            if self.replayer.part(self.trial, self.reference, x, setting) {
                self.prefix.push(x);
                if self.go_on(done | 1 << x) {
                    return true;
                }
                self.prefix.pop();
            }
        }
        false
    }

    /// Back to the state after the prefix.
    fn rewind(&mut self) {
        self.replayer.begin(self.trial, self.reference);
        for &x in &self.prefix {
            let setting = self.settings[x];
            self.replayer.part(self.trial, self.reference, x, setting);
        }
        self.replayed += self.prefix.len();
    }

    fn digest(&mut self) -> u64 {
        self.reference.snapshot(&mut self.state);
        let mut hasher = DefaultHasher::new();
        // Names and counters are part of the state, so what is equal in this behaves alike.
        format!("{:?}", self.state).hash(&mut hasher);
        hasher.finish()
    }
}
