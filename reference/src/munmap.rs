//! Taking areas out of an address space (sections 5 and 17).

use vmadiff_contract::{Errno, Event, Note, VmFlags};

use crate::area::{Area, is_aligned, page_up};
use crate::world::{Answer, World};

impl World {
    /// Unmaps a range (`__do_munmap`).
    pub fn munmap(&mut self, m: usize, start: u64, len: u64) -> Answer<()> {
        let task_size = self.config.task_size;
        if !is_aligned(start) || start > task_size || len > task_size - start || len == 0 {
            return Err(Errno::EINVAL);
        }
        let end = start + page_up(len);
        let range = self.mms[m].overlap(start, end);
        if range.is_empty() {
            return Ok(());
        }
        let area = &self.mms[m].areas[range.start];
        if area.start < start {
            if end < area.end && self.map_is_full(m) {
                return Err(Errno::ENOMEM);
            }
            self.split(m, range.start, start, false)?;
        }
        let last = self.mms[m].find(end);
        if self.mms[m]
            .areas
            .get(last)
            .is_some_and(|area| area.start < end)
        {
            let cut = self.split(m, last, end, true);
            cut.inspect_err(|_| self.note(Note::Undo("munmap.end")))?;
        }
        self.detach(m, start, end);
        Ok(())
    }

    /// Takes out the areas of a range whose edges are area boundaries, with their pages.
    fn detach(&mut self, m: usize, start: u64, end: u64) {
        let range = self.mms[m].overlap(start, end);
        let mut gone = std::mem::take(&mut self.detached);
        gone.extend(self.mms[m].areas.drain(range));
        for area in &gone {
            if area.flags.contains(VmFlags::LOCKED) {
                self.mms[m].locked -= area.pages();
            }
        }
        for area in &gone {
            self.raise(Event::VmaUnlink { vma: area.id });
        }
        self.zap(m, start, end);
        self.remove(m, &mut gone);
        self.detached = gone;
    }

    /// Lets go of all that areas outside the tree held, and frees them (`free_pgtables`,
    /// `remove_vma`).
    fn remove(&mut self, m: usize, gone: &mut Vec<Area>) {
        for area in gone.iter_mut() {
            self.unlink_anon(&mut area.rmap);
        }
        for area in gone.drain(..) {
            self.mms[m].discount(area.flags, area.pages());
            if area.flags.contains(VmFlags::ACCOUNT) {
                self.committed -= area.pages();
            }
            self.free_area(&area);
        }
    }

    /// Closes an area, puts its file and its policy, and frees it (`remove_vma`).
    fn free_area(&mut self, area: &Area) {
        let vma = area.id;
        if self.has_close(area.file) {
            self.raise(Event::VmaClose { vma });
        }
        if let Some(file) = area.file {
            self.raise(Event::FilePut { file, vma });
            self.put_file(file);
        }
        self.put_policy(area.policy);
        self.raise(Event::VmaFree { vma });
    }

    /// Tears an address space down (`exit_mmap`): pages, then areas, which are not taken out of
    /// the tree one by one.
    pub fn exit_mmap(&mut self, m: usize) {
        self.zap(m, 0, u64::MAX);
        let mut gone = std::mem::take(&mut self.detached);
        gone.append(&mut self.mms[m].areas);
        self.remove(m, &mut gone);
        self.detached = gone;
    }

    /// Ends a task; with the last one of an address space that goes too (section 17). Answers 0.
    pub fn exit(&mut self, t: usize) -> u64 {
        let m = self.tasks[t].mm;
        self.tasks[t].alive = false;
        self.mms[m].users -= 1;
        if self.mms[m].users == 0 {
            self.exit_mmap(m);
            self.close_all(m);
        }
        let policy = self.tasks[t].policy.take();
        self.put_policy(policy);
        0
    }
}
