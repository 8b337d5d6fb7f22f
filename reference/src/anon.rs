//! anon_vmas: whom an anonymous page may belong to, and for how long (section 26).
//!
//! Nothing but merging looks at them here, and merging depends on them: two faulted areas merge
//! only if they have the same one, and one that went through fork has a chain of several.

use smallvec::SmallVec;
use vmadiff_contract::{AnonId, Event, PAGE_SIZE, VmFlags};

use crate::area::{ACCESS, Area};
use crate::world::{NoMemory, World};

/// An anon_vma object.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Anon {
    root: AnonId,
    parent: AnonId,
    /// Areas that point at it.
    users: u32,
    /// anon_vmas whose parent it is; a root counts itself.
    children: u32,
    /// Its own existence, and for a root each descendant's.
    refs: u32,
    /// Areas whose chain names it.
    links: u32,
}

/// How an area stands to anon_vmas.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Rmap {
    /// Where its new pages go; none: unfaulted.
    pub anon: Option<AnonId>,
    /// Every anon_vma that a page of it may belong to, oldest first. (Linux keeps the list newest
    /// first and clones it from its end.)
    pub chain: SmallVec<[AnonId; 4]>,
}

impl Rmap {
    /// One link exactly: faulted, and not a fork's copy (`list_is_singular`).
    pub fn is_singular(&self) -> bool {
        self.chain.len() == 1
    }

    /// The anon_vma that a neighbour may share (`reusable_anon_vma`).
    pub fn lent(&self) -> Option<AnonId> {
        self.anon.filter(|_| self.is_singular())
    }
}

impl World {
    fn anon(&mut self, id: AnonId) -> &mut Anon {
        &mut self.anons[id.0 as usize - 1]
    }

    /// An anon_vma that no area has yet.
    pub(crate) fn alloc_anon(&mut self) -> Result<AnonId, NoMemory> {
        self.allocate()?;
        let id = AnonId(self.anons.len() as u32 + 1);
        self.anons.push(Anon {
            root: id,
            parent: id,
            users: 0,
            children: 1,
            refs: 1,
            links: 0,
        });
        self.live_anons += 1;
        self.raise(Event::AnonAlloc { anon: id });
        Ok(id)
    }

    /// Puts a reference; the last one frees it, and then puts its root's.
    pub(crate) fn put_anon(&mut self, id: AnonId) {
        let anon = self.anon(id);
        anon.refs -= 1;
        if anon.refs == 0 {
            let root = anon.root;
            self.live_anons -= 1;
            self.raise(Event::AnonFree { anon: id });
            if root != id {
                self.put_anon(root);
            }
        }
    }

    fn link_anon(&mut self, rmap: &mut Rmap, id: AnonId) {
        rmap.chain.push(id);
        self.anon(id).links += 1;
    }

    /// Gives an unfaulted area this anon_vma (`anon_vma_prepare`).
    pub(crate) fn attach_anon(&mut self, rmap: &mut Rmap, id: AnonId) {
        rmap.anon = Some(id);
        self.link_anon(rmap, id);
        self.anon(id).users += 1;
    }

    /// The anon_vma that `area` may share with a neighbour: the next one's, else the previous
    /// one's (`find_mergeable_anon_vma`, section 15). Its neighbours are those of place `i`: a
    /// fork asks for a copy that is not linked yet.
    pub(crate) fn mergeable_anon(&self, m: usize, i: usize, area: &Area) -> Option<AnonId> {
        let lent = |by: Option<&Area>| by?.rmap.lent();
        let next = lent(self.next_may_lend(m, i, area));
        next.or_else(|| lent(self.prev_may_lend(m, i, area)))
    }

    /// The next area, if `area` could become one with it.
    pub(crate) fn next_may_lend(&self, m: usize, i: usize, area: &Area) -> Option<&Area> {
        let next = self.mms[m].areas.get(i + 1)?;
        Some(next).filter(|next| self.anon_compatible(area, next))
    }

    /// The previous area, if `area` could become one with it.
    pub(crate) fn prev_may_lend(&self, m: usize, i: usize, area: &Area) -> Option<&Area> {
        let prev = self.mms[m].areas[..i].last()?;
        Some(prev).filter(|prev| self.anon_compatible(prev, area))
    }

    /// Whether two areas could become one again by mprotect alone (`anon_vma_compatible`).
    fn anon_compatible(&self, low: &Area, high: &Area) -> bool {
        low.end == high.start
            && self.same_policy(low.policy, high.policy)
            && low.file == high.file
            && (low.flags ^ high.flags).difference(ACCESS) == VmFlags::empty()
            && self.offset_of(high)
                == self
                    .offset_of(low)
                    .wrapping_add((high.start - low.start) / PAGE_SIZE)
    }

    /// Links a copy to everything that the source's chain names (`anon_vma_clone`). A copy that
    /// has no anon_vma of its own yet, which only fork makes, reuses the first one met that has
    /// neither areas nor more than one child. On failure the copy is left unfaulted.
    pub(crate) fn clone_anon(&mut self, to: &mut Rmap, from: &Rmap) -> Result<(), NoMemory> {
        for &id in &from.chain {
            if self.allocate().is_err() {
                to.anon = None;
                self.unlink_anon(to);
                return Err(NoMemory);
            }
            self.link_anon(to, id);
            let met = self.anon(id);
            if to.anon.is_none() && met.users == 0 && met.children < 2 {
                to.anon = Some(id);
            }
        }
        if let Some(own) = to.anon {
            self.anon(own).users += 1;
        }
        Ok(())
    }

    /// Gives a forked copy that found none to reuse an anon_vma of its own (`anon_vma_fork`).
    pub(crate) fn fork_anon(&mut self, to: &mut Rmap, parent: AnonId) -> Result<(), NoMemory> {
        let own = self.alloc_anon()?;
        let root = self.anon(parent).root;
        self.anon(root).refs += 1;
        let child = self.anon(own);
        (child.root, child.parent) = (root, parent);
        (child.users, child.children) = (1, 0);
        to.anon = Some(own);
        self.link_anon(to, own);
        self.anon(parent).children += 1;
        Ok(())
    }

    /// Takes an area out of every anon_vma of its chain (`unlink_anon_vmas`) and puts those left
    /// without areas.
    pub(crate) fn unlink_anon(&mut self, rmap: &mut Rmap) {
        for id in self.leave_anons(rmap) {
            self.put_anon(id);
        }
    }

    /// Takes an area out of every anon_vma of its chain, newest first, under their root's lock.
    /// Answers those left without areas, which lose the reference that kept them.
    pub(crate) fn leave_anons(&mut self, rmap: &mut Rmap) -> SmallVec<[AnonId; 4]> {
        let mut empty: SmallVec<[AnonId; 4]> = SmallVec::new();
        for &id in rmap.chain.iter().rev() {
            let anon = self.anon(id);
            anon.links -= 1;
            if anon.links == 0 {
                let parent = anon.parent;
                self.anon(parent).children -= 1;
                empty.push(id);
            }
        }
        if let Some(own) = rmap.anon.take() {
            self.anon(own).users -= 1;
        }
        rmap.chain.clear();
        empty
    }
}

#[cfg(test)]
impl World {
    /// Panics if an anon_vma's links are not those that areas have, or if one lives that nothing
    /// needs.
    pub fn assert_anons_sound(&self, links: &std::collections::BTreeMap<AnonId, u32>) {
        for (i, anon) in self.anons.iter().enumerate() {
            let id = AnonId(i as u32 + 1);
            assert_eq!(links.get(&id).copied().unwrap_or(0), anon.links, "{id}");
            let heirs = self.anons.iter().zip(1..);
            let heirs = heirs.filter(|(heir, n)| heir.root == id && *n != id.0 && heir.refs > 0);
            assert_eq!(
                u32::from(anon.links > 0) + heirs.count() as u32,
                anon.refs,
                "{id}"
            );
        }
        let live = self.anons.iter().filter(|anon| anon.refs > 0).count();
        assert_eq!(self.live_anons, live as u64);
    }
}
