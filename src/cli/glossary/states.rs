//! Words of a state as reports show it, and of program text: each with what it means and where that is
//! from.

/// What stands before or behind a number in a state.
pub const STATES: &[(&str, &str, &str)] = &[
    (
        "pgoff",
        "Offset of an area in its file, in pages; of private memory the number of the page at which it was \
         first mapped.",
        "vm_pgoff of Linux 5.1",
    ),
    (
        "may",
        "What mprotect may allow in an area, as may=rwx: VM_MAYREAD, VM_MAYWRITE, VM_MAYEXEC.",
        "the contract, `VmFlags`",
    ),
    (
        "chain",
        "The anon_vmas to which an area is linked.",
        "anon_vma_chain of Linux 5.1",
    ),
    ("anon", "Memory without a file.", "the contract, `VmaState`"),
    (
        "task",
        "A thread: 1 and those that `config tasks` adds are of the first address space, fork makes others.",
        "the contract, `TaskId`",
    ),
    (
        "areas",
        "Areas of an address space.",
        "map_count of Linux 5.1",
    ),
    (
        "pages",
        "Pages of all areas of an address space.",
        "total_vm of Linux 5.1, VmSize in /proc/PID/status",
    ),
    (
        "data",
        "Pages of private writable areas that are no stack.",
        "data_vm of Linux 5.1, VmData in /proc/PID/status",
    ),
    (
        "stack",
        "Pages of stacks.",
        "stack_vm of Linux 5.1, VmStk in /proc/PID/status",
    ),
    (
        "rss",
        "Pages in memory: anonymous ones, and those of files.",
        "rss_stat of Linux 5.1",
    ),
    (
        "swap",
        "Entries of pages that are swapped out.",
        "MM_SWAPENTS of Linux 5.1",
    ),
    (
        "minor",
        "Faults of a task that waited for no disk.",
        "min_flt of Linux 5.1",
    ),
    (
        "major",
        "Faults of a task that waited for a disk.",
        "maj_flt of Linux 5.1",
    ),
    (
        "committed",
        "Pages that are charged against what the machine can hold.",
        "Committed_AS in /proc/meminfo",
    ),
    (
        "frames",
        "Frames of anonymous memory.",
        "the contract, `Snapshot`",
    ),
    (
        "anon_vmas",
        "The anon_vmas that there are.",
        "the contract, `Snapshot`",
    ),
    (
        "private",
        "A page whose frame is the address space's own: anonymous, or a copy.",
        "the contract, `PageState`",
    ),
    (
        "zero",
        "A page that was read and never written: it maps the frame of zeroes.",
        "the contract, `PageState`",
    ),
    (
        "swapped",
        "A page that is swapped out.",
        "the contract, `PageState`",
    ),
    (
        "config",
        "A line of program text: limits and sizes that the program runs with.",
        "docs/text.md",
    ),
    (
        "policy",
        "A line of program text: who runs next where no switch says so. In a state, the memory policy of an \
         area or a task.",
        "docs/text.md",
    ),
    (
        "switch",
        "A line of program text: at which point another task goes on.",
        "docs/races.md",
    ),
    (
        "frees",
        "Behind a call of program text: the areas that it frees.",
        "docs/text.md",
    ),
    (
        "maps",
        "A line of program text: the areas that are expected there, as /proc/PID/maps lists them.",
        "docs/text.md",
    ),
    (
        "status",
        "A line of program text: the counters that are expected there.",
        "docs/text.md",
    ),
];

/// Flags of areas, as they stand in a state: in small letters.
pub const FLAGS: &[(&str, &str)] = &[
    (
        "shared",
        "Stores are seen by others: shared, and the file is writable.",
    ),
    (
        "mayshare",
        "Mapped with MAP_SHARED, be the file writable or not.",
    ),
    ("growsdown", "A stack: a fault below it lets it grow."),
    ("uffd_missing", "Pages that are missing are userfaultfd's."),
    (
        "locked",
        "Pages are locked in memory. Before a number: how many.",
    ),
    ("seq_read", "Sequential reads are expected."),
    ("rand_read", "Random reads are expected."),
    ("dontcopy", "Not copied by fork."),
    ("lockonfault", "Pages are locked as they are touched."),
    ("account", "Counted in the committed memory."),
    (
        "noreserve",
        "Not counted in the committed memory, as MAP_NORESERVE asks.",
    ),
    ("wipeonfork", "Empty in a forked child."),
    ("dontdump", "Left out of core dumps."),
    ("mergeable", "Pages of equal contents may become one."),
    ("hugepage", "Huge pages are wanted."),
    ("nohugepage", "No huge pages are wanted."),
];

#[cfg(test)]
mod tests {
    use vmadiff_contract::VmFlags;

    use super::FLAGS;

    #[test]
    fn every_flag_that_a_state_names_is_explained() {
        // The letters of maps and of may=.
        const LETTERS: [&str; 6] = ["read", "write", "exec", "mayread", "maywrite", "mayexec"];
        let all = VmFlags::all();
        let names = all.iter_names().map(|(name, _)| name.to_lowercase());
        let names: Vec<String> = names
            .filter(|name| !LETTERS.contains(&name.as_str()))
            .collect();
        let explained: Vec<&str> = FLAGS.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, explained);
    }
}
