//! Whether a world has a call, and the nearest call that it has.

use vmadiff_contract::{Call, CallKind, Config, Fail, MapFlags, MoveFlags, PAGE_SIZE, TaskId};

use super::World;
use crate::program::shape::{self, Param};
use crate::program::{Program, Step};

/// The longest range that a plain program names, bytes: it can be walked page by page.
const LONGEST: u64 = 64 * PAGE_SIZE;

impl World {
    /// Whether it is all that the contract knows.
    fn is_all(&self) -> bool {
        // Made once: asked of each call.
        const ALL: World = World::all();
        *self == ALL
    }

    /// Whether a program may make this call. What it may not is called of neither manager.
    pub fn has(&self, step: &Step) -> bool {
        self.is_all() || (self.calls.makes(&step.call) && self.has_arguments(step))
    }

    /// The same of one of its calls.
    pub(crate) fn has_arguments(&self, step: &Step) -> bool {
        self.has_at_a_glance(step) || self.is_all() || self.fitted(step) == Some(*step)
    }

    /// Whether a call is one of those that most programs are made of, as every world has it: about
    /// whole pages in its range, by the first task. False says nothing.
    fn has_at_a_glance(&self, step: &Step) -> bool {
        let pages = |bytes: u64| bytes.is_multiple_of(PAGE_SIZE);
        let is_length = |len: u64| pages(len) && 0 < len && len <= LONGEST;
        let holds = |addr: u64, len: u64| {
            let (start, end) = self.range;
            pages(addr) && is_length(len) && start <= addr && addr < end && len <= end - addr
        };
        let by_first = step.task == TaskId(1) && step.fail == Fail::NONE;
        by_first
            && match step.call {
                Call::Munmap { addr, len } => holds(addr, len),
                Call::Mprotect { addr, len, prot } => self.prot.contains(prot) && holds(addr, len),
                Call::Mmap {
                    addr,
                    len,
                    prot,
                    flags,
                    fd,
                    off: 0,
                } => {
                    let private = MapFlags::PRIVATE | MapFlags::ANONYMOUS;
                    let fixed = MapFlags::FIXED | MapFlags::FIXED_NOREPLACE;
                    let unasked = addr == 0 && is_length(len) && !flags.intersects(fixed);
                    (unasked || (addr != 0 && holds(addr, len)))
                        && self.prot.contains(prot)
                        && self.map_flags.contains(flags)
                        && flags.contains(private)
                        && fd.0 == -1
                }
                _ => false,
            }
    }

    /// Changes a program into one of this world. What cannot be changed is left out.
    pub fn narrow(&self, program: &mut Program) {
        if self.is_all() {
            return;
        }
        if !self.limits {
            program.config = Config {
                tasks: program.config.tasks,
                ..Config::default()
            };
        }
        program.config.tasks = program.config.tasks.min(self.tasks);
        program.calls.retain_mut(|step| match self.fitted(step) {
            Some(fitted) if self.calls.makes(&fitted.call) => {
                *step = fitted;
                true
            }
            _ => false,
        });
    }

    /// The nearest call that this world has; none: there is none near.
    fn fitted(&self, step: &Step) -> Option<Step> {
        let mut step = *step;
        if !self.fail {
            step.fail = Fail::NONE;
        }
        // Children have numbers behind those of the first tasks.
        if self.tasks == 1 && !self.calls.knows(CallKind::Fork) {
            step.task = TaskId(1);
        }
        match &mut step.call {
            Call::Mmap {
                prot, flags, fd, ..
            } => {
                *prot &= self.prot;
                *flags &= self.map_flags;
                let kind = MapFlags::SHARED_VALIDATE;
                if flags.intersection(kind).is_empty() {
                    *flags |= self.map_flags & kind & MapFlags::PRIVATE;
                }
                if !self.calls.knows(CallKind::Open) {
                    *flags |= MapFlags::ANONYMOUS & self.map_flags;
                    fd.0 = -1;
                }
            }
            Call::Mprotect { prot, .. } => *prot &= self.prot,
            Call::Mremap { flags, .. } => *flags &= self.move_flags,
            Call::Madvise { advice, .. }
                if self.advice.is_some_and(|known| !known.contains(advice)) =>
            {
                return None;
            }
            _ => {}
        }
        if !self.absurd {
            step.call = self.sane(&step.call)?;
        }
        Some(step)
    }

    /// The same call about whole pages within the range.
    fn sane(&self, call: &Call) -> Option<Call> {
        let kind = call.kind();
        let touches = matches!(
            kind,
            CallKind::Load | CallKind::Store | CallKind::Exec | CallKind::Reclaim | CallKind::Brk
        );
        let asked = shape::words(call);
        let mut words = asked;
        let mut room = u64::MAX;
        for (word, param) in words.iter_mut().zip(shape::params(kind)) {
            match param {
                Param::Addr => {
                    if !touches {
                        *word &= !(PAGE_SIZE - 1);
                    }
                    // Of mmap and mremap, an address that nobody asks for.
                    let unasked = *word == 0 && matches!(kind, CallKind::Mmap | CallKind::Mremap);
                    if !unasked {
                        *word = self.inside(*word);
                        room = self.end() - (*word & !(PAGE_SIZE - 1));
                    }
                }
                Param::Len => {
                    let whole = (*word).clamp(1, LONGEST).next_multiple_of(PAGE_SIZE);
                    *word = whole.min(room);
                }
                Param::Off => *word &= !(PAGE_SIZE - 1),
                _ => {}
            }
        }
        // Most calls of a program that was made for this world.
        let call = if words == asked {
            *call
        } else {
            shape::build(kind, &words)
        };
        match call {
            Call::Mmap { addr: 0, flags, .. }
                if flags.intersects(MapFlags::FIXED | MapFlags::FIXED_NOREPLACE) =>
            {
                None
            }
            Call::Mremap {
                addr,
                new_len,
                new_addr,
                flags,
                old_len,
            } => {
                let behind = |start: u64, len: u64| start.saturating_add(len);
                let apart = new_addr >= behind(addr, old_len.max(new_len))
                    || addr >= behind(new_addr, new_len);
                let is_fixed = flags.contains(MoveFlags::FIXED);
                let may_move = flags.contains(MoveFlags::MAYMOVE);
                let fits = behind(new_addr, new_len) <= self.end();
                (!is_fixed || (apart && may_move && fits && new_addr != 0)).then_some(call)
            }
            call => Some(call),
        }
    }

    /// Where the last whole page of the range ends.
    fn end(&self) -> u64 {
        self.range.1 & !(PAGE_SIZE - 1)
    }

    /// An address of the range: this one, or the one as far from its start.
    fn inside(&self, addr: u64) -> u64 {
        let (start, end) = (self.range.0, self.end());
        if (start..end).contains(&addr) {
            return addr;
        }
        let pages = (end - start) / PAGE_SIZE;
        // Few enough that programs meet.
        start + (addr / PAGE_SIZE) % pages.clamp(1, 64) * PAGE_SIZE
    }
}

#[cfg(test)]
mod tests {
    use vmadiff_contract::Prot;

    use super::*;
    use crate::program::mutate::{Flavour, Profile, generate};

    #[test]
    fn what_is_narrowed_is_in_the_world_and_stays() {
        let worlds = [
            World::plain(),
            World::plain().calls(&[CallKind::Mmap, CallKind::Munmap]),
            World::plain().within(0x10_0000..0x11_0000).tasks(3),
            World::plain().with_limits().with_failures(),
            World::all().prot(Prot::READ),
            World {
                absurd: false,
                ..World::all()
            },
        ];
        for world in worlds {
            let (mut left, mut seen) = (0, 0);
            for seed in 0..2000 {
                let mut program = generate(seed, &Profile::default());
                for step in &program.calls {
                    let fits = world.fitted(step) == Some(*step);
                    assert!(fits || !world.has_at_a_glance(step), "{world:?}, {step:?}");
                }
                world.narrow(&mut program);
                left += program.calls.len();
                let glances = program.calls.iter().filter(|it| world.has_at_a_glance(it));
                seen += glances.count();
                let out = program.calls.iter().find(|step| !world.has(step));
                assert_eq!(out, None, "{world:?}, seed {seed}");
                let once = program.clone();
                world.narrow(&mut program);
                assert_eq!(program, once);
            }
            assert!(left > 2000, "{world:?} leaves {left} calls");
            assert!(
                seen * 10 > left,
                "{world:?} is seen to have {seen} of {left}"
            );
        }
    }

    #[test]
    fn the_whole_world_changes_nothing() {
        for seed in 0..500 {
            let profile = Profile {
                flavour: Flavour::Serial,
                ..Profile::default()
            };
            let program = generate(seed, &profile);
            let mut narrowed = program.clone();
            World::all().narrow(&mut narrowed);
            assert_eq!(narrowed, program);
        }
    }
}
