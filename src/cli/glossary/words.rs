//! Words of the command that are in no table of rules, reasons, defects or designs: each with what it means
//! and where that is from.

use vmadiff_contract::CallKind;

/// Headings of summaries, verdicts, and what else stands in reports.
pub const WORDS: [(&str, &str, &str); 23] = [
    (
        "agree",
        "All that is compared of the two managers is the same, and no law was broken.",
        "docs/compared.md",
    ),
    (
        "diverge",
        "The managers differ, or one of them broke a law: a finding, with a signature.",
        "docs/compared.md",
    ),
    (
        "skip",
        "A run that is left unjudged, for the reason that stands beside it. It is counted. Of a race that is a \
         bound that was met; above one in a million a campaign fails.",
        "docs/compared.md",
    ),
    (
        "unmet",
        "The managers agree, but not with what the program's text expects.",
        "src/expect.rs",
    ),
    (
        "signature",
        "RULE/CALL/FIELD: the rule that was broken, the call at which it showed, and what it is \
         about. Findings are grouped, shrunk and known by it.",
        "src/judge/mod.rs",
    ),
    (
        "quiescence",
        "The end of a run: every task has exited, and what waited for a grace period has run.",
        "the contract, `Manager::quiesce`",
    ),
    (
        "fuzzed",
        "Programs that were run and judged, in seconds by the clock, and the seed that makes one job do the \
         same again.",
        "src/cli/summary.rs",
    ),
    (
        "calls",
        "Calls of all programs; below that, each kind with how many were made and succeeded, and what the \
         others came to.",
        "src/coverage/stats.rs",
    ),
    (
        "faults",
        "Page faults that ended with a page in its place, and how many of them without mmap_sem.",
        "the contract, `Note`",
    ),
    (
        "speculatively",
        "Faults that were served without mmap_sem, of all that were served.",
        "the contract, `Note`",
    ),
    (
        "features",
        "Things that happened in the managers, each with how often (1, 2, 3, 4-7, 8-15, 16-31, \
         32-127, more): what the engine keeps an input for.",
        "src/coverage",
    ),
    (
        "corpus",
        "Inputs (bytes) that reach something that none before them reached.",
        "docs/fleet.md",
    ),
    (
        "resident",
        "Memory of all jobs together, when they were last asked.",
        "src/engine/progress.rs",
    ),
    (
        "racing",
        "Calls that another call changed something under, by kind.",
        "src/coverage",
    ),
    (
        "not seen",
        "What should happen now and then in a campaign and never did: short ones have some.",
        "src/coverage/stats.rs",
    ),
    (
        "gave up",
        "Why faults did not go on without mmap_sem, each reason with how often.",
        "the contract, `Reason`",
    ),
    (
        "skipped",
        "Programs that are left unjudged, by the reason.",
        "docs/compared.md",
    ),
    (
        "known",
        "Differences that are told and counted and are no news: of newer kernels, of designs, or of a list \
         given with --known.",
        "docs/newer-kernels.md",
    ),
    (
        "findings",
        "Signatures by which programs diverged, each with how often, what happens, and the command that shows \
         it again.",
        "docs/signatures.md",
    ),
    (
        "boot",
        "Seconds until a booted kernel could run the first program.",
        "src/cli/linux/summary.rs",
    ),
    (
        "stopped",
        "Programs on a real kernel that were not run to their end, by the reason.",
        "docs/newer-kernels.md",
    ),
    (
        "reference",
        "The manager that takes one lock for everything: what is right.",
        "reference/",
    ),
    (
        "candidate",
        "The manager under test, whose faults go on without mmap_sem where they can.",
        "candidate/",
    ),
];

/// What a call can come to besides a value and an error.
pub const OUTCOMES: [(&str, &str, &str); 7] = [
    (
        "MAPERR",
        "SIGSEGV: no area covers the address (SEGV_MAPERR). The task goes on.",
        "sigaction(2)",
    ),
    (
        "ACCERR",
        "SIGSEGV: the area refuses this access (SEGV_ACCERR). The task goes on.",
        "sigaction(2)",
    ),
    (
        "SIGBUS",
        "A page that cannot be had, as one past the end of its file. The task goes on.",
        "sigaction(2)",
    ),
    (
        "OOM",
        "An access for whose page there was no memory. The task goes on; nothing else of the access happened.",
        "VM_FAULT_OOM of Linux 5.1",
    ),
    (
        "LIVELOCK",
        "An access that faulted again and again without being served.",
        "the contract, `Outcome`",
    ),
    (
        "NOTASK",
        "There is no such task, or it has exited: nothing was done.",
        "the contract, `Outcome`",
    ),
    (
        "UNSUPPORTED",
        "The manager does not have this call: nothing was done.",
        "the contract, `Outcome`",
    ),
];

/// Calls that are no system call of their name, or take less than it.
pub const CALLS: [(CallKind, &str, &str); 13] = [
    (
        CallKind::Fork,
        "Copies the address space into a new task.",
        "fork(2), docs/rules.md",
    ),
    (
        CallKind::Exit,
        "Ends the task; the last one of an address space tears it down.",
        "_exit(2), docs/rules.md",
    ),
    (
        CallKind::Load,
        "Access: reads a byte.",
        "the contract, `Call`",
    ),
    (
        CallKind::Store,
        "Access: writes a byte.",
        "the contract, `Call`",
    ),
    (
        CallKind::Exec,
        "Access: fetches an instruction. Not execve(2).",
        "the contract, `Call`",
    ),
    (
        CallKind::Open,
        "Makes and opens a file of its own, as memfd_create(2) and ftruncate(2) would.",
        "the contract, `Call`",
    ),
    (
        CallKind::Reclaim,
        "Step of the kernel: swaps the page at an address out.",
        "the contract, `Call`",
    ),
    (
        CallKind::Evict,
        "Step of the kernel: takes a page of a file out of memory.",
        "the contract, `Call`",
    ),
    (
        CallKind::Softirq,
        "Step of the kernel: ends a grace period of RCU and runs what waited for it.",
        "the contract, `Call`",
    ),
    (
        CallKind::Collapse,
        "Step of the kernel: makes a huge page of small ones, as khugepaged does.",
        "the contract, `Call`",
    ),
    (
        CallKind::NumaScan,
        "Step of the kernel: makes pages inaccessible, so that the next access tells which node it comes from.",
        "the contract, `Call`",
    ),
    (
        CallKind::UffdRegister,
        "Registers a range with userfaultfd.",
        "ioctl_userfaultfd(2), docs/rules.md",
    ),
    (
        CallKind::UffdUnregister,
        "Takes a range back from userfaultfd.",
        "ioctl_userfaultfd(2), docs/rules.md",
    ),
];
