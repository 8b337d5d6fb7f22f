//! Registering areas with userfaultfd, as far as it changes them (section 28).

use vmadiff_contract::{Errno, FileKind, VmFlags};

use crate::area::{Area, is_aligned};
use crate::merge::Wanted;
use crate::world::{Answer, World};

impl World {
    /// Registers a range for missing pages, or takes it back.
    pub fn register(&mut self, m: usize, start: u64, len: u64, on: bool) -> Answer {
        let end = self.check_range(start, len)?;
        let mut i = self.mms[m].find(start);
        let first = self.mms[m].areas.get(i).ok_or(Errno::ENOMEM)?;
        if first.start >= end {
            return Err(Errno::EINVAL);
        }
        for area in &self.mms[m].areas[self.mms[m].overlap(start, end)] {
            self.check_area(area, on)?;
        }
        while let Some(area) = self.mms[m].areas.get(i).filter(|area| area.start < end) {
            if area.flags.contains(VmFlags::UFFD_MISSING) != on {
                let (from, to) = (area.start.max(start), area.end.min(end));
                let mut flags = area.flags;
                flags.set(VmFlags::UFFD_MISSING, on);
                // The kernel hands over the area's own offset wherever the range starts in it.
                let wanted = Wanted {
                    pgoff: area.pgoff,
                    ..Wanted::part(area, from, to, flags)
                };
                i = self.carve(m, i, &wanted)?;
                self.mms[m].areas[i].flags = flags;
            }
            i += 1;
        }
        Ok(0)
    }

    /// The end of a range that userfaultfd accepts (`validate_range`).
    fn check_range(&self, start: u64, len: u64) -> Answer {
        let task_size = self.config.task_size;
        let valid = is_aligned(start)
            && is_aligned(len)
            && len > 0
            && start >= self.config.mmap_min_addr
            && start < task_size
            && len <= task_size - start;
        if valid {
            Ok(start + len)
        } else {
            Err(Errno::EINVAL)
        }
    }

    /// Whether an area can be registered: private or shared memory, or a file in memory.
    fn check_area(&self, area: &Area, on: bool) -> Answer<()> {
        match area.file.and_then(|file| self.kind(file)) {
            None | Some(FileKind::Plain) => {}
            Some(FileKind::WithClose | FileKind::NoFault) => return Err(Errno::EINVAL),
        }
        if on && !area.flags.contains(VmFlags::MAYWRITE) {
            return Err(Errno::EPERM);
        }
        Ok(())
    }
}
