//! Pages that a truncation or a hole takes out of a file while processors still come to them
//! (`delete_from_page_cache`).
//!
//! Whoever has cleared an entry and flushed nothing yet (`mmu_gather`) holds the page until then. If the
//! area has left the file's list meanwhile, nobody who drops the page flushes for it, and TLBs that have
//! the entry go on in that very page, which is no longer the file's. Here a file's page is a part of its
//! contents; that one becomes an object of its own for as long as somebody comes to it: by a TLB, or to copy
//! it for a store (`wp_page_copy`), which goes by whether that very page is still mapped.

use std::ops::Range;

use vmadiff_interleave::Site;

use crate::core::file::File;
use crate::core::machine::Machine;
use crate::core::slab::{Handle, Ref, object};
use crate::core::task::{Task, Translation};
use crate::design::Design;
use crate::page::pte::Maps;
use crate::page::sparse::{Sparse, page_of};

object! {
    /// A page that was a file's.
    DroppedPage, shows: Nothing, dead: |_| None;
    words {}
    parts {
        /// Its bytes.
        contents: Sparse,
    }
}

impl<D: Design> Machine<D> {
    /// Zeroes a file's bytes from `from` on, up to `to`: pages that are cut in place, whole ones are
    /// dropped, all taken out of the page tables of the file's areas. The pages' lock is held.
    pub fn drop_contents(&self, site: Site, file: Ref<'_, File>, from: u64, to: u64) {
        file.contents().clear_range(site, from, to, |bytes| {
            if self.some_page_is_held() {
                self.forget_dropped();
                self.keep_dropped(file, from.div_ceil(4096)..to / 4096, bytes);
            }
        });
    }

    /// Whether somebody may have cleared entries that are still in TLBs, or holds a file's page.
    fn some_page_is_held(&self) -> bool {
        let mut live = self.tasks().iter().filter(|task| task.live.peek());
        live.any(|task| task.has_in_hand() || self.mm(task.mm.peek()).tlb_flush_pending.peek() != 0)
    }

    /// By what processors reach pages.
    fn translations(&self) -> impl Iterator<Item = &Translation> {
        let live = self.tasks().iter().filter(|task| task.live.peek());
        live.flat_map(Task::translations)
    }

    /// Keeps the contents of these pages of a file for those who reach them.
    fn keep_dropped(&self, file: Ref<'_, File>, pages: Range<u64>, bytes: &[(u64, u8)]) {
        let mut kept: Vec<(u64, Handle<DroppedPage>)> = Vec::new();
        for translation in self.translations() {
            let Some(Maps::File(slot, page)) = translation.pte.peek().maps() else {
                continue;
            };
            let other = slot != file.handle().index() || !pages.contains(&page);
            if other || !translation.dropped.peek().is_null() {
                continue;
            }
            let found = kept.iter().find(|(of, _)| *of == page);
            let dropped = found.map(|(_, dropped)| *dropped).unwrap_or_else(|| {
                let dropped = self.dropped.alloc();
                dropped.contents().init_with(page_of(bytes, page << 12));
                kept.push((page, dropped.handle()));
                dropped.handle()
            });
            translation.dropped.init(dropped);
        }
    }

    /// Frees those that nobody comes to any more.
    fn forget_dropped(&self) {
        for page in self.dropped.iter() {
            let mut translations = self.translations();
            if !translations.any(|translation| translation.dropped.peek() == page.handle()) {
                self.dropped.free(page.handle());
            }
        }
    }
}
