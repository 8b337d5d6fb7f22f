//! An order in which the parts of a run are replayed, and how it may be changed.
//!
//! By default a part comes where it was marked. A part that overlaps a section of another call may
//! as well have come just before or just after it: a section that goes over many pages is not at
//! all of them at once, and a TLB may be stale until it is flushed.

use vmadiff_contract::{Call, Fail, Lender, Outcome, Touch};

use super::parts::{Act, Part, Parts};
use super::replay::Trial;
use super::rewritten;
use crate::program::Program;
use crate::run::Woven;

/// Where a part comes in an order, and how it is replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Setting {
    /// Parts come by this, then by their marks.
    key: u64,
    /// Whose anon_vma a first store takes.
    pub lender: Tell,
    /// How much of a fault is done.
    pub serves: Serves,
}

/// What a fault that was served has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Serves {
    /// All of it.
    #[default]
    Page,
    /// The entry was set by then; the area has an anon_vma.
    Anon,
    /// The entry was set, or taken away, by then.
    Nothing,
    /// An access by a stale entry, when its page had been moved: made where it was moved to.
    Moved,
}

/// Whom the first store to an area is told to take its anon_vma from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tell {
    /// As the rule says.
    #[default]
    Rule,
    /// A new one.
    Nobody,
    /// The previous area.
    Prev,
}

impl From<Tell> for Lender {
    fn from(tell: Tell) -> Self {
        match tell {
            Tell::Rule => Self::ByRule,
            Tell::Nobody => Self::Nobody,
            Tell::Prev => Self::Prev,
        }
    }
}

/// A setting for each part.
pub type Order = Vec<Setting>;

/// A change of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// The part comes just before another.
    Before(usize),
    /// The part comes just after another.
    After(usize),
    /// The part comes just before another, and so do those before it in its call: pages are populated,
    /// and passed by whoever goes over them meanwhile, one by one.
    AllBefore(usize),
    /// The part comes just after another, and so do those after it in its call.
    AllAfter(usize),
    /// The fault takes its anon_vma from there.
    Lend(Tell),
    /// The fault did no more than this.
    Serve(Serves),
    /// The access comes just after an mremap that has moved its page, and goes by a stale entry.
    Follow(usize),
}

/// Keys between those of two steps.
const SCALE: u64 = 8;

/// The order of the marks. A call that populates under its own lock does so after its section.
pub fn natural(program: &Program, parts: &Parts, order: &mut Order) {
    order.clear();
    order.extend(parts.list.iter().map(|part| Setting {
        key: u64::from(part.at) * SCALE + SCALE / 2,
        lender: Tell::Rule,
        serves: Serves::Page,
    }));
    for (i, part) in parts.list.iter().enumerate() {
        if !part.is_section() {
            if part.wants_anon && parts.took_fresh_anon(part) && may_borrow(parts, i) {
                order[i].lender = Tell::Nobody;
            }
            let fails = program.calls[part.call].fail != Fail::NONE;
            if matches!(part.act, Act::Unserved(_)) && fails {
                order[i].serves = Serves::Anon;
            }
            continue;
        }
        let inside = |other: &Part| other.call == part.call && !other.is_section();
        for (j, _) in parts.list[..i].iter().enumerate().filter(|p| inside(p.1)) {
            order[j].key = order[i].key + 1;
        }
    }
}

/// The parts in that order.
pub fn sorted(order: &Order, into: &mut Vec<usize>) {
    into.clear();
    into.extend(0..order.len());
    into.sort_by_key(|&i| (order[i].key, i));
}

/// All changes that a run allows to one part of an order.
pub fn moves(trial: &Trial<'_>, order: &Order, x: usize, into: &mut Vec<Move>) {
    let Trial {
        program,
        woven,
        parts,
    } = *trial;
    into.clear();
    let part = &parts.list[x];
    let fails = program.calls[part.call].fail != Fail::NONE;
    let refused = matches!(part.act, Act::Refused(_)) && fails;
    let fault = matches!(part.act, Act::Fault(_) | Act::Unserved(_)) || refused;
    // Without memory a fault ends with or without an anon_vma.
    let mut contended = fault && fails;
    for (c, other) in parts.list.iter().enumerate() {
        if other.call == part.call || !part.overlaps(other) {
            continue;
        }
        contended = true;
        if part.act == Act::Access && other.moves(program, woven, part).is_some() {
            into.push(Move::Follow(c));
        }
        if anchors(program, woven, part, other) {
            let before = order[c].key < order[x].key;
            into.push(if before {
                Move::Before(c)
            } else {
                Move::After(c)
            });
            if one_of_many(parts, x) {
                into.push(if before {
                    Move::AllBefore(c)
                } else {
                    Move::AllAfter(c)
                });
            }
        } else if copies_file(part) && stores(other) && other.at < part.at {
            into.push(Move::Before(c));
        }
    }
    // A page may still be held when the fault that replaced it has been marked, so the others' calls
    // count, not their parts.
    if part.is_section()
        && gives_up(program, woven, part)
        && (trial.meets(part.call, |_| true) || finds_rewritten(trial, part))
    {
        into.push(Move::Serve(Serves::Nothing));
    }
    if fault && contended {
        let wants = part.wants_anon;
        for tell in [Tell::Nobody, Tell::Prev, Tell::Rule] {
            if wants && tell != order[x].lender && may_borrow(parts, x) {
                into.push(Move::Lend(tell));
            }
        }
        for serves in [Serves::Anon, Serves::Nothing] {
            if serves != order[x].serves && (wants || serves == Serves::Nothing) {
                into.push(Move::Serve(serves));
            }
        }
    }
}

/// Whether a part can be put on either side of another.
fn anchors(program: &Program, woven: &Woven, part: &Part, other: &Part) -> bool {
    if other.is_section() {
        let free = !part.is_section() || !part.excludes(other);
        return free && other.may_reach(program, woven, part);
    }
    if part.is_section() && part.may_reach(program, woven, other) {
        return true;
    }
    // A step of the kernel at one page, and what others do there meanwhile.
    matches!(program.calls[part.call].call, Call::Reclaim { .. })
}

/// Steps of the kernel give up, for another time, where somebody else holds the page.
fn gives_up(program: &Program, woven: &Woven, part: &Part) -> bool {
    let step = matches!(
        program.calls[part.call].call,
        Call::Reclaim { .. } | Call::Collapse { .. }
    );
    step && woven.outcomes[part.call] == Some(Outcome::Value(0))
}

/// Whether collapse finds entries without write permission that mprotect rewrote under a store: it asks
/// for one that has it.
fn finds_rewritten(trial: &Trial<'_>, part: &Part) -> bool {
    let Call::Collapse { addr, len } = trial.program.calls[part.call].call else {
        return false;
    };
    let mut pages = rewritten::pages_under_stores(trial);
    pages.any(|page| page >= addr && page - addr < len)
}

/// A private copy is made before it is mapped, and what others store into the original meanwhile
/// is not in it.
fn copies_file(part: &Part) -> bool {
    part.act == Act::Fault(Touch::Store)
}

fn stores(part: &Part) -> bool {
    part.act == Act::Access
}

/// Whether some other fault of the address space, that may have installed an anon_vma, overlaps.
fn may_borrow(parts: &Parts, x: usize) -> bool {
    let part = &parts.list[x];
    parts.list.iter().any(|other| {
        let about = other.call != part.call && other.mm == part.mm;
        about && other.wants_anon && part.overlaps(other)
    })
}

/// Changes an order. What one call did at one page stays in sequence: its fault, then its access.
pub fn apply(parts: &Parts, order: &mut Order, x: usize, change: Move) {
    match change {
        Move::Lend(tell) => order[x].lender = tell,
        Move::Serve(serves) => order[x].serves = serves,
        Move::AllBefore(c) => {
            let key = order[c].key - distance(parts, x);
            for y in (0..=x).filter(|&y| same_call(parts, x, y)) {
                order[y].key = order[y].key.min(key);
            }
        }
        Move::AllAfter(c) => {
            let key = order[c].key + distance(parts, x);
            for y in (x..order.len()).filter(|&y| same_call(parts, x, y)) {
                order[y].key = order[y].key.max(key);
            }
        }
        Move::Follow(c) => {
            order[x].serves = Serves::Moved;
            order[x].key = order[x].key.max(order[c].key + distance(parts, x));
        }
        Move::Before(c) => {
            let key = order[c].key - distance(parts, x);
            order[x].key = key;
            for y in (0..x).filter(|&y| same_place(parts, x, y)) {
                order[y].key = order[y].key.min(key);
            }
        }
        Move::After(c) => {
            let key = order[c].key + distance(parts, x);
            order[x].key = key;
            for y in (x + 1..order.len()).filter(|&y| same_place(parts, x, y)) {
                order[y].key = order[y].key.max(key);
            }
        }
    }
}

/// Whether a section that was moved still comes after those that had ended before it began, and before
/// those that began after it had ended. What is about a page goes by that page alone.
pub fn respects_time(parts: &Parts, order: &Order, x: usize) -> bool {
    let part = &parts.list[x];
    let place = |y: usize| (order[y].key, y);
    !part.is_section()
        || parts.list.iter().enumerate().all(|(y, other)| {
            let later = other.window.1 < part.window.0;
            let earlier = part.window.1 < other.window.0;
            let kept = (!later || place(y) < place(x)) && (!earlier || place(x) < place(y));
            !other.is_section() || kept
        })
}

/// Sections are put further off than pages, which may have to go between.
fn distance(parts: &Parts, x: usize) -> u64 {
    if parts.list[x].is_section() { 2 } else { 1 }
}

/// Faults of a call that populates.
fn same_call(parts: &Parts, x: usize, y: usize) -> bool {
    let (x, y) = (&parts.list[x], &parts.list[y]);
    x.call == y.call && !x.is_section() && !y.is_section()
}

fn one_of_many(parts: &Parts, x: usize) -> bool {
    let list = &parts.list;
    let beside = [x.checked_sub(1), Some(x + 1).filter(|&y| y < list.len())];
    let mut beside = beside.into_iter().flatten();
    list[x].page.is_some() && beside.any(|y| same_call(parts, x, y) && !same_place(parts, x, y))
}

fn same_place(parts: &Parts, x: usize, y: usize) -> bool {
    let (x, y) = (&parts.list[x], &parts.list[y]);
    x.call == y.call && x.page.is_some() && x.page == y.page
}
