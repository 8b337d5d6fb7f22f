//! anon_vmas and their links: which areas may map a private page (reverse mapping).

use vmadiff_contract::{AnonId, Event, Misuse};
use vmadiff_interleave::{RefCount, RwSem, WriteGuard};

use crate::area::vma::Vma;
use crate::core::current::Current;
use crate::core::machine::Machine;
use crate::core::slab::{Handle, Ref, object};
use crate::design::Design;
use crate::sites as site;

object! {
    /// The areas that descend, by fork and split, from the one that first stored a page.
    AnonVma, shows: Nothing, dead: |n| Some(Misuse::DeadAnon(AnonId(n)));
    words {
        /// The first of its tree, whose lock serves all of it; itself if it is the first.
        root: Handle<AnonVma>,
        /// The one that it was forked from; itself if it is a root.
        parent: Handle<AnonVma>,
        /// anon_vmas whose parent it is; a root is its own.
        num_children: u64,
        /// Areas that point at it.
        num_active_vmas: u64,
        /// The first link to an area.
        first: Handle<AnonVmaChain>,
    }
    parts {
        /// One reference while it has links, and a root's for each descendant.
        refcount: RefCount,
        /// A root's lock: guards the links of its whole tree.
        rwsem: RwSem,
    }
}

object! {
    /// A link between an area and an anon_vma (`anon_vma_chain`).
    AnonVmaChain, shows: Areas, dead: |_| None;
    words {
        /// The area.
        vma: Handle<Vma>,
        /// The anon_vma.
        anon: Handle<AnonVma>,
        /// The next link of the area (`same_vma`).
        vma_next: Handle<AnonVmaChain>,
        /// The previous link of the area.
        vma_prev: Handle<AnonVmaChain>,
        /// The next link of the anon_vma (`rb`).
        anon_next: Handle<AnonVmaChain>,
        /// The previous link of the anon_vma.
        anon_prev: Handle<AnonVmaChain>,
    }
    parts {}
}

/// The lock of a tree of anon_vmas, held over several of them.
pub struct TreeLock<'a> {
    root: Handle<AnonVma>,
    _guard: WriteGuard<'a>,
}

impl<D: Design> Current<'_, D> {
    /// A new anon_vma, the root of its own tree (`anon_vma_alloc`); none without memory.
    pub fn anon_vma_alloc(&self) -> Option<Ref<'_, AnonVma>> {
        if self.fails() {
            return None;
        }
        let anon = self.anons.alloc();
        anon.root().init(anon.handle());
        anon.parent().init(anon.handle());
        anon.num_children().init(0);
        anon.num_active_vmas().init(0);
        anon.first().init(Handle::NULL);
        anon.refcount().init(1);
        self.raise(Event::AnonAlloc {
            anon: AnonId(anon.ordinal()),
        });
        Some(anon)
    }
}

impl Ref<'_, AnonVma> {
    /// One more has it as its parent.
    pub fn add_child(self) {
        self.num_children().init(self.num_children().peek() + 1);
    }

    /// One of them is left without areas.
    pub fn remove_child(self) {
        let children = self.num_children().peek().wrapping_sub(1);
        self.num_children().init(children);
    }

    /// One more area points at it.
    pub fn add_active(self) {
        let areas = self.num_active_vmas().peek() + 1;
        self.num_active_vmas().init(areas);
    }

    /// One of them does so no more.
    pub fn remove_active(self) {
        let areas = self.num_active_vmas().peek().wrapping_sub(1);
        self.num_active_vmas().init(areas);
    }
}

impl<D: Design> Machine<D> {
    /// The anon_vma of this name.
    pub fn anon(&self, anon: Handle<AnonVma>) -> Ref<'_, AnonVma> {
        self.anons.get(anon)
    }

    /// The lock of an anon_vma's tree, held (`anon_vma_lock_write`).
    pub fn anon_vma_lock(&self, anon: Handle<AnonVma>) -> WriteGuard<'_> {
        let root = self.anon(self.anon(anon).root().peek());
        let guard = root.rwsem().write(site::ANON_VMA__LOCK);
        root.alive();
        guard
    }

    /// The lock of the tree of an anon_vma, held already or taken now (`lock_anon_vma_root`): all
    /// links of an area are to one tree.
    pub fn lock_anon_vma_root<'a>(
        &'a self,
        held: Option<TreeLock<'a>>,
        anon: Ref<'_, AnonVma>,
    ) -> TreeLock<'a> {
        let root = anon.root().peek();
        match held {
            Some(tree) if tree.root == root => tree,
            other => {
                drop(other);
                TreeLock {
                    root,
                    _guard: self.anon_vma_lock(anon.handle()),
                }
            }
        }
    }

    /// Links an area and an anon_vma (`anon_vma_chain_link`), under the anon_vma's lock. The link
    /// comes first in the area's chain.
    pub fn anon_vma_chain_link(
        &self,
        vma: Ref<'_, Vma>,
        avc: Ref<'_, AnonVmaChain>,
        anon: Ref<'_, AnonVma>,
    ) {
        avc.vma().init(vma.handle());
        avc.anon().init(anon.handle());
        let head = vma.chain_first().peek();
        avc.vma_prev().init(Handle::NULL);
        avc.vma_next().init(head);
        match head.some() {
            Some(head) => self.avcs.get(head).vma_prev().init(avc.handle()),
            None => vma.chain_last().init(avc.handle()),
        }
        vma.chain_first().init(avc.handle());

        let first = anon.first().peek();
        avc.anon_prev().init(Handle::NULL);
        avc.anon_next().init(first);
        if let Some(first) = first.some() {
            self.avcs.get(first).anon_prev().init(avc.handle());
        }
        anon.first().set(site::ANON_VMA__LINK, avc.handle());
    }

    /// Takes a link out of its anon_vma (`anon_vma_interval_tree_remove`), under its lock.
    pub fn anon_vma_remove(&self, avc: Ref<'_, AnonVmaChain>, anon: Ref<'_, AnonVma>) {
        let (prev, next) = (avc.anon_prev().peek(), avc.anon_next().peek());
        match prev.some() {
            Some(prev) => self.avcs.get(prev).anon_next().init(next),
            None => anon.first().set(site::ANON_VMA__UNLINK, next),
        }
        if let Some(next) = next.some() {
            self.avcs.get(next).anon_prev().init(prev);
        }
    }

    /// Takes a link out of its area's chain and frees it.
    pub fn anon_vma_chain_free(&self, vma: Ref<'_, Vma>, avc: Ref<'_, AnonVmaChain>) {
        let (prev, next) = (avc.vma_prev().peek(), avc.vma_next().peek());
        match prev.some() {
            Some(prev) => self.avcs.get(prev).vma_next().init(next),
            None => vma.chain_first().init(next),
        }
        match next.some() {
            Some(next) => self.avcs.get(next).vma_prev().init(prev),
            None => vma.chain_last().init(prev),
        }
        self.avcs.free(avc.handle());
    }

    /// Whether an area's chain has exactly one link (`list_is_singular`).
    pub fn chain_is_singular(&self, vma: Ref<'_, Vma>) -> bool {
        let first = vma.chain_first().peek();
        !first.is_null() && first == vma.chain_last().peek()
    }

    /// Puts a reference to an anon_vma (`put_anon_vma`); the last one frees it, and puts its root.
    pub fn put_anon_vma(&self, anon: Ref<'_, AnonVma>) {
        if !self.put_anon_ref(anon) {
            return;
        }
        let root = anon.root().peek();
        self.anon_vma_free(anon);
        if root != anon.handle() {
            let root = self.anon(root);
            if self.put_anon_ref(root) {
                self.anon_vma_free(root);
            }
        }
    }

    /// Whether the reference that was put was the last.
    fn put_anon_ref(&self, anon: Ref<'_, AnonVma>) -> bool {
        if !anon.alive() {
            return false;
        }
        match anon.refcount().put(site::ANON_VMA__PUT) {
            Ok(refs) => refs == 0,
            Err(_) => {
                self.misuse(Misuse::DeadAnon(AnonId(anon.ordinal())));
                false
            }
        }
    }

    fn anon_vma_free(&self, anon: Ref<'_, AnonVma>) {
        if self.anons.free(anon.handle()) {
            self.raise(Event::AnonFree {
                anon: AnonId(anon.ordinal()),
            });
        }
    }
}
