//! What this design says of itself: see [`DesignInfo`].

use std::sync::Arc;

use vmadiff_contract::{
    Aim, AtRest, Boot, CallKind, Config, Count, DefectInfo, DesignInfo, Deviation, EventSink,
    Frees, Lane, Manager, Point, Reason,
};
use vmadiff_machine::defects::listed;
use vmadiff_machine::deviations::KERNEL;
use vmadiff_machine::{Machine, aims, defects, reasons, sites};

use crate::Mmseq;
use crate::deviations::DEVIATIONS;

/// The speculative faults of 2021, repaired.
pub static DESIGN: DesignInfo = DesignInfo {
    what: "Faults work on a copy of their VMA; one sequence count for each address space says whether it \
           still holds.",
    ..form("mmseq", boot)
};

/// The same as it was posted.
pub static AS_POSTED: DesignInfo = DesignInfo {
    what: "The faults of 2021 as they were posted: `mmseq` with every deviation undone that can be. It \
           has the series' bugs, and those of 5.1.",
    form_of: Some("mmseq"),
    as_posted: true,
    ..form("mmseq-as-posted", boot_as_posted)
};

/// What both forms of the design have in common.
const fn form(name: &'static str, boot: Boot) -> DesignInfo {
    DesignInfo {
        source: "the speculative page faults of M. Lespinasse (April 2021, second version January 2022), \
                 on Linux 5.1",
        sites: SITES,
        defects: DEFECTS,
        reasons: REASONS,
        counts: COUNTS,
        frees: Frees::AfterReaders,
        lanes: LANES,
        aims: AIMED,
        proof: "the read section that found the area, for its memory; for what is read of it the copy, and \
                the address space's sequence count before the copy is believed",
        recycles: "its start and end, to wait by, when it is removed; the whole slot after a grace period",
        deviations: FROM,
        unshown: UNSHOWN,
        ..DesignInfo::plain(name, boot)
    }
}

const SITES: &[&[&str]] = &[sites::NAMES, crate::sites::NAMES];
const DEFECTS: &[&[DefectInfo]] = &[listed(defects::DEFECTS), listed(crate::defects::DEFECTS)];
const REASONS: &[&[&Reason]] = &[reasons::REASONS, crate::reasons::REASONS];
const COUNTS: &[Count] = &[Count {
    name: "sequence count of its address space",
    at_rest: AtRest::Even,
}];
const LANES: &[Lane] = &[Lane {
    name: "a speculative fault",
    begins: &["do_user_addr_fault."],
}];
const AIMED: &[&[Point]] = &[AIMS, aims::AIMS];
const FROM: &[&[Deviation]] = &[KERNEL, DEVIATIONS];

/// What nothing can show here: no fault goes on beside a collapse or a move, which have mmap_sem for
/// writing, and nobody asks an area that was removed for its file.
const UNSHOWN: &[&str] = &[
    "a10-collapse-unnoticed",
    "a12-table-moved-unlocked",
    "a24-file-not-forgotten",
    "a24-merge-keeps-file",
    "a24-file-put-twice",
];

/// Here the machine is compiled for this design.
fn boot(config: &Config, events: Arc<dyn EventSink>, defects: &[&str]) -> Box<dyn Manager> {
    Machine::<Mmseq>::boxed(config, events, defects)
}

fn boot_as_posted(
    config: &Config,
    events: Arc<dyn EventSink>,
    defects: &[&str],
) -> Box<dyn Manager> {
    Machine::<Mmseq>::boxed_as(&AS_POSTED, config, events, defects)
}

const fn at(aim: Aim, begins: &'static [&'static str]) -> Point {
    Point { aim, begins }
}

/// Where the memory of an area that was removed waits, and goes.
const REMOVED: &[&str] = &["vm_area_free."];
/// A fault before it has a page table: the count, the lookup, the copy.
const COPY: &[&str] = &["do_user_addr_fault.", "pte_map_lock.seq"];
/// The count, moved by whoever writes areas.
const COUNT: &[&str] = &["mmap_seq."];

/// What races about this design are left at.
const AIMS: &[Point] = &[
    at(Aim::Call(CallKind::Load), COPY),
    at(Aim::Call(CallKind::Store), COPY),
    at(Aim::Call(CallKind::Exec), COPY),
    at(Aim::Call(CallKind::Munmap), REMOVED),
    at(Aim::Beside(CallKind::Mmap), REMOVED),
    at(Aim::Beside(CallKind::Mremap), REMOVED),
    at(Aim::Call(CallKind::Mbind), &["mpol_put."]),
    at(Aim::Adjusts, REMOVED),
    at(Aim::Beside(CallKind::Munmap), COUNT),
    at(Aim::Beside(CallKind::Mprotect), COUNT),
    at(Aim::Beside(CallKind::Mbind), COUNT),
    at(Aim::Beside(CallKind::Madvise), COUNT),
    at(Aim::Beside(CallKind::Mlock), COUNT),
    at(Aim::Beside(CallKind::Munlock), COUNT),
    at(Aim::Beside(CallKind::UffdRegister), COUNT),
    at(Aim::HalfWay, REMOVED),
    at(
        Aim::Looked,
        &[
            "do_user_addr_fault.copy_",
            "do_user_addr_fault.seq_check",
            "do_user_addr_fault.vm_start",
            "pte_map_lock.seq",
        ],
    ),
];
