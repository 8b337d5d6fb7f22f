//! mincore: which pages of a range are resident.

use std::cell::Cell;

use vmadiff_contract::{Errno, StepKind, Told};
use vmadiff_interleave::at;

use crate::area::vma::Vma;
use crate::call::mmap::page_align;
use crate::core::current::Current;
use crate::core::slab::Ref;
use crate::design::Design;
use crate::page::table::index;
use crate::sites as site;

/// The sum of 2^(i mod 64) over the first `pages` pages, modulo 2^64.
fn ones_below(pages: u64) -> u64 {
    // A whole round of 64 is 2^64 - 1.
    let rounds = (pages / 64).wrapping_neg();
    rounds.wrapping_add((1 << (pages % 64)) - 1)
}

impl<D: Design> Current<'_, D> {
    /// `mincore`: the sum of 2^(i mod 64) over the resident pages i of the range.
    pub fn sys_mincore(&self, start: u64, len: u64) -> Result<u64, Errno> {
        if start & 4095 != 0 {
            return Err(Errno::EINVAL);
        }
        let task_size = self.config().task_size;
        if len > task_size || start > task_size - len {
            return Err(Errno::ENOMEM);
        }
        let end = start + page_align(len);
        let _read = self.mm_struct().mmap_sem.read(site::MINCORE__MMAP_SEM);
        let mut sum = 0u64;
        let mut addr = start;
        let mut next = self.find_vma(addr);
        while addr < end {
            let Some(vma) = next.filter(|vma| vma.start() <= addr) else {
                at::section();
                self.mark(StepKind::Decide, self.areas(), Told::Refused);
                return Err(Errno::ENOMEM);
            };
            let to = end.min(vma.end());
            sum = sum.wrapping_add(self.do_mincore(vma, start, addr, to));
            addr = to;
            next = self.next(vma);
        }
        at::section();
        Ok(sum)
    }

    /// Of a piece of an area those pages that its file has in the page cache (`mincore_page`), summed as
    /// mincore does; pages are numbered from `base`. No scheduling point: it is so at the moment at which
    /// the piece was found to be unmapped.
    fn mincore_page(&self, vma: Ref<'_, Vma>, base: u64, addr: u64, end: u64) -> u64 {
        let Some(file) = vma.vm_file().peek().some().filter(|_| addr < end) else {
            return 0;
        };
        let file = self.files.get(file);
        let first = vma.pgoff_of(addr);
        let pages = file.absent().end(file.size().peek().div_ceil(4096));
        let here = pages.saturating_sub(first).min((end - addr) >> 12);
        let number = |page: u64| ((addr - base) >> 12) + (page - first);
        let all = ones_below(number(first + here)).wrapping_sub(ones_below(number(first)));
        let missing = file.absent().among(first, first + here);
        let bits = missing.into_iter().map(|page| 1u64 << (number(page) % 64));
        bits.fold(all, u64::wrapping_sub)
    }

    /// The sum over a piece of an area (`do_mincore`); pages are numbered from `base`. A stretch that
    /// is not mapped may be in its file (`__mincore_unmapped_range`), which is asked when the stretch was
    /// found: what a truncation does later, or has not done yet, is not of that moment. A swapped page is
    /// in no cache.
    fn do_mincore(&self, vma: Ref<'_, Vma>, base: u64, addr: u64, end: u64) -> u64 {
        let (sum, mut from) = (Cell::new(0u64), addr);
        let more = |bits| sum.set(sum.get().wrapping_add(bits));
        let unmapped = |from, to| more(self.mincore_page(vma, base, from, to));
        while from < end {
            if let Some(file) = vma.vm_file().peek().some() {
                // From here on the file is looked at.
                self.files.get(file).size().get(site::MINCORE__SIZE);
            }
            let mm = self.mm_struct();
            let Some(part) = self.seen_table(StepKind::Decide, mm, from, end, unmapped) else {
                break;
            };
            let _ptl = part.table.lock_ptl(site::MINCORE__PTL);
            let mut pass = self.seen(StepKind::Decide, part);
            from = part.addr;
            loop {
                let found = pass.next();
                let page = |at: usize| part.addr + ((at - index(part.addr, 12)) as u64) * 4096;
                let to = found.map_or(part.end, page);
                unmapped(from, to);
                let Some(at) = found else { break };
                let pte = part.table.pte(site::MINCORE__PTE, at);
                self.mark_entry(StepKind::Decide, part.table, at, (pte, pte));
                if pte.present() {
                    more(1 << (((to - base) >> 12) % 64));
                }
                from = to + 4096;
            }
            from = part.end;
        }
        sum.get()
    }
}

#[cfg(test)]
mod tests {
    use super::ones_below;

    #[test]
    fn ones_are_summed_as_by_hand() {
        let by_hand = |pages: u64| (0..pages).fold(0u64, |sum, i| sum.wrapping_add(1 << (i % 64)));
        for pages in [0, 1, 63, 64, 65, 130, 1000] {
            assert_eq!(ones_below(pages), by_hand(pages), "{pages}");
        }
    }
}
