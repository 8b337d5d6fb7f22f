//! What programs are made of: calls, flags, arguments, limits and failing allocations. What a
//! manager cannot have is neither made up nor, where a program has it all the same, called.
//!
//! ```
//! use vmadiff::World;
//! use vmadiff::program::Case;
//!
//! let case = Case::parse("a.vma", "munmap(0x1f0000, 0x1000)\nmunmap(0x1f0001, 0)\n").unwrap();
//! let [aligned, not] = [0, 1].map(|at| case.program.calls[at]);
//! assert!(World::plain().has(&aligned) && !World::plain().has(&not));
//! assert!(World::all().has(&not));
//! ```

mod fitted;

use std::borrow::Cow;
use std::ops::Range;

use vmadiff_contract::{
    Advice, CallKind, Capabilities, Config, MapFlags, MoveFlags, PAGE_SIZE, Prot,
};

use crate::program::Program;

/// What programs are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct World {
    /// The calls.
    pub calls: Capabilities,
    /// Flags of mmap. Of a call that has others they are taken out.
    pub map_flags: MapFlags,
    /// Flags of mremap.
    pub move_flags: MoveFlags,
    /// What may be asked to be allowed.
    pub prot: Prot,
    /// Advice to madvise; none: any.
    pub advice: Option<&'static [Advice]>,
    /// Allocations fail on purpose.
    pub fail: bool,
    /// Limits are small, and what else a configuration can set is unusual. Otherwise all is as it
    /// is by default.
    pub limits: bool,
    /// Arguments that a kernel refuses at its gate: addresses and offsets that are no page's,
    /// ranges that are empty or reach out of [`World::range`].
    pub absurd: bool,
    /// Where programs map, where `absurd` is not set. Page-aligned.
    pub range: (u64, u64),
    /// There is no room outside of [`World::range`]: what may go anywhere goes there, and both managers
    /// boot with these bounds. [`World::within`] says so.
    pub bounded: bool,
    /// Tasks at boot, 1 to 8: each a thread of the first address space.
    pub tasks: u8,
}

/// The highest end of an address space (`TASK_SIZE` of x86-64).
const HIGHEST: u64 = (1 << 47) - PAGE_SIZE;

impl World {
    /// All that the contract knows.
    pub const fn all() -> Self {
        Self {
            calls: Capabilities::of(CallKind::ALL),
            map_flags: MapFlags::all(),
            move_flags: MoveFlags::all(),
            prot: Prot::all(),
            advice: None,
            fail: true,
            limits: true,
            absurd: true,
            range: (0, u64::MAX),
            bounded: false,
            tasks: 8,
        }
    }

    /// One task, the default machine, private memory, whole pages: what somebody asks of a map of
    /// ranges. No allocation fails, and nobody passes what a kernel refuses at its gate.
    pub const fn plain() -> Self {
        let private = MapFlags::PRIVATE.union(MapFlags::ANONYMOUS);
        let fixed = MapFlags::FIXED.union(MapFlags::FIXED_NOREPLACE);
        Self {
            map_flags: private.union(fixed),
            move_flags: MoveFlags::MAYMOVE.union(MoveFlags::FIXED),
            prot: Prot::READ.union(Prot::WRITE).union(Prot::EXEC),
            fail: false,
            limits: false,
            absurd: false,
            // Above what may not be mapped, and below where nothing of the window is.
            range: (0x1_0000, 0x1000_0000),
            tasks: 1,
            ..Self::all()
        }
    }

    /// Only these calls.
    #[must_use]
    pub const fn calls(self, calls: &[CallKind]) -> Self {
        Self {
            calls: self.calls.and(Capabilities::of(calls)),
            ..self
        }
    }

    /// Only these flags of mmap.
    #[must_use]
    pub const fn map_flags(self, map_flags: MapFlags) -> Self {
        Self { map_flags, ..self }
    }

    /// Only these protections.
    #[must_use]
    pub const fn prot(self, prot: Prot) -> Self {
        Self { prot, ..self }
    }

    /// Only this advice.
    #[must_use]
    pub const fn advice(self, advice: &'static [Advice]) -> Self {
        Self {
            advice: Some(advice),
            ..self
        }
    }

    /// Only addresses in this range, which begins and ends with a page: programs name no others, and the
    /// manager has no room elsewhere. Where it is full, both managers are. The reference looks for room from the
    /// top down if the range begins below a third of where it ends, as Linux does, and otherwise from the bottom up.
    ///
    /// # Panics
    /// If the range is empty or reversed, or does not begin and end with a page; if it begins with address 0,
    /// which in programs stands for anywhere; if it ends above 2^47 − 4096, where processes end.
    #[must_use]
    #[track_caller]
    pub const fn within(self, range: Range<u64>) -> Self {
        assert!(
            range.start != 0,
            "World::within: the range begins with address 0, which stands for anywhere; expected one behind it"
        );
        let world = Self {
            range: (range.start, range.end),
            bounded: true,
            ..self
        };
        world.assert_sound();
        world
    }

    /// So many tasks at boot.
    ///
    /// # Panics
    /// If it is not 1 to 8.
    #[must_use]
    #[track_caller]
    pub const fn tasks(self, tasks: u8) -> Self {
        let world = Self { tasks, ..self };
        world.assert_sound();
        world
    }

    /// Refuses bounds of which no program can be made.
    #[track_caller]
    pub(crate) const fn assert_sound(&self) {
        let (start, end) = self.range;
        assert!(
            1 <= self.tasks && self.tasks <= 8,
            "World::tasks: expected 1 to 8"
        );
        if start == 0 && end == u64::MAX {
            return;
        }
        assert!(
            start < end,
            "World::within: the range is empty or reversed; expected one of at least a page"
        );
        assert!(
            start.is_multiple_of(PAGE_SIZE) && end.is_multiple_of(PAGE_SIZE),
            "World::within: the range does not begin and end with a page, of 4096 bytes"
        );
        assert!(
            end <= HIGHEST,
            "World::within: the range ends above 2^47 - 4096, where processes end; `BASE` says where yours begin"
        );
    }

    /// The machine that both managers boot for a program that asks for this one.
    pub(crate) fn machine<'a>(&self, config: &'a Config) -> Cow<'a, Config> {
        if !self.bounded {
            return Cow::Borrowed(config);
        }
        let (start, end) = self.range;
        let usual = Config::default().mmap_min_addr;
        let lowest = if config.mmap_min_addr == usual {
            start
        } else {
            start.max(config.mmap_min_addr)
        };
        // From the top down, Linux looks last from a third of the whole upwards. Where that is below the range
        // it would find room there, so that one is searched from the bottom up, and nothing else.
        let legacy_layout = config.legacy_layout || end / 3 < start;
        let reaches = end / 3 <= config.mmap_base && config.mmap_base <= end;
        let base = if legacy_layout {
            start
        } else if reaches {
            config.mmap_base
        } else {
            end
        };
        Cow::Owned(Config {
            task_size: end.min(config.task_size),
            mmap_min_addr: lowest,
            mmap_base: base,
            legacy_layout,
            ..config.clone()
        })
    }

    /// A program on the machine that both managers boot for it.
    pub(crate) fn on_machine<'a>(&self, program: &'a Program) -> Cow<'a, Program> {
        match self.machine(&program.config) {
            Cow::Borrowed(_) => Cow::Borrowed(program),
            Cow::Owned(config) => Cow::Owned(Program {
                config,
                ..program.clone()
            }),
        }
    }

    /// Small limits, too.
    #[must_use]
    pub const fn with_limits(self) -> Self {
        Self {
            limits: true,
            ..self
        }
    }

    /// Allocations that fail, too.
    #[must_use]
    pub const fn with_failures(self) -> Self {
        Self { fail: true, ..self }
    }
}

impl Default for World {
    fn default() -> Self {
        Self::all()
    }
}

#[cfg(test)]
mod tests {
    use vmadiff_contract::{Errno, Outcome};

    use super::*;

    #[test]
    fn bounds_that_are_none_are_refused() {
        fn refused(make: impl Fn() -> World + std::panic::UnwindSafe) -> String {
            let said = std::panic::catch_unwind(make).expect_err("it is refused");
            let said = said.downcast_ref::<&str>().map(|said| (*said).to_owned());
            said.expect("a sentence")
        }
        let within = |start, end| refused(move || World::plain().within(start..end));
        assert!(within(0x1_0800, 0x2_0000).contains("World::within"));
        assert!(within(0x1_0000, 0x2_0001).contains("with a page"));
        assert!(within(0x1_0000, 0x1_0000).contains("empty"));
        assert!(within(0x2_0000, 0x1_0000).contains("reversed"));
        assert!(within(0, 0x1_0000).contains("anywhere"));
        assert!(within(0x1_0000, HIGHEST + 0x1000).contains("2^47"));
        for tasks in [0, 9] {
            let said = refused(move || World::plain().tasks(tasks));
            assert!(said.contains("World::tasks"), "{said}");
        }
        let highest = World::plain().within(0x1000..HIGHEST).tasks(8);
        assert_eq!((highest.range, highest.tasks), ((0x1000, HIGHEST), 8));
    }

    /// The rules of placement are those of Linux, which does not look everywhere in an address space.
    #[test]
    fn all_of_the_range_is_room_and_nothing_else() {
        let pages = |start: u64, end: u64| start * PAGE_SIZE..end * PAGE_SIZE;
        for range in [pages(1, 9), pages(0x100, 0x108), pages(0x1fe, 0x214)] {
            let mut placed = Vec::new();
            let world = World::plain().within(range.clone());
            let mut text = String::new();
            let anywhere = "mmap(NULL, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)\n";
            for _ in range.clone().step_by(4096).chain([0]) {
                text += anywhere;
            }
            let case = crate::program::Case::parse("a.vma", &text).expect("a program");
            let bounded = world.on_machine(&case.program);
            let answers = crate::pair::reference_answers(&bounded);
            for answer in &answers {
                placed.extend(match answer {
                    Outcome::Value(place) => Some(*place),
                    _ => None,
                });
            }
            placed.sort_unstable();
            let all: Vec<u64> = range.step_by(4096).collect();
            assert_eq!(placed, all);
            let last = answers.last().copied();
            assert_eq!(last, Some(Outcome::Errno(Errno::ENOMEM)));
        }
    }
}
