//! Where a call can be left in the middle: the functions of the candidate that it passes. A switch at
//! a place that its task never comes to changes nothing.

use vmadiff_contract::{Call, CallKind, TaskId};

use super::dice::Dice;
use crate::program::sites::{BEGIN, Sites};
use crate::program::world::Space;
use crate::program::{Moment, Step, Switch};

/// A fault from its lookup to its page-table lock, and what a first touch allocates.
const FAULT: &[&str] = &[
    "find_vma_rcu.",
    "handle_speculative_fault.",
    "get_vma_policy.",
    "pte_map_lock.",
    "vma_has_changed.",
    "alloc_page_vma.",
    "do_anonymous_page.",
];
/// A fault on what is there.
const PRESENT: &[&str] = &[
    "pte_map_lock.",
    "alloc_page_vma.",
    "do_wp_page.",
    "wp_page_copy.",
    "cow_user_page.",
    "do_swap_page.",
    "do_numa_page.",
    "access.",
];
/// Areas that are cut, merged and linked.
const ADJUST: &[&str] = &[
    "vma_adjust.",
    "vma_link_rb.",
    "vma_rb_erase.",
    "vmacache_invalidate.",
    "vm_rcu_put.",
];
const UNMAP: &[&str] = &[
    "detach_vmas.",
    "vma_rb_erase.",
    "vmacache_invalidate.",
    "munmap.",
    "zap_pte_range.",
    "flush_tlb.",
    "free_pgtables.",
    "free_pte_range.",
    "tlb_flush_mmu.",
    "remove_vma.",
    "vm_rcu_put.",
];
const MOVE: &[&str] = &[
    "mremap.",
    "copy_vma.",
    "move_vma.",
    "move_ptes.",
    "move_normal_pmd.",
];

/// The functions of a call, the more telling ones first.
fn functions(kind: CallKind) -> &'static [&'static [&'static str]] {
    match kind {
        CallKind::Load | CallKind::Store | CallKind::Exec => &[FAULT, PRESENT],
        CallKind::Munmap => &[UNMAP, ADJUST],
        CallKind::Mmap => &[&["mmap.", "mmap_region.", "vma_link"], UNMAP],
        CallKind::Mremap => &[MOVE, UNMAP],
        CallKind::Mprotect => &[&["mprotect", "change_pte_range."], ADJUST],
        CallKind::Mbind => &[&["mbind.", "vma_replace_policy.", "mpol_put."], ADJUST],
        CallKind::Fork => &[&[
            "copy_pte_range.",
            "copy_one_pte.",
            "dup_mmap.",
            "flush_tlb.",
        ]],
        CallKind::Reclaim => &[&[
            "isolate_page.",
            "shrink_page.",
            "try_to_unmap.",
            "flush_tlb.",
        ]],
        CallKind::Collapse => &[&["collapse"]],
        CallKind::NumaScan => &[&["change_prot_numa.", "numa_scan."]],
        CallKind::Madvise => &[&["madvise", "zap_pte_range.", "flush_tlb."], ADJUST],
        CallKind::Mlock | CallKind::Munlock => &[&["mlock", "munlock", "mm_populate."], ADJUST],
        CallKind::UffdRegister => &[&["userfaultfd."], ADJUST],
        CallKind::Exit => &[&["exit.", "mmput.", "remove_vma_of_exit.", "zap_pte_range."]],
        _ => &[ADJUST],
    }
}

/// A place in the middle of a call. Places are counted from the start of the run, and what the task
/// has done before, on the `ground`, may have passed them.
pub(super) fn within(dice: &mut Dice<'_>, ground: &[Step], step: &Step, space: &Space) -> Moment {
    let kind = step.call.kind();
    let (call, task) = (&step.call, step.task);
    let alike = |other: &&Step| {
        other.task == task && std::ptr::eq(functions(other.call.kind()), functions(kind))
    };
    let earlier = ground.iter().filter(alike).count() as u64;
    let later = dice.weighted(&[(8, 0), (2, 1), (1, 2)]);
    Moment::Site {
        task,
        site: site(dice, call, space),
        nth: 1 + later + dice.below(earlier.min(4) + 1) as u32,
    }
}

/// A site that the call may pass, by number.
fn site(dice: &mut Dice<'_>, call: &Call, space: &Space) -> u32 {
    let there = match *call {
        Call::Store { addr, .. } => space.ready.contains(addr),
        Call::Load { addr } | Call::Exec { addr } => space.present.contains(addr),
        _ => false,
    };
    let functions = functions(call.kind());
    let names = match functions {
        [_, second] if there != dice.one_in(6) => second,
        _ => functions[0],
    };
    one_of(dice, names)
}

/// A task is left for another at a place in these functions, one of the first `times` that it passes it.
pub(super) fn left(
    dice: &mut Dice<'_>,
    task: TaskId,
    functions: &[&str],
    times: u64,
    to: TaskId,
) -> Switch {
    Switch {
        at: Moment::Site {
            task,
            site: one_of(dice, functions),
            nth: 1 + dice.below(times) as u32,
        },
        to,
    }
}

/// A site of these functions, by number.
fn one_of(dice: &mut Dice<'_>, functions: &[&str]) -> u32 {
    let all = Sites::known().all().iter();
    let within = all.filter(|site| functions.iter().any(|name| site.name.starts_with(name)));
    let count = within.clone().count();
    let nth = dice.index(count.max(1));
    within
        .clone()
        .nth(nth)
        .map_or(BEGIN.number(), |site| site.number())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A name that no site begins with would draw nothing.
    pub fn have_sites(names: &[&str]) {
        let all = Sites::known().all();
        for name in names {
            let some = all.iter().any(|site| site.name.starts_with(name));
            assert!(some, "no site of {name}");
        }
    }

    #[test]
    fn every_function_has_sites() {
        for kind in CallKind::ALL {
            for names in functions(*kind) {
                have_sites(names);
            }
        }
    }
}
