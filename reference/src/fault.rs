//! What a fault does with a page, by what its entry holds (section 20).

use vmadiff_contract::{FileId, FileKind, Note, VmFlags};

use crate::access::{Served, Trouble};
use crate::page::{Bytes, Entry, Page};
use crate::world::World;

impl World {
    /// Serves a fault on the page at `addr` of area `i`, which allows it (`handle_pte_fault`).
    pub fn handle_fault(
        &mut self,
        m: usize,
        i: usize,
        addr: u64,
        store: bool,
    ) -> Result<Served, Trouble> {
        let flags = self.mms[m].areas[i].flags;
        let at = match self.page_at(m, addr) {
            Ok(at) => at,
            Err(at) => {
                let page = match self.mms[m].areas[i].file {
                    None => self.new_anonymous_page(m, i, addr, store)?,
                    Some(file) => self.new_file_page(m, i, addr, store, file)?,
                };
                self.mms[m].pages.insert(at, page);
                return Ok(Served::Minor);
            }
        };
        let page = &mut self.mms[m].pages[at];
        match page.entry {
            Entry::Swap(slot) => return self.swap_in(m, at, slot, flags, store),
            _ if page.hinting => page.hinting = false,
            _ if store && !page.writable => self.write_protected(m, i, at)?,
            _ => {}
        }
        Ok(Served::Minor)
    }

    /// The first page of private anonymous memory (`do_anonymous_page`). Missing pages of an area
    /// that is registered with userfaultfd are a signal, found out last (section 28).
    fn new_anonymous_page(
        &mut self,
        m: usize,
        i: usize,
        addr: u64,
        store: bool,
    ) -> Result<Page, Trouble> {
        let flags = self.mms[m].areas[i].flags;
        let missing = flags.contains(VmFlags::UFFD_MISSING);
        if !store {
            let page = Page::new(addr, Entry::Zero, flags, false);
            return if missing {
                Err(Trouble::NoPage)
            } else {
                Ok(page)
            };
        }
        self.prepare_anon(m, i)?;
        let frame = self.alloc_frame(Bytes::new())?;
        if missing {
            self.unmap_frame(frame);
            return Err(Trouble::NoPage);
        }
        self.mms[m].rss_anon += 1;
        Ok(Page::new(addr, Entry::Anon(frame), flags, true))
    }

    /// The first page of a file or of shared anonymous memory here (`do_fault`). A store to a
    /// private area copies; it has its frame before it finds out that there is no such page.
    fn new_file_page(
        &mut self,
        m: usize,
        i: usize,
        addr: u64,
        store: bool,
        file: FileId,
    ) -> Result<Page, Trouble> {
        if self.kind(file) == Some(FileKind::NoFault) {
            return Err(Trouble::NoPage);
        }
        let area = &self.mms[m].areas[i];
        let (flags, index) = (area.flags, area.pgoff_at(addr));
        let exists = self.file(file).has_page(index);
        if store && !flags.contains(VmFlags::SHARED) {
            self.prepare_anon(m, i)?;
            let bytes = self.file(file).page(index);
            let frame = self.alloc_frame(bytes)?;
            if !exists {
                self.unmap_frame(frame);
                return Err(Trouble::NoPage);
            }
            self.mms[m].rss_anon += 1;
            self.note(Note::Cow);
            return Ok(Page::new(addr, Entry::Anon(frame), flags, true));
        }
        if !exists {
            return Err(Trouble::NoPage);
        }
        self.mms[m].rss_file += 1;
        let writable = flags.contains(VmFlags::SHARED | VmFlags::WRITE);
        Ok(Page::new(addr, Entry::File, flags, writable))
    }

    /// A store to a present page whose entry does not allow it (`do_wp_page`): in place if it is
    /// shared or nobody else has it, else to a copy.
    fn write_protected(&mut self, m: usize, i: usize, at: usize) -> Result<(), Trouble> {
        let page = self.mms[m].pages[at];
        let area = &self.mms[m].areas[i];
        let (flags, index, file) = (area.flags, area.pgoff_at(page.addr), area.file);
        let alone = match page.entry {
            Entry::Anon(frame) => self.frame(frame).mapped == 1,
            Entry::File => flags.contains(VmFlags::SHARED),
            Entry::Zero | Entry::Swap(_) => false,
        };
        if alone {
            self.mms[m].pages[at].writable = true;
            self.note(Note::Reuse);
            return Ok(());
        }
        self.prepare_anon(m, i)?;
        let bytes = match (page.entry, file) {
            (Entry::Anon(frame), _) => self.frame(frame).bytes.clone(),
            (Entry::File, Some(file)) => self.file(file).page(index),
            _ => Bytes::new(),
        };
        let copy = self.alloc_frame(bytes)?;
        let mm = &mut self.mms[m];
        mm.pages[at] = Page::new(page.addr, Entry::Anon(copy), flags, true);
        match page.entry {
            Entry::Anon(old) => self.unmap_frame(old),
            Entry::File => (mm.rss_file, mm.rss_anon) = (mm.rss_file - 1, mm.rss_anon + 1),
            Entry::Zero | Entry::Swap(_) => mm.rss_anon += 1,
        }
        self.note(Note::Cow);
        Ok(())
    }
}
