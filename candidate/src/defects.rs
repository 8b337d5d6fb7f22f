//! The named defects: bugs of the series, of its successors and of the calls around it, each
//! restorable by name in one place of the code.
//!
//! ```
//! use vmadiff_candidate::Defects;
//! let defects = Defects::parse("a20-exit-keeps-tree-reference").unwrap();
//! assert!(!defects.is_empty());
//! ```

use vmadiff_contract::{DefectInfo, DefectKind};

/// Whether one named defect is there: `if defect!(self, NoRcuReadLock)`.
macro_rules! defect {
    ($candidate:expr, $defect:ident) => {
        $candidate.has_defect($crate::defects::Defect::$defect)
    };
}
pub(crate) use defect;

macro_rules! defects {
    ($($defect:ident $kind:ident $name:literal $what:literal from $source:literal fires $($rule:literal),+;)*) => {
        /// A named defect.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Defect {
            $(#[doc = $what] #[doc = ""] #[doc = concat!("Source: ", $source)] $defect,)*
        }

        impl Defect {
            /// Every defect, in order.
            pub const ALL: &[Self] = &[$(Self::$defect),*];
        }

        /// Every defect.
        pub static DEFECTS: &[DefectInfo] = &[$(DefectInfo {
            name: $name,
            kind: DefectKind::$kind,
            what: $what,
            source: $source,
            rules: &[$($rule),+],
        },)*];
    };
}

defects! {
    NotInitialised Serial "a8-sequence-not-initialised"
        "A VMA that is copied keeps the count and the sequence of its original."
        from "found in the series by D. Rientjes and LKP"
        fires "vma-references", "vma-sequence", "vma-leaked";
    ExitKeepsTreeReference Serial "a20-exit-keeps-tree-reference"
        "The teardown of an address space drops the allocation's reference of each VMA and not the \
         tree's."
        from "series patch 21, __remove_vma"
        fires "vma-leaked", "left-over";
    FileNotForgotten Serial "a24-file-not-forgotten"
        "A VMA that was removed still names its file, which may be gone when the VMA is freed."
        from "series patch 20, remove_vma"
        fires "misuse-dead-file";
    FilePutTwice Serial "a24-file-put-twice"
        "A VMA puts its file when it is removed and again when it is freed."
        from "series patch 20 against Android's __free_vma"
        fires "file-put", "file-references", "file-used-after-free", "misuse-dead-file", "events",
            "deferred";
    UserfaultUnchecked Serial "a18-userfault-unchecked"
        "A speculative fault serves a page of an area that is registered with userfaultfd."
        from "series patch 22, review"
        fires "outcome", "state";
    ExecUnchecked Serial "a26-exec-unchecked"
        "A speculative fault serves an instruction fetch from an area that is not executable."
        from "series patches 22 and 28"
        fires "livelock", "outcome";
    MajorLost Serial "a27-major-lost"
        "A speculative fault that read from the swap device counts as minor."
        from "series patch 28"
        fires "state";
    MergeForgetsClose Serial "c1-merge-forgets-close"
        "An area with vm_ops->close is merged away without being closed."
        from "vma_merge case 7, fixes 714965ca8252"
        fires "state", "events", "vma-close";
    OffsetNotLowered Serial "c2-offset-not-lowered"
        "An area that grows down over a gap keeps its file offset."
        from "7e7757876f25, LTP mremap06"
        fires "state";
    BrkExpandsApart Serial "c11-brk-expands-apart"
        "brk expands the area before the heap's end even if the two do not touch."
        from "6c28ca6485dd"
        fires "state", "events";
    WrongSurvivor Serial "c16-wrong-survivor"
        "Where an area is merged into the one above, the one above is freed instead."
        from "vma_merge case 8, e86f15ee64d8"
        fires "state", "events", "vma-tree";
    SecondNextStays Serial "c17-second-next-stays"
        "Where an area is merged with both areas above, only the first of them is removed."
        from "__vma_adjust, `again`"
        fires "state", "events";
    AdjustLeavesOpen Serial "a3-adjust-leaves-open"
        "Where the memory for an anon_vma import is missing, the sequence counts stay odd."
        from "series patch 11, found by D. Rientjes in the ninth version"
        fires "vma-sequence";
    MbindWrongOffset Serial "c3-mbind-wrong-offset"
        "mbind merges a piece of an area by the offset of the whole area."
        from "mbind_range, 7329e3ebe359"
        fires "state", "events";
    MbindKeepsMerged Serial "c4-mbind-keeps-merged"
        "mbind goes on with the area that it had before the merge, which may have swallowed it."
        from "mbind_range, fixes 9d8cebd4bcd7"
        fires "state", "events", "outcome", "misuse-sequence-nested", "misuse-dead-vma";
    ForkedMerges Serial "c7-forked-merges"
        "An area whose pages fork shared merges with one that was never touched."
        from "is_mergeable_anon_vma, the limit of forked areas"
        fires "state", "events";
    CloneNotUndone Serial "c8-clone-not-undone"
        "Where the memory for a copy of an anon_vma chain is missing, the links made so far stay."
        from "824135c46b00"
        fires "state", "anon-leaked", "left-over", "misuse-dead-vma", "events", "deferred";
    AccountNotRestored Serial "c15-account-not-restored"
        "What remains of an area that was moved in part is counted as committed no more."
        from "move_vma, VM_ACCOUNT"
        fires "state";
    PolicyCountedTwice Serial "d3-policy-counted-twice"
        "A new policy starts with a reference that nobody puts."
        from "4ad099559b00, CVE-2022-49080"
        fires "policy-leaked", "left-over";
    NoReserveForMoves Serial "mremap-without-reserve"
        "A move does not keep its distance from the limit on areas."
        from "move_vma, sysctl_max_map_count - 3; made up"
        fires "outcome";
    PutTooMany Serial "put-too-many"
        "A speculative fault that gives up on the area's flags puts the VMA twice."
        from "handle_speculative_fault's exits; made up"
        fires "vma-references", "misuse-put-below-zero";
    GetTooFew Serial "get-too-few"
        "A VMA enters the tree without a reference of the tree's."
        from "series patch 21, vma_rb_insert; made up"
        fires "vma-references";

    DestinationOpen Interleaved "a1-destination-open"
        "The place that mremap moves to is open to speculation before the entries are there."
        from "series patch 11"
        fires "outcome", "state", "frame-leaked", "left-over";
    CollapseUnnoticed Interleaved "a10-collapse-unnoticed"
        "A collapse leaves the sequence count alone, and the page-table lock is taken without a look \
         at whether the table is still the one that was found."
        from "series patch 22, pte_map_lock"
        fires "outcome", "state", "misuse-dead-table", "frame-leaked", "left-over";
    TableMovedUnlocked Interleaved "a12-table-moved-unlocked"
        "mremap moves a whole page table without the lock of its entries."
        from "Android 529351c4c820, move_normal_pmd"
        fires "outcome", "state", "misuse-freed-in-tlb", "misuse-dead-frame";
    SourceOpenEarly Interleaved "a28-source-open-early"
        "The place that mremap moves from is open to speculation before it is unmapped."
        from "series patch 11, move_vma"
        fires "outcome", "state";
    AnonBeforeCount Interleaved "b1-anon-before-count"
        "A speculative fault looks for the anon_vma before it samples the sequence count."
        from "657b5146955e"
        fires "outcome", "state", "misuse-dead-anon", "misuse-dead-vma";
    PolicyFreedAtOnce Interleaved "b3-policy-freed-at-once"
        "A policy that mbind replaced is freed with its last put, while a fault reads it."
        from "6c21e066f925, CVE-2023-4611"
        fires "misuse-dead-policy", "policy-used-after-free";
    ForkWithoutBracket Interleaved "a4-fork-without-bracket"
        "fork write-protects a parent's entries while speculative faults copy its pages, before the \
         TLBs are flushed."
        from "series patch 18, found by V. Menon and G. Mahendran"
        fires "outcome", "state", "misuse-freed-in-tlb";
    BoundsBeforeCount Interleaved "a6-bounds-before-count"
        "A speculative fault looks at the bounds before it samples the sequence count."
        from "V. Menon's report, series patch 23"
        fires "outcome", "state", "frame-leaked", "left-over";
    BracketUnderRead Interleaved "a11-bracket-under-read"
        "Zapping brackets the sequence count where mmap_sem is not held for writing."
        from "series patches 09 and 10"
        fires "misuse-sequence-nested", "vma-sequence";
    NodeNotCleared Interleaved "a19-node-not-cleared"
        "A VMA that left the tree still looks as if it were in it."
        from "series patch 21"
        fires "outcome", "state", "frame-leaked", "left-over", "misuse-dead-frame",
            "misuse-dead-table", "misuse-freed-table-in-use", "misuse-freed-in-tlb";
    FreedAtOnce Interleaved "a21-freed-at-once"
        "A VMA that is merged away is freed at once, whoever holds a reference."
        from "series patch 20, __vma_adjust"
        fires "misuse-dead-vma", "vma-freed-referenced", "vma-used-after-free";
    LookupByCache Interleaved "a23-lookup-by-cache"
        "The lookup without mmap_sem asks the task's cache of areas, which is invalidated late."
        from "series patch 21, find_vma_rcu"
        fires "misuse-dead-vma", "misuse-get-from-zero", "vma-used-after-free";
    WrongSegv Interleaved "a25-wrong-segv"
        "A speculative fault answers SIGSEGV by flags that it does not revalidate."
        from "series patches 22 and 28"
        fires "outcome";
    PmdReadAgain Interleaved "a29-pmd-read-again"
        "The page-table lock is found by reading again the entry that was just checked."
        from "series patch 22, pte_map_lock and pte_spinlock"
        fires "misuse-dead-table";
    IndexAfterSplit Interleaved "a30-index-after-split"
        "A speculative fault asks an area that is being split for the index of its new page."
        from "series patches 10 and 17, __page_set_anon_rmap; found by this project"
        fires "outcome", "state";
    IndexWhileGrowing Interleaved "a31-index-while-growing"
        "A fault asks a stack that another fault is growing for the index of its new page."
        from "Linux 5.1, expand_downwards and linear_page_index; found by this project"
        fires "outcome", "state";
    SkipLastRecheck Interleaved "skip-last-recheck"
        "A speculative fault does not look at the VMA again after it has the page-table lock."
        from "series patch 22, pte_map_lock; made up"
        fires "outcome", "state", "frame-leaked", "left-over", "misuse-dead-frame",
            "misuse-dead-table", "misuse-freed-in-tlb";
    NoReference Interleaved "no-reference"
        "The lookup without mmap_sem takes no reference."
        from "series patch 21, find_vma_rcu; made up"
        fires "misuse-dead-vma", "vma-used-after-free";
    NoRcuReadLock Interleaved "no-rcu-read-lock"
        "The lookup without mmap_sem is no RCU read section."
        from "series patch 21, find_vma_rcu; made up"
        fires "misuse-dead-vma", "misuse-get-from-zero", "vma-used-after-free";
    PutWithoutGracePeriod Interleaved "put-without-grace-period"
        "The tree's reference is put as soon as the VMA is erased."
        from "series patch 21, vm_rcu_put; made up"
        fires "grace-period", "misuse-dead-vma", "misuse-get-from-zero",
            "vma-used-after-free";
    PolicyWithoutReference Interleaved "a22-policy-without-reference"
        "A speculative fault uses a policy without a reference, and the last put frees it at once."
        from "series patches 10 and 22"
        fires "misuse-dead-policy", "policy-used-after-free";
}

impl Defect {
    /// What is known of it.
    pub fn info(self) -> &'static DefectInfo {
        &DEFECTS[self as usize]
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// The defect of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        let at = DEFECTS.iter().position(|d| d.name == name)?;
        Some(Self::ALL[at])
    }
}

/// A set of defects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Defects(u64);

impl Defects {
    /// None.
    pub const NONE: Self = Self(0);

    /// Just this one.
    pub const fn only(defect: Defect) -> Self {
        Self(1 << defect as u8)
    }

    /// The defect of that name alone.
    ///
    /// # Errors
    /// The name, if there is no such defect or it is compiled out.
    pub fn parse(name: &str) -> Result<Self, UnknownDefect> {
        match Defect::from_name(name) {
            Some(defect) if cfg!(feature = "defects") => Ok(Self::only(defect)),
            _ => Err(UnknownDefect(name.to_owned())),
        }
    }

    /// These and those.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this one is among them.
    #[inline]
    pub const fn has(self, defect: Defect) -> bool {
        cfg!(feature = "defects") && self.0 & 1 << defect as u8 != 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Defect> {
        let all = Defect::ALL.iter().copied();
        all.filter(move |&d| self.has(d))
    }
}

/// There is no defect of this name, or defects are compiled out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownDefect(
    /// The name.
    pub String,
);

impl std::fmt::Display for UnknownDefect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if cfg!(feature = "defects") {
            write!(f, "no defect is called `{}`", self.0)
        } else {
            write!(
                f,
                "no defect `{}`: built without the feature `defects`",
                self.0
            )
        }
    }
}

impl std::error::Error for UnknownDefect {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_lead_back() {
        for (i, info) in DEFECTS.iter().enumerate() {
            assert_eq!(Defect::ALL[i] as usize, i, "{}", info.name);
            assert_eq!(Defect::from_name(info.name), Some(Defect::ALL[i]));
        }
        assert!(DEFECTS.len() <= 64);
    }

    #[test]
    fn a_set_holds_what_was_put_into_it() {
        let set = Defects::parse("get-too-few").unwrap();
        let set = set.with(Defects::only(Defect::WrongSegv));
        let names: Vec<_> = set.iter().map(Defect::name).collect();
        assert_eq!(names, ["get-too-few", "a25-wrong-segv"]);
        assert!(Defects::parse("get-too-fewer").is_err());
    }
}
