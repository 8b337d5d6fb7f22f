//! mincore: which pages of a range are resident.

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

    /// As far as a piece of an area maps pages of its file: where that ends, and the addresses of those
    /// that the page cache lacks (`mincore_page`).
    fn pages_of_file(&self, vma: Ref<'_, Vma>, addr: u64, end: u64) -> (u64, Vec<u64>) {
        let Some(file) = vma.vm_file().peek().some() else {
            return (addr, Vec::new());
        };
        let file = self.files.get(file);
        let first = vma.pgoff_of(addr);
        let pages = file.absent().end(file.pages_in(site::MINCORE__SIZE));
        let here = pages.saturating_sub(first);
        let here = here.min((end - addr) >> 12);
        let missing = file.absent().among(first, first + here);
        let at = |page: u64| addr + (page - first) * 4096;
        (addr + here * 4096, missing.into_iter().map(at).collect())
    }

    /// The sum over a piece of an area (`do_mincore`); pages are numbered from `base`. A page that
    /// is not mapped may be in its file (`__mincore_unmapped_range`), which is asked when its entry was
    /// found empty; a swapped one is in no cache.
    fn do_mincore(&self, vma: Ref<'_, Vma>, base: u64, addr: u64, end: u64) -> u64 {
        let number = |addr: u64| (addr - base) >> 12;
        let bit = |addr: u64| 1 << (number(addr) % 64);
        let (mut sum, mut from) = (0u64, addr);
        while from < end {
            let part = self.seen_table(StepKind::Decide, self.mm_struct(), from, end);
            let to = part.map_or(end, |part| part.end);
            let _ptl = part.map(|part| part.table.ptl().lock(site::MINCORE__PTL));
            let (in_file, missing) = self.pages_of_file(vma, from, to);
            let below = |addr: u64| ones_below(number(addr));
            sum = sum.wrapping_add(below(in_file)).wrapping_sub(below(from));
            for page in &missing {
                sum = sum.wrapping_sub(bit(*page));
            }
            let cached = |page| page < in_file && !missing.contains(&page);
            for (at, part) in part.iter().flat_map(|&part| {
                let entries = self.seen(StepKind::Decide, part);
                entries.map(move |at| (at, part))
            }) {
                let page = part.addr + ((at - index(part.addr, 12)) as u64) * 4096;
                let pte = part.table.pte(site::MINCORE__PTE, at);
                self.mark_entry(StepKind::Decide, part.table, at, (pte, pte));
                match (cached(page), pte.present()) {
                    (true, false) => sum = sum.wrapping_sub(bit(page)),
                    (false, true) => sum = sum.wrapping_add(bit(page)),
                    _ => {}
                }
            }
            from = to;
        }
        sum
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
