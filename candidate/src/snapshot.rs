//! What can be seen of the candidate between calls.

use vmadiff_contract::{
    AnonId, ByteState, FdState, FileByte, FileId, FileState, MmState, PageState, PolicyId,
    Protocol, Snapshot, TaskId, TaskState, VmaState,
};

use crate::candidate::Candidate;
use crate::frame::{Frame, SwapSlot};
use crate::mm::{Mm, mm_id};
use crate::pte::{Maps, Pte};
use crate::slab::{Handle, Ref};
use crate::table::ENTRIES;
use crate::vma::Vma;

impl Candidate {
    /// Shows everything. Nothing is reported on the way, whatever state it is in.
    pub fn fill_snapshot(&self, into: &mut Snapshot) {
        into.clear();
        for (number, task) in self.tasks().iter().enumerate() {
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
        let mut mms = [Handle::NULL; 64];
        let mut count = 0;
        for mm in self.mms.iter().take(mms.len()) {
            mms[count] = mm.handle();
            count += 1;
        }
        mms[..count].sort_unstable_by_key(|mm| mm.ordinal());
        for mm in &mms[..count] {
            self.show_mm(*mm, into);
        }
        self.show_files(into);
        into.protocol.sort_unstable_by_key(|p| p.vma);
        into.committed = self.committed.peek();
        into.anon_frames = u64::from(self.frames.live()) + u64::from(self.swap.live());
        into.anons = self.anons.live().into();
    }

    fn show_mm(&self, handle: Handle<Mm>, into: &mut Snapshot) {
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
            self.show_vma(vma, into);
            next = self.vmas.find(vma.vm_next().peek());
            left -= 1;
        }
        self.show_pages(mm, handle, into);
        mm.files.each(|fd, file| {
            into.fds.push(FdState {
                mm: id,
                fd,
                file: FileId(file.ordinal()),
            });
        });
    }

    fn show_vma(&self, vma: Ref<'_, Vma>, into: &mut Snapshot) {
        let mut anon_chain = 0;
        let mut link = self.avcs.find(vma.chain_first().peek());
        while let Some(avc) = link {
            anon_chain += 1;
            link = self.avcs.find(avc.vma_next().peek());
        }
        into.vmas.push(VmaState {
            mm: mm_id(vma.vm_mm().peek()),
            start: vma.start(),
            end: vma.end(),
            vma: vma.id(),
            flags: vma.flags(),
            pgoff: vma.vm_pgoff().peek(),
            file: vma.vm_file().peek().some().map(|f| FileId(f.ordinal())),
            policy: policy_id(vma.vm_policy().peek()),
            anon: vma.anon_vma().peek().some().map(|a| AnonId(a.ordinal())),
            anon_chain,
        });
        into.protocol.push(Protocol {
            vma: vma.id(),
            refs: vma.vm_ref_count().peek(),
            sequence: vma.vm_sequence().peek(),
        });
    }

    fn show_pages(&self, mm: &Mm, handle: Handle<Mm>, into: &mut Snapshot) {
        use vmadiff_interleave::Word;
        let each = |entries: &crate::table::Entries, see: &mut dyn FnMut(usize, u64)| {
            let mut from = 0;
            while let Some(at) = entries.next(from).filter(|&at| at < ENTRIES) {
                see(at, entries.peek(at));
                from = at + 1;
            }
        };
        each(&mm.pgd, &mut |g, pud| {
            let Some(pud) = self.tables.find(Handle::from_word(pud)) else {
                return;
            };
            each(pud.entries(), &mut |u, pmd| {
                let Some(pmd) = self.tables.find(Handle::from_word(pmd)) else {
                    return;
                };
                each(pmd.entries(), &mut |m, table| {
                    let Some(table) = self.tables.find(Handle::from_word(table)) else {
                        return;
                    };
                    each(table.entries(), &mut |at, pte| {
                        let page = ((g << 9 | u) << 9 | m) << 9 | at;
                        self.show_page(handle, (page as u64) << 12, Pte::from_word(pte), into);
                    });
                });
            });
        });
    }

    fn show_page(&self, mm: Handle<Mm>, addr: u64, pte: Pte, into: &mut Snapshot) {
        let mm = mm_id(mm);
        let maps = pte.maps();
        into.pages.push(PageState {
            mm,
            addr,
            present: pte.present(),
            readable: pte.readable(),
            writable: pte.writable(),
            executable: pte.executable(),
            anon: matches!(maps, Some(Maps::Anon(_) | Maps::Swap(_))),
            zero: maps == Some(Maps::Zero),
        });
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

    fn show_files(&self, into: &mut Snapshot) {
        for file in self.files.iter() {
            let id = FileId(file.ordinal());
            into.files.push(FileState {
                file: id,
                kind: file.file_kind(),
                refs: file.refs().peek(),
                size: file.size().peek(),
            });
            file.contents().each(|offset, value| {
                into.file_bytes.push(FileByte {
                    file: id,
                    offset,
                    value,
                });
            });
        }
        into.files.sort_unstable_by_key(|f| f.file);
        into.file_bytes.sort_unstable_by_key(|b| (b.file, b.offset));
    }
}

fn policy_id(policy: Handle<crate::policy::Policy>) -> Option<PolicyId> {
    policy.some().map(|policy| PolicyId(policy.ordinal()))
}
