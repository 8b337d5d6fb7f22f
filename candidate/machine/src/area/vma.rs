//! The VMA (`vm_area_struct`): what it is made of, how it is allocated and freed.
//!
//! What vouches for it while nobody holds mmap_sem (counts, locks, marks) lies beside it and is the
//! design's.

use vmadiff_contract::{Event, Misuse, VmFlags, VmaId};
use vmadiff_interleave::Site;

use crate::area::anon_vma::{AnonVma, AnonVmaChain};
use crate::area::ops::Ops;
use crate::core::current::Current;
use crate::core::file::File;
use crate::core::machine::Machine;
use crate::core::mm::Mm;
use crate::core::policy::Policy;
use crate::core::slab::{Handle, Ref, object};
use crate::defects::defect;
use crate::design::Design;

object! {
    /// An area of an address space.
    Vma, shows: Areas, dead: |n| Some(Misuse::DeadVma(VmaId(n)));
    words {
        /// First byte.
        vm_start: u64,
        /// One past the last byte.
        vm_end: u64,
        /// The next area by address.
        vm_next: Handle<Vma>,
        /// The previous area by address.
        vm_prev: Handle<Vma>,
        /// Its node's left child.
        rb_left: Handle<Vma>,
        /// Its node's right child.
        rb_right: Handle<Vma>,
        /// Its node's parent; itself when the node is empty (RB_EMPTY_NODE).
        rb_parent: Handle<Vma>,
        /// Whether the tree really holds it: for the reports only.
        linked: bool,
        /// Its address space.
        vm_mm: Handle<Mm>,
        /// `VM_*`, as bits.
        vm_flags: u32,
        /// What new entries allow, as [`PageProt`](crate::PageProt) has it.
        vm_page_prot: u8,
        /// Offset in pages.
        vm_pgoff: u64,
        /// What it maps.
        vm_file: Handle<File>,
        /// Its operations, as [`Ops`] numbers them.
        vm_ops: u8,
        /// Its policy.
        vm_policy: Handle<Policy>,
        /// Whether it is registered with its address space's userfaultfd.
        vm_userfaultfd_ctx: bool,
        /// Its anon_vma.
        anon_vma: Handle<AnonVma>,
        /// The first link of its chain.
        chain_first: Handle<AnonVmaChain>,
        /// The last link of its chain.
        chain_last: Handle<AnonVmaChain>,
        /// The next area that maps its file (`shared`).
        shared_next: Handle<Vma>,
        /// The previous area that maps its file.
        shared_prev: Handle<Vma>,
    }
    parts {}
}

impl<'a> Ref<'a, Vma> {
    /// Its name.
    pub fn id(self) -> VmaId {
        VmaId(self.ordinal())
    }

    /// Its flags, read under mmap_sem.
    #[inline]
    pub fn flags(self) -> VmFlags {
        VmFlags::from_bits_retain(self.vm_flags().peek())
    }

    /// Its flags, read without mmap_sem.
    #[inline]
    pub fn read_flags(self, site: Site) -> VmFlags {
        VmFlags::from_bits_retain(self.vm_flags().get(site))
    }

    /// Sets its flags.
    pub fn set_flags(self, site: Site, flags: VmFlags) {
        self.vm_flags().set(site, flags.bits());
    }

    /// Its operations.
    #[inline]
    pub fn ops(self) -> Ops {
        Ops::from_number(self.vm_ops().peek())
    }

    /// First byte, read under mmap_sem.
    #[inline]
    pub fn start(self) -> u64 {
        self.vm_start().peek()
    }

    /// One past the last byte, read under mmap_sem.
    #[inline]
    pub fn end(self) -> u64 {
        self.vm_end().peek()
    }

    /// Length in pages.
    pub fn pages(self) -> u64 {
        self.end().wrapping_sub(self.start()) >> 12
    }

    /// Offset of one of its addresses, in pages, where others may be changing its bounds meanwhile
    /// (`linear_page_index`).
    pub fn linear_page_index(self, addr: u64, start: Site, pgoff: Site) -> u64 {
        let pages = addr.wrapping_sub(self.vm_start().get(start)) >> 12;
        pages.wrapping_add(self.vm_pgoff().get(pgoff))
    }

    /// Offset of one of its addresses, in pages.
    pub fn pgoff_of(self, addr: u64) -> u64 {
        let pages = addr.wrapping_sub(self.start()) >> 12;
        pages.wrapping_add(self.vm_pgoff().peek())
    }

    /// Whether its node is in no tree (RB_EMPTY_NODE).
    #[inline]
    pub fn rb_empty(self, site: Site) -> bool {
        self.rb_parent().get(site) == self.handle()
    }

    /// Marks its node as in no tree (RB_CLEAR_NODE).
    pub fn rb_clear(self, site: Site) {
        self.rb_parent().set(site, self.handle());
    }

    /// What sets up a fresh VMA (`vma_init`, INIT_VMA): in no list and no tree.
    fn init_vma(self) {
        self.vm_next().init(Handle::NULL);
        self.vm_prev().init(Handle::NULL);
        self.rb_left().init(Handle::NULL);
        self.rb_right().init(Handle::NULL);
        self.rb_parent().init(self.handle());
        self.linked().init(false);
        self.chain_first().init(Handle::NULL);
        self.chain_last().init(Handle::NULL);
        self.shared_next().init(Handle::NULL);
        self.shared_prev().init(Handle::NULL);
    }
}

impl<D: Design> Current<'_, D> {
    /// A VMA of this address space that maps nothing yet (`vm_area_alloc`); none without memory.
    pub fn vm_area_alloc(&self) -> Option<Ref<'_, Vma>> {
        if self.fails() {
            return None;
        }
        let vma = self.vmas.alloc();
        vma.init_vma();
        vma.vm_mm().init(self.mm);
        vma.vm_start().init(0);
        vma.vm_end().init(0);
        vma.vm_flags().init(0);
        vma.vm_page_prot().init(0);
        vma.vm_pgoff().init(0);
        vma.vm_file().init(Handle::NULL);
        vma.vm_ops().init(Ops::Anonymous as u8);
        vma.vm_policy().init(Handle::NULL);
        vma.vm_userfaultfd_ctx().init(false);
        vma.anon_vma().init(Handle::NULL);
        D::born(self, vma, None);
        self.raise(Event::VmaAlloc {
            vma: vma.id(),
            copy_of: None,
        });
        Some(vma)
    }

    /// A copy that is linked nowhere yet (`vm_area_dup`); none without memory.
    pub fn vm_area_dup(&self, orig: Ref<'_, Vma>) -> Option<Ref<'_, Vma>> {
        if self.fails() {
            return None;
        }
        let vma = self.vmas.alloc();
        vma.vm_mm().init(orig.vm_mm().peek());
        vma.vm_start().init(orig.start());
        vma.vm_end().init(orig.end());
        vma.vm_flags().init(orig.vm_flags().peek());
        vma.vm_page_prot().init(orig.vm_page_prot().peek());
        vma.vm_pgoff().init(orig.vm_pgoff().peek());
        vma.vm_file().init(orig.vm_file().peek());
        vma.vm_ops().init(orig.vm_ops().peek());
        vma.vm_policy().init(orig.vm_policy().peek());
        vma.vm_userfaultfd_ctx()
            .init(orig.vm_userfaultfd_ctx().peek());
        vma.anon_vma().init(orig.anon_vma().peek());
        vma.init_vma();
        D::born(self, vma, Some(orig));
        self.raise(Event::VmaAlloc {
            vma: vma.id(),
            copy_of: Some(orig.id()),
        });
        Some(vma)
    }
}

impl<D: Design> Machine<D> {
    /// The VMA of this name.
    #[inline]
    pub fn vma(&self, vma: Handle<Vma>) -> Ref<'_, Vma> {
        self.vmas.get(vma)
    }

    /// The VMA of this name, if it names one.
    #[inline]
    pub fn vma_opt(&self, vma: Handle<Vma>) -> Option<Ref<'_, Vma>> {
        vma.some().map(|vma| self.vmas.get(vma))
    }

    /// The next area by address, read under mmap_sem.
    #[inline]
    pub fn next(&self, vma: Ref<'_, Vma>) -> Option<Ref<'_, Vma>> {
        self.vma_opt(vma.vm_next().peek())
    }

    /// The previous area by address, read under mmap_sem.
    #[inline]
    pub fn prev(&self, vma: Ref<'_, Vma>) -> Option<Ref<'_, Vma>> {
        self.vma_opt(vma.vm_prev().peek())
    }

    /// Frees a VMA that nobody looks at any more (`mpol_put` and `vm_area_free`): its policy goes with it.
    pub fn free_vma(&self, vma: Ref<'_, Vma>) {
        if let Some(file) = vma.vm_file().peek().some() {
            // The reference to the file went when the VMA was removed, and the pointer with it.
            if defect!(self, FilePutTwice) {
                self.vma_fput(vma, file, true);
            } else {
                self.files.get(file).alive();
            }
        }
        self.mpol_put_vma(vma);
        self.vm_area_free(vma);
    }

    /// Gives back the memory (`vm_area_free`): for a VMA that was never linked, or nobody holds.
    pub fn vm_area_free(&self, vma: Ref<'_, Vma>) {
        if vma.linked().peek() {
            self.misuse(Misuse::FreedLinked(vma.id()));
        }
        if self.vmas.free(vma.handle()) {
            self.raise(Event::VmaFree { vma: vma.id() });
        }
    }
}
