//! mmap_sem held for writing: the section of a call, which is marked when it ends.

use vmadiff_interleave::{ReadGuard, Site, WriteGuard, at};

use crate::core::machine::Machine;
use crate::core::mm::Mm;
use crate::design::Design;

/// Holds mmap_sem for writing on behalf of a call. All who write areas do it by one of these, so
/// that the design is told where each begins and ends.
pub struct Section<'a, D: Design> {
    machine: &'a Machine<D>,
    mm: &'a Mm,
    write: Option<WriteGuard<'a>>,
    /// The call takes effect in it; not in that of an address space that nobody can see yet, nor of a
    /// fault.
    marked: bool,
}

impl<'a, D: Design> Section<'a, D> {
    /// Takes mmap_sem (`down_write`).
    pub fn enter(machine: &'a Machine<D>, mm: &'a Mm, site: Site) -> Self {
        Self::take(machine, mm, site, true)
    }

    /// Takes mmap_sem of a child that fork is still making (`down_write_nested`).
    pub fn enter_child(machine: &'a Machine<D>, mm: &'a Mm, site: Site) -> Self {
        Self::take(machine, mm, site, false)
    }

    /// Takes it for a fault that has to (`lock_mm_and_find_vma`), which takes effect elsewhere.
    pub fn enter_fault(machine: &'a Machine<D>, mm: &'a Mm, site: Site) -> Self {
        Self::take(machine, mm, site, false)
    }

    fn take(machine: &'a Machine<D>, mm: &'a Mm, site: Site, marked: bool) -> Self {
        let write = Some(mm.mmap_sem.write(site));
        D::write_begin(machine, mm);
        Self {
            machine,
            mm,
            write,
            marked,
        }
    }

    /// Ends the section and goes on as a reader (`downgrade_write`).
    pub fn downgrade(mut self, site: Site) -> Option<ReadGuard<'a>> {
        self.end();
        self.write.take().map(|write| write.downgrade(site))
    }

    fn end(&self) {
        // A design that opens areas makes shared accesses: what the call did was there before.
        if self.marked {
            at::section();
        }
        D::write_end(self.machine, self.mm);
    }
}

impl<D: Design> Drop for Section<'_, D> {
    fn drop(&mut self) {
        if self.write.is_some() {
            self.end();
        }
    }
}
