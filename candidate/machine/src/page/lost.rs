//! Pages that nobody finds: by a private page's anon_vma and index reclaim and migration come to the areas that
//! map it (`rmap_walk_anon`), and a page for which they come to no such area stays for ever.

use vmadiff_contract::{FrameId, Misuse};

use crate::area::vma::Vma;
use crate::core::machine::Machine;
use crate::core::mm::Mm;
use crate::core::slab::Ref;
use crate::design::Design;
use crate::page::frame::Frame;
use crate::page::pte::Maps;

impl<D: Design> Machine<D> {
    /// Looks at each page that an address space without users maps, before it is torn down: its areas
    /// stay as they are then, and so do their links.
    pub fn report_lost_pages(&self, mm: &Mm) {
        let mut next = self.first_vma(mm);
        self.each_page(mm, |addr, pte| {
            while let Some(vma) = next.filter(|vma| vma.end() <= addr) {
                next = self.next(vma);
            }
            let vma = next.filter(|vma| vma.start() <= addr);
            let page = pte.maps().and_then(|maps| match maps {
                Maps::Anon(page) => self.frames.find(page),
                _ => None,
            });
            if let (Some(vma), Some(page)) = (vma, page)
                && !self.is_found(page, vma, addr)
            {
                self.misuse(Misuse::LostPage(FrameId(page.ordinal())));
            }
        });
    }

    /// Whether a walk that starts at the page comes to this area, and there to this address.
    fn is_found(&self, page: Ref<'_, Frame>, vma: Ref<'_, Vma>, addr: u64) -> bool {
        let mut link = vma.chain_first().peek();
        while let Some(avc) = link.some().map(|link| self.avcs.get(link)) {
            if avc.anon().peek() == page.anon().peek() {
                return page.index().peek() == vma.pgoff_of(addr);
            }
            link = avc.vma_next().peek();
        }
        false
    }
}
