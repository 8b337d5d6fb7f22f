//! Steps of the kernel itself that take no call to happen (section 30).

use vmadiff_contract::{FrameId, Note, PAGE_SIZE, POPULATE_MAX_PAGES, VmFlags};

use crate::area::{ACCESS, is_aligned, page_down};
use crate::page::{Bytes, Entry, Page};
use crate::world::{NoMemory, World};

impl World {
    /// Gives each page of a range a fresh frame, as khugepaged would give them a large one.
    /// Answers 1 if it did. A range longer than `POPULATE_MAX_PAGES` is not collapsed.
    pub fn collapse(&mut self, m: usize, start: u64, len: u64) -> u64 {
        let Some(i) = self.collapsible(m, start, len) else {
            return 0;
        };
        let Ok(frames) = self.fresh_frames(m, start, len) else {
            self.note(Note::Undo("collapse"));
            return 0;
        };
        let flags = self.mms[m].areas[i].flags;
        let addrs = (start..start + len).step_by(PAGE_SIZE as usize);
        for (addr, frame) in addrs.zip(frames) {
            let page = Page::new(
                addr,
                Entry::Anon(frame),
                flags,
                flags.contains(VmFlags::WRITE),
            );
            let found = self.page_at(m, addr);
            let mm = &mut self.mms[m];
            let old = match found {
                Ok(at) => std::mem::replace(&mut mm.pages[at], page).entry,
                Err(at) => {
                    mm.pages.insert(at, page);
                    Entry::Zero
                }
            };
            match old {
                Entry::Anon(old) => self.unmap_frame(old),
                _ => mm.rss_anon += 1,
            }
        }
        1
    }

    /// The area, by place, if the range may be collapsed.
    fn collapsible(&self, m: usize, start: u64, len: u64) -> Option<usize> {
        let whole = is_aligned(start) && is_aligned(len) && len > 0;
        if !whole || len / PAGE_SIZE > POPULATE_MAX_PAGES {
            return None;
        }
        let mm = &self.mms[m];
        let i = mm.at(start)?;
        let area = &mm.areas[i];
        let registered = area.flags.contains(VmFlags::UFFD_MISSING);
        if len > area.end - start || area.file.is_some() || area.rmap.anon.is_none() || registered {
            return None;
        }
        let pages = &mm.pages[mm.pages_in(start, start + len)];
        let movable = pages.iter().all(|page| match page.entry {
            Entry::Swap(_) => false,
            Entry::Anon(frame) => self.frames[frame.0 as usize - 1].mapped == 1,
            Entry::Zero | Entry::File => true,
        });
        (movable && pages.iter().any(|page| page.writable)).then_some(i)
    }

    /// A frame for each page of the range with its contents; all or none.
    fn fresh_frames(&mut self, m: usize, start: u64, len: u64) -> Result<Vec<FrameId>, NoMemory> {
        let mut frames = Vec::new();
        for addr in (start..start + len).step_by(PAGE_SIZE as usize) {
            let entry = self.page_at(m, addr).map(|at| self.mms[m].pages[at].entry);
            let bytes = match entry {
                Ok(Entry::Anon(frame)) => self.frame(frame).bytes.clone(),
                _ => Bytes::new(),
            };
            match self.alloc_frame(bytes) {
                Ok(frame) => frames.push(frame),
                Err(NoMemory) => {
                    frames.into_iter().for_each(|frame| self.unmap_frame(frame));
                    return Err(NoMemory);
                }
            }
        }
        Ok(frames)
    }

    /// Takes all permissions from the pages of a range that one address space alone uses, until
    /// their next fault (`change_prot_numa`). Answers 0.
    pub fn numa_scan(&mut self, m: usize, start: u64, len: u64) -> u64 {
        let end = start.saturating_add(len);
        for i in self.mms[m].overlap(start, end) {
            let area = &self.mms[m].areas[i];
            if !area.flags.intersects(ACCESS) {
                continue;
            }
            let (from, to) = (area.start.max(page_down(start)), area.end.min(end));
            for at in self.mms[m].pages_in(from, to) {
                let page = &mut self.mms[m].pages[at];
                page.hinting |= match page.entry {
                    Entry::File => true,
                    Entry::Anon(frame) => self.frames[frame.0 as usize - 1].mapped == 1,
                    Entry::Zero | Entry::Swap(_) => false,
                };
            }
        }
        0
    }
}
