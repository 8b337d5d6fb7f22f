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

use std::borrow::Cow;
use std::ops::Range;

use vmadiff_contract::{
    Advice, Call, CallKind, Capabilities, Config, Fail, MapFlags, MoveFlags, PAGE_SIZE, Prot,
    TaskId,
};

use crate::program::shape::{self, Param};
use crate::program::{Program, Step};

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

/// The longest range that a plain program names, bytes: it can be walked page by page.
const LONGEST: u64 = 64 * PAGE_SIZE;

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

impl Default for World {
    fn default() -> Self {
        Self::all()
    }
}

#[cfg(test)]
mod tests {
    use vmadiff_contract::{Errno, Outcome};

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
