//! Splitting an area in two (`split_vma`).

use vmadiff_contract::{Event, Note};

use crate::area::adjust::Adjust;
use crate::area::anon_vma_links::NoMemory;
use crate::area::vma::Vma;
use crate::core::current::Current;
use crate::core::machine::Machine;
use crate::core::slab::Ref;
use crate::design::Design;
use crate::sites as site;

/// Why an area could not be split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitError {
    /// `max_map_count` areas are there already.
    TooManyAreas,
    /// There was no memory.
    NoMemory,
}

impl From<NoMemory> for SplitError {
    fn from(_: NoMemory) -> Self {
        Self::NoMemory
    }
}

impl<D: Design> Current<'_, D> {
    /// Splits an area at an address, if there may be one more; the new area is the lower half
    /// (`new_below`) or the upper.
    pub fn split_vma(
        &self,
        vma: Ref<'_, Vma>,
        addr: u64,
        new_below: bool,
    ) -> Result<(), SplitError> {
        if self.map_is_full() {
            return Err(SplitError::TooManyAreas);
        }
        Ok(self.__split_vma(vma, addr, new_below)?)
    }

    /// Whether there are `max_map_count` areas already.
    pub fn map_is_full(&self) -> bool {
        self.mm_struct().map_count.peek() >= u64::from(self.config().max_map_count)
    }

    /// The same without a look at the limit (`__split_vma`).
    pub fn __split_vma(
        &self,
        vma: Ref<'_, Vma>,
        addr: u64,
        new_below: bool,
    ) -> Result<(), NoMemory> {
        let new = self.vm_area_dup(vma).ok_or(NoMemory)?;
        let lower = (addr - vma.start()) >> 12;
        if new_below {
            new.vm_end().init(addr);
        } else {
            new.vm_start().init(addr);
            new.vm_pgoff()
                .init(vma.vm_pgoff().peek().wrapping_add(lower));
        }
        if let Err(no_memory) = self.dup_policy_and_anon_vma(new, vma) {
            self.vm_area_free(new);
            self.note(Note::Undo("__split_vma"));
            return Err(no_memory);
        }
        if let Some(file) = new.vm_file().peek().some() {
            self.get_file(self.files.get(file));
        }
        self.vma_open(new);
        let pgoff = vma.vm_pgoff().peek();
        let to = Adjust {
            start: if new_below { addr } else { vma.start() },
            end: if new_below { vma.end() } else { addr },
            pgoff: if new_below {
                pgoff.wrapping_add(lower)
            } else {
                pgoff
            },
            insert: Some(new),
            expand: None,
            keep_locked: false,
        };
        self.note(Note::Split { below: new_below });
        self.__vma_adjust(vma, &to)
    }

    /// Gives a copy a policy of its own and the original's anon_vma links.
    pub fn dup_policy_and_anon_vma(
        &self,
        new: Ref<'_, Vma>,
        orig: Ref<'_, Vma>,
    ) -> Result<(), NoMemory> {
        let policy = self.mpol_dup(orig.vm_policy().peek())?;
        new.vm_policy().init(policy);
        self.anon_vma_clone(new, orig).inspect_err(|_| {
            self.mpol_put(site::SPLIT_VMA__MPOL_PUT, policy);
        })
    }
}

impl<D: Design> Machine<D> {
    /// Tells the operations of a copy's file (`vm_ops->open`).
    pub fn vma_open(&self, vma: Ref<'_, Vma>) {
        if vma.ops().close() {
            self.raise(Event::VmaOpen { vma: vma.id() });
        }
    }
}
