//! Writing private pages to swap and reading them back (section 21).

use vmadiff_contract::{FrameId, VmFlags};

use crate::access::{Served, Trouble};
use crate::page::{Entry, Page, Slot};
use crate::world::World;

impl World {
    /// Swaps the private page at `addr` out of every address space that maps it. Answers 1, or 0
    /// if there is none or if an area that maps it is LOCKED.
    pub fn reclaim(&mut self, m: usize, addr: u64) -> u64 {
        let Ok(at) = self.page_at(m, addr) else {
            return 0;
        };
        let Entry::Anon(frame) = self.mms[m].pages[at].entry else {
            return 0;
        };
        if self.is_locked(frame) {
            return 0;
        }
        let slot = self.slots.len() as u32;
        for mm in &mut self.mms[..self.mm_count] {
            for page in mm
                .pages
                .iter_mut()
                .filter(|page| page.entry == Entry::Anon(frame))
            {
                *page = Page::new(page.addr, Entry::Swap(slot), VmFlags::empty(), false);
                mm.rss_anon -= 1;
                mm.swap_entries += 1;
            }
        }
        let old = self.frame(frame);
        let slot = Slot {
            count: old.mapped,
            bytes: std::mem::take(&mut old.bytes),
        };
        self.slots.push(slot);
        self.live_frames += 1;
        self.free_frame(frame);
        1
    }

    fn is_locked(&self, frame: FrameId) -> bool {
        self.mms[..self.mm_count].iter().any(|mm| {
            mm.pages
                .iter()
                .filter(|page| page.entry == Entry::Anon(frame))
                .any(|page| mm.areas[mm.find(page.addr)].flags.contains(VmFlags::LOCKED))
        })
    }

    /// Reads a page back into a frame of its own, whoever else still refers to the slot
    /// (`do_swap_page`). Writable iff it was for a store.
    pub fn swap_in(
        &mut self,
        m: usize,
        at: usize,
        slot: u32,
        flags: VmFlags,
        store: bool,
    ) -> Result<Served, Trouble> {
        let bytes = self.slots[slot as usize].bytes.clone();
        let frame = self.alloc_frame(bytes)?;
        self.put_slot(slot);
        let mm = &mut self.mms[m];
        mm.pages[at] = Page::new(mm.pages[at].addr, Entry::Anon(frame), flags, store);
        mm.rss_anon += 1;
        mm.swap_entries -= 1;
        Ok(Served::Major)
    }
}
