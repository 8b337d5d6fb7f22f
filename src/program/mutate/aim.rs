//! Aims calls again that would fail for nothing.
//!
//! Changes and crossings make calls miss: the task has left, the descriptor is closed, the area
//! has moved. Left alone, what selects inputs lets them pile up, and a program whose calls all
//! fail tests little. What is amiss is found by the guess of [`World`]; what a call asks for is
//! kept, and only who asks and where is chosen anew.

use vmadiff_contract::{
    Access, Advice, Call, CallKind, Fd, MapFlags, MoveFlags, PAGE_SIZE, Prot, TaskId,
};

use super::dice::Dice;
use super::place::{self, allows};
use super::{Flavour, Profile, argument, change, fresh};
use crate::program::bytes::MAX_STEPS;
use crate::program::shape::{self, Param};
use crate::program::world::{Area, Space, World};
use crate::program::{Program, Step};

/// One call in so many that miss is left: errors are behaviour, too.
const LEFT: u64 = 4;

/// One access in so many that would not fault is aimed where it would.
const IDLE: u64 = 8;

/// Aims most of the calls that miss, and puts before them what they need.
pub(super) fn aim(dice: &mut Dice<'_>, program: &mut Program, profile: &Profile) {
    let mut world = World::new(&program.config);
    let races = profile.flavour == Flavour::Interleaved;
    let mut at = 0;
    while let Some(&step) = program.calls.get(at) {
        let is_last = at + 1 == program.calls.len();
        let mut step = step;
        let amiss = !runs(&world, &step) || (!is_last && ends_all(&world, &step));
        if amiss && !dice.one_in(LEFT) {
            let task = fresh::task(dice, &world);
            // Zeroed records are mmap by nobody: the engine's own changes make many.
            if step.task == TaskId(0) || ends_all(&world, &step) {
                let kind = change::kind(dice, profile);
                step = fresh::step(dice, &world, profile.calls, kind, task);
            }
            step.task = task;
        }
        let space = world.space(step.task);
        let again = (misses(space, &step) && !dice.one_in(LEFT))
            || (!races && is_idle(space, &step) && dice.one_in(IDLE));
        if again {
            let kind = step.call.kind();
            if fresh::needed(space, kind).is_some() && program.calls.len() < MAX_STEPS {
                let first = fresh::step(dice, &world, profile.calls, kind, step.task);
                world.apply(&first);
                program.calls.insert(at, first);
                at += 1;
            }
            step = aimed(dice, world.space(step.task), &step);
        }
        program.calls[at] = step;
        // Calls that run at once: what one takes away is there for the others, and is raced for.
        if !(races && takes_away(&step.call)) {
            world.apply(&step);
        }
        at += 1;
    }
}

/// Whether later calls find less than before. That a task has left holds for it at any rate.
fn takes_away(call: &Call) -> bool {
    matches!(
        call,
        Call::Munmap { .. } | Call::Mprotect { .. } | Call::Close { .. } | Call::Ftruncate { .. }
    )
}

/// Whether anybody makes the call.
fn runs(world: &World, step: &Step) -> bool {
    world.lives(step.task) || (step.task == TaskId(0) && step.call == Call::Softirq)
}

/// Whether nobody is left after the call.
fn ends_all(world: &World, step: &Step) -> bool {
    step.call == Call::Exit && world.live().nth(1).is_none()
}

/// Whether the call is about something that is not there, or does not allow it.
fn misses(space: &Space, step: &Step) -> bool {
    match step.call {
        Call::Load { addr } => !touches(space, addr, Prot::READ),
        Call::Store { addr, .. } => !touches(space, addr, Prot::WRITE),
        Call::Exec { addr } => !touches(space, addr, Prot::EXEC),
        Call::Mmap {
            addr,
            len,
            prot,
            flags,
            fd,
            off,
        } => {
            let whole = addr.is_multiple_of(PAGE_SIZE) && off.is_multiple_of(PAGE_SIZE);
            !whole || len == 0 || !mappable(space, prot, flags, fd)
        }
        Call::Munmap { addr, len } => space.is_free(addr, addr.saturating_add(len)),
        Call::Open { access, .. } => access.is_empty(),
        Call::Ftruncate { fd, .. } | Call::Fallocate { fd, .. } => {
            let file = space.file(fd);
            file.is_none_or(|file| !file.access.contains(Access::WRITE))
        }
        Call::Close { fd } => space.file(fd).is_none(),
        Call::Mremap {
            addr,
            old_len,
            new_len,
            flags,
            new_addr,
        } => {
            let area = space.area_at(addr);
            let whole = addr.is_multiple_of(PAGE_SIZE);
            let inside = area.is_some_and(|area| old_len <= area.end - addr);
            let apart = new_addr >= addr.saturating_add(old_len.max(new_len))
                || addr >= new_addr.saturating_add(new_len);
            !whole || !inside || (flags.contains(MoveFlags::FIXED) && !apart)
        }
        _ => !in_place(space, step),
    }
}

/// Whether the access is of a page that is there for it.
fn is_idle(space: &Space, step: &Step) -> bool {
    match step.call {
        Call::Load { addr } => space.present.contains(addr),
        Call::Store { addr, .. } => space.ready.contains(addr),
        _ => false,
    }
}

fn touches(space: &Space, addr: u64, prot: Prot) -> bool {
    let area = space.area_at(addr);
    area.is_some_and(|area| allows(area, prot) && addr < area.served_to)
}

/// Whether such memory can be mapped.
fn mappable(space: &Space, prot: Prot, flags: MapFlags, fd: Fd) -> bool {
    let shared = flags.contains(MapFlags::SHARED);
    let private = flags.contains(MapFlags::PRIVATE);
    if flags.contains(MapFlags::ANONYMOUS) {
        return shared != private;
    }
    let grows = flags.contains(MapFlags::GROWSDOWN);
    (shared || private)
        && !grows
        && space.file(fd).is_some_and(|file| {
            let writes = shared && prot.contains(Prot::WRITE);
            file.access.contains(Access::READ) && (!writes || file.access.contains(Access::WRITE))
        })
}

/// Whether the range that the call is about is mapped, with memory that it is for.
fn in_place(space: &Space, step: &Step) -> bool {
    let kind = step.call.kind();
    let words = shape::words(&step.call);
    let (Some(Param::Addr), Some(Param::Len)) =
        (shape::params(kind).first(), shape::params(kind).get(1))
    else {
        return true;
    };
    let end = words[0].saturating_add(words[1]);
    let fits = suits(step);
    let mut areas = space
        .areas
        .iter()
        .filter(|area| area.start < end && words[0] < area.end);
    words[0].is_multiple_of(PAGE_SIZE) && space.covers(words[0], end) && areas.all(fits)
}

/// What memory the call is for.
fn suits(step: &Step) -> fn(&Area) -> bool {
    match step.call {
        Call::Madvise {
            advice: Advice::WipeOnFork | Advice::Free,
            ..
        }
        | Call::Collapse { .. } => |area| area.is_private,
        Call::Madvise {
            advice: Advice::Remove,
            ..
        } => |area| area.is_shared && area.prot.contains(Prot::WRITE),
        _ => |_| true,
    }
}

/// The same call about something that is there.
fn aimed(dice: &mut Dice<'_>, space: &Space, step: &Step) -> Step {
    let kind = step.call.kind();
    let mut words = shape::words(&step.call);
    match step.call {
        Call::Load { .. } => words[0] = place::access(dice, space, Prot::READ),
        Call::Store { .. } => words[0] = place::access(dice, space, Prot::WRITE),
        Call::Exec { .. } => words[0] = place::access(dice, space, Prot::EXEC),
        Call::Mmap { .. } => words = fresh::mmap(dice, space),
        Call::Mremap { .. } => words = fresh::mremap(dice, space),
        Call::Open { .. } => words[1] = argument::value(dice, space, Param::Access),
        Call::Ftruncate { .. } | Call::Fallocate { .. } | Call::Close { .. } => {
            words[0] = argument::fd(dice, space, kind != CallKind::Close);
        }
        _ => (words[0], words[1]) = place::range_in(dice, space, suits(step)),
    }
    Step {
        call: shape::build(kind, &words),
        ..*step
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::Case;
    use mutatis::Session;

    const MAPPED: &str = "mmap(0x1f0000, 0x3000, 3, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n";

    /// How many of 200 passes leave the program as it is.
    fn left(text: &str, flavour: Flavour) -> usize {
        let case = Case::parse("case.vma", &format!("{MAPPED}{text}")).expect("a program");
        let profile = Profile {
            flavour,
            ..Profile::default()
        };
        let passes = (0..200).filter(|&seed| {
            let mut program = case.program.clone();
            let mut aimed = super::super::Aimed(&profile);
            let mut session = Session::new().seed(seed);
            session.mutate_with(&mut aimed, &mut program).expect("aims");
            program == case.program
        });
        passes.count()
    }

    #[test]
    fn what_misses_is_mostly_aimed_and_the_rest_is_left() {
        for misses in [
            "store(0x1f8000, 1)",
            "[9] store(0x1f0000, 1)",
            "mprotect(0x1f2000, 0x2000, 1)",
            "close(3)",
            "mmap(NULL, 0x1000, 3, 0, 3, 0)",
            "exit()\n[2] exit()\n[1] load(0x1f0000)",
        ] {
            let left = left(misses, Flavour::Serial);
            assert!((20..100).contains(&left), "{misses}: {left} of 200");
        }
        for fits in ["store(0x1f2fff, 1)", "[2] munmap(0x1f1000, 0x1000)"] {
            assert_eq!(left(fits, Flavour::Serial), 200, "{fits}");
        }
    }

    /// The races are between what takes away and what needs it.
    #[test]
    fn a_race_is_no_miss() {
        let race = "munmap(0x1f1000, 0x1000)\n[2] store(0x1f1000, 1)";
        assert_eq!(left(race, Flavour::Interleaved), 200);
        assert!(left(race, Flavour::Serial) < 100);
    }
}
