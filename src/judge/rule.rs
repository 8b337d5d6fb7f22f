//! The rules that a run can break: names for ever, what each says, and where it is from.
//!
//! A signature, a defect's declaration and a known finding all name a rule by [`Rule::name`].

use std::fmt;

use vmadiff_contract::Breach;

use crate::designs;

macro_rules! rules {
    ($($kind:ident $name:literal $says:literal from $source:literal;)*) => {
        /// A rule.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $(#[doc = $says] #[doc = ""] #[doc = concat!("Source: ", $source)] $kind,)*
            /// A rule that a design declares of its own protocol.
            Breach(&'static Breach),
        }

        /// Every rule that holds of all designs, with what it says and its source.
        pub const RULES: &[RuleInfo] = &[
            $(RuleInfo { rule: Rule::$kind, name: $name, says: $says, source: $source },)*
        ];
    };
}

/// What is known of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleInfo {
    /// Which.
    pub rule: Rule,
    /// Its name, stable.
    pub name: &'static str,
    /// What it says, in one sentence.
    pub says: &'static str,
    /// Where that is from: a kernel function (5.1), the contract, or what a design declares.
    pub source: &'static str,
}

rules! {
    Outcome "outcome"
        "A call answers the same in both managers."
        from "the contract, `Outcome`";
    State "state"
        "After a call the same can be observed of both managers, field by field."
        from "the contract, `Snapshot`";
    Events "events"
        "A call allocates, links, unlinks, opens, closes and puts the same objects in both managers."
        from "the contract, `Event`; docs/compared.md";
    Panic "panic"
        "A manager does not panic."
        from "the contract, `Manager::call`";
    Livelock "livelock"
        "A fault that was served does not come back for ever."
        from "the contract, `Outcome::Livelock`; access_error of 5.1";
    Nondeterminism "nondeterminism"
        "The same program observed twice gives the same observations."
        from "the contract, `ids`";
    Ordinal "ordinal"
        "An object's name is the ordinal of its allocation, and no event names another."
        from "the contract, `ids`";
    LeftOver "left-over"
        "When every task has exited and all grace periods have ended, nothing is left."
        from "exit_mmap, exit_files";
    Deferred "deferred"
        "A grace period only puts and frees VMAs, where the design has them wait for readers, and frees \
         policies and page tables."
        from "the contract, `DesignInfo::frees`; call_rcu, tlb_remove_table";

    VmaFreedOnce "vma-freed-once"
        "A VMA is freed once."
        from "vm_area_free";
    VmaFreedLinked "vma-freed-linked"
        "A VMA that was linked is freed after it left its tree, or as its address space is torn down."
        from "remove_vma";
    VmaFreedReferenced "vma-freed-referenced"
        "A VMA is not freed while a counted reference to it remains."
        from "the contract, `DesignInfo::counts`; kref_put";
    VmaUsedAfterFree "vma-used-after-free"
        "A VMA is not touched after it was freed."
        from "vm_area_free";
    VmaLeaked "vma-leaked"
        "A VMA that left its tree, or never entered one, is gone once all grace periods have ended; \
         one of a torn-down address space at once."
        from "remove_vma, exit_mmap";
    VmaFreedLate "vma-freed-late"
        "A manager whose VMAs do not wait for readers frees a VMA in the call that removes it."
        from "the contract, `DesignInfo::frees`; docs/compared.md";
    VmaTree "vma-tree"
        "A VMA enters its tree once and leaves it at most once; between calls the trees hold what \
         the state shows."
        from "vma_link, detach_vmas_to_be_unmapped";
    VmaReferences "vma-references"
        "A count of references moves by one at a time, and between calls a linked VMA has as many as its \
         design declares."
        from "the contract, `DesignInfo::counts`";
    VmaSequence "vma-sequence"
        "Between calls a sequence count that a linked VMA carries is even."
        from "the contract, `DesignInfo::counts`; write_seqcount_end";
    VmaClose "vma-close"
        "A VMA with `vm_ops->close` is opened once if it is a copy, and closed once, in the call \
         that removes it, before it is freed."
        from "remove_vma, __split_vma, dup_mmap";

    FilePut "file-put"
        "A VMA of a file puts it once, in the call that removes the VMA, and no sooner."
        from "remove_vma; __vma_adjust";
    FileReferences "file-references"
        "A file has one reference for each descriptor and one for each VMA."
        from "get_file, fput";
    FileFreedOnce "file-freed-once"
        "A file is freed once, when its last reference goes."
        from "fput";
    FileUsedAfterFree "file-used-after-free"
        "A file is not touched after it was freed."
        from "fput";

    PolicyFreedOnce "policy-freed-once"
        "A policy is freed once."
        from "mpol_put";
    PolicyUsedAfterFree "policy-used-after-free"
        "A policy is not touched after it was freed."
        from "mpol_put";
    PolicyLeaked "policy-leaked"
        "A policy is freed with the last that holds it."
        from "mpol_put";

    AnonFreedOnce "anon-freed-once"
        "An anon_vma is freed once."
        from "put_anon_vma";
    AnonUsedAfterFree "anon-used-after-free"
        "An anon_vma is not touched after it was freed."
        from "put_anon_vma";
    AnonLeaked "anon-leaked"
        "An anon_vma is freed with its last link and its last descendant."
        from "unlink_anon_vmas";

    FrameFreedOnce "frame-freed-once"
        "A page frame is freed once."
        from "put_page";
    FrameLeaked "frame-leaked"
        "A page frame that no page table and no swap slot holds is freed, one allocated ahead of an \
         aborted fault too."
        from "put_page";

    TableFreedOnce "table-freed-once"
        "A page table is freed once."
        from "free_pgtables";
    TableLeaked "table-leaked"
        "A page table is freed with its address space at the latest."
        from "free_pgtables";

    MisuseDeadVma "misuse-dead-vma"
        "No access reaches a VMA that was freed."
        from "the contract, `Misuse`";
    MisuseDeadFrame "misuse-dead-frame"
        "No access reaches a page frame that was freed."
        from "the contract, `Misuse`";
    MisuseDeadTable "misuse-dead-table"
        "No access reaches a page table that was freed."
        from "the contract, `Misuse`";
    MisuseDeadLock "misuse-dead-lock"
        "No access reaches the lock of a page table when that lock was freed."
        from "the contract, `Misuse`; ptlock_free";
    MisuseLostTable "misuse-lost-table"
        "A walk goes down by the entry that it has checked."
        from "the contract, `Misuse`; pmd_offset";
    MisuseOpenInvalidation "misuse-open-invalidation"
        "Who is told that entries become invalid is told that this has ended."
        from "the contract, `Misuse`; mmu_notifier_invalidate_range_end";
    MisuseDeadAnon "misuse-dead-anon"
        "No access reaches an anon_vma that was freed."
        from "the contract, `Misuse`";
    MisuseDeadPolicy "misuse-dead-policy"
        "No access reaches a policy that was freed."
        from "the contract, `Misuse`";
    MisuseDeadFile "misuse-dead-file"
        "No access reaches a file after its last reference was put."
        from "the contract, `Misuse`; fput";
    MisuseFreedLinked "misuse-freed-linked"
        "A VMA is not freed while its node is in the tree."
        from "the contract, `Misuse`; vma_rb_erase";
    MisuseLostPage "misuse-lost-page"
        "A walk over the areas of a private page's anon_vma comes to each that maps it: else it is never \
         reclaimed nor migrated."
        from "the contract, `Misuse`; rmap_walk_anon, __page_set_anon_rmap";
    MisuseFreedInTlb "misuse-freed-in-tlb"
        "A page frame is not freed while a TLB maps it."
        from "tlb_finish_mmu";
    MisuseFreedTableInUse "misuse-freed-table-in-use"
        "A page table is not freed while a walker with interrupts off could be in it."
        from "tlb_remove_table";

    Deadlock "deadlock"
        "Tasks do not wait for each other for ever."
        from "the contract, `Manager::call`: a call returns";
    StepLimit "step-limit"
        "Calls that race come to an end, however they are scheduled."
        from "the contract, `Manager::call`: a call returns";
    LockLeft "lock-left"
        "A call gives back every lock that it took."
        from "down_write and up_write; spin_lock and spin_unlock";
    SectionLeft "section-left"
        "A call leaves every RCU read section that it entered."
        from "rcu_read_unlock";
    InterruptsLeft "interrupts-left"
        "A call turns interrupts on again."
        from "local_irq_enable";
    CommitPoint "commit-point"
        "Steps take effect in the order in which they are marked, each once, and none that others can \
         see is left out."
        from "docs/steps.md, marks";
    FaultUnexplained "fault-unexplained"
        "A step goes as the reference's would at that moment: refused where that is refused, done where \
         that is done, and not while that has to wait."
        from "docs/steps.md, guards; docs/compared.md, woven runs";
    StaleEntry "stale-entry"
        "A processor goes by the entry that the table has, or by one that its TLB may still hold: \
         until it is flushed."
        from "flush_tlb_mm_range; docs/compared.md, woven runs";
    LostStore "lost-store"
        "When all calls have returned pages and files hold what was stored to them, by the order of \
         the steps, and nothing else; and a load answers what may have been stored there last, by when \
         calls began and returned."
        from "docs/compared.md, woven runs";
    FaultCount "fault-count"
        "A task's faults are counted one by one as they are served."
        from "do_user_addr_fault, handle_mm_fault";
    GracePeriod "grace-period"
        "Where VMAs wait for readers, one that was erased from a live tree is freed only after every RCU \
         reader that was inside has left; one with interrupts off is a reader, too."
        from "the contract, `DesignInfo::frees`; call_rcu";
}

impl Rule {
    /// Its name, by which signatures and defects know it.
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// What is known of it.
    pub fn info(self) -> RuleInfo {
        if let Self::Breach(breach) = self {
            return RuleInfo {
                rule: self,
                name: breach.rule,
                says: breach.says,
                source: breach.source,
            };
        }
        let found = RULES.iter().find(|info| info.rule == self);
        *found.expect("the table has every rule that is no design's")
    }

    /// Every rule: those of [`RULES`], then those that designs declare.
    pub fn all() -> impl Iterator<Item = Self> {
        let common = RULES.iter().map(|info| info.rule);
        common.chain(designs::breaches().map(Self::Breach))
    }

    /// The rule of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|rule| rule.name() == name)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_lead_back() {
        for rule in Rule::all() {
            let name = rule.name();
            assert_eq!(Rule::from_name(name), Some(rule));
            let plain = |c: char| c.is_ascii_lowercase() || c == '-';
            assert!(name.chars().all(plain), "{name}");
        }
    }
}
