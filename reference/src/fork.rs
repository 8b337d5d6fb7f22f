//! Copying an address space (sections 16 and 23).

use vmadiff_contract::{Errno, Event, MAX_TASKS, Note, VmFlags};

use crate::anon::Rmap;
use crate::area::{Area, LOCKS};
use crate::page::Entry;
use crate::world::{Answer, NoMemory, Task, World};

impl World {
    /// Copies the task and its address space, and answers the child's number.
    ///
    /// A choice: the 256th address space, which only forks that failed can bring about, is refused
    /// like a task too many.
    pub fn fork(&mut self, t: usize) -> Answer {
        if self.tasks.len() >= usize::from(MAX_TASKS) || self.mm_count >= usize::from(u8::MAX) {
            return Err(Errno::EAGAIN);
        }
        let policy = self.copy_policy(self.tasks[t].policy)?;
        let parent = self.tasks[t].mm;
        let child = self.new_mm();
        for i in 0..self.mms[parent].fds.len() {
            let (fd, file) = self.mms[parent].fds[i];
            self.get_file(Some(file));
            self.mms[child].fds.push((fd, file));
        }
        self.mms[child].brk = self.mms[parent].brk;
        for i in 0..self.mms[parent].areas.len() {
            if self.copy_to_child(parent, child, i).is_err() {
                self.note(Note::Undo("fork"));
                self.exit_mmap(child);
                self.close_all(child);
                self.put_policy(policy);
                return Err(Errno::ENOMEM);
            }
        }
        self.mms[child].users = 1;
        self.tasks.push(Task {
            policy,
            ..Task::new(child)
        });
        Ok(self.tasks.len() as u64)
    }

    /// Copies one area with its pages (`dup_mmap`).
    fn copy_to_child(&mut self, parent: usize, child: usize, i: usize) -> Result<(), NoMemory> {
        let area = &self.mms[parent].areas[i];
        let (flags, pages) = (area.flags, area.pages());
        if flags.contains(VmFlags::DONTCOPY) {
            return Ok(());
        }
        let charged = if flags.contains(VmFlags::ACCOUNT) {
            pages
        } else {
            0
        };
        self.charge(charged)?;
        let copy = self
            .copy_for_child(parent, i)
            .inspect_err(|_| self.committed -= charged)?;
        let (vma, file) = (copy.id, copy.file);
        let last = self.mms[child].areas.len();
        self.link(child, last, copy);
        self.mms[child].account(flags, pages);
        if !flags.contains(VmFlags::WIPEONFORK) {
            self.copy_pages(parent, child, i);
        }
        self.open_area(file, vma);
        Ok(())
    }

    /// The child's area. Its registration with userfaultfd and its locks are dropped.
    fn copy_for_child(&mut self, parent: usize, i: usize) -> Result<Area, NoMemory> {
        let old = self.mms[parent].areas[i].clone();
        let id = self.alloc_vma(Some(old.id))?;
        let Ok(policy) = self.copy_policy(old.policy) else {
            self.raise(Event::VmaFree { vma: id });
            return Err(NoMemory);
        };
        let flags = old.flags - VmFlags::UFFD_MISSING;
        let mut new = Area {
            id,
            policy,
            flags,
            rmap: Rmap::default(),
            ..old.clone()
        };
        if self.give_anon(parent, i, &mut new, &old.rmap).is_err() {
            self.put_policy(policy);
            self.raise(Event::VmaFree { vma: id });
            return Err(NoMemory);
        }
        new.flags -= LOCKS;
        self.get_file(new.file);
        Ok(new)
    }

    /// The child's anon_vma. One for a WIPEONFORK area is prepared while the copy still stands
    /// between the parent's neighbours (section 18).
    fn give_anon(
        &mut self,
        parent: usize,
        i: usize,
        new: &mut Area,
        from: &Rmap,
    ) -> Result<(), NoMemory> {
        if new.flags.contains(VmFlags::WIPEONFORK) {
            let shared = self.mergeable_anon(parent, i, new);
            self.attach_anon(&mut new.rmap, shared)
        } else {
            self.fork_anon(&mut new.rmap, from)
        }
    }

    /// Copies the entries of a faulted area (`copy_page_range`). Where a store would copy, parent
    /// and child both lose the permission to write.
    fn copy_pages(&mut self, parent: usize, child: usize, i: usize) {
        let area = &self.mms[parent].areas[i];
        if area.rmap.anon.is_none() {
            return;
        }
        let protect = area.copies_on_write();
        for at in self.mms[parent].pages_in(area.start, area.end) {
            let page = &mut self.mms[parent].pages[at];
            page.writable &= !protect;
            let page = *page;
            let mm = &mut self.mms[child];
            mm.pages.push(page);
            match page.entry {
                Entry::Zero => {}
                Entry::File => mm.rss_file += 1,
                Entry::Anon(frame) => {
                    mm.rss_anon += 1;
                    self.frame(frame).mapped += 1;
                }
                Entry::Swap(slot) => {
                    mm.swap_entries += 1;
                    self.slots[slot as usize].count += 1;
                }
            }
        }
    }
}
