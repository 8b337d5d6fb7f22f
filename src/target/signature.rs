//! Panics in three functions that are named by a signature: services tell bugs apart by the names
//! of the innermost functions on the stack.
//!
//! `state/mmap/vmas.pgoff` panics in `vmadiff::target::signature::field_vmas_pgoff`, called by
//! `call_mmap`, called by `rule_state`. These names are stable: whoever moves or renames a function
//! has a service file every open issue with it anew. A name without a function of its own shares one
//! of a few with others, by its hash; tests ask for each that they see to be listed.

use std::hint::black_box;

use crate::judge::Signature;

/// Panics with a message, in the functions of a signature.
pub(super) fn panic(signature: &Signature, message: &str) -> ! {
    of(RULES, "rule", signature.rule.name())(signature, message)
}

/// The names of a signature's parts that have no function of their own.
pub fn unnamed(signature: &Signature) -> Vec<&'static str> {
    let parts = [
        (RULES, "rule", signature.rule.name()),
        (CALLS, "call", signature.call),
        (FIELDS, "field", signature.field),
    ];
    let unnamed = parts
        .into_iter()
        .filter(|(all, level, name)| named(all, level, name).is_none());
    unnamed.map(|(_, _, name)| name).collect()
}

type Site = fn(&Signature, &str) -> !;
type Sites = [(&'static str, Site)];

/// The function of a name: `field_vmas_pgoff` for the field `vmas.pgoff`.
fn named(all: &Sites, level: &str, name: &str) -> Option<Site> {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let is_named = |site: &str| {
        let own = site
            .strip_prefix(level)
            .and_then(|own| own.strip_prefix('_'));
        own.is_some_and(|own| own.chars().eq(name.chars().map(plain)))
    };
    let found = all.iter().find(|(site, _)| is_named(site));
    found.map(|(_, site)| *site)
}

fn of(all: &Sites, level: &str, name: &str) -> Site {
    named(all, level, name).unwrap_or_else(|| all[all.len() - SHARED + hash(name) % SHARED].1)
}

/// How many functions, the last of each table, the names without one of their own share.
const SHARED: usize = 16;

/// FNV-1a.
fn hash(name: &str) -> usize {
    let mix = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    name.bytes().fold(0x811c_9dc5, mix) as usize
}

/// Functions of these names, and the table of them.
macro_rules! sites {
    ($all:ident, $signature:ident, $message:ident => $go_on:expr; $($name:ident)*) => {
        static $all: &Sites = &[$((stringify!($name), $name)),*];

        $(#[inline(never)]
        fn $name($signature: &Signature, $message: &str) -> ! {
            // The compiler would merge functions that do not differ.
            black_box(stringify!($name));
            $go_on
        })*
    };
}

sites! { RULES, signature, message => of(CALLS, "call", signature.call)(signature, message);
    rule_outcome rule_state rule_events rule_panic rule_livelock rule_nondeterminism rule_ordinal
    rule_left_over rule_deferred

    rule_vma_freed_once rule_vma_freed_linked rule_vma_freed_referenced rule_vma_used_after_free
    rule_vma_leaked rule_vma_freed_late rule_vma_tree rule_vma_references rule_vma_sequence
    rule_vma_close rule_file_put rule_file_references rule_file_freed_once rule_file_used_after_free
    rule_policy_freed_once rule_policy_used_after_free rule_policy_leaked rule_anon_freed_once
    rule_anon_used_after_free rule_anon_leaked rule_frame_freed_once rule_frame_leaked
    rule_table_freed_once rule_table_leaked

    rule_misuse_dead_vma rule_misuse_dead_frame rule_misuse_dead_table rule_misuse_dead_anon
    rule_misuse_dead_policy rule_misuse_dead_file rule_misuse_freed_linked rule_misuse_freed_in_tlb
    rule_misuse_freed_table_in_use rule_misuse_get_from_zero rule_misuse_put_below_zero
    rule_misuse_lock_below_zero rule_misuse_dead_mm rule_misuse_stale_walk
    rule_misuse_sequence_nested rule_misuse_dead_lock rule_misuse_lost_table
    rule_misuse_count_saturated rule_misuse_open_invalidation rule_misuse_lost_page

    rule_deadlock rule_step_limit rule_lock_left rule_section_left rule_interrupts_left
    rule_commit_point rule_fault_unexplained rule_stale_entry rule_lost_store rule_fault_count
    rule_grace_period

    rule_shared_0 rule_shared_1 rule_shared_2 rule_shared_3 rule_shared_4 rule_shared_5
    rule_shared_6 rule_shared_7 rule_shared_8 rule_shared_9 rule_shared_10 rule_shared_11
    rule_shared_12 rule_shared_13 rule_shared_14 rule_shared_15
}

sites! { CALLS, signature, message => of(FIELDS, "field", signature.field)(signature, message);
    call_mmap call_munmap call_mprotect call_madvise call_brk call_fork call_exit call_load
    call_store call_exec call_open call_ftruncate call_close call_reclaim call_softirq call_mremap
    call_mlock call_mlock2 call_munlock call_mlockall call_munlockall call_msync call_mincore
    call_mbind call_set_mempolicy call_uffd_register call_uffd_unregister call_fallocate
    call_collapse call_numa_scan call_setrlimit call_get_mempolicy call_evict

    call_quiescence call_run call_end call_mapped call_copied call_get call_put call_unlinked

    call_access_touch call_access_walk call_fault_allocate call_fault_anon call_fault_charge
    call_fault_copy call_fault_count call_fault_decide call_fault_entry call_fault_flush call_fault_resize
    call_populate_decide call_munmap_cut call_munmap_decide call_munmap_detach call_munmap_pass
    call_munmap_put call_munmap_uncharge call_munmap_unlink call_zap_flush call_zap_pass
    call_zap_put call_mmap_charge call_mmap_decide call_mmap_descriptor call_mmap_link
    call_mmap_put call_map_allocate call_map_charge call_map_count call_map_link call_map_merge
    call_mprotect_charge call_mprotect_count call_mprotect_decide call_mprotect_flags
    call_mprotect_flush call_mprotect_pass call_part_cut call_part_merge call_mremap_charge
    call_mremap_decide call_mremap_resize call_move_count call_move_decide call_move_flags
    call_move_flush call_move_link call_move_pass call_madvise_copy call_madvise_decide
    call_madvise_flags call_fork_allocate call_fork_anon call_fork_charge call_fork_count
    call_fork_decide call_fork_descriptor call_fork_flush call_fork_link call_fork_number
    call_fork_pass call_fork_put call_exit_decide call_exit_detach call_exit_flags call_exit_flush call_exit_pass
    call_exit_put call_exit_uncharge call_exit_unlink call_mlock_decide call_mlock_flags
    call_mlockall_decide call_mlockall_flags call_files_decide call_files_descriptor call_files_drop
    call_files_put call_files_size call_unmap_file_decide call_mincore_decide call_reclaim_copy
    call_reclaim_decide call_reclaim_entry call_reclaim_flush call_collapse_allocate
    call_collapse_copy call_collapse_decide call_collapse_entry call_collapse_flush
    call_collapse_pass call_numa_scan_decide call_numa_scan_flush call_numa_scan_pass
    call_brk_charge call_brk_decide call_brk_resize call_mbind_allocate call_mbind_decide
    call_mbind_policy call_set_mempolicy_allocate call_set_mempolicy_policy call_uffd_decide
    call_uffd_flags call_evict_decide call_evict_drop call_evict_put call_setrlimit_count
    call_get_mempolicy_decide call_charge_uncharge call_call_return

    call_munmap_flags call_may_expand_vm_decide call_mlock_future_check_decide

    call_shared_0 call_shared_1 call_shared_2 call_shared_3 call_shared_4 call_shared_5
    call_shared_6 call_shared_7 call_shared_8 call_shared_9 call_shared_10 call_shared_11
    call_shared_12 call_shared_13 call_shared_14 call_shared_15
}

sites! { FIELDS, _signature, message => panic!("{message}");
    field_value field_errno field_si_code field_failed field_succeeded field_kind field_fault
    field_panic field_points field_section field_interrupts field_lock field_verdict field_reference
    field_candidate field_served field_refused field_entry field_event field_never_linked
    field_tasks field_committed field_anon_frames field_anons

    field_vma field_anon field_file field_policy field_frame field_table field_mm field_vma_alloc
    field_vma_link field_vma_unlink field_vma_open field_vma_close field_file_put field_file_free
    field_anon_alloc field_anon_free field_policy_alloc

    field_vmas_missing field_vmas_extra field_vmas_end field_vmas_vma field_vmas_flags
    field_vmas_pgoff field_vmas_file field_vmas_policy field_vmas_anon field_vmas_anon_chain
    field_pages_missing field_pages_extra field_pages_present field_pages_readable
    field_pages_writable field_pages_executable field_pages_anon field_pages_zero
    field_bytes_missing field_bytes_extra field_bytes_value field_fds_missing field_fds_extra
    field_fds_file field_files_missing field_files_extra field_files_kind field_files_refs
    field_files_size field_file_bytes_missing field_file_bytes_extra field_file_bytes_value
    field_tasks_missing field_tasks_extra field_tasks_mm field_tasks_minor_faults
    field_tasks_major_faults field_tasks_policy field_tasks_faults field_mms_missing field_mms_extra
    field_mms_map_count field_mms_total_pages field_mms_locked_pages field_mms_data_pages
    field_mms_stack_pages field_mms_exec_pages field_mms_rss_anon field_mms_rss_file
    field_mms_swap_entries field_mms_brk field_mms_def_flags field_absent_missing
    field_absent_extra field_limits_missing field_limits_extra field_limits_soft field_limits_hard

    field_mmap field_munmap field_mprotect field_madvise field_brk field_fork field_exit field_load
    field_store field_exec field_open field_ftruncate field_close field_reclaim field_softirq
    field_mremap field_mlock field_mlock2 field_munlock field_mlockall field_munlockall field_msync
    field_mincore field_mbind field_set_mempolicy field_uffd_register field_uffd_unregister
    field_fallocate field_collapse field_numa_scan field_setrlimit field_get_mempolicy field_evict

    field_access field_populate field_zap field_map field_part field_move field_files
    field_unmap_file field_uffd field_charge field_call field_nobody
    field_marks field_may_expand_vm field_mlock_future_check

    field_shared_0 field_shared_1 field_shared_2 field_shared_3 field_shared_4 field_shared_5
    field_shared_6 field_shared_7 field_shared_8 field_shared_9 field_shared_10 field_shared_11
    field_shared_12 field_shared_13 field_shared_14 field_shared_15
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use vmadiff_contract::CallKind;

    use super::*;
    use crate::judge::Rule;
    use crate::judge::steps::{ALONE, MARKS, list_names, step_names};

    /// All but those that are shared.
    fn functions() -> Vec<&'static str> {
        let own = |all: &'static Sites| &all[..all.len() - SHARED];
        let all = [RULES, CALLS, FIELDS].into_iter().flat_map(own);
        all.map(|(name, _)| *name).collect()
    }

    #[test]
    fn every_step_of_a_race_has_a_function() {
        for name in step_names() {
            assert!(named(CALLS, "call", name).is_some(), "{name}");
        }
        for name in list_names().chain([ALONE, MARKS]) {
            assert!(named(FIELDS, "field", name).is_some(), "{name}");
        }
    }

    #[test]
    fn every_rule_and_every_call_has_a_function() {
        for rule in Rule::all() {
            assert!(
                named(RULES, "rule", rule.name()).is_some(),
                "{}",
                rule.name()
            );
        }
        for call in CallKind::ALL {
            assert!(
                named(CALLS, "call", call.name()).is_some(),
                "{}",
                call.name()
            );
            // What leaks is told apart by the call that should have let go.
            assert!(
                named(FIELDS, "field", call.name()).is_some(),
                "{}",
                call.name()
            );
        }
    }

    /// Whoever adds one writes it into the file, too; whoever takes one away or renames it makes
    /// services file the open issues that bear it anew.
    #[test]
    fn a_function_is_for_good() {
        let kept: BTreeSet<&str> = include_str!("../../tests/data/frames").lines().collect();
        let functions = functions();
        let now: BTreeSet<&str> = functions.iter().copied().collect();
        assert_eq!(now.len(), functions.len(), "names are distinct");
        let gone: Vec<_> = kept.difference(&now).collect();
        assert!(gone.is_empty(), "gone: {gone:?}");
        let new: Vec<_> = now.difference(&kept).collect();
        assert!(new.is_empty(), "to be added to tests/data/frames: {new:?}");
    }

    /// ClusterFuzz leaves out frames with these words, whoever's they are.
    #[test]
    fn no_function_is_passed_over() {
        for name in functions() {
            for word in ["assert", "logger", "libpthread", "libc"] {
                assert!(!name.contains(word), "{name}");
            }
        }
    }

    #[test]
    fn a_name_that_is_not_listed_shares_a_function() {
        let shared = |name| {
            let site = of(FIELDS, "field", name) as usize;
            let shared = &FIELDS[FIELDS.len() - SHARED..];
            shared
                .iter()
                .position(|(_, shared)| *shared as usize == site)
        };
        for (_, name) in (0..SHARED).map(|at| (at, format!("field_shared_{at}"))) {
            assert!(FIELDS.iter().any(|(site, _)| *site == name), "{name}");
        }
        let places = ["which", "lists", "these", "names"].map(shared);
        assert!(places.iter().all(Option::is_some));
        assert!(
            places.iter().collect::<BTreeSet<_>>().len() > 1,
            "{places:?}"
        );
        assert_eq!(shared("vmas.pgoff"), None);
    }
}
