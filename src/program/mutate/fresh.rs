//! Fresh calls and arguments: near what is mapped, mostly valid, now and then absurd.

use vmadiff_contract::{
    Access, Advice, Call, CallKind, Capabilities, Fail, Fd, MapFlags, Mode, MoveFlags, PAGE_SIZE,
    PolicyFlags, Prot, QueryFlags, Resource, TaskId,
};

use super::argument::{absurd, prot, size, value};
use super::dice::Dice;
use super::place::{access, near, page, range, range_in};
use crate::program::Step;
use crate::program::shape::{self, MAX_PARAMS, Param, Words};
use crate::program::world::{Space, World};

/// A call of this kind, or one that it needs first.
pub(super) fn step(
    dice: &mut Dice<'_>,
    world: &World,
    known: Capabilities,
    kind: CallKind,
    task: TaskId,
) -> Step {
    let space = world.space(task);
    let wanted = kind;
    let kind = match needed(space, wanted) {
        Some(first) if known.knows(first) && !dice.one_in(8) => first,
        _ => wanted,
    };
    let mut words = words(dice, space, kind);
    if wanted == CallKind::Exec && kind == CallKind::Mmap {
        words[2] |= u64::from(Prot::EXEC.bits());
    }
    if dice.one_in(24) {
        spoil(dice, kind, &mut words);
    }
    let fail = if dice.one_in(24) {
        1 + dice.below(4) as u8
    } else {
        0
    };
    let call = known_call(shape::build(kind, &words), known);
    let fail = Fail(fail);
    Step { task, call, fail }
}

/// The call without what the manager does not know of its arguments.
fn known_call(call: Call, known: Capabilities) -> Call {
    match call {
        _ if known.makes(&call) => call,
        Call::Madvise { addr, len, .. } => Call::Madvise {
            addr,
            len,
            advice: Advice::DontNeed,
        },
        Call::Mmap {
            addr,
            len,
            prot,
            flags,
            fd,
            off,
        } => Call::Mmap {
            addr,
            len,
            prot,
            flags: flags - MapFlags::HUGETLB,
            fd,
            off,
        },
        other => other,
    }
}

/// What must be there for a call of this kind to mean anything, if it is missing.
pub(super) fn needed(space: &Space, kind: CallKind) -> Option<CallKind> {
    let params = shape::params(kind);
    let maps = matches!(kind, CallKind::Mmap | CallKind::Brk);
    let none = |prot| !space.areas.iter().any(|area| area.prot.contains(prot));
    let missing = match kind {
        CallKind::Store => none(Prot::WRITE),
        CallKind::Exec => none(Prot::EXEC),
        _ => space.areas.is_empty(),
    };
    if params.first() == Some(&Param::Addr) && !maps && missing {
        return Some(CallKind::Mmap);
    }
    (params.first() == Some(&Param::Fd) && space.files.is_empty()).then_some(CallKind::Open)
}

/// What races happen on: private memory of the first task that has been written, so that it has an
/// anon_vma, without which no fault is speculative.
pub(super) fn setup(dice: &mut Dice<'_>, known: Capabilities) -> Vec<Step> {
    let by_first = |call| Step {
        task: TaskId(1),
        call,
        fail: Fail::NONE,
    };
    let addr = page(dice);
    let map = Call::Mmap {
        addr,
        len: (1 + dice.below(5)) * PAGE_SIZE,
        prot: Prot::READ | Prot::WRITE,
        flags: MapFlags::PRIVATE | MapFlags::ANONYMOUS | MapFlags::FIXED,
        fd: Fd(-1),
        off: 0,
    };
    let touch = Call::Store { addr, value: 1 };
    let all = [map, touch].into_iter().filter(|call| known.makes(call));
    all.map(by_first).collect()
}

/// A task that lives: mostly a thread of the first address space.
pub(super) fn task(dice: &mut Dice<'_>, world: &World) -> TaskId {
    let count = world.live().count();
    if count == 0 {
        return TaskId(1);
    }
    // The first two are threads of one address space; a forked task is alone in its own, and so
    // never faults speculatively.
    let nth = if dice.one_in(4) {
        dice.index(count)
    } else {
        dice.index(count.min(2))
    };
    world.live().nth(nth).unwrap_or(TaskId(1))
}

fn words(dice: &mut Dice<'_>, space: &Space, kind: CallKind) -> Words {
    match kind {
        CallKind::Mmap => mmap(dice, space),
        CallKind::Mremap => mremap(dice, space),
        CallKind::Brk => [brk(dice, space), 0, 0, 0, 0, 0],
        CallKind::Load | CallKind::Reclaim => [access(dice, space, Prot::READ), 0, 0, 0, 0, 0],
        // Of memory that is a file's, or that others may share.
        CallKind::Evict => [
            range_in(dice, space, |area| !area.is_private).0,
            0,
            0,
            0,
            0,
            0,
        ],
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
        CallKind::SetRlimit => limit(dice, space),
        CallKind::GetMempolicy => query(dice, space),
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

/// A soft limit up to the hard one, which mostly stays what it is: few may raise it again.
fn limit(dice: &mut Dice<'_>, space: &Space) -> Words {
    let mut words = by_params(dice, space, CallKind::SetRlimit);
    let descriptors = u64::from(Resource::NoFile.number());
    let none = if words[0] == descriptors {
        1 << 20
    } else {
        u64::MAX
    };
    if words[0] == descriptors {
        words[1] = dice.below(12);
    }
    if !dice.one_in(8) {
        words[2] = none;
    }
    words
}

/// An address goes with the flag that asks for it.
fn query(dice: &mut Dice<'_>, space: &Space) -> Words {
    let mut words = by_params(dice, space, CallKind::GetMempolicy);
    if words[1] & u64::from(QueryFlags::ADDR.bits()) == 0 && !dice.one_in(8) {
        words[0] = 0;
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
    *nodes = match Mode::from_number(*mode as u32) {
        Mode::Default | Mode::Local => 0,
        Mode::Preferred => dice.below(3),
        Mode::Bind | Mode::Interleave | Mode::Other(_) => 1 + dice.below(3),
    };
    if kind == CallKind::SetMempolicy {
        let (relative, fixed) = (PolicyFlags::RELATIVE_NODES, PolicyFlags::STATIC_NODES);
        let some = *nodes != 0 && dice.one_in(4);
        *flags = if some {
            dice.pick(&[relative, fixed]).bits().into()
        } else {
            0
        };
    }
    words
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

pub(super) fn mmap(dice: &mut Dice<'_>, space: &Space) -> Words {
    let len = dice.weighted(&[(4, 1), (4, 2), (4, 3), (4, 4), (3, 6), (1, 9)]) * PAGE_SIZE;
    let place = dice.weighted(&[
        (6, Some(MapFlags::FIXED)),
        (3, None),
        (1, Some(MapFlags::empty())),
        (1, Some(MapFlags::FIXED_NOREPLACE)),
    ]);
    let addr = if place.is_some() {
        near(dice, space, len)
    } else {
        0
    };
    let more = dice.weighted(&[
        (20, MapFlags::empty()),
        (2, MapFlags::POPULATE),
        (1, MapFlags::LOCKED),
        (1, MapFlags::NORESERVE),
        (1, MapFlags::GROWSDOWN),
        (1, MapFlags::STACK),
        (1, MapFlags::HUGETLB),
    ]);
    let mut prot = prot(dice);
    let (kind, fd, off) = match space.files.len() {
        files if files > 0 && dice.one_in(4) => {
            let file = dice.pick(&space.files);
            let kind = dice.pick(&[MapFlags::SHARED, MapFlags::PRIVATE]);
            // What cannot be written cannot be shared and writable.
            let writable = kind == MapFlags::PRIVATE || file.access.contains(Access::WRITE);
            if !writable && !dice.one_in(8) {
                prot.remove(Prot::WRITE);
            }
            (
                kind,
                i64::from(file.fd.0) as u64,
                value(dice, space, Param::Off),
            )
        }
        _ => {
            let kind = dice.weighted(&[
                (24, MapFlags::PRIVATE),
                (4, MapFlags::SHARED),
                (1, MapFlags::SHARED_VALIDATE),
            ]);
            (kind | MapFlags::ANONYMOUS, u64::MAX, 0)
        }
    };
    let flags = kind | place.unwrap_or_default() | more;
    [addr, len, prot.bits().into(), flags.bits(), fd, off]
}

pub(super) fn mremap(dice: &mut Dice<'_>, space: &Space) -> Words {
    let (addr, old_len) = range(dice, space);
    let new_len = match dice.below(4) {
        0 => old_len,
        1 => old_len.saturating_sub(PAGE_SIZE).max(PAGE_SIZE),
        _ => old_len + (1 + dice.below(3)) * PAGE_SIZE,
    };
    let flags = value(dice, space, Param::MoveFlags);
    let is_fixed = MoveFlags::from_bits_retain(flags as u32).contains(MoveFlags::FIXED);
    let new_addr = if is_fixed {
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
