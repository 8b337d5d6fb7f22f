//! Whether any order at all explains a run, of those that respect real time: the search of Wing and
//! Gong, with a memory of where it has been (Lowe). Asked only when no order was found by changing that
//! of the marks part by part.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};

use vmadiff_contract::{Replay, Snapshot};

use super::order::{self, Move, Order, Setting};
use super::parts::{Act, Part};
use super::replay::{Replayer, Trial};

/// What it costs at most, in parts about one page that are replayed.
const PATIENCE: usize = 240_000;

/// Runs of more parts are not searched.
const MOST: usize = Set::BITS as usize;

/// Parts of a run.
type Set = u128;

/// What the search came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// An order explains the run.
    Explained,
    /// None does: all were tried.
    Refuted,
    /// None was found, and not all were tried.
    Unknown,
}

/// What is known of an order beyond real time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// What the marks tell for certain: accesses are made where they are marked, and sections that
    /// exclude each other come in the order of their marks.
    Marks,
    /// Nothing: the marks may be wrong.
    Time,
}

struct Search<'a, 'b> {
    trial: &'a Trial<'b>,
    replayer: &'a mut Replayer,
    reference: &'a mut dyn Replay,
    /// How each part may be replayed, the likeliest way first.
    ways: Vec<Vec<Setting>>,
    /// Parts that must come before each, as a set.
    before: Vec<Set>,
    /// Sets of parts that were done, with the state that they led to.
    /// Hashed without a random key: engines that guide by coverage see each step of a lookup.
    been: HashSet<(Set, u64), BuildHasherDefault<DefaultHasher>>,
    prefix: Vec<(usize, Setting)>,
    state: Snapshot,
    spent: usize,
}

/// Whether there is such an order, of settings that differ from these only in how a part is replayed.
pub fn explains(
    replayer: &mut Replayer,
    trial: &Trial<'_>,
    reference: &mut dyn Replay,
    settings: &Order,
    keep: Keep,
) -> Answer {
    let list = &trial.parts.list;
    if list.len() > MOST {
        return Answer::Unknown;
    }
    let mut sorted = Vec::new();
    order::sorted(settings, &mut sorted);
    let mut rank = vec![0; list.len()];
    for (place, &x) in sorted.iter().enumerate() {
        rank[x] = place;
    }
    let before = |x: usize| {
        let earlier = |y: usize| {
            let ended = list[y].window.1 < list[x].window.0;
            let inside = list[y].call == list[x].call && rank[y] < rank[x];
            let kept = keep == Keep::Marks && y < x && marks_tell(&list[y], &list[x]);
            ended || inside || kept
        };
        let set = (0..list.len()).filter(|&y| y != x && earlier(y));
        set.fold(0, |set: Set, y| set | 1 << y)
    };
    let before = (0..list.len()).map(before).collect();
    let ways = (0..list.len()).map(|x| ways(trial, settings, x)).collect();
    let mut search = Search {
        trial,
        replayer,
        reference,
        ways,
        before,
        been: HashSet::default(),
        prefix: Vec::new(),
        state: Snapshot::default(),
        spent: 0,
    };
    search.replayer.begin(trial, search.reference);
    match search.go_on(0) {
        true => Answer::Explained,
        false if search.spent > PATIENCE => Answer::Unknown,
        false => Answer::Refuted,
    }
}

/// Whether the order of two marks is certainly that of the parts.
fn marks_tell(earlier: &Part, later: &Part) -> bool {
    let accesses = earlier.act == Act::Access && later.act == Act::Access;
    let sections = earlier.is_section() && later.is_section() && earlier.excludes(later);
    accesses || sections
}

/// As it is set, and otherwise as far as others that overlap it may have seen to that.
fn ways(trial: &Trial<'_>, settings: &Order, x: usize) -> Vec<Setting> {
    let mut moves = Vec::new();
    order::moves(trial, settings, x, &mut moves);
    moves.retain(|change| matches!(change, Move::Lend(_) | Move::Serve(_) | Move::Follow(_)));
    let changed = moves.into_iter().map(|change| {
        let mut order = settings.clone();
        order::apply(trial.parts, &mut order, x, change);
        order[x]
    });
    std::iter::once(settings[x]).chain(changed).collect()
}

impl Search<'_, '_> {
    /// The parts `done` have been replayed: tries all that may come next.
    fn go_on(&mut self, done: Set) -> bool {
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
            if done & 1 << x != 0 || self.before[x] & !done != 0 {
                continue;
            }
            for way in 0..self.ways[x].len() {
                if self.spent > PATIENCE {
                    return false;
                }
                if stale {
                    self.rewind();
                }
                stale = true;
                if self.step(x, self.ways[x][way], done) {
                    return true;
                }
            }
        }
        false
    }

    /// Replays a part and whatever may follow it.
    fn step(&mut self, x: usize, setting: Setting, done: Set) -> bool {
        self.spent += self.trial.cost(&self.trial.parts.list[x]);
        if !self.replayer.part(self.trial, self.reference, x, setting) {
            return false;
        }
        self.prefix.push((x, setting));
        if self.go_on(done | 1 << x) {
            return true;
        }
        self.prefix.pop();
        false
    }

    /// Back to the state after the prefix.
    fn rewind(&mut self) {
        self.replayer.begin(self.trial, self.reference);
        for &(x, setting) in &self.prefix {
            self.replayer.part(self.trial, self.reference, x, setting);
            self.spent += self.trial.cost(&self.trial.parts.list[x]);
        }
    }

    fn digest(&mut self) -> u64 {
        self.spent += self.trial.cost_of_state();
        self.reference.snapshot(&mut self.state);
        let mut hasher = DefaultHasher::new();
        // Names and counters are part of the state, so what is equal in this behaves alike.
        self.state.hash(&mut hasher);
        hasher.finish()
    }
}
