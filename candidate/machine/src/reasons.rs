//! Why a fault without mmap_sem gives up in the machine's own text. A design has reasons of its own,
//! declared by the same macro.

/// Declares reasons to give up: a static each, and `REASONS` with all of them. Numbers are distinct
/// in the machine and a design together, and stable.
#[macro_export]
macro_rules! reasons {
    ($($static:ident $number:literal $name:literal $serial:literal $what:literal;)*) => {
        $(
            #[doc = $what]
            pub static $static: vmadiff_contract::Reason = vmadiff_contract::Reason {
                number: $number,
                name: $name,
                what: $what,
                serial: $serial,
            };
        )*

        /// Every reason declared here.
        pub static REASONS: &[&vmadiff_contract::Reason] = &[$(&$static),*];
    };
}

reasons! {
    NO_UPPER_TABLE 11 "NoUpperTable" true
        "An upper page table is missing.";
    NO_TABLE 12 "NoTable" true
        "The lowest page table is missing, or the entry is no table.";
    NOT_ANONYMOUS 14 "NotAnonymous" false
        "Nothing mapped and the VMA is not anonymous.";
    NEEDS_TABLE 15 "NeedsTable" false
        "A page table was to be allocated.";
    SWAP_READ 16 "SwapRead" true
        "The page is swapped out and reading it would wait.";
    PMD_CHANGED 19 "PmdChanged" false
        "The page middle directory entry changed.";
}
