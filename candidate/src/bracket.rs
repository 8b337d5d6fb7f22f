//! Write brackets around what speculation reads of an area (series patches 09 and 10).

use vmadiff_contract::Misuse;
use vmadiff_interleave::Site;

use crate::candidate::Candidate;
use crate::design::SEQUENCE_NESTED;
use crate::slab::Ref;
use crate::vma::Vma;

impl Candidate {
    /// Opens a write bracket (`vm_write_begin`). Brackets do not nest.
    pub fn vm_write_begin(&self, site: Site, vma: Ref<'_, Vma>) {
        if vma.held().peek() {
            return;
        }
        if vma.alive() && vma.vm_sequence().write_begin(site).is_err() {
            self.misuse(Misuse::Breach(vma.id(), &SEQUENCE_NESTED));
        }
        vma.alive();
    }

    /// Closes a write bracket (`vm_write_end`).
    pub fn vm_write_end(&self, site: Site, vma: Ref<'_, Vma>) {
        if vma.held().peek() {
            return;
        }
        if vma.alive() && vma.vm_sequence().write_end(site).is_err() {
            self.misuse(Misuse::Breach(vma.id(), &SEQUENCE_NESTED));
        }
        vma.alive();
    }

    /// Closes the bracket of an area that is held, if it is.
    pub fn vm_write_release(&self, site: Site, vma: Ref<'_, Vma>) {
        if vma.held().peek() {
            vma.held().init(false);
            self.vm_write_end(site, vma);
        }
    }
}
