//! The calls of a theme: what each is about.

use vmadiff_contract::{
    Access, Call, CallKind, Fail, Fd, FileKind, MapFlags, MoveFlags, PAGE_SIZE, Prot, TaskId,
};

use super::super::super::dice::Dice;
use super::super::super::{Profile, fresh};
use super::super::setup::{FIRST_FD, by};
use super::{LISTS, Theme};
use crate::program::Step;
use crate::program::shape::{self, Param, Words};
use crate::program::world::{Space, World};

impl Theme {
    /// A call of the theme, about a range of the stretch.
    pub(super) fn call(
        &mut self,
        dice: &mut Dice<'_>,
        there: &World,
        profile: &Profile,
        task: TaskId,
    ) -> Step {
        let kind = dice.pick(&self.kinds);
        let made: Vec<Words> = self
            .lists
            .iter()
            .filter(|(of, _)| *of == kind)
            .map(|(_, words)| *words)
            .collect();
        let mut step = if made.len() < LISTS {
            let step = fresh::step(dice, there, profile.calls, kind, task);
            self.lists
                .push((step.call.kind(), shape::words(&step.call)));
            step
        } else {
            by(task, shape::build(kind, &dice.pick(&made)))
        };
        step.call = self.about(dice, &step.call);
        step.fail = Fail::NONE;
        if self.fails.is_some_and(|times| dice.one_in(times)) {
            step.fail = Fail(1 + dice.below(3) as u8);
        }
        step
    }

    /// The call about a range of the stretch, if it is about one.
    fn about(&self, dice: &mut Dice<'_>, call: &Call) -> Call {
        let kind = call.kind();
        let (start, len) = dice.pick(&self.ranges);
        let mut words = shape::words(call);
        match shape::params(kind) {
            [Param::Addr, Param::Len, ..] => (words[0], words[1]) = (start, len),
            [Param::Addr] if kind != CallKind::Brk => words[0] = self.place(dice),
            [Param::Fd, .., Param::Len] => {
                let last = shape::params(kind).len() - 1;
                words[last] = dice.below(self.places + 1) * PAGE_SIZE;
            }
            _ => {}
        }
        match &mut shape::build(kind, &words) {
            Call::Mmap { flags, .. } => {
                flags.insert(MapFlags::FIXED);
                words[3] = flags.bits();
            }
            Call::Mremap { .. } => {
                words[2] = dice.pick(&self.ranges).1;
                let apart = self.start + self.unit * (self.places + dice.below(3));
                words[4] = match dice.one_in(2) {
                    true => apart,
                    false => dice.pick(&self.ranges).0,
                };
                let fixed = MoveFlags::MAYMOVE | MoveFlags::FIXED;
                if dice.one_in(2) {
                    words[3] = fixed.bits().into();
                }
            }
            _ => {}
        }
        shape::build(kind, &words)
    }

    /// An address of the stretch.
    pub(super) fn place(&self, dice: &mut Dice<'_>) -> u64 {
        self.start + dice.below(self.places) * self.unit
    }

    /// An access to the stretch, or right below it, where a stack may grow.
    pub(super) fn access(&self, dice: &mut Dice<'_>, space: &Space) -> Call {
        let addr = match dice.one_in(12) {
            true => self.start - PAGE_SIZE,
            false => self.place(dice),
        };
        let executable = |addr| {
            space
                .area_at(addr)
                .is_some_and(|area| area.prot.contains(Prot::EXEC))
        };
        match dice.below(8) {
            0 | 1 if executable(addr) => Call::Exec { addr },
            0..3 => Call::Load { addr },
            _ => Call::Store {
                addr,
                value: 1 + dice.below(255) as u8,
            },
        }
    }

    pub(super) fn open(&self, dice: &mut Dice<'_>) -> Call {
        Call::Open {
            kind: FileKind::Plain,
            access: Access::READ | Access::WRITE,
            size: (1 + dice.below(self.places.min(8))) * PAGE_SIZE,
        }
    }

    /// Maps some places: private memory mostly, or a file if there is one.
    pub(super) fn mapping(&self, dice: &mut Dice<'_>, at: u64, count: u64, file: bool) -> Call {
        let (private, shared) = (MapFlags::PRIVATE, MapFlags::SHARED);
        let of_file = file && !dice.one_in(4);
        let kind = match of_file {
            true => dice.pick(&[private, shared]),
            false => dice.weighted(&[
                (8, private | MapFlags::ANONYMOUS),
                (1, shared | MapFlags::ANONYMOUS),
                (1, private | MapFlags::ANONYMOUS | MapFlags::GROWSDOWN),
            ]),
        };
        let (read, write) = (Prot::READ, Prot::WRITE);
        Call::Mmap {
            addr: self.start + at * self.unit,
            len: count * self.unit,
            prot: dice.weighted(&[(8, read | write), (1, read), (1, read | write | Prot::EXEC)]),
            flags: kind | MapFlags::FIXED,
            fd: if of_file { FIRST_FD } else { Fd(-1) },
            off: match of_file && dice.one_in(2) {
                true => at * PAGE_SIZE,
                false => 0,
            },
        }
    }
}
