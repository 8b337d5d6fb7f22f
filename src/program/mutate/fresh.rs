//! Fresh calls and arguments: near what is mapped, mostly valid, now and then absurd.

use vmadiff_contract::{CallKind, Capabilities, Config, Fail, PAGE_SIZE, Prot, TaskId};

use super::dice::Dice;
use crate::program::Step;
use crate::program::shape::{self, MAX_PARAMS, Param, Words};
use crate::program::world::{Area, Space, World};

const RW: u64 = 3;
const PRIVATE: u64 = 0x02;
const SHARED: u64 = 0x01;
const FIXED: u64 = 0x10;
const ANONYMOUS: u64 = 0x20;
const NOREPLACE: u64 = 0x10_0000;

/// A call of this kind, or one that it needs first.
pub(super) fn step(
    dice: &mut Dice<'_>,
    world: &World,
    known: Capabilities,
    kind: CallKind,
    task: TaskId,
) -> Step {
    let space = world.space(task);
    let kind = match needed(space, kind) {
        Some(first) if known.knows(first) && !dice.one_in(8) => first,
        _ => kind,
    };
    let mut words = words(dice, space, kind);
    if dice.one_in(24) {
        spoil(dice, kind, &mut words);
    }
    let fail = if dice.one_in(24) {
        1 + dice.below(4) as u8
    } else {
        0
    };
    Step {
        task,
        call: shape::build(kind, &words),
        fail: Fail(fail),
    }
}

/// What must be there for a call of this kind to mean anything, if it is missing.
fn needed(space: &Space, kind: CallKind) -> Option<CallKind> {
    let params = shape::params(kind);
    let maps = matches!(kind, CallKind::Mmap | CallKind::Brk);
    let missing = match kind {
        CallKind::Store => !space
            .areas
            .iter()
            .any(|area| area.prot.contains(Prot::WRITE)),
        _ => space.areas.is_empty(),
    };
    if params.first() == Some(&Param::Addr) && !maps && missing {
        return Some(CallKind::Mmap);
    }
    (params.first() == Some(&Param::Fd) && space.files.is_empty()).then_some(CallKind::Open)
}

/// Whether a call is made for memory that is not there.
pub(super) fn misses(world: &World, step: &Step) -> bool {
    let kind = step.call.kind();
    let maps = matches!(kind, CallKind::Mmap | CallKind::Brk);
    let addr = shape::words(&step.call)[0];
    shape::params(kind).first() == Some(&Param::Addr)
        && !maps
        && world.space(step.task).area_at(addr).is_none()
}

/// A task that lives: mostly a thread of the first address space.
pub(super) fn task(dice: &mut Dice<'_>, world: &World) -> TaskId {
    let count = world.live().count();
    if count == 0 {
        return TaskId(1);
    }
    let nth = if dice.one_in(2) { 0 } else { dice.index(count) };
    world.live().nth(nth).unwrap_or(TaskId(1))
}

fn words(dice: &mut Dice<'_>, space: &Space, kind: CallKind) -> Words {
    match kind {
        CallKind::Mmap => mmap(dice, space),
        CallKind::Mremap => mremap(dice, space),
        CallKind::Brk => [brk(dice, space), 0, 0, 0, 0, 0],
        CallKind::Load | CallKind::Reclaim => [access(dice, space, Prot::READ), 0, 0, 0, 0, 0],
        CallKind::Store => [
            access(dice, space, Prot::WRITE),
            1 + dice.below(255),
            0,
            0,
            0,
            0,
        ],
        CallKind::Exec => [access(dice, space, Prot::EXEC), 0, 0, 0, 0, 0],
        CallKind::Mbind | CallKind::SetMempolicy => policy(dice, space, kind),
        _ => by_params(dice, space, kind),
    }
}

/// Arguments of the calls whose parameters mean what they are: a range and how to treat it.
fn by_params(dice: &mut Dice<'_>, space: &Space, kind: CallKind) -> Words {
    let mut words = [0; MAX_PARAMS];
    let (start, len) = range(dice, space);
    for (word, &param) in words.iter_mut().zip(shape::params(kind)) {
        *word = match param {
            Param::Addr => start,
            Param::Len if matches!(kind, CallKind::Open | CallKind::Ftruncate) => size(dice),
            Param::Len => len,
            _ => value(dice, space, param),
        };
    }
    words
}

/// Modes that go with their nodes; set_mempolicy takes none of the flags that move pages.
fn policy(dice: &mut Dice<'_>, space: &Space, kind: CallKind) -> Words {
    let mut words = by_params(dice, space, kind);
    let at = if kind == CallKind::Mbind { 2 } else { 0 };
    let [mode, nodes, flags] = &mut words[at..at + 3] else {
        unreachable!("three of six");
    };
    *nodes = match *mode {
        0 | 4 => 0,
        1 => dice.below(3),
        _ => 1 + dice.below(3),
    };
    if kind == CallKind::SetMempolicy {
        *flags = if *nodes != 0 && dice.one_in(4) {
            1 << dice.pick(&[14, 15])
        } else {
            0
        };
    }
    words
}

/// An argument by what it means alone.
pub(super) fn value(dice: &mut Dice<'_>, space: &Space, param: Param) -> u64 {
    match param {
        Param::Addr => range(dice, space).0,
        Param::Len => (1 + dice.below(4)) * PAGE_SIZE,
        Param::Off => dice.weighted(&[(6, 0), (3, 1), (2, 2), (1, 5)]) * PAGE_SIZE,
        Param::Nodes => dice.weighted(&[(4, 1), (4, 2), (4, 3), (1, 0), (1, 4)]),
        Param::Value => dice.below(256),
        Param::Prot => prot(dice),
        Param::MapFlags => PRIVATE | ANONYMOUS | if dice.one_in(2) { FIXED } else { 0 },
        Param::MoveFlags => dice.weighted(&[(4, 1), (3, 3), (2, 0), (1, 2)]),
        Param::LockFlags => dice.weighted(&[(3, 1), (1, 0)]),
        Param::LockAllFlags => dice.weighted(&[(3, 1), (3, 2), (3, 3), (1, 5), (1, 7), (1, 4)]),
        Param::SyncFlags => dice.weighted(&[(3, 4), (2, 1), (1, 2), (1, 5), (1, 0)]),
        Param::PolicyFlags => dice.weighted(&[(8, 0), (1, 1), (1, 2), (1, 3), (1, 1 << 15)]),
        Param::FallocFlags => dice.weighted(&[(12, 3), (1, 2), (1, 0), (1, 1)]),
        Param::Advice => dice.weighted(&[
            (8, 4),
            (3, 10),
            (2, 11),
            (2, 0),
            (2, 1),
            (2, 2),
            (2, 8),
            (2, 9),
            (1, 16),
            (1, 17),
            (2, 18),
            (1, 19),
            (1, 5),
        ]),
        Param::Mode => dice.weighted(&[(4, 2), (3, 1), (3, 3), (3, 0), (2, 4), (1, 9)]),
        Param::Fd => fd(dice, space),
        Param::FileKind => dice.weighted(&[(5, 0), (3, 1), (1, 2)]),
        Param::Access => dice.weighted(&[(7, 3), (3, 1), (1, 2)]),
    }
}

/// What one of the arguments could be that no sane caller passes.
fn spoil(dice: &mut Dice<'_>, kind: CallKind, words: &mut Words) {
    let params = shape::params(kind);
    if params.is_empty() {
        return;
    }
    let at = dice.index(params.len());
    words[at] = absurd(dice, params[at], words[at]);
}

/// An argument at or beyond the edge of what is allowed.
pub(super) fn absurd(dice: &mut Dice<'_>, param: Param, word: u64) -> u64 {
    match param {
        Param::Addr | Param::Len | Param::Off => match dice.below(6) {
            0 => 0,
            1 => word.wrapping_add(dice.pick(&[1, 8, 2048, 4095])),
            2 => word.wrapping_neg(),
            3 => dice.pick(&[u64::MAX, u64::MAX - 4095, 1 << 63]),
            4 => dice.pick(&[1 << 47, (1 << 47) - 4096, (1 << 47) - 8192]),
            _ => dice.word() >> dice.below(64),
        },
        Param::Fd => dice.pick(&[2, 9, 15, 16, 1000, -1_i64 as u64, -100_i64 as u64]),
        Param::Access | Param::FileKind | Param::Value | Param::Nodes => dice.word() % 256,
        _ => word ^ 1 << dice.below(32),
    }
}

fn mmap(dice: &mut Dice<'_>, space: &Space) -> Words {
    let len = dice.weighted(&[(5, 1), (5, 2), (4, 3), (3, 4), (1, 6), (1, 9)]) * PAGE_SIZE;
    let (addr, place) = match dice.weighted(&[(6, 0), (3, 1), (1, 2), (1, 3)]) {
        0 => (near(dice, space, len), FIXED),
        1 => (0, 0),
        2 => (near(dice, space, len), 0),
        _ => (near(dice, space, len), NOREPLACE),
    };
    let mut prot = prot(dice);
    let more = match dice.weighted(&[(20, 0), (2, 1), (1, 2), (1, 3), (1, 4), (1, 5)]) {
        1 => 0x8000,
        2 => 0x2000,
        3 => 0x4000,
        4 => 0x100,
        5 => 0x2_0000,
        _ => 0,
    };
    let (fd, off, kind) = match space.files.len() {
        files if files > 0 && dice.one_in(3) => {
            let file = space.files[dice.index(files)];
            let kind = if dice.one_in(2) { SHARED } else { PRIVATE };
            // A descriptor that cannot be read cannot be mapped, one that cannot be written not
            // shared and writable.
            if kind == SHARED && !file.access.bits() & 2 != 0 && !dice.one_in(8) {
                prot &= !2;
            }
            (
                i64::from(file.fd.0) as u64,
                value(dice, space, Param::Off),
                kind,
            )
        }
        _ => (
            u64::MAX,
            0,
            ANONYMOUS | dice.weighted(&[(24, PRIVATE), (8, SHARED), (1, 3)]),
        ),
    };
    [addr, len, prot, kind | place | more, fd, off]
}

fn mremap(dice: &mut Dice<'_>, space: &Space) -> Words {
    let (addr, old_len) = range(dice, space);
    let new_len = match dice.below(4) {
        0 => old_len,
        1 => old_len.saturating_sub(PAGE_SIZE).max(PAGE_SIZE),
        _ => old_len + (1 + dice.below(3)) * PAGE_SIZE,
    };
    let flags = value(dice, space, Param::MoveFlags);
    let new_addr = if flags & 2 != 0 {
        near(dice, space, new_len)
    } else {
        0
    };
    let old_len = if dice.one_in(24) { 0 } else { old_len };
    [addr, old_len, new_len, flags, new_addr, 0]
}

fn brk(dice: &mut Dice<'_>, space: &Space) -> u64 {
    match dice.below(8) {
        0 => 0,
        1 => space.brk.saturating_sub(dice.below(3) * PAGE_SIZE),
        2 => space.brk + dice.below(PAGE_SIZE),
        _ => space.brk + (1 + dice.below(3)) * PAGE_SIZE,
    }
}

fn size(dice: &mut Dice<'_>) -> u64 {
    let pages = dice.weighted(&[(1, 0), (3, 1), (4, 2), (4, 4), (1, 9)]) * PAGE_SIZE;
    if dice.one_in(4) {
        pages + dice.below(PAGE_SIZE)
    } else {
        pages
    }
}

fn prot(dice: &mut Dice<'_>) -> u64 {
    dice.weighted(&[
        (20, RW),
        (6, 1),
        (3, 0),
        (2, 5),
        (2, 7),
        (1, 2),
        (1, 4),
        (1, 6),
    ])
}

fn fd(dice: &mut Dice<'_>, space: &Space) -> u64 {
    match space.files.len() {
        0 => 3,
        files => i64::from(space.files[dice.index(files)].fd.0) as u64,
    }
}

/// An address to touch: mostly in an area that allows it.
fn access(dice: &mut Dice<'_>, space: &Space, prot: Prot) -> u64 {
    let allows = |area: &&Area| area.prot.contains(prot);
    let count = space.areas.iter().filter(allows).count();
    let area = match count {
        0 => area(dice, space),
        _ if dice.one_in(8) => area(dice, space),
        _ => space
            .areas
            .iter()
            .filter(allows)
            .nth(dice.index(count))
            .copied(),
    };
    let page = match area {
        Some(area) if !dice.one_in(16) => page_of(dice, area),
        _ => page(dice),
    };
    page + if dice.one_in(4) {
        dice.below(PAGE_SIZE)
    } else {
        0
    }
}

fn area(dice: &mut Dice<'_>, space: &Space) -> Option<Area> {
    match space.areas.len() {
        0 => None,
        areas => Some(space.areas[dice.index(areas)]),
    }
}

/// A page of an area, more often its first or last.
fn page_of(dice: &mut Dice<'_>, area: Area) -> u64 {
    match dice.below(4) {
        0 => area.start,
        1 => area.end - PAGE_SIZE,
        _ => area.start + dice.below((area.end - area.start) / PAGE_SIZE) * PAGE_SIZE,
    }
}

/// A page of the window.
pub(super) fn page(dice: &mut Dice<'_>) -> u64 {
    Config::WINDOW + dice.below(Config::WINDOW_PAGES) * PAGE_SIZE
}

/// A range: of an area mostly, or over the border between two.
fn range(dice: &mut Dice<'_>, space: &Space) -> (u64, u64) {
    let Some(area) = area(dice, space).filter(|_| !dice.one_in(16)) else {
        return (page(dice), (1 + dice.below(4)) * PAGE_SIZE);
    };
    let pages = (area.end - area.start) / PAGE_SIZE;
    let some = 1 + dice.below(pages.min(4));
    match dice.below(8) {
        0 | 1 => (area.start, pages * PAGE_SIZE),
        2 | 3 => (area.start, some * PAGE_SIZE),
        4 | 5 => (area.end - some * PAGE_SIZE, some * PAGE_SIZE),
        6 => {
            let start = page_of(dice, area);
            let some = 1 + dice.below((area.end - start) / PAGE_SIZE);
            (start, some * PAGE_SIZE)
        }
        _ => (
            area.end - some * PAGE_SIZE,
            (some + 1 + dice.below(2)) * PAGE_SIZE,
        ),
    }
}

/// Where to map `len` bytes: touching an area, over one, or anywhere in the window.
fn near(dice: &mut Dice<'_>, space: &Space, len: u64) -> u64 {
    let start = match area(dice, space) {
        None => page(dice),
        Some(area) => match dice.below(8) {
            0..3 => area.end,
            3 | 4 => area.start.saturating_sub(len),
            5 => page_of(dice, area),
            _ => page(dice),
        },
    };
    start.max(PAGE_SIZE)
}
