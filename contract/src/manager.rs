//! The one trait.

use std::sync::Arc;

use crate::{
    Advice, Call, CallKind, Config, EventSink, MapFlags, Moves, Outcome, Parts, Snapshot, TaskId,
    View,
};

/// Which allocation of a call fails, counted from 1; 0 is none.
///
/// Allocations are counted as the call makes them: VMA, anon_vma (each alloc and each chain link
/// of a clone), policy, page table, page frame. A manager without page tables counts as if it had
/// them is *not* asked for: programs fail only what both count (see `docs/rules.md`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Fail(pub u8);

impl Fail {
    /// Every allocation succeeds.
    pub const NONE: Self = Self(0);
}

/// A manager of address spaces, as its tasks see it. Calls take `&self`: callers race.
///
/// Usable as an object: a harness runs on boxed managers, so that a design more costs it nothing.
pub trait Manager: Send + Sync {
    /// Boots with this configuration: tasks 1 to `config.tasks` live in one empty address space.
    /// Every event goes to `events` as it happens.
    fn boot(config: &Config, events: Arc<dyn EventSink>) -> Box<dyn Manager>
    where
        Self: Sized;

    /// Boots again, as [`Manager::boot`] would, keeping memory for reuse. Raises no events: what
    /// was alive is forgotten, not freed.
    fn reset(&mut self, config: &Config);

    /// Name used in reports, for example `one-lock`.
    fn name(&self) -> &'static str;

    /// The calls it knows; programs are narrowed to them.
    fn supports(&self) -> Capabilities;

    /// Makes one call for `task`: a system call, a memory access, or a step of the kernel itself.
    ///
    /// A task that does not exist or has exited answers [`Outcome::NoTask`]; so does task 0, the
    /// kernel itself, for all but [`Call::Softirq`]. An unknown call answers
    /// [`Outcome::Unsupported`]. An access that is told 64 times in a row that its fault was
    /// served, and still faults, answers [`Outcome::Livelock`].
    fn call(&self, task: TaskId, call: &Call, fail: Fail) -> Outcome;

    /// Writes what can be seen of every address space, file, policy and counter. Clears first.
    fn snapshot(&self, into: &mut Snapshot);

    /// How often each part of the state may have moved, as far as calls were made on this thread;
    /// none: it is not known, and everything is looked at after each call.
    fn moves(&self) -> Option<Moves> {
        None
    }

    /// As [`Manager::snapshot`], but of the parts only these: the others stay as `into` has them from
    /// the last look.
    fn look_again(&self, parts: Parts, into: &mut Snapshot) {
        let _ = parts;
        self.snapshot(into);
    }

    /// Whether a state is what a view of areas and of nothing else shows of this manager; none: that is
    /// found out by looking.
    fn is_seen_as(&self, _view: &View, _state: &Snapshot) -> Option<bool> {
        None
    }

    /// Runs what was deferred (grace periods) to its end.
    fn quiesce(&self);

    /// The program is over: what is thrown away with it may be thrown away now. A [`Manager::reset`] comes next,
    /// and what goes wrong in here is told of this program and not of that one.
    fn close(&mut self) {}

    /// Whether a call has come to where a defect that was planted stands, since boot or reset. A manager
    /// without planted defects comes to none.
    fn has_reached_defect(&self) -> bool {
        false
    }

    /// Takes on the areas of a state, as another manager has them, in place of its own, and what
    /// private memory holds there. Whether it did; one that cannot is left as it was. Only comparisons
    /// that go on past a known difference ask for it.
    fn adopt(&mut self, _state: &Snapshot) -> bool {
        false
    }
}

/// What some arguments ask for: a manager may know the call and not that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Attribute {
    /// `MADV_HUGEPAGE` and `MADV_NOHUGEPAGE`.
    HugePageAdvice,
    /// `MADV_MERGEABLE` and `MADV_UNMERGEABLE`.
    MergeableAdvice,
    /// `MADV_WILLNEED`.
    ReadAhead,
    /// `MAP_HUGETLB`.
    HugeTlb,
}

impl Attribute {
    /// Every one.
    pub const ALL: &[Self] = &[
        Self::HugePageAdvice,
        Self::MergeableAdvice,
        Self::ReadAhead,
        Self::HugeTlb,
    ];

    /// What a call asks for beyond what its kind says.
    pub fn of(call: &Call) -> Option<Self> {
        match call {
            Call::Madvise { advice, .. } => match advice {
                Advice::HugePage | Advice::NoHugePage => Some(Self::HugePageAdvice),
                Advice::Mergeable | Advice::Unmergeable => Some(Self::MergeableAdvice),
                Advice::WillNeed => Some(Self::ReadAhead),
                _ => None,
            },
            Call::Mmap { flags, .. } if flags.contains(MapFlags::HUGETLB) => Some(Self::HugeTlb),
            _ => None,
        }
    }
}

/// The calls and attributes that a manager knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    calls: u64,
    /// Attributes that it does not know.
    lacks: u64,
}

impl Capabilities {
    /// These calls, with all attributes.
    pub const fn of(kinds: &[CallKind]) -> Self {
        let mut calls = 0;
        let mut i = 0;
        while i < kinds.len() {
            calls |= 1 << kinds[i] as u8;
            i += 1;
        }
        Self { calls, lacks: 0 }
    }

    /// All but these calls.
    #[must_use]
    pub const fn without(self, kinds: &[CallKind]) -> Self {
        Self {
            calls: self.calls & !Self::of(kinds).calls,
            ..self
        }
    }

    /// Without these attributes.
    #[must_use]
    pub const fn lacking(self, attributes: &[Attribute]) -> Self {
        let mut lacks = self.lacks;
        let mut i = 0;
        while i < attributes.len() {
            lacks |= 1 << attributes[i] as u8;
            i += 1;
        }
        Self { lacks, ..self }
    }

    /// Those of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            calls: self.calls & other.calls,
            lacks: self.lacks | other.lacks,
        }
    }

    /// Those of either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self {
            calls: self.calls | other.calls,
            lacks: self.lacks & other.lacks,
        }
    }

    /// Whether this call is known.
    pub const fn knows(self, kind: CallKind) -> bool {
        self.calls & (1 << kind as u8) != 0
    }

    /// Whether this call is known with what its arguments ask for.
    pub fn makes(self, call: &Call) -> bool {
        let lacks = |attribute| self.lacks & (1 << attribute as u8) != 0;
        self.knows(call.kind()) && !Attribute::of(call).is_some_and(lacks)
    }
}
