//! The tree of areas (`mm_rb`): a balanced search tree whose links stand in the VMAs.
//!
//! It is a treap: a search tree by address and a heap by a priority that is a hash of the VMA's
//! ordinal, so its shape depends on what is in it and on nothing else. (Deviation (treap): Linux
//! has a red-black tree; nothing that can be observed depends on which.) A change is a few rotations, each three writes in
//! an order that never makes a cycle, since lookups under RCU walk it meanwhile and must end; that
//! they may miss something is for the design to notice (`change_tree`).
//!
//! ```text
//!       g               g
//!       |               |
//!       p    rotate_up  n
//!      / \      ->     / \
//!     n   c           a   p
//!    / \                 / \
//!   a   b               b   c
//! ```

use vmadiff_interleave::Cell;

use crate::area::vma::Vma;
use crate::core::slab::{Handle, Ref, Slab};
use crate::sites as site;

/// A tree of areas.
#[derive(Clone, Copy)]
pub struct Tree<'a> {
    /// Where they live.
    pub vmas: &'a Slab<Vma>,
    /// The root.
    pub root: &'a Cell<Handle<Vma>>,
}

/// Where a new area would hang (`rb_link`, `rb_parent`).
#[derive(Clone, Copy)]
pub struct Place {
    parent: Handle<Vma>,
    left: bool,
}

/// Where an area would go.
pub struct Links<'a> {
    /// The area before.
    pub prev: Option<Ref<'a, Vma>>,
    /// Its place in the tree.
    pub place: Place,
}

/// Something is in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlap;

fn priority(vma: Handle<Vma>) -> u32 {
    vma.ordinal().wrapping_mul(0x9e37_79b1)
}

fn some<'a>(vmas: &'a Slab<Vma>, vma: Handle<Vma>) -> Option<Ref<'a, Vma>> {
    vma.some().map(|vma| vmas.get(vma))
}

impl<'a> Tree<'a> {
    /// The lowest area that ends above an address, without a look at any cache (the walk of
    /// `find_vma`). Whoever holds no mmap_sem must know by other means whether to believe it.
    pub fn find(self, addr: u64) -> Option<Ref<'a, Vma>> {
        let mut found = None;
        let mut node = some(self.vmas, self.root.get(site::FIND_VMA__RB_ROOT));
        while let Some(vma) = node {
            let below = if vma.vm_end().get(site::FIND_VMA__VM_END) > addr {
                found = Some(vma);
                if vma.vm_start().get(site::FIND_VMA__VM_START) <= addr {
                    break;
                }
                vma.rb_left().get(site::FIND_VMA__RB_LEFT)
            } else {
                vma.rb_right().get(site::FIND_VMA__RB_RIGHT)
            };
            node = some(self.vmas, below);
        }
        found
    }

    /// Where an area from `addr` to `end` would go (`find_vma_links`), under mmap_sem.
    pub fn find_links(self, addr: u64, end: u64) -> Result<Links<'a>, Overlap> {
        let mut place = Place {
            parent: Handle::NULL,
            left: false,
        };
        let mut prev = None;
        let mut node = some(self.vmas, self.root.peek());
        while let Some(vma) = node {
            place.parent = vma.handle();
            place.left = vma.end() > addr;
            node = if place.left {
                if vma.start() < end {
                    return Err(Overlap);
                }
                some(self.vmas, vma.rb_left().peek())
            } else {
                prev = Some(vma);
                some(self.vmas, vma.rb_right().peek())
            };
        }
        Ok(Links { prev, place })
    }

    /// Hangs an area there and balances (`rb_link_node`, `rb_insert_color`). Under mmap_sem.
    pub fn insert(self, vma: Ref<'a, Vma>, place: Place) {
        vma.rb_left().set(site::VMA_LINK_RB__LEFT, Handle::NULL);
        vma.rb_right().set(site::VMA_LINK_RB__RIGHT, Handle::NULL);
        vma.rb_parent().set(site::VMA_LINK_RB__PARENT, place.parent);
        match some(self.vmas, place.parent) {
            None => self.root.set(site::VMA_LINK_RB__ROOT, vma.handle()),
            Some(parent) if place.left => {
                parent.rb_left().set(site::VMA_LINK_RB__CHILD, vma.handle());
            }
            Some(parent) => {
                parent
                    .rb_right()
                    .set(site::VMA_LINK_RB__CHILD, vma.handle());
            }
        }
        while let Some(parent) = some(self.vmas, vma.rb_parent().peek()) {
            if priority(parent.handle()) >= priority(vma.handle()) || !parent.alive() {
                break;
            }
            self.rotate_up(vma, parent);
        }
    }

    /// Takes an area out and balances (`rb_erase`). Under mmap_sem.
    pub fn erase(self, vma: Ref<'a, Vma>) {
        while vma.alive() {
            let (left, right) = (vma.rb_left().peek(), vma.rb_right().peek());
            let (Some(l), Some(r)) = (left.some(), right.some()) else {
                let child = left.some().unwrap_or(right);
                let parent = vma.rb_parent().peek();
                self.replace_child(parent, vma.handle(), child);
                if let Some(child) = some(self.vmas, child) {
                    child.rb_parent().set(site::VMA_RB_ERASE__PARENT, parent);
                }
                return;
            };
            let up = if priority(l) > priority(r) { l } else { r };
            self.rotate_up(self.vmas.get(up), vma);
        }
    }

    fn rotate_up(self, node: Ref<'a, Vma>, parent: Ref<'a, Vma>) {
        let grand = parent.rb_parent().peek();
        let inner = if parent.rb_left().peek() == node.handle() {
            let inner = node.rb_right().peek();
            parent.rb_left().set(site::VMA_RB_ROTATE__CHILD, inner);
            node.rb_right()
                .set(site::VMA_RB_ROTATE__NODE, parent.handle());
            inner
        } else {
            let inner = node.rb_left().peek();
            parent.rb_right().set(site::VMA_RB_ROTATE__CHILD, inner);
            node.rb_left()
                .set(site::VMA_RB_ROTATE__NODE, parent.handle());
            inner
        };
        self.replace_child(grand, parent.handle(), node.handle());
        parent
            .rb_parent()
            .set(site::VMA_RB_ROTATE__PARENT, node.handle());
        node.rb_parent().set(site::VMA_RB_ROTATE__PARENT, grand);
        if let Some(inner) = some(self.vmas, inner) {
            inner
                .rb_parent()
                .set(site::VMA_RB_ROTATE__PARENT, parent.handle());
        }
    }

    fn replace_child(self, parent: Handle<Vma>, old: Handle<Vma>, new: Handle<Vma>) {
        match some(self.vmas, parent) {
            None => self.root.set(site::VMA_RB_CHANGE_CHILD__ROOT, new),
            Some(parent) if parent.rb_left().peek() == old => {
                parent.rb_left().set(site::VMA_RB_CHANGE_CHILD__CHILD, new);
            }
            Some(parent) => {
                parent.rb_right().set(site::VMA_RB_CHANGE_CHILD__CHILD, new);
            }
        }
    }
}

#[cfg(test)]
mod tests;
