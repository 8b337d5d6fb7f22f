//! Words of verdicts, of campaigns and of hunts: each with what it means and where that is from.

/// What a file, an input or a campaign came to.
pub const TOLD: &[(&str, &str, &str)] = &[
    (
        "agrees",
        "The reference and the kernel answer alike, but for known differences, which are named.",
        "docs/newer-kernels.md",
    ),
    (
        "differs",
        "The reference and the kernel do not answer alike, and no known difference says why: a finding about \
         the reference.",
        "docs/newer-kernels.md",
    ),
    (
        "failed",
        "Of a folder: programs on which the managers diverge, or which expect otherwise. On a real kernel: the \
         harness or its agents could not run the program.",
        "src/cli/run/groups.rs, src/cli/linux/line.rs",
    ),
    (
        "unreadable",
        "A file that is no program. Standard error has its place and what was expected; the status is 2.",
        "src/cli/input.rs",
    ),
    (
        "unmet expectation",
        "Stands for a signature in the table of a folder: the managers agree, but not with what the text \
         expects.",
        "src/cli/run/groups.rs",
    ),
    (
        "unasked expectation",
        "Stands for a signature in the table of a folder: the managers agree, and what the text expects could \
         not be asked of the candidate, which has it not.",
        "src/cli/run/groups.rs",
    ),
    (
        "crash",
        "The candidate raises a deadly signal, as where its stack overflows: the process would die of it.",
        "src/pair/working.rs",
    ),
    (
        "hang",
        "The candidate does not come back from a call, or its tasks from a race, within the seconds of --timeout.",
        "src/pair/working.rs",
    ),
    (
        "found",
        "A signature that a campaign has just met for the first time, and the file that keeps its program.",
        "docs/fleet.md",
    ),
    (
        "found again",
        "A signature that the folder of artifacts held when the campaign began, of the same version, design \
         and defects: no news, and counted.",
        "docs/fleet.md",
    ),
    (
        "harness failure",
        "The harness itself failed, as by a panic, a hang or for lack of memory: the status is 3, and the \
         input on which it did is kept.",
        "docs/fleet.md",
    ),
    (
        "crash",
        "crash-SHA1 in the folder of artifacts: the input on which the harness panicked.",
        "docs/fleet.md",
    ),
    (
        "timeout",
        "timeout-SHA1 in the folder of artifacts: the input that took longer than --timeout.",
        "docs/fleet.md",
    ),
    (
        "oom",
        "oom-SHA1 in the folder of artifacts: the input on which a job took more than --memory.",
        "docs/fleet.md",
    ),
    (
        "not saved",
        "What could not be written, printed instead: a program as text, an input in hexadecimal.",
        "docs/fleet.md",
    ),
    (
        "interrupted",
        "Ctrl-C or SIGTERM ended it. What it had found is kept and summed up.",
        "src/cli/interrupt.rs",
    ),
    (
        "executions",
        "Programs that were run, over all jobs. The first of each job is libFuzzer's own and empty.",
        "src/coverage/stats.rs",
    ),
    (
        "exec/s",
        "Programs that were run in a second by the clock, over all jobs.",
        "src/cli/live.rs",
    ),
    ("coverage", "Features that were reached.", "src/coverage"),
    (
        "seed",
        "What all that a campaign draws comes of: one job with the same seed, --runs and an empty corpus does \
         the same again.",
        "src/cli/fuzz.rs",
    ),
    (
        "never seen",
        "What should happen now and then and no program of the corpus makes happen.",
        "src/coverage/stats.rs",
    ),
    (
        "vma_merge case",
        "Which of the eight ways of merging, by the picture above vma_merge.",
        "mm/mmap.c of Linux 5.1",
    ),
    (
        "median",
        "Of what the seeds of a hunt took to find a defect, the middle. A seed that did not find it counts as \
         longer than its time.",
        "src/cli/hunt/statistics.rs",
    ),
    (
        "worst",
        "The longest that a seed of a hunt took, of those that found the defect.",
        "src/cli/hunt/table.rs",
    ),
    (
        "reached",
        "With --stages: programs that came to the defect's place.",
        "src/cli/hunt/mod.rs",
    ),
    (
        "triggered",
        "With --stages: programs that callers can tell from a run without the defect.",
        "src/cli/hunt/mod.rs",
    ),
    (
        "detected",
        "With --stages: of the triggered programs those to which the judge objects.",
        "src/cli/hunt/mod.rs",
    ),
    (
        "left unjudged",
        "What `skip` says, in the words of bisect.",
        "src/cli/bisect.rs",
    ),
    (
        "design",
        "How a fault of the candidate finds its area without mmap_sem: `designs` lists them.",
        "docs/designs.md",
    ),
    (
        "defects",
        "Bugs that were planted with --defect: `defects` lists them.",
        "docs/designs.md",
    ),
    (
        "replay",
        "The command that shows a finding again.",
        "src/cli/explain.rs",
    ),
];
