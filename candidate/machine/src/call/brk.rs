//! brk: the heap's end.

use vmadiff_contract::{Note, Resource, StepKind, Told, VmFlags};

use crate::area::adjust::Adjust;
use crate::area::merge::Range;
use crate::area::ops::PageProt;
use crate::area::tree::Links;
use crate::area::vma::Vma;
use crate::call::mmap::page_align;
use crate::core::current::Current;
use crate::core::section::Section;
use crate::core::slab::Ref;
use crate::defects::defect;
use crate::design::Design;
use crate::sites as site;

/// The heap stays as it is.
struct Refused;

impl<D: Design> Current<'_, D> {
    /// `brk`: the heap's end afterwards.
    pub fn sys_brk(&self, brk: u64) -> u64 {
        let mm = self.mm_struct();
        let write = Section::enter(self, mm, site::BRK__MMAP_SEM);
        let old = mm.brk.peek();
        let start_brk = self.config().start_brk;
        let limit = self.rlimit(Resource::Data);
        let over = limit < u64::MAX && brk.wrapping_sub(start_brk) > limit;
        if brk < start_brk || over {
            self.mark(StepKind::Decide, self.counters(), Told::Refused);
            return old;
        }
        // Nobody reads the heap's end who does not hold mmap_sem; the limit was read now.
        self.mark(StepKind::Decide, self.counters(), Told::Number(old));
        let (new_page, old_page) = (page_align(brk), page_align(old));
        if new_page == old_page {
            mm.brk.set(site::BRK__BRK, brk);
            return brk;
        }
        if brk <= old {
            mm.brk.set(site::BRK__BRK, brk);
            // The lock is downgraded on the way and given back at the end of the unmapping; if that
            // fails it is still held, so that nobody sees a heap that was never there.
            let mut write = Some(write);
            return match self.__do_munmap(new_page, old_page - new_page, &mut write) {
                Ok(()) => brk,
                Err(_) => {
                    mm.brk.set(site::BRK__RESTORE, old);
                    self.mark_done(StepKind::Resize, self.counters());
                    old
                }
            };
        }
        let next = self.find_vma(old_page);
        if next.is_some_and(|next| new_page.wrapping_add(4096) > self.vm_start_gap(next)) {
            self.mark(StepKind::Decide, self.areas(), Told::Refused);
            return old;
        }
        let len = new_page.wrapping_sub(old_page);
        if self.do_brk_flags(old_page, len).is_err() {
            return old;
        }
        mm.brk.set(site::BRK__BRK, brk);
        self.mark_done(StepKind::Resize, self.counters());
        drop(write);
        if mm.default_flags().contains(VmFlags::LOCKED) {
            self.mm_populate(old_page, new_page - old_page);
        }
        brk
    }

    /// Maps anonymous memory for the heap (`do_brk_flags`).
    fn do_brk_flags(&self, addr: u64, len: u64) -> Result<(), Refused> {
        let mm = self.mm_struct();
        let flags = VmFlags::READ
            | VmFlags::WRITE
            | VmFlags::MAYREAD
            | VmFlags::MAYWRITE
            | VmFlags::MAYEXEC
            | VmFlags::ACCOUNT
            | mm.default_flags();
        let place = self.get_unmapped_area(addr, len, true);
        let may = place.and_then(|_| self.mlock_future_check(flags, len));
        if may.is_err() {
            self.mark(StepKind::Decide, self.areas(), Told::Refused);
            return Err(Refused);
        }
        let (end, pages) = (addr + len, len >> 12);
        let links = match self.tree(mm).find_links(addr, end) {
            Ok(links) => links,
            Err(_) => {
                self.__do_munmap(addr, len, &mut None)
                    .map_err(|_| Refused)?;
                self.tree(mm).find_links(addr, end).map_err(|_| Refused)?
            }
        };
        if !self.may_expand_vm(flags, pages)
            || mm.map_count.peek() > u64::from(self.config().max_map_count)
        {
            self.mark(StepKind::Charge, self.areas(), Told::Refused);
            return Err(Refused);
        }
        self.vm_enough_memory(pages).map_err(|_| Refused)?;
        let range = Range {
            addr,
            end,
            flags,
            pgoff: addr >> 12,
            ..Range::default()
        };
        if !self.brk_expand_apart(&links, &range) && self.vma_merge(links.prev, &range).is_none() {
            let Some(vma) = self.vm_area_alloc() else {
                self.vm_unacct_memory(pages);
                self.note(Note::Undo("do_brk_flags"));
                return Err(Refused);
            };
            self.init_heap(vma, &range);
            self.vma_link(mm, vma, &links);
        }
        self.vm_stat_account(mm, flags, pages);
        if flags.contains(VmFlags::LOCKED) {
            mm.locked_vm.count(pages);
        }
        self.mark_done(StepKind::Count, self.counters());
        Ok(())
    }

    fn init_heap(&self, vma: Ref<'_, Vma>, range: &Range) {
        vma.vm_start().init(range.addr);
        vma.vm_end().init(range.end);
        vma.vm_flags().init(range.flags.bits());
        vma.vm_page_prot().init(PageProt::of(range.flags).bits());
        vma.vm_pgoff().init(range.pgoff);
    }

    /// The defect: the area before is taken for the heap wherever it ends.
    fn brk_expand_apart(&self, links: &Links<'_>, range: &Range) -> bool {
        let Some(prev) = links.prev.filter(|_| defect!(self, BrkExpandsApart)) else {
            return false;
        };
        let to = Adjust {
            start: prev.start(),
            end: range.end,
            pgoff: prev.vm_pgoff().peek(),
            insert: None,
            expand: None,
            keep_locked: false,
        };
        prev.flags() == range.flags && self.__vma_adjust(prev, &to).is_ok()
    }
}
