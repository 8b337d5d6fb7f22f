//! A pending call: lists of steps on top of each other, each with its place in its list.
//!
//! A list is a table of [`Row`]s beside the rule that it is of. `call` takes all steps of a call;
//! a driver takes one at a time, with those of other calls between. Both take the same ones.

use vmadiff_contract::{Call, Choice, Errno, Fail, Offer, Outcome, StepKind, TaskId};

use crate::access::Access;
use crate::advise::Madvise;
use crate::carve::Carve;
use crate::collapse::Collapse;
use crate::dispatch::Begin;
use crate::evict::Evict;
use crate::exit::Exit;
use crate::fault::Fault;
use crate::file::FileCall;
use crate::fork::Fork;
use crate::guard::Guard;
use crate::heap::Brk;
use crate::limits::{Expand, LockMore, SetRlimit};
use crate::lock::{Mlock, Mlockall};
use crate::mmap::{Mmap, Vacant};
use crate::munmap::Munmap;
use crate::numa::NumaScan;
use crate::policy::{Mbind, SetMempolicy};
use crate::populate::Populate;
use crate::protect::Mprotect;
use crate::query::GetMempolicy;
use crate::remap::{Move, Mremap};
use crate::swap::Reclaim;
use crate::sync::Ask;
use crate::uffd::Register;
use crate::world::{Answer, World};
use crate::zap::{Zap, ZapFile};

/// How a step holds mmap_sem of its task's address space. Who held it for writing and now reads
/// has downgraded it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Sem {
    #[default]
    None,
    Read,
    Write,
}

/// Where a list goes on after a step.
#[derive(Clone, Copy)]
pub(crate) enum Flow {
    /// With the next row.
    Next,
    /// With this row once more.
    Again,
    /// With that row.
    To(u8),
    /// With the list that [`World::call`] was given, and then with this row.
    Call(u8),
    /// Nowhere: the list is done, and came to this value.
    Done(u64),
    /// Nowhere: the list is done, and came to what [`World::returned`] has.
    Ended,
    /// The same, and the list that called it is done too.
    Fail,
}

impl World {
    /// Goes on with another list, and then with this row; [`World::returned`] has what the list
    /// came to. Calls that are not driven take its steps at once.
    #[inline]
    pub fn call<L: List>(&mut self, list: L, then: u8) -> Step {
        if self.driven {
            self.called.push(list.into());
            return Ok(Flow::Call(then));
        }
        Ok(if self.finish(list) {
            Flow::To(then)
        } else {
            Flow::Ended
        })
    }

    /// Takes all steps of a list that is not driven; [`World::returned`] has what it came to.
    /// False: the list that called it is done, too.
    #[inline]
    pub fn finish<L: List>(&mut self, mut list: L) -> bool {
        let mut row = list.first();
        loop {
            match (L::ROWS[usize::from(row)].take)(self, &mut list) {
                Ok(Flow::Next) => row += 1,
                Ok(Flow::Again) => {}
                Ok(Flow::To(to) | Flow::Call(to)) => row = to,
                Ok(Flow::Done(value)) => {
                    self.returned = Outcome::Value(value);
                    return true;
                }
                Ok(Flow::Ended) => return true,
                Ok(Flow::Fail) => return false,
                Err(errno) => {
                    self.returned = Outcome::Errno(errno);
                    return true;
                }
            }
        }
    }
}

/// What a step comes to; an error ends its list.
pub(crate) type Step = Answer<Flow>;

/// The list is done, without an error.
pub(crate) const DONE: Step = Ok(Flow::Done(0));

/// One step of a list.
pub(crate) struct Row<L: 'static> {
    pub kind: StepKind,
    pub sem: Sem,
    /// The Linux function and the lock that make it one step.
    pub by: &'static str,
    /// What it does.
    pub what: &'static str,
    take: fn(&mut World, &mut L) -> Step,
    /// The guard that the step has to wait by, now.
    waits: Option<fn(&World, &L) -> Option<Guard>>,
    /// Choices other than [`Choice::Go`].
    ways: Option<fn(&World, &L, &mut Vec<Choice>)>,
}

/// A row of a table.
pub(crate) const fn row<L>(
    kind: StepKind,
    sem: Sem,
    by: &'static str,
    what: &'static str,
    take: fn(&mut World, &mut L) -> Step,
) -> Row<L> {
    let (waits, ways) = (None, None);
    Row {
        kind,
        sem,
        by,
        what,
        take,
        waits,
        ways,
    }
}

impl<L> Row<L> {
    /// This row, which a guard may hold up.
    pub const fn unless(self, waits: fn(&World, &L) -> Option<Guard>) -> Self {
        let waits = Some(waits);
        Self { waits, ..self }
    }

    /// This row, which can go more than one way.
    pub const fn or(self, ways: fn(&World, &L, &mut Vec<Choice>)) -> Self {
        let ways = Some(ways);
        Self { ways, ..self }
    }
}

/// A list of steps with what they remember from one to the next.
pub(crate) trait List: Sized + Into<Frame> + 'static {
    /// What `docs/steps.md` calls it.
    const NAME: &'static str;
    const ROWS: &'static [Row<Self>];

    /// The row that it begins with.
    fn first(&self) -> u8 {
        0
    }

    /// On with this row, which is another step; at once where no other call can come between.
    #[inline]
    fn go(&mut self, world: &mut World, row: u8) -> Step {
        if world.driven {
            return Ok(Flow::To(row));
        }
        match (Self::ROWS[usize::from(row)].take)(world, self) {
            Ok(Flow::Next) => Ok(Flow::To(row + 1)),
            Ok(Flow::Again) => Ok(Flow::To(row)),
            came => came,
        }
    }

    /// How this row, of this number, holds mmap_sem here.
    fn sem(&self, _: &World, _: u8, row: &Row<Self>) -> Sem {
        row.sem
    }
}

macro_rules! lists {
    ($($name:ident),* $(,)?) => {
        /// Any list.
        #[derive(Clone, Debug, Hash)]
        pub(crate) enum Frame { $($name($name)),* }

        $(impl From<$name> for Frame {
            fn from(list: $name) -> Self {
                Self::$name(list)
            }
        })*

        impl Frame {
            #[inline]
            fn take(&mut self, pc: u8, world: &mut World) -> Step {
                match self {
                    $(Self::$name(list) => ($name::ROWS[usize::from(pc)].take)(world, list)),*
                }
            }

            #[inline]
            fn first(&self) -> u8 {
                match self { $(Self::$name(list) => list.first()),* }
            }

            fn sem(&self, pc: u8, world: &World) -> Sem {
                match self {
                    $(Self::$name(list) => {
                        list.sem(world, pc, &$name::ROWS[usize::from(pc)])
                    })*
                }
            }

            fn waits(&self, pc: u8, world: &World) -> Option<Guard> {
                match self {
                    $(Self::$name(list) => {
                        $name::ROWS[usize::from(pc)].waits.and_then(|waits| waits(world, list))
                    })*
                }
            }

            fn ways(&self, pc: u8, world: &World, into: &mut Vec<Choice>) {
                match self {
                    $(Self::$name(list) => {
                        if let Some(ways) = $name::ROWS[usize::from(pc)].ways {
                            ways(world, list, into);
                        }
                    })*
                }
            }

            /// What this row offers task `task`.
            fn offer(&self, row: u8, task: TaskId) -> Offer {
                let (list, choice) = (self.name(), Choice::Go);
                let (kind, what, by) = match self {
                    $(Self::$name(_) => {
                        let Row { kind, what, by, .. } = $name::ROWS[usize::from(row)];
                        (kind, what, by)
                    })*
                };
                Offer { task, list, row, kind, what, by, choice }
            }

            fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => $name::NAME),* }
            }
        }

        /// Every list with its rows: kind, how mmap_sem is held, what, and by what it is one step.
        #[cfg(test)]
        pub(crate) fn all_lists() -> Vec<(&'static str, Vec<(StepKind, Sem, &'static str, &'static str)>)> {
            vec![$((
                $name::NAME,
                $name::ROWS.iter().map(|row| (row.kind, row.sem, row.what, row.by)).collect(),
            )),*]
        }
    };
}

lists! {
    Access, Fault, Populate, Munmap, Zap, Mmap, Vacant, Mprotect, Carve, Mremap, Move, Madvise, Fork, Exit, Mlock,
    Mlockall, FileCall, ZapFile, Ask, Reclaim, Collapse, NumaScan, Brk, Mbind, SetMempolicy, Register, Evict,
    SetRlimit, Expand, LockMore, GetMempolicy,
}

/// The table of a list: a row for each step, of what it does, how it holds mmap_sem, the Linux
/// function with the lock or access that make it one step; then the function that takes it, the
/// guard that it may have to wait by (`unless`), other ways that it can go (`or`), and what is done.
macro_rules! rows {
    ($name:literal $($kind:ident $sem:ident $by:literal
        $take:ident $(unless $waits:ident)? $(or $ways:ident)?: $what:literal;)*) => {
        const NAME: &'static str = $name;
        const ROWS: &'static [$crate::job::Row<Self>] = &[$(
            $crate::job::row(
                vmadiff_contract::StepKind::$kind, $crate::job::Sem::$sem, $by, $what, Self::$take,
            )$(.unless(Self::$waits))?$(.or(Self::$ways))?
        ),*];
    };
}
pub(crate) use rows;

/// A pending call.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Job {
    /// Innermost list last, each with the row that comes next.
    stack: Vec<(Frame, u8)>,
    /// Its outcome, which it has yet to return.
    pub outcome: Option<Outcome>,
    /// How it holds mmap_sem.
    pub held: Sem,
    /// What the list that it called came to.
    pub returned: Option<Outcome>,
    /// Which of its allocations fails, and how many it has made.
    pub fail: Fail,
    pub made: u32,
    /// Pages charged that the next step gives back.
    pub overcharged: u64,
    /// Others were under way beside it, or a fault of it has begun again: how many allocations it
    /// makes depends on both, and which of them fails is chosen.
    pub uncounted: bool,
}

impl Begin for &mut Job {
    type Begun = ();

    fn list<L: List>(self, _: &mut World, list: L) {
        let first = list.first();
        self.stack.push((list.into(), first));
    }

    fn nothing(self, outcome: Outcome) {
        self.outcome = Some(outcome);
    }
}

impl Job {
    /// Begins a call, of which a step has yet to be taken.
    pub fn begin(&mut self, world: &mut World, t: usize, call: &Call, fail: Fail) {
        self.clear();
        self.fail = fail;
        world.list(t, call, self);
    }

    /// Forgets its call, and keeps the memory.
    pub fn clear(&mut self) {
        let mut stack = std::mem::take(&mut self.stack);
        stack.clear();
        *self = Self {
            stack,
            ..Self::default()
        };
    }

    /// A charge that was refused is given back (`__vm_enough_memory`).
    pub fn give_back(&mut self, world: &mut World) {
        world.uncharge(std::mem::take(&mut self.overcharged));
    }

    /// A fault begins again.
    pub fn again(&mut self, world: &mut World) {
        if let Some((Frame::Fault(fault), pc)) = self.stack.last_mut() {
            *pc = fault.restart(world);
        }
    }

    /// Whether a call is under way.
    pub fn is_pending(&self) -> bool {
        self.outcome.is_some() || !self.stack.is_empty()
    }

    /// Takes the next step. The outcome, if it was the last.
    #[inline]
    pub fn step(&mut self, world: &mut World) -> Option<Outcome> {
        let top = self.stack.last_mut().expect("a pending call has a list");
        match top.0.take(top.1, world) {
            Ok(Flow::Next) => top.1 += 1,
            Ok(Flow::Again) => {}
            Ok(Flow::To(row)) => top.1 = row,
            Ok(Flow::Call(row)) => {
                top.1 = row;
                let frame = world.called.pop().expect("a list was given");
                let first = frame.first();
                self.stack.push((frame, first));
            }
            Ok(Flow::Done(value)) => return self.done(world, Outcome::Value(value)),
            Ok(Flow::Ended) => return self.done(world, world.returned),
            Ok(Flow::Fail) => {
                self.stack.pop();
                return self.done(world, world.returned);
            }
            Err(errno) => return self.done(world, Outcome::Errno(errno)),
        }
        None
    }

    fn done(&mut self, world: &mut World, outcome: Outcome) -> Option<Outcome> {
        self.stack.pop();
        world.refused |= !outcome.is_success();
        world.returned = outcome;
        self.stack.is_empty().then_some(outcome)
    }

    /// Takes all steps of its call.
    pub fn run(&mut self, world: &mut World) -> Outcome {
        loop {
            let outcome = self.outcome.take().or_else(|| self.step(world));
            let overcharged = std::mem::take(&mut world.overcharged);
            world.uncharge(overcharged);
            if let Some(outcome) = outcome {
                return outcome;
            }
        }
    }

    /// How the next step holds mmap_sem: as the list does that needs it most.
    pub fn needs(&self, world: &World) -> Sem {
        if self.overcharged > 0 {
            return self.held;
        }
        let sems = self.stack.iter().map(|(frame, pc)| frame.sem(*pc, world));
        sems.max().unwrap_or_default()
    }

    /// The guard that the next step has to wait by.
    pub fn waits(&self, world: &World) -> Option<Guard> {
        let (frame, pc) = self.stack.last().filter(|_| self.overcharged == 0)?;
        frame.waits(*pc, world)
    }

    /// The ways that the next step can go besides [`Choice::Go`].
    pub fn ways(&self, world: &World, into: &mut Vec<Choice>) {
        if let Some((frame, pc)) = self.stack.last().filter(|_| self.overcharged == 0) {
            frame.ways(*pc, world, into);
        }
    }

    /// The next step of task `task`.
    pub fn offer(&self, task: TaskId) -> Offer {
        if self.overcharged > 0 {
            return Offer {
                task,
                list: "charge",
                row: 0,
                kind: StepKind::Uncharge,
                what: "what was charged is given back",
                by: "vm_unacct_memory: a counter",
                choice: Choice::Go,
            };
        }
        match self.stack.last() {
            Some((frame, row)) => frame.offer(*row, task),
            None => Offer {
                task,
                list: "call",
                row: 0,
                kind: StepKind::Return,
                what: "the call returns",
                by: "the task is back from the kernel",
                choice: Choice::Go,
            },
        }
    }
}

/// What a called list came to, as an answer.
pub(crate) fn answer(outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Value(value) => Ok(value),
        Outcome::Errno(errno) => Err(errno),
        _ => Err(Errno::EFAULT),
    }
}
