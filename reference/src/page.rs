//! Page-table entries, the frames and swap slots behind them, and taking them away.

use smallvec::SmallVec;
use vmadiff_contract::{About, Choice, Event, FileId, FrameId, Misuse, VmFlags};

use crate::area::{ACCESS, page_down};
use crate::world::{NoMemory, World};

/// The bytes of a page that are not zero, by offset.
pub(crate) type Bytes = SmallVec<[(u16, u8); 8]>;

/// Frames that a zap holds until TLBs are flushed.
pub(crate) type Held = SmallVec<[FrameId; 4]>;

/// What an entry refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Entry {
    /// The shared page of zeros.
    Zero,
    /// A page of a file, by its index.
    File(FileId, u64),
    /// A private page.
    Anon(FrameId),
    /// A private page that was swapped out, by the place of its slot.
    Swap(u32),
}

/// A page that has an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Page {
    /// Its address.
    pub addr: u64,
    pub entry: Entry,
    pub readable: bool,
    pub writable: bool,
    pub executable: bool,
    /// Allows nothing until the next fault, which learns who uses it (`numa_scan`, section 30).
    pub hinting: bool,
    /// Only in a TLB: its file has dropped the page since, which lives on without one until the last TLB
    /// that has it is flushed (section 24). By the place of its contents.
    pub dropped: Option<u32>,
    /// Cleared, with its table locked until the entry that replaces it is set (section 20).
    pub clearing: bool,
}

/// A page that its file has dropped.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Dropped {
    pub index: u64,
    pub bytes: Bytes,
}

/// A page frame.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Frame {
    /// Entries that map it, over all address spaces.
    pub mapped: u32,
    /// Zaps that took such an entry and have yet to flush (`mmu_gather`).
    pub held: u32,
    pub bytes: Bytes,
}

/// A swap slot.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Slot {
    /// Entries that refer to it, over all address spaces.
    pub count: u32,
    pub bytes: Bytes,
    /// The page that is being written to it, and is locked.
    pub writing: Option<FrameId>,
}

impl Page {
    /// An entry as a fault makes it: readable and executable as the area's flags say (section 20).
    pub fn new(addr: u64, entry: Entry, flags: VmFlags, writable: bool) -> Self {
        Self {
            addr,
            entry,
            readable: flags.intersects(ACCESS),
            writable,
            executable: flags.contains(VmFlags::EXEC),
            hinting: false,
            dropped: None,
            clearing: false,
        }
    }

    /// In memory.
    pub fn is_present(&self) -> bool {
        !matches!(self.entry, Entry::Swap(_))
    }

    /// In memory, and the processor may read it.
    pub fn is_readable(&self) -> bool {
        self.is_present() && self.readable && !self.hinting && !self.clearing
    }
}

/// The byte at this offset.
pub(crate) fn byte_at(bytes: &Bytes, offset: u16) -> u8 {
    match bytes.binary_search_by_key(&offset, |byte| byte.0) {
        Ok(i) => bytes[i].1,
        Err(_) => 0,
    }
}

/// Sets the byte at this offset.
pub(crate) fn set_byte(bytes: &mut Bytes, offset: u16, value: u8) {
    match (bytes.binary_search_by_key(&offset, |byte| byte.0), value) {
        (Ok(i), 0) => drop(bytes.remove(i)),
        (Ok(i), _) => bytes[i].1 = value,
        (Err(_), 0) => {}
        (Err(i), _) => bytes.insert(i, (offset, value)),
    }
}

impl World {
    /// The frame of this name.
    pub fn frame(&mut self, id: FrameId) -> &mut Frame {
        &mut self.frames[id.0 as usize - 1]
    }

    /// A frame with these contents, mapped once.
    pub fn alloc_frame(&mut self, bytes: Bytes) -> Result<FrameId, NoMemory> {
        self.allocate()?;
        let (mapped, held) = (1, 0);
        self.frames.push(Frame {
            mapped,
            held,
            bytes,
        });
        self.live_frames += 1;
        let frame = FrameId(self.frames.len() as u32);
        self.raise(Event::FrameAlloc { frame });
        Ok(frame)
    }

    /// Takes one mapping from a frame; the last one frees it.
    pub fn unmap_frame(&mut self, id: FrameId) {
        let frame = self.frame(id);
        frame.mapped -= 1;
        self.lets_go(id);
        self.free_if_unused(id);
    }

    /// The running task's step takes an entry that maps this frame.
    pub fn lets_go(&mut self, frame: FrameId) {
        if self.driven {
            self.letting_go.push((self.now, frame));
        }
    }

    /// A task has taken a step: of the first so many pages that tasks were letting go of, its own have gone. Behind
    /// a step that nobody can see, a pass over nothing, it may be counting the last one yet.
    pub fn has_let_go(&mut self, t: usize, before: usize) {
        let nothing = |about: &About| matches!(about, About::Range { .. });
        if self.touched.iter().all(nothing) {
            return;
        }
        let mut at = 0;
        self.letting_go.retain(|&(of, _)| {
            at += 1;
            of != t || at > before
        });
    }

    /// Whether another call is just letting go of the page that an entry maps.
    pub fn still_shared(&self, entry: Entry) -> Option<Choice> {
        let other = |&&(t, frame): &&(usize, FrameId)| t != self.now && entry == Entry::Anon(frame);
        self.letting_go.iter().find(other).map(|_| Choice::Shared)
    }

    /// The running task's step puts an entry of this frame back.
    pub fn puts_back(&mut self, frame: FrameId) {
        if self.driven {
            self.put_back.push((!(1 << self.now), frame));
        }
    }

    /// A task has taken a step: what was put back before that, it has seen.
    pub fn has_seen(&mut self, t: usize) {
        self.put_back.retain_mut(|(tasks, _)| {
            *tasks &= !(1 << t);
            *tasks != 0
        });
    }

    /// Whether the running task may have counted who maps an entry's page before it was put back elsewhere, and
    /// found this entry alone (`page_mapcount`, without the page's lock).
    pub fn was_alone(&self, entry: Entry) -> Option<Choice> {
        let Entry::Anon(frame) = entry else {
            return None;
        };
        let since = |&&(tasks, of): &&(u64, FrameId)| of == frame && tasks >> self.now & 1 != 0;
        let put_back = self.put_back.iter().filter(since).count() as u64;
        let mapped = u64::from(self.frames[frame.0 as usize - 1].mapped);
        (put_back > 0 && mapped - put_back.min(mapped) <= 1).then_some(Choice::OneByOne)
    }

    /// Frees a frame that nothing maps, no zap holds and no call swaps out any more.
    pub fn free_if_unused(&mut self, id: FrameId) {
        let Frame { mapped, held, .. } = *self.frame(id);
        if mapped == 0 && held == 0 && !self.is_writing(id) {
            self.free_frame(id);
        }
    }

    /// Frees a frame that nothing uses any more.
    pub fn free_frame(&mut self, id: FrameId) {
        let frame = self.frame(id);
        frame.mapped = 0;
        frame.bytes = Bytes::new();
        if self.driven
            && self
                .tlbs
                .iter()
                .flatten()
                .any(|held| held.entry == Entry::Anon(id))
        {
            self.misuse.get_or_insert(Misuse::FreedInTlb(id));
        }
        self.live_frames -= 1;
        self.raise(Event::FrameFree { frame: id });
    }

    /// Takes one entry from a swap slot; the last one frees it.
    pub fn put_slot(&mut self, slot: u32) {
        let slot = &mut self.slots[slot as usize];
        slot.count -= 1;
        if slot.count == 0 && slot.writing.is_none() {
            slot.bytes = Bytes::new();
            self.live_frames -= 1;
        }
    }

    /// The place of the entry of this page.
    pub fn page_at(&self, m: usize, addr: u64) -> Result<usize, usize> {
        self.mms[m]
            .pages
            .binary_search_by_key(&page_down(addr), |page| page.addr)
    }

    /// Gives up what an entry refers to, and its share of the counters. Its frame goes to `held`:
    /// TLBs may still have it.
    pub fn drop_entry(&mut self, m: usize, entry: Entry, held: &mut Held) {
        let mm = &mut self.mms[m];
        match entry {
            Entry::Zero => {}
            Entry::File(..) => mm.rss_file -= 1,
            Entry::Anon(frame) => {
                mm.rss_anon -= 1;
                let it = self.frame(frame);
                (it.mapped, it.held) = (it.mapped - 1, it.held + 1);
                held.push(frame);
                self.lets_go(frame);
            }
            Entry::Swap(slot) => {
                mm.swap_entries -= 1;
                self.put_slot(slot);
            }
        }
    }

    /// Gives the present entries of a range the permissions of new flags; private ones lose the
    /// permission to write (`change_protection`, section 22). Whether there were any.
    pub fn protect_pages(&mut self, m: usize, start: u64, end: u64, flags: VmFlags) -> bool {
        let writable = flags.contains(VmFlags::SHARED | VmFlags::WRITE);
        let range = self.mms[m].pages_in(start, end);
        let mut any = false;
        for page in &mut self.mms[m].pages[range] {
            if page.is_present() {
                *page = Page::new(page.addr, page.entry, flags, writable);
                any = true;
            }
        }
        any
    }
}
