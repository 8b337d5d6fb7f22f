//! Guards: what keeps a step from being taken, or makes a fault begin again, while another call is
//! half way. Each is from a lock or a check of Linux 5.1, and tests switch each off.

use vmadiff_contract::{About, FileId};

use crate::job::Sem;
use crate::world::World;

macro_rules! guards {
    ($($(#[$doc:meta])* $kind:ident $name:literal by $by:literal,)*) => {
        /// A guard.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum Guard { $($(#[$doc])* $kind,)* }

        impl Guard {
            #[cfg_attr(not(test), allow(dead_code))]
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name),* }
            }

            /// The Linux function and the lock that it is from.
            #[cfg_attr(not(test), allow(dead_code))]
            pub fn by(self) -> &'static str {
                match self { $(Self::$kind => $by),* }
            }
        }
    };
}

guards! {
    /// A writer of an address space excludes others, and who reads its areas excludes writers.
    Sem "mmap-sem" by "down_write and down_read of mmap_sem",
    /// A fault is not served by an area that is claimed.
    Decide "decide-unclaimed" by "do_user_addr_fault: mmap_sem for reading, until the entry is written",
    /// No MAPERR while a writer's section is under way.
    MapErr "maperr-no-writer" by "do_user_addr_fault: find_vma under mmap_sem for reading",
    /// No ACCERR by an area that is claimed.
    AccErr "accerr-unclaimed" by "do_user_addr_fault: access_error under mmap_sem for reading",
    /// No SIGBUS by an area that is claimed.
    Bus "bus-unclaimed" by "__do_fault under mmap_sem for reading",
    /// The first anon_vma of an area is attached beside no writer.
    Prepare "anon-no-writer" by "anon_vma_prepare under mmap_sem for reading",
    /// A stack grows beside no writer.
    Grow "grow-no-writer" by "expand_downwards under mmap_sem for reading",
    /// Two faults do not grow one stack at once.
    AnonLock "anon-vma-lock" by "expand_downwards: anon_vma_lock_write",
    /// Two faults do not count the growth of two stacks at once.
    PageTableLock "page-table-lock" by "expand_downwards: page_table_lock",
    /// A fault writes only if no writer's pass came over its entry since it decided.
    NoPass "no-pass-between" by "handle_mm_fault: mmap_sem for reading from find_vma to the entry",
    /// A fault writes only an entry that is as it read it.
    SameEntry "same-entry" by "pte_same under the page table's lock",
    /// A private page is copied only when no TLB may still store to it.
    CopyStill "copy-no-stores" by "wp_page_copy of an entry that was flushed; try_to_unmap_flush_dirty before pageout",
    /// Where a page table stays locked until a flush is done, nobody else passes or writes.
    TableLock "table-lock" by "wp_page_copy, move_ptes: the page table's lock until the TLBs are flushed",
    /// What was found cleared is flushed too.
    Nested "flush-nested" by "tlb_finish_mmu: mm_tlb_flush_nested",
    /// A frame is freed after the flush.
    FreeLast "free-after-flush" by "tlb_flush_mmu: tlb_flush_mmu_tlbonly before tlb_flush_mmu_free",
    /// An area's flags are claimed with its entries.
    ClaimFlags "claim-flags" by "change_protection under mmap_sem for writing",
    /// A move is claimed from the new area's link to the source's detach.
    ClaimMove "claim-move" by "move_vma under mmap_sem for writing",
    /// A copy is claimed from its first entry to the flush.
    ClaimCopy "claim-copy" by "dup_mmap: mmap_sem of the parent for writing until flush_tlb_mm",
    /// A collapse is claimed from the first entry taken to the last one set.
    ClaimCollapse "claim-collapse" by "collapse_huge_page: mmap_sem for writing, anon_vma_lock_write",
    /// A file's contents are dropped when no fault holds their page.
    PageLock "page-lock" by "truncate_inode_page: lock_page",
    /// Calls that change a file's size or contents exclude each other.
    InodeLock "inode-lock" by "do_truncate, shmem_fallocate: inode_lock",
    /// Entries of a file are not moved, nor areas put on its list, while it is unmapped.
    Mapping "i-mmap-lock" by "move_ptes, vma_link, dup_mmap, unmap_mapping_pages: i_mmap_lock_write",
    /// A page that is swapped out is read back when that is done.
    SwapLock "swap-page-lock" by "do_swap_page, shrink_page_list: lock_page",
}

impl World {
    /// Whether a guard is on. Tests alone switch one off.
    pub fn keeps(&self, guard: Guard) -> bool {
        self.off & 1 << guard as u32 == 0
    }

    /// This guard, if it is on and the case for it is there.
    pub fn wait_if(&self, guard: Guard, case: bool) -> Option<Guard> {
        (case && self.keeps(guard)).then_some(guard)
    }

    /// Who changes the list of a file's areas, or moves its entries, waits while the file is unmapped.
    pub fn is_unmapped(&self, file: Option<FileId>) -> Option<Guard> {
        let busy = file.is_some_and(|file| self.files[file.0 as usize - 1].unmapping > 0);
        self.wait_if(Guard::Mapping, busy)
    }

    /// The same for areas that are cut, merged or grow. A call that has yet to fail for want of memory may do
    /// so before it comes to the lock (`__split_vma`).
    pub fn may_change_list(&self, file: Option<FileId>) -> Option<Guard> {
        let fails_yet = u32::from(self.fail.0) > self.made;
        self.is_unmapped(file).filter(|_| !fails_yet)
    }

    /// The same for this area.
    pub fn may_adjust(&self, m: usize, i: usize) -> Option<Guard> {
        self.may_change_list(self.mms[m].areas.get(i)?.file)
    }

    /// Whether a writer other than the task itself is at this address space.
    pub fn has_writer(&self, m: usize) -> bool {
        self.driven && self.mms[m].writer.is_some_and(|t| t != self.now)
    }

    /// Whether task `t` can hold mmap_sem of `m` like this.
    pub fn can_hold(&self, m: usize, t: usize, sem: Sem) -> bool {
        let mm = &self.mms[m];
        let others = mm.readers & !(1 << t);
        match sem {
            Sem::None => true,
            Sem::Read => mm.writer.is_none_or(|writer| writer == t),
            Sem::Write => mm.writer.is_none_or(|writer| writer == t) && others == 0,
        }
    }

    /// Lets task `t` hold mmap_sem of `m` like this, and no more.
    pub fn hold(&mut self, m: usize, t: usize, sem: Sem) {
        let mm = &mut self.mms[m];
        if mm.writer == Some(t) {
            mm.writer = None;
        }
        mm.readers &= !(1 << t);
        match sem {
            Sem::None => {}
            Sem::Read => mm.readers |= 1 << t,
            Sem::Write => mm.writer = Some(t),
        }
        if sem < Sem::Write {
            // The section has ended: nothing of it is half done.
            mm.areas
                .iter_mut()
                .for_each(|area| area.claimed &= mm.writer.is_some());
        }
    }

    /// Claims an area for a change that no fault may see half.
    pub fn claim(&mut self, m: usize, i: usize, guard: Guard) {
        if self.driven {
            self.mms[m].areas[i].claimed = self.keeps(guard);
        }
    }

    /// Gives all claims on an address space up.
    pub fn unclaim(&mut self, m: usize) {
        if self.driven {
            self.mms[m]
                .areas
                .iter_mut()
                .for_each(|area| area.claimed = false);
        }
    }

    /// Says what a step is about.
    pub fn about(&mut self, about: About) {
        if self.driven {
            self.touched.push(about);
        }
    }

    /// Says that a step is about the counters of an address space.
    pub fn about_counters(&mut self, m: usize) {
        self.about(About::Counters(self.mms[m].id));
    }

    /// Says that a step is about an entry.
    pub fn about_entry(&mut self, m: usize, addr: u64) {
        self.about(About::Entry {
            mm: self.mms[m].id,
            addr,
        });
    }
}
