//! Page frames of private memory, and the swap slots that keep the contents of those written out.

use vmadiff_contract::{Event, FrameId, Misuse};
use vmadiff_interleave::{RefCount, Site};

use crate::area::anon_vma::AnonVma;
use crate::core::current::Current;
use crate::core::machine::Machine;
use crate::core::slab::{Handle, Ref, object};
use crate::design::Design;
use crate::page::sparse::Sparse;

object! {
    /// A frame of private memory.
    Frame, shows: Pages, dead: |n| Some(Misuse::DeadFrame(FrameId(n)));
    words {
        /// Entries that map it (`_mapcount`).
        mapcount: u64,
        /// Through which areas it is found (`mapping`).
        anon: Handle<AnonVma>,
        /// Where in those areas (`index`).
        index: u64,
        /// The slot that it is being written to.
        swap: Handle<SwapSlot>,
        /// Somebody is writing it out (PG_locked).
        locked: bool,
        /// Some TLB may have held it: for the reports only.
        cached: bool,
    }
    parts {
        /// One reference for each entry, and for each that looks at it without one.
        refs: RefCount,
        /// Its bytes.
        contents: Sparse,
    }
}

object! {
    /// A slot of the swap device.
    ///
    /// Deviation (slots-are-new): an entry names the slot's use, not its place.
    SwapSlot, shows: Pages, dead: |_| None;
    words {
        /// Swap entries that name it.
        count: u64,
        /// Its page is still being written out (SWAP_HAS_CACHE).
        held: bool,
    }
    parts {
        /// Its bytes.
        contents: Sparse,
    }
}

impl<D: Design> Current<'_, D> {
    /// A frame of zeros with one reference (`alloc_page_vma`); none without memory.
    pub fn alloc_page(&self) -> Option<Ref<'_, Frame>> {
        let page = self.alloc_page_untold();
        if page.is_none() {
            self.mark_failed();
        }
        page
    }

    /// The same, for a fault that may give up: that there is none is told when it is confirmed.
    pub fn alloc_page_untold(&self) -> Option<Ref<'_, Frame>> {
        if self.fails_untold() {
            return None;
        }
        let frame = self.frames.alloc();
        frame.mapcount().init(0);
        frame.anon().init(Handle::NULL);
        frame.index().init(0);
        frame.swap().init(Handle::NULL);
        frame.locked().init(false);
        frame.cached().init(false);
        frame.refs().init(1);
        frame.contents().init();
        self.raise(Event::FrameAlloc {
            frame: FrameId(frame.ordinal()),
        });
        Some(frame)
    }
}

impl<D: Design> Machine<D> {
    /// The frame of this name.
    #[inline]
    pub fn frame(&self, frame: Handle<Frame>) -> Ref<'_, Frame> {
        self.frames.get(frame)
    }

    /// Takes a reference to a frame (`get_page`).
    pub fn get_page(&self, site: Site, frame: Ref<'_, Frame>) {
        if frame.alive() && frame.refs().get(site).is_err() {
            self.misuse(Misuse::DeadFrame(FrameId(frame.ordinal())));
        }
    }

    /// Puts a reference to a frame and frees it with the last (`put_page`).
    pub fn put_page(&self, site: Site, frame: Ref<'_, Frame>) {
        if !frame.alive() {
            return;
        }
        match frame.refs().put(site) {
            Ok(0) => self.free_page(frame),
            Ok(_) => {}
            Err(_) => self.misuse(Misuse::DeadFrame(FrameId(frame.ordinal()))),
        }
    }

    fn free_page(&self, frame: Ref<'_, Frame>) {
        let id = FrameId(frame.ordinal());
        if frame.cached().peek() && self.some_tlb_maps(frame.handle()) {
            self.misuse(Misuse::FreedInTlb(id));
        }
        if self.frames.free(frame.handle()) {
            self.raise(Event::FrameFree { frame: id });
        }
    }

    /// A slot with no entry yet, held by its writer.
    pub fn get_swap_page(&self) -> Ref<'_, SwapSlot> {
        let slot = self.swap.alloc();
        slot.count().init(0);
        slot.held().init(true);
        slot.contents().init();
        slot
    }

    /// One entry more names the slot (`swap_duplicate`).
    pub fn swap_duplicate(&self, site: Site, slot: Handle<SwapSlot>) {
        self.swap.get(slot).count().add(site, 1);
    }

    /// One entry less names the slot (`swap_free`): it is gone with the last, if nobody holds it.
    pub fn swap_free(&self, site: Site, slot: Handle<SwapSlot>) {
        let slot = self.swap.get(slot);
        if slot.count().add(site, 1u64.wrapping_neg()) == 1 && !slot.held().peek() {
            self.swap.free(slot.handle());
        }
    }
}
