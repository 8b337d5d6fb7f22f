//! What can be seen of a manager between calls.

use vmadiff_contract::{
    AbsentPage, AnonId, ByteState, FdState, FileByte, FileId, FileState, MmId, MmState, Parts,
    PolicyId, Protocol, Snapshot, TaskId, TaskState, VmFlags, VmaState,
};

use crate::area::vma::Vma;
use crate::core::file::File;
use crate::core::machine::Machine;
use crate::core::marks::page_state;
use crate::core::mm::{Mm, mm_id};
use crate::core::slab::{Handle, Ref};
use crate::design::Design;
use crate::page::frame::{Frame, SwapSlot};
use crate::page::pte::{Maps, Pte};

impl<D: Design> Machine<D> {
    /// Shows everything. Nothing is reported on the way, whatever state it is in.
    pub fn fill_snapshot(&self, into: &mut Snapshot) {
        self.fill_parts(Parts::ALL, into);
    }

    /// The same, but of the parts only these.
    pub(super) fn fill_parts(&self, parts: Parts, into: &mut Snapshot) {
        into.clear_parts(parts);
        let last = self.last_task.peek() as usize;
        for (number, task) in self.tasks().iter().enumerate().take(last + 1) {
            if task.live.peek() {
                into.tasks.push(TaskState {
                    task: TaskId(number as u8),
                    mm: mm_id(task.mm.peek()),
                    minor_faults: task.min_flt.peek(),
                    major_faults: task.maj_flt.peek(),
                    policy: policy_id(task.mempolicy.peek()),
                });
            }
        }
        for mm in self.mms.by_age() {
            self.show_mm(mm.handle(), parts, into);
        }
        if parts.files {
            for file in self.files.by_age() {
                show_file(file, into);
            }
        }
        into.protocol.sort_unstable_by_key(|p| p.vma);
        into.committed = self.committed.peek();
        into.anon_frames = u64::from(self.frames.live()) + u64::from(self.swap.live());
        into.anons = self.anons.live().into();
    }

    fn show_mm(&self, handle: Handle<Mm>, parts: Parts, into: &mut Snapshot) {
        let (mm, id) = (self.mm(handle), mm_id(handle));
        into.mms.push(MmState {
            mm: id,
            map_count: mm.map_count.peek() as u32,
            total_pages: mm.total_vm.peek(),
            locked_pages: mm.locked_vm.peek(),
            data_pages: mm.data_vm.peek(),
            stack_pages: mm.stack_vm.peek(),
            exec_pages: mm.exec_vm.peek(),
            rss_anon: mm.rss_anon.peek(),
            rss_file: mm.rss_file.peek(),
            swap_entries: mm.swap_entries.peek(),
            brk: mm.brk.peek(),
            def_flags: mm.default_flags(),
        });
        // A list that a defect tied into a ring must not be followed for ever.
        let mut left = self.vmas.live() + 1;
        let mut next = self.vmas.find(mm.mmap.peek());
        while let Some(vma) = next.filter(|_| left > 0) {
            if parts.areas {
                self.show_vma(vma, into);
            }
            self.show_counts(vma, into);
            next = self.vmas.find(vma.vm_next().shown());
            left -= 1;
        }
        if parts.pages {
            self.show_pages(mm, handle, into);
        }
        if parts.files {
            mm.rlimits.each(id, |limit| into.limits.push(limit));
            mm.files.each(|fd, file| {
                into.fds.push(FdState {
                    mm: id,
                    fd,
                    file: FileId(file.ordinal()),
                });
            });
        }
    }

    fn show_vma(&self, vma: Ref<'_, Vma>, into: &mut Snapshot) {
        let mut anon_chain = 0;
        let mut link = self.avcs.find(vma.chain_first().shown());
        while let Some(avc) = link {
            anon_chain += 1;
            link = self.avcs.find(avc.vma_next().shown());
        }
        into.vmas.push(VmaState {
            mm: mm_id(vma.vm_mm().shown()),
            start: vma.vm_start().shown(),
            end: vma.vm_end().shown(),
            vma: vma.id(),
            flags: VmFlags::from_bits_retain(vma.vm_flags().shown()),
            pgoff: vma.vm_pgoff().shown(),
            file: vma.vm_file().shown().some().map(|f| FileId(f.ordinal())),
            policy: policy_id(vma.vm_policy().shown()),
            anon: vma.anon_vma().shown().some().map(|a| AnonId(a.ordinal())),
            anon_chain,
        });
    }

    /// Counts move without a word of the area, so they are shown every time.
    fn show_counts(&self, vma: Ref<'_, Vma>, into: &mut Snapshot) {
        if !D::INFO.counts.is_empty() {
            into.protocol.push(Protocol {
                vma: vma.id(),
                counts: D::counts(self, vma),
            });
        }
    }

    fn show_pages(&self, mm: &Mm, handle: Handle<Mm>, into: &mut Snapshot) {
        let mm_name = mm_id(handle);
        self.each_page(mm, |addr, pte| self.show_page(mm_name, addr, pte, into));
    }

    fn show_page(&self, mm: MmId, addr: u64, pte: Pte, into: &mut Snapshot) {
        let maps = pte.maps();
        into.pages.extend(page_state(mm, addr, pte));
        let contents = match maps {
            Some(Maps::Anon(frame)) => self.frames.find(frame).map(Ref::<Frame>::contents),
            Some(Maps::Swap(slot)) => self.swap.find(slot).map(Ref::<SwapSlot>::contents),
            _ => None,
        };
        if let Some(contents) = contents {
            contents.each(|offset, value| {
                let addr = addr + offset;
                into.bytes.push(ByteState { mm, addr, value });
            });
        }
    }
}

fn show_file(file: Ref<'_, File>, into: &mut Snapshot) {
    let id = FileId(file.ordinal());
    into.files.push(FileState {
        file: id,
        kind: file.file_kind(),
        refs: file.refs().peek(),
        size: file.size().shown(),
    });
    for index in file.absent().among(0, u64::MAX) {
        into.absent.push(AbsentPage { file: id, index });
    }
    file.contents().each(|offset, value| {
        into.file_bytes.push(FileByte {
            file: id,
            offset,
            value,
        });
    });
}

fn policy_id(policy: Handle<crate::core::policy::Policy>) -> Option<PolicyId> {
    policy.some().map(|policy| PolicyId(policy.ordinal()))
}
