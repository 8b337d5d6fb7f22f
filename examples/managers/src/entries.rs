//! What `memory_set` and `ax-memory-set` ask of their kernel: that entries of page tables are written.

use vmadiff::Prot;

use crate::table::Table;

/// Writes entries, and keeps nothing itself.
#[derive(Clone)]
pub struct Entries;

mod before {
    use memory_addr::VirtAddr;
    use memory_set::MappingBackend;

    use super::{Entries, Prot, Table};

    impl MappingBackend for Entries {
        type Addr = VirtAddr;
        type Flags = Prot;
        type PageTable = Table;

        fn map(&self, at: VirtAddr, size: usize, prot: Prot, to: &mut Table) -> bool {
            to.map(at.into(), size, prot)
        }

        fn unmap(&self, at: VirtAddr, size: usize, of: &mut Table) -> bool {
            of.unmap(at.into(), size)
        }

        fn protect(&self, at: VirtAddr, size: usize, prot: Prot, of: &mut Table) -> bool {
            of.protect(at.into(), size, prot)
        }
    }
}

mod after {
    use ax_memory_addr::VirtAddr;
    use ax_memory_set::MappingBackend;

    use super::{Entries, Prot, Table};

    impl MappingBackend for Entries {
        type Addr = VirtAddr;
        type Flags = Prot;
        type MutationContext = ();
        type PageTable = Table;

        fn map(&self, at: VirtAddr, size: usize, prot: Prot, _: &mut (), to: &mut Table) -> bool {
            to.map(at.into(), size, prot)
        }

        fn unmap(&self, at: VirtAddr, size: usize, _: &mut (), of: &mut Table) -> bool {
            of.unmap(at.into(), size)
        }

        fn protect(
            &self,
            at: VirtAddr,
            size: usize,
            prot: Prot,
            _: &mut (),
            of: &mut Table,
        ) -> bool {
            of.protect(at.into(), size, prot)
        }

        fn split(&mut self, _: usize) -> Option<Self> {
            Some(Self)
        }
    }
}
