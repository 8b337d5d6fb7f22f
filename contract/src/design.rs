//! What a design says of itself: data by which a harness that knows no design runs it, aims at it,
//! judges it and draws it.
//!
//! A design is how a fault finds and holds its VMA without mmap_sem, how a writer shuts faults out,
//! and how a VMA dies. It declares and the harness judges: a design does not grade itself. Lists
//! are lists of lists, since a design stands on a machine that declares its own share.

use std::fmt;
use std::sync::Arc;

use crate::{CallKind, Config, EventSink, Manager};

/// All that is known of a design.
pub struct DesignInfo {
    /// Its name, stable: lower case, digits and dashes, for example `spf`.
    pub name: &'static str,
    /// What it is, in one sentence.
    pub what: &'static str,
    /// Where it is from.
    pub source: &'static str,
    /// Where it makes shared accesses: `function.what`, each name once. Schedules go by these, in
    /// text by name and in bytes by a number that is a hash of the name, so a name is stable.
    pub sites: &'static [&'static [&'static str]],
    /// Sites that bore another name, old to new: a kept schedule that names the old one means the
    /// new one.
    pub renamed_sites: &'static [&'static [(&'static str, &'static str)]],
    /// The bugs that can be restored by name; none if they are compiled out.
    pub defects: &'static [&'static [DefectInfo]],
    /// Why a fault gives up and goes on under mmap_sem, each with a number of its own.
    pub reasons: &'static [&'static [&'static Reason]],
    /// How its own protocol can be broken, where the manager notices it.
    pub breaches: &'static [&'static [&'static Breach]],
    /// What [`crate::Protocol::counts`] hold for each linked VMA, in this order, at most
    /// [`crate::COUNTS`]; none: the design counts nothing.
    pub counts: &'static [Count],
    /// When a VMA that left its tree may be freed.
    pub frees: Frees,
    /// Spans to draw in a thread's lane.
    pub lanes: &'static [Lane],
    /// Where calls are worth being left in the middle.
    pub aims: &'static [&'static [Point]],
    /// The design of which it is a form, in whose package it lies; none: it has one of its own.
    pub form_of: Option<&'static str>,
    /// It is what was posted: each of its deviations that can be undone is, so that it has bugs.
    pub as_posted: bool,
    /// What proves to a fault without mmap_sem that its area is one, and still the one that it found.
    pub proof: &'static str,
    /// What memory of an area is used again, and when.
    pub recycles: &'static str,
    /// Where it, or the machine under it, does otherwise than what it is made after.
    pub deviations: &'static [&'static [Deviation]],
    /// Defects of the machine that nothing can show in this design, by name: it has no such fault.
    pub unshown: &'static [&'static str],
    /// Rules of its own that a defect of the machine breaks, too: the defect and the rule, by name.
    pub also_fires: &'static [(&'static str, &'static str)],
    /// Boots a manager of this design.
    pub boot: Boot,
}

impl DesignInfo {
    /// A design that declares nothing: it has no sites and no defects, counts nothing and frees
    /// VMAs at once.
    pub const fn plain(name: &'static str, boot: Boot) -> Self {
        Self {
            name,
            what: "",
            source: "",
            sites: &[],
            renamed_sites: &[],
            defects: &[],
            reasons: &[],
            breaches: &[],
            counts: &[],
            frees: Frees::AtOnce,
            lanes: &[],
            aims: &[],
            form_of: None,
            as_posted: false,
            proof: "",
            recycles: "",
            deviations: &[],
            unshown: &[],
            also_fires: &[],
            boot,
        }
    }
}

impl DesignInfo {
    /// The defects that it is never without, by name: those that undo its deviations, if it is as
    /// posted.
    pub fn posted(&self) -> impl Iterator<Item = &'static str> {
        let lists = if self.as_posted { self.deviations } else { &[] };
        let all = lists.iter().copied().flatten();
        all.filter_map(|deviation| deviation.undone_by)
    }
}

/// By its name.
impl fmt::Debug for DesignInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Two designs are the same if their names are.
impl PartialEq for DesignInfo {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for DesignInfo {}

/// Boots a manager as [`Manager::boot`] does, with the defects of these names. Panics on a name
/// that is not in [`DesignInfo::defects`].
pub type Boot = fn(&Config, Arc<dyn EventSink>, defects: &[&str]) -> Box<dyn Manager>;

/// A bug that can be restored by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefectInfo {
    /// Its name, stable.
    pub name: &'static str,
    /// How it is found.
    pub kind: DefectKind,
    /// What is wrong, in one sentence.
    pub what: &'static str,
    /// Where the bug is from.
    pub source: &'static str,
    /// The rules of which one must fire, by name: the judge's, or [`Breach::rule`]; none: any will do.
    pub rules: &'static [&'static str],
}

/// Where a design leaves what it is made after. Its text bears the mark where it does: `Deviation
/// (MARK)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deviation {
    /// What the places in the code are marked with; each once.
    pub mark: &'static str,
    /// What the original does, and what is done here, in a sentence or two.
    pub what: &'static str,
    /// The class of bugs that is not seen for it, or why the original is wrong.
    pub hides: &'static str,
    /// The defect that undoes it; none: it stays.
    pub undone_by: Option<&'static str>,
}

impl Deviation {
    /// One that a defect undoes.
    pub const fn undone(
        mark: &'static str,
        undone_by: &'static str,
        what: &'static str,
        hides: &'static str,
    ) -> Self {
        Self {
            undone_by: Some(undone_by),
            ..Self::stays(mark, what, hides)
        }
    }

    /// One that stays.
    pub const fn stays(mark: &'static str, what: &'static str, hides: &'static str) -> Self {
        Self {
            mark,
            what,
            hides,
            undone_by: None,
        }
    }
}

/// How a defect is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefectKind {
    /// By calls one after another.
    Serial,
    /// Only where calls interleave.
    Interleaved,
}

/// Why a fault gave up and went on under mmap_sem.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reason {
    /// Its place in the coverage counters, below [`Reason::MAX`]; stable, distinct in a design.
    pub number: u8,
    /// Its name in summaries, stable.
    pub name: &'static str,
    /// What it means, in one sentence.
    pub what: &'static str,
    /// A run without interleaving can meet it.
    pub serial: bool,
}

impl Reason {
    /// Reasons that a design can have.
    pub const MAX: u8 = 32;
}

/// By its name.
impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// How a protocol between tasks can be broken that a design has and others need not have: a rule of
/// the judge that the design declares.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Breach {
    /// The rule's name, stable: `misuse-` and what was misused.
    pub rule: &'static str,
    /// What the rule says, in one sentence.
    pub says: &'static str,
    /// Where it is from.
    pub source: &'static str,
    /// What happened to the VMA; follows its name in a sentence.
    pub what: &'static str,
}

/// By the rule's name.
impl fmt::Debug for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.rule)
    }
}

/// A count that each linked VMA carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// What it counts, for sentences such as "has 3 `references` between calls".
    pub name: &'static str,
    /// What holds of it when no call is under way.
    pub at_rest: AtRest,
}

/// What holds of a count when no call is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtRest {
    /// These are counted references: what [`crate::Event::VmaGet`] and [`crate::Event::VmaPut`]
    /// tell of must lead to the count.
    References {
        /// Of a VMA that was just allocated. One that was never linked is freed with them.
        fresh: u32,
        /// Of a VMA in its tree.
        linked: u32,
    },
    /// It is even: no writer is at work.
    Even,
}

/// When a VMA that left its tree may be freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frees {
    /// Inside the call that removed it: nobody looks at a VMA without mmap_sem.
    AtOnce,
    /// When every task has left that was inside an RCU read section, or had interrupts off, when
    /// it was erased from its tree. The call that removed it may have returned by then.
    AfterReaders,
    /// As soon as no counted reference is left: its memory only ever holds VMAs, and readers look
    /// whether what they hold is still what they found (`SLAB_TYPESAFE_BY_RCU`).
    Recycled,
}

/// A span to draw in a thread's lane: from the first access at one of these sites to the note that
/// tells how the fault ended ([`crate::Note::Speculative`], [`crate::Note::GiveUp`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane {
    /// What the task is in meanwhile.
    pub name: &'static str,
    /// How the names of the sites begin.
    pub begins: &'static [&'static str],
}

/// Sites at which a task is worth being left for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// What for.
    pub aim: Aim,
    /// How the names of the sites begin; each begins at least one.
    pub begins: &'static [&'static str],
}

/// What a task is in the middle of. Races that the harness writes are made of these; one that a
/// design has no sites for is left where a call begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Aim {
    /// A call of this kind, where that is most telling. An access: to a page that is not there.
    Call(CallKind),
    /// A call of this kind, what it passes besides. An access: to a page that is there.
    Beside(CallKind),
    /// Any other call: areas are cut, merged and linked.
    Adjusts,
    /// A writer is half way: others see a part of what it changes, and not yet the rest, or what it will
    /// take back.
    HalfWay,
    /// A fault has looked at what it goes by, perhaps for the last time, and has not acted yet.
    Looked,
}
