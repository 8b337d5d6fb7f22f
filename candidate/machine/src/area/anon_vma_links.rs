//! How areas come by their anon_vmas, hand them on, and lose them (mm/rmap.c).
//!
//! Deviation (links-unseen): links are written and walked without scheduling points.

use vmadiff_contract::{Note, StepKind, VmFlags};

use crate::area::anon_vma::AnonVma;
use crate::area::vma::Vma;
use crate::core::current::Current;
use crate::core::machine::Machine;
use crate::core::slab::{Handle, Ref};
use crate::defects::defect;
use crate::design::Design;
use crate::sites as site;

/// There was no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory;

impl<D: Design> Current<'_, D> {
    /// Gives an area an anon_vma if it has none (`anon_vma_prepare`): a neighbour's, or a new one.
    /// Called under mmap_sem, for reading at least.
    pub fn anon_vma_prepare(&self, vma: Ref<'_, Vma>) -> Result<(), NoMemory> {
        self.prepare_anon_vma(vma, true).map(|_| ())
    }

    /// The same; `told`: whose anon_vma it may be is decided beside others. Whether the area had none.
    pub fn prepare_anon_vma(&self, vma: Ref<'_, Vma>, told: bool) -> Result<bool, NoMemory> {
        if !vma
            .anon_vma()
            .get(site::ANON_VMA_PREPARE__ANON_VMA)
            .is_null()
        {
            return Ok(false);
        }
        if told {
            self.mark_done(StepKind::Decide, vma.about());
        }
        let (anon, allocated) = match self.find_mergeable_anon_vma(vma, told) {
            Some(anon) => (anon, false),
            None => (self.anon_vma_alloc().ok_or(NoMemory)?, true),
        };
        let avc = self.avcs.alloc();
        let raced = {
            let _tree = self.anon_vma_lock(anon.handle());
            // The page_table_lock keeps other faults of this area away.
            let mm = self.mm(vma.vm_mm().peek());
            let _lock = mm.page_table_lock.lock(site::ANON_VMA_PREPARE__LOCK);
            let raced = !vma
                .anon_vma()
                .get(site::ANON_VMA_PREPARE__ANON_VMA_AGAIN)
                .is_null();
            if !raced {
                vma.anon_vma()
                    .set(site::ANON_VMA_PREPARE__SET_ANON_VMA, anon.handle());
            }
            // Other faults go by it from here on; the links are the lock's.
            self.mark_done(StepKind::Anon, vma.about());
            if !raced {
                self.anon_vma_chain_link(vma, avc, anon);
                anon.add_active();
                if allocated {
                    anon.add_child();
                }
            }
            raced
        };
        if raced {
            if allocated {
                self.put_anon_vma(anon);
            }
            self.avcs.free(avc.handle());
        }
        Ok(true)
    }

    /// An anon_vma that a neighbour has and the area may share (`find_mergeable_anon_vma`), so that
    /// the two can become one again.
    fn find_mergeable_anon_vma(&self, vma: Ref<'_, Vma>, told: bool) -> Option<Ref<'_, AnonVma>> {
        let decided = || {
            if told {
                self.mark_done(StepKind::Decide, vma.about());
            }
        };
        let next = self
            .next(vma)
            .filter(|next| self.anon_vma_compatible(vma, *next));
        decided();
        if let Some(next) = next {
            let lent = self.reusable_anon_vma(next);
            decided();
            if lent.is_some() {
                return lent;
            }
        }
        let prev = self
            .prev(vma)
            .filter(|prev| self.anon_vma_compatible(*prev, vma));
        decided();
        let lent = self.reusable_anon_vma(prev?);
        decided();
        lent
    }

    /// Whether `a` and `b`, which is above, might have been split apart.
    fn anon_vma_compatible(&self, a: Ref<'_, Vma>, b: Ref<'_, Vma>) -> bool {
        let rwx = VmFlags::READ | VmFlags::WRITE | VmFlags::EXEC;
        a.end() == b.start()
            && self.mpol_equal(a.vm_policy().peek(), b.vm_policy().peek())
            && a.vm_file().peek() == b.vm_file().peek()
            && (a.flags() ^ b.flags()).difference(rwx).is_empty()
            && b.vm_pgoff().peek() == a.vm_pgoff().peek().wrapping_add(a.pages())
    }

    /// The anon_vma that `donor` has, if it shares it with nobody that it was forked from.
    fn reusable_anon_vma(&self, donor: Ref<'_, Vma>) -> Option<Ref<'_, AnonVma>> {
        let anon = donor.anon_vma().get(site::REUSABLE_ANON_VMA__ANON_VMA);
        let reusable = donor.alive() && !anon.is_null() && self.chain_is_singular(donor);
        reusable.then(|| self.anon(anon))
    }

    /// Links `dst` to all that `src` is linked to (`anon_vma_clone`). If `dst` points at no
    /// anon_vma, as in fork, it takes the first that nobody else uses any more.
    ///
    /// Deviation (2555283eb40d): 5.1 counts areas and children in one, and takes an anon_vma with a
    /// single area for one with a single child.
    pub fn anon_vma_clone(&self, dst: Ref<'_, Vma>, src: Ref<'_, Vma>) -> Result<(), NoMemory> {
        self.clone_anon_vmas(dst, src, false)
    }

    /// The same; `told`: as a step of its own, not a part of a cut or a merge.
    fn clone_anon_vmas(
        &self,
        dst: Ref<'_, Vma>,
        src: Ref<'_, Vma>,
        told: bool,
    ) -> Result<(), NoMemory> {
        let src_anon = src.anon_vma().peek();
        let mut tree = None;
        let mut link = src.chain_last().peek();
        while let Some(pavc) = link.some().map(|link| self.avcs.get(link)) {
            if self.fails() {
                drop(tree);
                // It was not counted yet, so unlinking must not count it off.
                dst.anon_vma().set(site::ANON_VMA_CLONE__UNDO, Handle::NULL);
                if !defect!(self, CloneNotUndone) {
                    self.unlink_anon_vmas(dst, false);
                }
                self.note(Note::Undo("anon_vma_clone"));
                return Err(NoMemory);
            }
            let avc = self.avcs.alloc();
            let anon = self.anon(pavc.anon().peek());
            tree = Some(self.lock_anon_vma_root(tree, anon));
            self.anon_vma_chain_link(dst, avc, anon);
            let (children, areas) = (anon.num_children().peek(), anon.num_active_vmas().peek());
            let unused = if defect!(self, AnonReusedTwice) {
                anon.handle() != src_anon && children + areas < 2
            } else {
                areas == 0 && children < 2
            };
            if dst.anon_vma().peek().is_null() && unused {
                dst.anon_vma()
                    .set(site::ANON_VMA_CLONE__REUSE, anon.handle());
            }
            link = pavc.vma_prev().peek();
        }
        if let Some(anon) = dst.anon_vma().peek().some() {
            self.anon(anon).add_active();
        }
        if told {
            self.mark_done(StepKind::Anon, dst.about());
        }
        Ok(())
    }

    /// Gives a child's copy of `pvma` an anon_vma of its own (`anon_vma_fork`), so that pages it
    /// copies are found without asking the parent.
    pub fn anon_vma_fork(&self, vma: Ref<'_, Vma>, pvma: Ref<'_, Vma>) -> Result<(), NoMemory> {
        let Some(parent) = pvma.anon_vma().peek().some() else {
            return Ok(());
        };
        vma.anon_vma().init(Handle::NULL);
        self.clone_anon_vmas(vma, pvma, true)?;
        if !vma.anon_vma().peek().is_null() {
            return Ok(());
        }
        let Some(anon) = self.anon_vma_alloc() else {
            self.unlink_anon_vmas(vma, false);
            self.note(Note::Undo("anon_vma_fork"));
            return Err(NoMemory);
        };
        let avc = self.avcs.alloc();
        let parent = self.anon(parent);
        let root = self.anon(parent.root().peek());
        anon.root().init(root.handle());
        anon.parent().init(parent.handle());
        if root.alive() && root.refcount().get(site::ANON_VMA_FORK__GET_ROOT).is_err() {
            root.alive();
        }
        vma.anon_vma().init(anon.handle());
        let _tree = self.anon_vma_lock(anon.handle());
        anon.add_active();
        self.anon_vma_chain_link(vma, avc, anon);
        parent.add_child();
        self.mark_done(StepKind::Anon, vma.about());
        Ok(())
    }
}

impl<D: Design> Machine<D> {
    /// Takes all links of an area away (`unlink_anon_vmas`); anon_vmas that it leaves without any
    /// are put. The lock of the tree is held from the first link until the area is counted nowhere
    /// any more: an anon_vma whose last other area goes meanwhile would be freed under it.
    /// `told`: as a step of its own, not a part of another.
    pub fn unlink_anon_vmas(&self, vma: Ref<'_, Vma>, told: bool) {
        let mut tree = None;
        let mut link = vma.chain_first().peek();
        while let Some(avc) = link.some().map(|link| self.avcs.get(link)) {
            link = avc.vma_next().peek();
            let anon = self.anon(avc.anon().peek());
            tree = Some(self.lock_anon_vma_root(tree, anon));
            self.anon_vma_remove(avc, anon);
            if told {
                self.mark_done(StepKind::Unlink, anon.about());
            }
            if anon.first().peek().is_null() {
                // Stays in the chain: it is put below, without the lock.
                self.anon(anon.parent().peek()).remove_child();
            } else {
                self.anon_vma_chain_free(vma, avc);
            }
        }
        if let Some(anon) = vma.anon_vma().peek().some() {
            self.anon(anon).remove_active();
        }
        drop(tree);
        while let Some(avc) = vma
            .chain_first()
            .peek()
            .some()
            .map(|link| self.avcs.get(link))
        {
            let anon = self.anon(avc.anon().peek());
            self.anon_vma_chain_free(vma, avc);
            self.put_anon_vma(anon);
            if told {
                self.mark_done(StepKind::Put, anon.about());
            }
        }
    }
}
