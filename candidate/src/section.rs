//! mmap_sem held for writing: the section of a call, which is marked when it ends.

use vmadiff_interleave::{ReadGuard, Site, WriteGuard, at};

use crate::mm::Mm;

/// Holds mmap_sem for writing on behalf of a call.
pub struct Section<'a> {
    write: Option<WriteGuard<'a>>,
}

impl<'a> Section<'a> {
    /// Takes mmap_sem (`down_write`).
    pub fn enter(mm: &'a Mm, site: Site) -> Self {
        Self {
            write: Some(mm.mmap_sem.write(site)),
        }
    }

    /// Ends the section and goes on as a reader (`downgrade_write`).
    pub fn downgrade(mut self, site: Site) -> Option<ReadGuard<'a>> {
        at::section();
        self.write.take().map(|write| write.downgrade(site))
    }
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        if self.write.is_some() {
            at::section();
        }
    }
}
