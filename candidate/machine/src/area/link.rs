//! Areas into and out of their address space: list, tree, and their file's list.

use vmadiff_contract::{Event, StepKind};

use crate::area::tree::{Links, Place};
use crate::area::vma::Vma;
use crate::core::current::Current;
use crate::core::file::File;
use crate::core::machine::Machine;
use crate::core::mm::{Mm, mm_id};
use crate::core::slab::{Handle, Ref};
use crate::design::{Design, Died, InTree};
use crate::sites as site;

impl<D: Design> Current<'_, D> {
    /// Links a new area (`vma_link`): list, tree, its file's list.
    pub fn vma_link(&self, mm: &Mm, vma: Ref<'_, Vma>, links: &Links<'_>) {
        let file = vma.vm_file().peek().some();
        let told = file.is_none().then_some(StepKind::Link);
        self.__vma_link(mm, vma, links, told);
        if let Some(file) = file {
            self.__vma_link_file(vma, self.files.get(file));
        }
        mm.map_count
            .set(site::VMA_LINK__MAP_COUNT, mm.map_count.peek() + 1);
    }

    /// Links the other half of a split (`__insert_vm_struct`), which overlaps nothing. With this the
    /// cut is made: who looks the tree up finds both halves.
    pub fn __insert_vm_struct(&self, mm: &Mm, vma: Ref<'_, Vma>) {
        if let Ok(links) = self.tree(mm).find_links(vma.start(), vma.end()) {
            self.__vma_link(mm, vma, &links, Some(StepKind::Cut));
            mm.map_count
                .set(site::VMA_LINK__MAP_COUNT, mm.map_count.peek() + 1);
        }
    }

    /// List and tree alone. `told`: the step that this is, if it is where all can find the area then.
    pub fn __vma_link(
        &self,
        mm: &Mm,
        vma: Ref<'_, Vma>,
        links: &Links<'_>,
        told: Option<StepKind>,
    ) {
        self.__vma_link_list(mm, vma, links.prev);
        self.__vma_link_rb(mm, vma, links.place, told);
    }

    fn __vma_link_list(&self, mm: &Mm, vma: Ref<'_, Vma>, prev: Option<Ref<'_, Vma>>) {
        let next = match prev {
            Some(prev) => {
                let next = prev.vm_next().peek();
                prev.vm_next()
                    .set(site::VMA_LINK_LIST__VM_NEXT, vma.handle());
                next
            }
            None => {
                let next = mm.mmap.peek();
                mm.mmap.set(site::VMA_LINK_LIST__MMAP, vma.handle());
                next
            }
        };
        vma.vm_prev()
            .init(prev.map(Ref::handle).unwrap_or_default());
        vma.vm_next().init(next);
        if let Some(next) = self.vma_opt(next) {
            next.vm_prev()
                .set(site::VMA_LINK_LIST__VM_PREV, vma.handle());
        }
    }

    /// Into the tree (`__vma_link_rb`).
    fn __vma_link_rb(&self, mm: &Mm, vma: Ref<'_, Vma>, place: Place, told: Option<StepKind>) {
        mm.holes.changed(vma.start(), vma.end());
        D::change_tree(self, mm, vma, InTree::Link, || {
            self.tree(mm).insert(vma, place);
            vma.linked().init(true);
            self.raise(Event::VmaLink {
                vma: vma.id(),
                mm: mm_id(vma.vm_mm().peek()),
            });
            if let Some(kind) = told {
                self.mark_done(kind, vma.about());
            }
        });
    }

    /// Out of the tree (`__vma_rb_erase`).
    /// `then` comes when nobody who holds it takes it for linked any more.
    pub fn __vma_rb_erase(&self, mm: &Mm, vma: Ref<'_, Vma>, how: Died, then: impl FnOnce()) {
        mm.holes.changed(vma.start(), vma.end());
        D::change_tree(self, mm, vma, InTree::Erase(how), || {
            self.tree(mm).erase(vma);
            vma.linked().init(false);
        });
        self.raise(Event::VmaUnlink { vma: vma.id() });
        D::erased(self, vma, how);
        then();
    }

    /// Out of tree and list, when it is merged away (`__vma_unlink_common`).
    pub fn __vma_unlink_common(&self, mm: &Mm, vma: Ref<'_, Vma>) {
        self.__vma_rb_erase(mm, vma, Died::Merged, || {});
        let (prev, next) = (vma.vm_prev().peek(), vma.vm_next().peek());
        match self.vma_opt(prev) {
            Some(prev) => prev.vm_next().set(site::VMA_UNLINK__VM_NEXT, next),
            None => mm.mmap.set(site::VMA_UNLINK__MMAP, next),
        }
        if let Some(next) = self.vma_opt(next) {
            next.vm_prev().set(site::VMA_UNLINK__VM_PREV, prev);
        }
        self.vmacache_invalidate(mm);
    }
}

impl<D: Design> Machine<D> {
    /// Into its file's list (`__vma_link_file`).
    fn __vma_link_file(&self, vma: Ref<'_, Vma>, file: Ref<'_, File>) {
        let _lock = file.i_mmap_rwsem().write(site::VMA_LINK_FILE__I_MMAP);
        self.insert_shared_vm_struct(vma, file);
        self.mark_done(StepKind::Link, vma.about());
    }

    /// The same under the list's lock.
    pub fn insert_shared_vm_struct(&self, vma: Ref<'_, Vma>, file: Ref<'_, File>) {
        let first = file.i_mmap().peek();
        vma.shared_prev().init(Handle::NULL);
        vma.shared_next().init(first);
        if let Some(first) = self.vma_opt(first) {
            first.shared_prev().init(vma.handle());
        }
        file.i_mmap().set(site::VMA_LINK_FILE__INSERT, vma.handle());
    }

    /// Into its file's list right behind its original (fork): who walks the list to take pages out
    /// comes to the copy after the original, so that nothing is copied behind its back.
    pub fn vma_link_file_after(
        &self,
        vma: Ref<'_, Vma>,
        original: Ref<'_, Vma>,
        file: Ref<'_, File>,
    ) {
        let _lock = file.i_mmap_rwsem().write(site::VMA_LINK_FILE__I_MMAP);
        let next = original.shared_next().peek();
        vma.shared_prev().init(original.handle());
        vma.shared_next().init(next);
        if let Some(next) = self.vma_opt(next) {
            next.shared_prev().init(vma.handle());
        }
        original
            .shared_next()
            .set(site::VMA_LINK_FILE__INSERT, vma.handle());
        self.mark_done(StepKind::Link, vma.about());
    }

    /// Out of its file's list (`unlink_file_vma`), if it maps one.
    pub fn unlink_file_vma(&self, vma: Ref<'_, Vma>) {
        let Some(file) = vma.vm_file().peek().some().map(|file| self.files.get(file)) else {
            return;
        };
        let _lock = file.i_mmap_rwsem().write(site::UNLINK_FILE_VMA__I_MMAP);
        self.__remove_shared_vm_struct(vma, file);
        self.mark_done(StepKind::Unlink, file.about());
    }

    /// The same under the list's lock (`__remove_shared_vm_struct`).
    pub fn __remove_shared_vm_struct(&self, vma: Ref<'_, Vma>, file: Ref<'_, File>) {
        let (prev, next) = (vma.shared_prev().peek(), vma.shared_next().peek());
        match self.vma_opt(prev) {
            Some(prev) => prev.shared_next().init(next),
            None if file.i_mmap().peek() == vma.handle() => {
                file.i_mmap().set(site::UNLINK_FILE_VMA__REMOVE, next);
            }
            None => {}
        }
        if let Some(next) = self.vma_opt(next) {
            next.shared_prev().init(prev);
        }
        vma.shared_prev().init(Handle::NULL);
        vma.shared_next().init(Handle::NULL);
    }
}
