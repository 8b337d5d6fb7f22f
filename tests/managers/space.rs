//! A manager of somebody else's, in small: pages one by one, at any layer, right or with one bug.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use vmadiff::areas::{Areas, Place};
use vmadiff::contract::{Event, EventSink, MmId, VmaId};
use vmadiff::events::Events;
use vmadiff::memory::{Fault, Memory};
use vmadiff::processes::Processes;
use vmadiff::{CallKind, Config, Errno, Prot};

/// Nothing is wrong.
pub const RIGHT: u8 = 0;
/// unmap leaves the last page.
pub const LEAVES_LAST: u8 = 1;
/// protect goes on behind a hole, and says that all is well.
pub const SKIPS_HOLES: u8 = 2;
/// A store to memory that may only be read is made.
pub const STORES_ANYWHERE: u8 = 3;
/// A child sees what its parent stores after the fork.
pub const SHARES: u8 = 4;
/// It panics where nothing is mapped.
pub const PANICS: u8 = 5;
/// A place that may be anywhere is one that is taken.
pub const PLACES_OVER: u8 = 6;
/// The object that stands for what was unmapped is never freed.
pub const LEAKS: u8 = 7;
/// It answers with another error.
pub const ANOTHER_ERROR: u8 = 8;

/// It has room in a few pages only, and is full without them.
pub const SMALL: u8 = 9;

/// It panics as it is thrown away, if a page was left.
pub const PANICS_LAST: u8 = 10;
/// It panics as it boots.
pub const PANICS_FIRST: u8 = 11;
/// It panics as it is looked at, if there are three pages.
pub const PANICS_SEEN: u8 = 12;
/// As [`SKIPS_HOLES`], and it panics if it is to map only what is free at one place: as it is when it takes
/// on a state.
pub const PANICS_AGAIN: u8 = 13;

/// What is stored to the last byte of a page is lost.
pub const LOSES_LAST: u8 = 14;
/// What is stored to the last byte of a page is stored to the first of the next one, too.
pub const SPILLS: u8 = 15;

/// That place.
pub const TAKEN_ON_BADLY: u64 = 0x1f_0000;

/// The room of a small one.
pub const ROOM: Range<u64> = 0x10_0000..0x11_0000;

/// A page: what may be done, what it holds, and the object that stands for its area.
#[derive(Clone, Debug)]
pub struct Page {
    prot: Prot,
    bytes: Arc<std::sync::Mutex<BTreeMap<u64, u8>>>,
    vma: VmaId,
}

/// Pages by address, of `SIZE` bytes, with one bug.
pub struct Space<const BUG: u8, const SIZE: u64 = 4096, const START: u64 = 0> {
    pages: BTreeMap<u64, Page>,
    events: Option<Arc<dyn EventSink>>,
    made: u32,
}

impl<const BUG: u8, const SIZE: u64, const START: u64> Space<BUG, SIZE, START> {
    fn tell(&self, event: Event) {
        if let Some(events) = &self.events {
            events.event(event);
        }
    }

    /// Each page has an object of its own: areas are then as many.
    fn insert(&mut self, page: u64, prot: Prot) {
        self.made += 1;
        let vma = VmaId(self.made);
        self.tell(Event::VmaAlloc { vma, copy_of: None });
        self.tell(Event::VmaLink { vma, mm: MmId(1) });
        let bytes = Arc::default();
        self.pages.insert(page, Page { prot, bytes, vma });
    }

    fn remove(&mut self, page: u64) {
        if let Some(Page { vma, .. }) = self.pages.remove(&page) {
            self.tell(Event::VmaUnlink { vma });
            if BUG != LEAKS {
                self.tell(Event::VmaFree { vma });
            }
        }
    }

    fn page(&self, addr: u64, wanted: Prot) -> Result<&Page, Fault> {
        let page = self.pages.get(&(addr / SIZE * SIZE));
        let page = page.ok_or(Fault::Unmapped)?;
        // Any protection allows a load, on x86-64.
        let allowed = page.prot.contains(wanted) && !page.prot.is_empty();
        let stores = wanted == Prot::WRITE && !page.prot.is_empty();
        if allowed || (BUG == STORES_ANYWHERE && stores) {
            Ok(page)
        } else {
            Err(Fault::Refused)
        }
    }

    fn lowest_free(&self, size: u64) -> Result<u64, Errno> {
        let free = |start: &u64| self.pages.range(*start..*start + size).next().is_none();
        let mut all = (0x10..).map(|page| START + page * SIZE);
        if BUG == SMALL {
            let mut inside = (ROOM.start..ROOM.end).step_by(SIZE as usize);
            let found = inside.find(|start| start + size <= ROOM.end && free(start));
            return found.ok_or(Errno::ENOMEM);
        }
        Ok(all.find(free).expect("room"))
    }
}

impl<const BUG: u8, const SIZE: u64, const START: u64> Areas for Space<BUG, SIZE, START> {
    const HAS: &'static [CallKind] = &[
        CallKind::Mmap,
        CallKind::Munmap,
        CallKind::Mprotect,
        CallKind::Madvise,
        CallKind::Exec,
    ];
    const PAGE_SIZE: u64 = SIZE;
    const BASE: u64 = START;

    fn boot(_: &Config) -> Self {
        assert_ne!(BUG, PANICS_FIRST, "it cannot boot");
        Self {
            pages: BTreeMap::new(),
            events: None,
            made: 0,
        }
    }

    fn map(&mut self, range: Range<u64>, prot: Prot, how: Place) -> Result<u64, Errno> {
        let size = range.end - range.start;
        assert!(
            BUG != PANICS_AGAIN || how != Place::IfFree || range.start != TAKEN_ON_BADLY,
            "it cannot be taken on"
        );
        let mut start = range.start;
        let taken = self.pages.range(range).next().map(|(page, _)| *page);
        match how {
            Place::Anywhere if BUG == PLACES_OVER && !self.pages.is_empty() => {
                start = *self.pages.keys().next().expect("a page");
            }
            Place::Anywhere => start = self.lowest_free(size)?,
            Place::IfFree if taken.is_some() => {
                return Err(if BUG == ANOTHER_ERROR {
                    Errno::EBUSY
                } else {
                    Errno::EEXIST
                });
            }
            Place::IfFree | Place::Over => {}
        }
        if BUG == SMALL && (start < ROOM.start || start + size > ROOM.end) {
            return Err(Errno::ENOMEM);
        }
        for page in (start..start + size).step_by(SIZE as usize) {
            self.remove(page);
            self.insert(page, prot);
        }
        Ok(start)
    }

    fn unmap(&mut self, range: Range<u64>) -> Result<(), Errno> {
        let mut pages: Vec<u64> = self.pages.range(range).map(|(page, _)| *page).collect();
        assert!(BUG != PANICS || !pages.is_empty(), "nothing to unmap");
        if BUG == LEAVES_LAST && pages.len() > 1 {
            pages.pop();
        }
        pages.into_iter().for_each(|page| self.remove(page));
        Ok(())
    }

    fn protect(&mut self, range: Range<u64>, prot: Prot) -> Result<(), Errno> {
        for page in range.step_by(SIZE as usize) {
            match self.pages.get_mut(&page) {
                Some(page) => page.prot = prot,
                None if BUG == SKIPS_HOLES || BUG == PANICS_AGAIN => {}
                None => return Err(Errno::ENOMEM),
            }
        }
        Ok(())
    }

    fn each(&self, mut visit: impl FnMut(Range<u64>, Prot)) {
        assert!(
            BUG != PANICS_SEEN || self.pages.len() < 3,
            "too many to be seen"
        );
        for (page, Page { prot, .. }) in &self.pages {
            visit(*page..*page + SIZE, *prot);
        }
    }
}

impl<const BUG: u8, const SIZE: u64, const START: u64> Drop for Space<BUG, SIZE, START> {
    fn drop(&mut self) {
        let left = BUG == PANICS_LAST && !self.pages.is_empty();
        assert!(!left || std::thread::panicking(), "pages are left");
    }
}

impl<const BUG: u8, const SIZE: u64, const START: u64> Memory for Space<BUG, SIZE, START> {
    fn load(&mut self, addr: u64) -> Result<u8, Fault> {
        let page = self.page(addr, Prot::NONE)?;
        let bytes = page.bytes.lock().expect("nobody panicked");
        Ok(bytes.get(&(addr % SIZE)).copied().unwrap_or(0))
    }

    fn store(&mut self, addr: u64, value: u8) -> Result<(), Fault> {
        let page = self.page(addr, Prot::WRITE)?;
        let is_last = addr % SIZE == SIZE - 1;
        if BUG == SPILLS
            && is_last
            && let Some(next) = self.pages.get(&(addr + 1))
        {
            let mut bytes = next.bytes.lock().expect("nobody panicked");
            bytes.insert(0, value);
        }
        if BUG != LOSES_LAST || !is_last {
            let mut bytes = page.bytes.lock().expect("nobody panicked");
            bytes.insert(addr % SIZE, value);
        }
        Ok(())
    }

    fn exec(&mut self, addr: u64) -> Result<(), Fault> {
        self.page(addr, Prot::EXEC).map(|_| ())
    }

    fn discard(&mut self, range: Range<u64>) -> Result<(), Errno> {
        let mut whole = true;
        for page in range.step_by(SIZE as usize) {
            match self.pages.get_mut(&page) {
                Some(page) => page.bytes = Arc::default(),
                None => whole = false,
            }
        }
        if whole { Ok(()) } else { Err(Errno::ENOMEM) }
    }
}

impl<const BUG: u8, const SIZE: u64, const START: u64> Processes for Space<BUG, SIZE, START> {
    fn fork(&mut self) -> Result<Self, Errno> {
        let mut pages = self.pages.clone();
        if BUG != SHARES {
            for page in pages.values_mut() {
                let bytes = page.bytes.lock().expect("nobody panicked").clone();
                page.bytes = Arc::new(bytes.into());
            }
        }
        Ok(Self {
            pages,
            events: None,
            made: 0,
        })
    }
}

impl<const BUG: u8, const SIZE: u64, const START: u64> Events for Space<BUG, SIZE, START> {
    fn listen(&mut self, events: Arc<dyn EventSink>) {
        self.events = Some(events);
    }

    fn each_vma(&self, mut visit: impl FnMut(Range<u64>, Prot, VmaId)) {
        for (page, Page { prot, vma, .. }) in &self.pages {
            visit(*page..*page + SIZE, *prot, *vma);
        }
    }
}
