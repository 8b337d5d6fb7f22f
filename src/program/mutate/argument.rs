//! Arguments by what they mean: mostly valid, and some at or beyond the edge.

use vmadiff_contract::{
    Access, Advice, FallocFlags, LockAllFlags, LockFlags, MapFlags, Mode, MoveFlags, PAGE_SIZE,
    PolicyFlags, Prot, QueryFlags, Resource, SyncFlags,
};

use super::dice::Dice;
use super::place::range;
use crate::program::shape::Param;
use crate::program::world::{File, Space};

/// An argument by what it means alone.
pub(super) fn value(dice: &mut Dice<'_>, space: &Space, param: Param) -> u64 {
    match param {
        Param::Addr => range(dice, space).0,
        Param::Len => (1 + dice.below(4)) * PAGE_SIZE,
        Param::Off => dice.weighted(&[(6, 0), (3, 1), (2, 2), (1, 5)]) * PAGE_SIZE,
        Param::Nodes => dice.weighted(&[(4, 1), (4, 2), (4, 3), (1, 0), (1, 4)]),
        Param::Value => dice.below(256),
        Param::Prot => prot(dice).bits().into(),
        Param::Advice => dice.weighted(ADVICE).number().into(),
        Param::Mode => dice.weighted(MODES).number().into(),
        Param::Fd => fd(dice, space, false),
        Param::FileKind => dice.weighted(&[(5, 0), (3, 1), (1, 2)]),
        Param::Access => dice.weighted(&[(7, 3), (3, 1), (1, 2)]),
        Param::MapFlags => {
            let anonymous = MapFlags::PRIVATE | MapFlags::ANONYMOUS;
            dice.pick(&[anonymous, anonymous | MapFlags::FIXED]).bits()
        }
        Param::Limit => limit(dice),
        Param::Resource => dice.weighted(RESOURCES).number().into(),
        _ => flags(dice, param).into(),
    }
}

const ADVICE: &[(u32, Advice)] = &[
    (8, Advice::DontNeed),
    (3, Advice::DontFork),
    (2, Advice::DoFork),
    (2, Advice::Normal),
    (2, Advice::Random),
    (2, Advice::Sequential),
    (2, Advice::Free),
    (2, Advice::Remove),
    (2, Advice::WipeOnFork),
    (1, Advice::KeepOnFork),
    (1, Advice::DontDump),
    (1, Advice::DoDump),
    (2, Advice::WillNeed),
    (2, Advice::HugePage),
    (2, Advice::NoHugePage),
    (2, Advice::Mergeable),
    (1, Advice::Unmergeable),
    (1, Advice::Other(5)),
];

const MODES: &[(u32, Mode)] = &[
    (4, Mode::Bind),
    (3, Mode::Preferred),
    (3, Mode::Interleave),
    (3, Mode::Default),
    (2, Mode::Local),
    (1, Mode::Other(9)),
];

const RESOURCES: &[(u32, Resource)] = &[
    (4, Resource::As),
    (4, Resource::Data),
    (3, Resource::MemLock),
    (2, Resource::Stack),
    (2, Resource::NoFile),
    (1, Resource::Other(6)),
    (1, Resource::Other(16)),
];

/// A limit that is met, or none. For a number of descriptors as for pages.
fn limit(dice: &mut Dice<'_>) -> u64 {
    let pages = dice.below(24);
    dice.weighted(&[(6, pages * PAGE_SIZE), (3, u64::MAX), (1, pages), (1, 0)])
}

/// Flags: the combinations that mean something most of all.
fn flags(dice: &mut Dice<'_>, param: Param) -> u32 {
    match param {
        Param::MoveFlags => {
            let (may, fixed) = (MoveFlags::MAYMOVE, MoveFlags::FIXED);
            let none = MoveFlags::empty();
            dice.weighted(&[(4, may), (3, may | fixed), (2, none), (1, fixed)])
                .bits()
        }
        Param::LockFlags => dice
            .weighted(&[(3, LockFlags::ONFAULT), (1, LockFlags::empty())])
            .bits(),
        Param::LockAllFlags => {
            let (current, future) = (LockAllFlags::CURRENT, LockAllFlags::FUTURE);
            let (both, onfault) = (current | future, LockAllFlags::ONFAULT);
            let all = [
                current,
                future,
                both,
                current,
                future,
                both,
                current | onfault,
            ];
            dice.pick(&[&all[..], &[both | onfault, onfault]].concat())
                .bits()
        }
        Param::SyncFlags => {
            let (sync, later) = (SyncFlags::SYNC, SyncFlags::ASYNC);
            let none = SyncFlags::empty();
            let invalidate = SyncFlags::INVALIDATE;
            dice.weighted(&[
                (3, sync),
                (2, later),
                (1, invalidate),
                (1, sync | later),
                (1, none),
            ])
            .bits()
        }
        Param::PolicyFlags => {
            let (strict, shift) = (PolicyFlags::STRICT, PolicyFlags::MOVE);
            let (none, fixed) = (PolicyFlags::empty(), PolicyFlags::STATIC_NODES);
            dice.weighted(&[
                (8, none),
                (1, strict),
                (1, shift),
                (1, strict | shift),
                (1, fixed),
            ])
            .bits()
        }
        Param::QueryFlags => {
            let (area, nodes) = (QueryFlags::ADDR, QueryFlags::MEMS_ALLOWED);
            dice.weighted(&[
                (8, area),
                (4, QueryFlags::empty()),
                (2, nodes),
                (1, QueryFlags::NODE),
            ])
            .bits()
        }
        _ => {
            let (punch, keep) = (FallocFlags::PUNCH_HOLE, FallocFlags::KEEP_SIZE);
            let none = FallocFlags::empty();
            dice.weighted(&[(12, punch | keep), (1, punch), (1, none), (1, keep)])
                .bits()
        }
    }
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
        Param::MapFlags => word ^ 1 << dice.below(64),
        Param::Limit => dice.word() >> dice.below(64),
        _ => word ^ 1 << dice.below(32),
    }
}

pub(super) fn size(dice: &mut Dice<'_>) -> u64 {
    let pages = dice.weighted(&[(1, 0), (3, 1), (4, 2), (4, 4), (1, 9)]) * PAGE_SIZE;
    if dice.one_in(4) {
        pages + dice.below(PAGE_SIZE)
    } else {
        pages
    }
}

pub(super) fn prot(dice: &mut Dice<'_>) -> Prot {
    let (read, write, exec) = (Prot::READ, Prot::WRITE, Prot::EXEC);
    dice.weighted(&[
        (20, read | write),
        (6, read),
        (3, Prot::NONE),
        (2, read | exec),
        (2, read | write | exec),
        (1, write),
        (1, exec),
        (1, write | exec),
    ])
}

/// A descriptor that is open, and can be written if that matters and there is one.
pub(super) fn fd(dice: &mut Dice<'_>, space: &Space, writable: bool) -> u64 {
    let fits = |file: &&File| !writable || file.access.contains(Access::WRITE);
    let fitting = space.files.iter().filter(fits).count();
    let file = match (fitting, space.files.len()) {
        (0, 0) => return 3,
        (0, files) => Some(&space.files[dice.index(files)]),
        (fitting, _) => space.files.iter().filter(fits).nth(dice.index(fitting)),
    };
    file.map_or(3, |file| i64::from(file.fd.0) as u64)
}
