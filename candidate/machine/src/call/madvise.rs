//! madvise.

use vmadiff_contract::{Advice, Errno, FallocFlags, StepKind, Told, VmFlags};
use vmadiff_interleave::{ReadGuard, at};

use crate::area::merge::Range;
use crate::area::ops::Ops;
use crate::area::split::SplitError;
use crate::area::vma::Vma;
use crate::call::mmap::page_align;
use crate::core::current::Current;
use crate::core::file::File;
use crate::core::section::Section;
use crate::core::slab::{Handle, Ref};
use crate::defects::defect;
use crate::design::{Design, Why};
use crate::page::gather::Gather;
use crate::page::pte::{Maps, Pte};
use crate::page::zap::Which;
use crate::sites as site;

/// How mmap_sem is held: flags change under a writer's, pages go under a reader's.
enum Held<'a, D: Design> {
    Read(Option<ReadGuard<'a>>),
    Write(#[expect(dead_code, reason = "held, not read")] Section<'a, D>),
}

impl<D: Design> Current<'_, D> {
    /// `madvise`.
    pub fn sys_madvise(&self, addr: u64, len: u64, advice: Advice) -> Result<u64, Errno> {
        if matches!(advice, Advice::Other(_)) || addr & 4095 != 0 {
            return Err(Errno::EINVAL);
        }
        let length = page_align(len);
        if len != 0 && length == 0 {
            return Err(Errno::EINVAL);
        }
        let end = addr.checked_add(length).ok_or(Errno::EINVAL)?;
        if end == addr {
            return Ok(0);
        }
        let mm = self.mm_struct();
        let pages = matches!(
            advice,
            Advice::DontNeed | Advice::Free | Advice::Remove | Advice::WillNeed
        );
        let mut held = if pages {
            Held::Read(Some(mm.mmap_sem.read(site::MADVISE__MMAP_SEM_READ)))
        } else {
            Held::Write(Section::enter(self, mm, site::MADVISE__MMAP_SEM))
        };
        let advised = self.madvise_areas(addr, end, advice, &mut held);
        if pages {
            at::section();
        }
        advised.map(|()| 0)
    }

    /// Goes over the areas of a range; holes are skipped, and told of at the end.
    fn madvise_areas<'a>(
        &'a self,
        mut start: u64,
        end: u64,
        advice: Advice,
        held: &mut Held<'a, D>,
    ) -> Result<(), Errno> {
        let mut hole = Ok(());
        let old = advice == Advice::Remove && defect!(self, RemoveByOldAreas);
        let noted = if old {
            self.note_files(start, end)
        } else {
            Vec::new()
        };
        let (mut prev, mut next) = self.find_vma_prev(start);
        if let Some(vma) = next.filter(|vma| start > vma.start()) {
            prev = Some(vma);
        }
        loop {
            let Some(vma) = next else {
                self.mark(StepKind::Decide, self.areas(), Told::Refused);
                return Err(Errno::ENOMEM);
            };
            if start < vma.start() {
                hole = Err(Errno::ENOMEM);
                start = vma.start();
                if start >= end {
                    self.mark(StepKind::Decide, self.areas(), Told::Refused);
                    return hole;
                }
            }
            let to = end.min(vma.end());
            prev = match advice {
                Advice::DontNeed => Some(self.madvise_dontneed(vma, start, to)?),
                Advice::Free => Some(self.madvise_free(vma, start, to)?),
                Advice::WillNeed => Some(self.madvise_willneed(vma, start, to)),
                Advice::Remove => {
                    self.madvise_remove(vma, start, to, held, &noted)?;
                    None
                }
                _ => Some(self.madvise_behavior(vma, prev, start, to, advice)?),
            };
            start = prev.map_or(to, |prev| to.max(prev.end()));
            if start >= end {
                return hole;
            }
            next = match prev {
                Some(prev) => self.next(prev),
                // mmap_sem was given up meanwhile.
                None => self.find_vma(start),
            };
        }
    }

    /// Advice that is a flag (`madvise_behavior`).
    fn madvise_behavior<'a>(
        &'a self,
        vma: Ref<'a, Vma>,
        prev: Option<Ref<'a, Vma>>,
        start: u64,
        end: u64,
        advice: Advice,
    ) -> Result<Ref<'a, Vma>, Errno> {
        let old = vma.flags();
        let reads = VmFlags::SEQ_READ | VmFlags::RAND_READ;
        let flags = match advice {
            Advice::Normal => old - reads,
            Advice::Sequential => (old - reads) | VmFlags::SEQ_READ,
            Advice::Random => (old - reads) | VmFlags::RAND_READ,
            Advice::DontFork => old | VmFlags::DONTCOPY,
            Advice::DoFork => old - VmFlags::DONTCOPY,
            Advice::DontDump => old | VmFlags::DONTDUMP,
            Advice::DoDump => old - VmFlags::DONTDUMP,
            Advice::KeepOnFork => old - VmFlags::WIPEONFORK,
            Advice::HugePage | Advice::NoHugePage => hugepage_madvise(old, advice),
            Advice::Mergeable | Advice::Unmergeable => ksm_madvise(old, advice),
            _ => {
                let file = !vma.vm_file().peek().is_null();
                if file || old.contains(VmFlags::SHARED) {
                    self.mark(StepKind::Decide, vma.about(), Told::Refused);
                    return Err(Errno::EINVAL);
                }
                old | VmFlags::WIPEONFORK
            }
        };
        self.mark_done(StepKind::Decide, vma.about());
        if flags == old {
            return Ok(vma);
        }
        let range = Range {
            flags,
            ..Range::of(vma, start, end)
        };
        let vma = self
            .merge_or_split(vma, prev, &range)
            .map_err(|error| match error {
                SplitError::TooManyAreas => Errno::ENOMEM,
                SplitError::NoMemory => Errno::EAGAIN,
            })?;
        D::change(self, vma, Why::Advise);
        vma.set_flags(site::MADVISE_BEHAVIOR__VM_FLAGS, flags);
        self.mark(StepKind::Flags, vma.about(), Told::Flags(flags));
        D::changed(self, vma, Why::Advise);
        Ok(vma)
    }

    /// Reads in what the page cache lacks (`madvise_willneed`, `force_shm_swapin_readahead`). Swapped-out
    /// private pages stay where they are: there is no swap cache to read them to.
    fn madvise_willneed<'a>(&'a self, vma: Ref<'a, Vma>, start: u64, end: u64) -> Ref<'a, Vma> {
        self.mark_done(StepKind::Decide, vma.about());
        if let Some(file) = vma.vm_file().peek().some() {
            let file = self.files.get(file);
            let _pages = file.pages().lock(site::MADVISE_WILLNEED__PAGES);
            let first = vma.pgoff_of(start);
            file.absent().read_in(first, first + ((end - start) >> 12));
            self.mark_done(StepKind::Copy, file.about());
        }
        vma
    }

    /// Tells whether an area allows the advice.
    fn may_advise(&self, vma: Ref<'_, Vma>, may: bool, errno: Errno) -> Result<(), Errno> {
        let told = if may { Told::Done } else { Told::Refused };
        self.mark(StepKind::Decide, vma.about(), told);
        may.then_some(()).ok_or(errno)
    }

    fn madvise_dontneed<'a>(
        &'a self,
        vma: Ref<'a, Vma>,
        start: u64,
        end: u64,
    ) -> Result<Ref<'a, Vma>, Errno> {
        self.may_advise(vma, !vma.flags().contains(VmFlags::LOCKED), Errno::EINVAL)?;
        self.zap_page_range(vma, start, end, Which::All);
        Ok(vma)
    }

    /// The pages may go (`madvise_free_page_range`): swapped-out ones do at once, the others would
    /// when memory is short, which it never is.
    fn madvise_free<'a>(
        &'a self,
        vma: Ref<'a, Vma>,
        start: u64,
        end: u64,
    ) -> Result<Ref<'a, Vma>, Errno> {
        let may = !vma.flags().contains(VmFlags::LOCKED) && vma.ops() == Ops::Anonymous;
        self.may_advise(vma, may, Errno::EINVAL)?;
        D::change(self, vma, Why::Free);
        let mm = self.mm_struct();
        let mut gather = Gather::new(self, self.mm, start, end);
        let mut addr = start;
        mm.invalidate_range_start();
        while let Some(part) = self.pass_table(mm, addr, end) {
            let table = part.table;
            let _ptl = table.lock_ptl(site::MADVISE_FREE__PTL);
            for at in self.pass(part) {
                let pte = table.pte(site::MADVISE_FREE__PTE, at);
                if let Some(Maps::Swap(slot)) = pte.maps() {
                    let clear = site::MADVISE_FREE__CLEAR;
                    self.set_pte(StepKind::Pass, clear, table, at, Pte::NONE);
                    mm.swap_entries.count(1u64.wrapping_neg());
                    self.swap_free(site::MADVISE_FREE__SWAP_FREE, slot);
                } else {
                    // It is made old and clean, which processors have to see.
                    self.passed(table, at, pte);
                    gather.cleared((part.addr >> 21 << 21) + (at as u64) * 4096);
                }
            }
            addr = part.end;
        }
        mm.invalidate_range_end();
        gather.finish();
        D::changed(self, vma, Why::Free);
        Ok(vma)
    }

    /// The defect: which files a range maps, all at once. None is held.
    fn note_files(&self, start: u64, end: u64) -> Vec<(u64, Handle<File>)> {
        let mut noted = Vec::new();
        let mut next = self.find_vma(start);
        while let Some(vma) = next.filter(|vma| vma.start() < end) {
            if let Some(file) = vma.vm_file().peek().some() {
                noted.push((vma.start().max(start), file));
            }
            next = self.next(vma);
        }
        noted
    }

    /// Punches the range out of the file (`madvise_remove`), without mmap_sem meanwhile.
    fn madvise_remove<'a>(
        &'a self,
        vma: Ref<'_, Vma>,
        start: u64,
        end: u64,
        held: &mut Held<'a, D>,
        noted: &[(u64, Handle<File>)],
    ) -> Result<(), Errno> {
        let flags = vma.flags();
        let file = vma.vm_file().peek();
        let may = !file.is_null() && !flags.contains(VmFlags::LOCKED);
        if !may {
            return self.may_advise(vma, false, Errno::EINVAL);
        }
        let shared = flags.contains(VmFlags::SHARED | VmFlags::WRITE);
        self.may_advise(vma, shared, Errno::EACCES)?;
        let old = noted.iter().find(|(at, _)| *at == start);
        let file = self.files.get(old.map_or(file, |&(_, file)| file));
        let offset = vma.pgoff_of(start) << 12;
        self.get_file(file);
        if let Held::Read(guard) = held {
            drop(guard.take());
        }
        let hole = FallocFlags::KEEP_SIZE | FallocFlags::PUNCH_HOLE;
        let punched = self.vfs_fallocate(file, hole, offset, end - start);
        self.fput(file);
        if let Held::Read(guard) = held {
            let sem = &self.mm_struct().mmap_sem;
            *guard = Some(sem.read(site::MADVISE__MMAP_SEM_READ));
        }
        punched.map(|_| ())
    }
}

/// Huge pages are wanted, or are not (`hugepage_madvise`).
fn hugepage_madvise(flags: VmFlags, advice: Advice) -> VmFlags {
    match advice {
        Advice::HugePage => (flags - VmFlags::NOHUGEPAGE) | VmFlags::HUGEPAGE,
        _ => (flags - VmFlags::HUGEPAGE) | VmFlags::NOHUGEPAGE,
    }
}

/// Pages of equal contents may become one, or stay apart (`ksm_madvise`). What is or may be shared is
/// passed over. No page was ever merged, so none is parted.
fn ksm_madvise(flags: VmFlags, advice: Advice) -> VmFlags {
    match advice {
        Advice::Mergeable if flags.intersects(VmFlags::SHARED | VmFlags::MAYSHARE) => flags,
        Advice::Mergeable => flags | VmFlags::MERGEABLE,
        _ => flags - VmFlags::MERGEABLE,
    }
}
