//! Collapsing a range (`collapse_huge_page`): every page of it is replaced by a fresh one, as if by
//! one huge page. What the huge entry would be stays a table here, a new one.

use vmadiff_contract::{About, StepKind, Told, VmFlags};
use vmadiff_interleave::{Word, WriteGuard};

use crate::area::ops::{Ops, PageProt};
use crate::area::vma::Vma;
use crate::core::current::Current;
use crate::core::mm::mm_id;
use crate::core::section::Section;
use crate::core::slab::{Handle, Ref};
use crate::defects::defect;
use crate::design::{Design, Why};
use crate::page::frame::Frame;
use crate::page::pgtable::PteTable;
use crate::page::pte::{Maps, Pte};
use crate::page::table::{PMD_SHIFT, Table, index};
use crate::sites as site;

/// Pages that are collapsed at most (HPAGE_PMD_NR).
const MOST: u64 = 512;

/// A range of one area.
#[derive(Clone, Copy)]
struct Part<'a> {
    vma: Ref<'a, Vma>,
    addr: u64,
    end: u64,
}

impl<D: Design> Current<'_, D> {
    /// The step `collapse`: 1 if the range was.
    pub fn step_collapse(&self, addr: u64, len: u64) -> u64 {
        let _write = Section::enter(self, self.mm_struct(), site::COLLAPSE__MMAP_SEM);
        let Some(part) = self.hugepage_vma_revalidate(addr, len) else {
            self.mark_decided(addr, addr.saturating_add(len), Told::Refused);
            return 0;
        };
        // Faults that began before are kept off by the middle table's entry, too, which changes.
        let told = !defect!(self, CollapseUnnoticed);
        if told {
            D::change(self, part.vma, Why::Collapse);
        }
        let done = self.collapse_huge_page(part);
        if told {
            D::changed(self, part.vma, Why::Collapse);
        }
        done.into()
    }

    /// The area, if the range and it will do.
    fn hugepage_vma_revalidate(&self, addr: u64, len: u64) -> Option<Part<'_>> {
        if (addr | len) & 4095 != 0 || len == 0 || len > MOST * 4096 {
            return None;
        }
        let end = addr.checked_add(len)?;
        let vma = self.find_vma(addr)?;
        let inside = vma.start() <= addr && end <= vma.end();
        let anonymous = vma.ops() == Ops::Anonymous && !vma.anon_vma().peek().is_null();
        let unwanted = vma
            .flags()
            .intersects(VmFlags::UFFD_MISSING | VmFlags::NOHUGEPAGE);
        (inside && anonymous && !unwanted).then_some(Part { vma, addr, end })
    }

    /// Tells whether a range will do.
    fn mark_decided(&self, start: u64, end: u64, told: Told) {
        let mm = mm_id(self.mm);
        self.mark(StepKind::Decide, About::Range { mm, start, end }, told);
    }

    /// Deviation (collapse-isolates-first): pages are isolated before the middle entry is cleared.
    fn collapse_huge_page(&self, part: Part<'_>) -> bool {
        // Nobody finds the pages by their anon_vma meanwhile.
        let tree: WriteGuard<'_> = self.anon_vma_lock(part.vma.anon_vma().peek());
        let may = self.collapse_huge_page_isolate(part);
        let told = if may { Told::Done } else { Told::Refused };
        self.mark_decided(part.addr, part.end, told);
        if !may {
            return false;
        }
        let Some(fresh) = self.alloc_fresh(part) else {
            return false;
        };
        let mut fresh = fresh.into_iter();
        let mut addr = part.addr;
        while addr < part.end {
            let end = part.end.min(((addr >> PMD_SHIFT) + 1) << PMD_SHIFT);
            self.mm_struct().invalidate_range_start();
            self.collapse_table(Part { addr, end, ..part }, &mut fresh);
            self.mm_struct().invalidate_range_end();
            addr = end;
        }
        drop(tree);
        true
    }

    /// Whether the pages of a range may be taken (`__collapse_huge_page_isolate`): one is writable
    /// at least, none is swapped out, and nobody else has a hold on any.
    fn collapse_huge_page_isolate(&self, part: Part<'_>) -> bool {
        let mut writable = false;
        let mut addr = part.addr;
        while let Some(found) = self.next_pte_table(self.mm_struct(), addr, part.end) {
            let last = index(found.end - 1, 12);
            let _ptl = found.table.lock_ptl(site::COLLAPSE_ISOLATE__PTL);
            let mut from = index(found.addr, 12);
            while let Some(at) = found.table.entries().next(from).filter(|&at| at <= last) {
                from = at + 1;
                let pte = found.table.pte(site::COLLAPSE_ISOLATE__PTE, at);
                writable |= pte.writable() || pte.saved_write();
                let alone = match pte.maps() {
                    Some(Maps::Anon(page)) => self.frame(page).refs().peek() == 1,
                    Some(Maps::Swap(_)) => false,
                    _ => true,
                };
                if !alone {
                    return false;
                }
            }
            addr = found.end;
        }
        writable
    }

    /// A frame for each page; none without memory for all.
    fn alloc_fresh(&self, part: Part<'_>) -> Option<Vec<Handle<Frame>>> {
        let pages = (part.end - part.addr) >> 12;
        let mut fresh = Vec::with_capacity(pages as usize);
        for _ in 0..pages {
            match self.alloc_page() {
                Some(page) => fresh.push(page.handle()),
                None => {
                    for page in fresh {
                        self.put_page(site::COLLAPSE__PUT_FRESH, self.frame(page));
                    }
                    return None;
                }
            }
        }
        Some(fresh)
    }

    /// Replaces the pages of one table's part of the range. Where the table has nothing of other
    /// areas it is taken out of the middle table (`pmdp_collapse_flush`) and a new one put in its
    /// place; otherwise faults in those areas go on in it.
    fn collapse_table(&self, part: Part<'_>, fresh: &mut impl Iterator<Item = Handle<Frame>>) {
        let mm = self.mm_struct();
        let pmd = self.pmd_alloc(mm, part.addr);
        let table = self.pte_alloc(mm, pmd, part.addr);
        let at = index(part.addr, PMD_SHIFT);
        let old = PteTable {
            addr: part.addr,
            end: part.end,
            table,
        };
        let alone = self.covers_alone(part.vma, part.addr);
        if alone {
            let _lock = mm.page_table_lock.lock(site::COLLAPSE__PMD_LOCK);
            pmd.entries().set(site::COLLAPSE__CLEAR_PMD, at, 0);
            self.unhung(old);
        }
        let pages = self.clear_pages(old);
        if alone {
            table.unhang();
        }
        self.flush_tlb_range(self.mm, part.addr, part.end);
        let target = if alone {
            self.table_for_collapse(table)
        } else {
            table
        };
        {
            let _ptl = target.lock_ptl(site::COLLAPSE_COPY__PTL);
            for (entry, old) in (index(part.addr, 12)..).zip(pages) {
                let addr = part.addr + ((entry - index(part.addr, 12)) as u64) * 4096;
                if let Some(page) = fresh.next() {
                    let pte = self.collapse_page(part.vma, addr, old, self.frame(page));
                    self.set_pte(
                        StepKind::Entry,
                        site::COLLAPSE_COPY__SET,
                        target,
                        entry,
                        pte,
                    );
                }
            }
        }
        if alone {
            {
                let _lock = mm.page_table_lock.lock(site::COLLAPSE__PMD_LOCK);
                pmd.entries()
                    .set(site::COLLAPSE__SET_PMD, at, target.handle().to_word());
                self.hung(part, target);
            }
            self.free_table(table);
        }
    }

    /// Whether no other area has a part of the range of a lowest table.
    fn covers_alone(&self, vma: Ref<'_, Vma>, addr: u64) -> bool {
        let base = addr >> PMD_SHIFT << PMD_SHIFT;
        let end = base.saturating_add(1 << PMD_SHIFT);
        self.prev(vma).is_none_or(|prev| prev.end() <= base)
            && self.next(vma).is_none_or(|next| next.start() >= end)
    }

    /// A table hangs in the tree no longer: the entries of the range are gone, all at once. What else
    /// it holds will be there again, as it was; a fault that has the table's lock may still write it.
    fn unhung(&self, part: PteTable<'_>) {
        part.table.left().init(self.moment());
        for at in self.pass(part) {
            let ptes = (part.table.peek_pte(at), Pte::NONE);
            self.mark_entry(StepKind::Pass, part.table, at, ptes);
        }
        let last = index(part.end - 1, 12);
        part.table.set_gone(index(part.addr, 12), last + 1);
    }

    /// A table hangs in the tree from now on, with what it holds of the range.
    fn hung(&self, part: Part<'_>, table: Ref<'_, Table>) {
        table.hang(self.mm, part.addr);
        let range = index(part.addr, 12)..=index(part.end - 1, 12);
        let entries = table.entries().iter();
        for (at, word) in entries.filter(|(at, _)| range.contains(at)) {
            let ptes = (Pte::NONE, Pte::from_word(word));
            self.mark_entry(StepKind::Entry, table, at, ptes);
        }
    }

    /// Clears a range's entries and answers them, one for each page.
    fn clear_pages(&self, part: PteTable<'_>) -> Vec<Pte> {
        let table = part.table;
        let _ptl = table.lock_ptl(site::COLLAPSE_COPY__PTL);
        let mut pass = self.pass(part).peekable();
        (index(part.addr, 12)..=index(part.end - 1, 12))
            .map(|at| {
                let pte = table.pte(site::COLLAPSE_COPY__PTE, at);
                if pass.next_if_eq(&at).is_some() {
                    let clear = site::COLLAPSE_COPY__CLEAR;
                    self.set_pte(StepKind::Pass, clear, table, at, Pte::NONE);
                }
                pte
            })
            .collect()
    }

    /// A table that holds what another has left.
    fn table_for_collapse(&self, from: Ref<'_, Table>) -> Ref<'_, Table> {
        let new = self.alloc_table(12);
        let _ptl = from.lock_ptl(site::COLLAPSE_COPY__PTL);
        let mut entry = 0;
        while let Some(at) = from.entries().next(entry) {
            entry = at + 1;
            let pte = from.pte(site::COLLAPSE_COPY__PTE, at);
            let (set, clear) = (site::COLLAPSE_COPY__SET, site::COLLAPSE_COPY__CLEAR);
            self.set_pte(StepKind::Entry, set, new, at, pte);
            self.set_pte(StepKind::Entry, clear, from, at, Pte::NONE);
        }
        new
    }

    /// Gives the fresh page the contents of the old one, which goes (`__collapse_huge_page_copy`);
    /// answers its entry.
    fn collapse_page(&self, vma: Ref<'_, Vma>, addr: u64, old: Pte, fresh: Ref<'_, Frame>) -> Pte {
        if let Some(page) = old.anon() {
            let page = self.frame(page);
            fresh
                .contents()
                .init_page(site::COLLAPSE_COPY__COPY, page.contents(), 0);
            self.page_remove_rmap(page.handle());
            self.put_page(site::COLLAPSE_COPY__PUT_PAGE, page);
        } else {
            self.mm_struct().rss_anon.count(1);
        }
        let anon = vma.anon_vma().peek();
        self.page_add_new_anon_rmap(fresh, anon, vma.pgoff_of(addr));
        let prot = PageProt::from_bits(vma.vm_page_prot().peek());
        let pte = Pte::make(Maps::Anon(fresh.handle()), prot);
        if vma.flags().contains(VmFlags::WRITE) {
            pte.mkwrite()
        } else {
            pte
        }
    }
}
