//! The races that were written for a design, and the defect that each is about: design, race, defect.

/// By design, and then by race.
pub const ABOUT: &[(&str, &str, &str)] = &[
    ("mmseq", "copied-while-it-grows", "torn-copy"),
    ("mmseq", "cut-while-copied", "segv-by-copy"),
    ("mmseq", "grace-period-while-copied", "copied-outside-rcu"),
    ("mmseq", "loads-while-moved", "counted-at-lock"),
    ("mmseq", "loads-while-moved", "counted-at-unlock"),
    (
        "mmseq",
        "mbind-between-copy-and-hold",
        "policy-freed-at-once",
    ),
    ("mmseq", "mbind-under-a-copy", "policy-unpinned"),
    ("mmseq", "protected-behind-a-copy", "counted-after-copy"),
    ("mmseq", "protected-under-a-copy", "counted-at-unlock"),
    ("mmseq", "stack-grows-beside-a-zap", "munmap-beside-stack"),
    ("mmseq", "tables-freed-behind-the-walk", "tables-unasked"),
    ("mmseq", "unmapped-before-the-lock", "lock-unasked"),
    ("mmseq", "unmapped-behind-its-copy", "anon-vma-of-the-area"),
    ("mmseq", "unmapped-while-copied", "freed-under-copy"),
];
