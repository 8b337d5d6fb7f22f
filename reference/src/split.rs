//! Cutting an area in two (section 4).

use vmadiff_contract::{About, Event, Note};

use crate::anon::Rmap;
use crate::area::Area;
use crate::world::{NoMemory, World};

impl World {
    /// Cuts as [`World::split`] does, unless the map is full (`split_vma`).
    pub fn split_within_limit(
        &mut self,
        m: usize,
        i: usize,
        addr: u64,
        below: bool,
    ) -> Result<(), NoMemory> {
        if self.map_is_full(m) {
            Err(NoMemory)
        } else {
            self.split(m, i, addr, below)
        }
    }

    /// Cuts area `i` at `addr` (`__split_vma`). The new area is the lower half if `below`: then
    /// the old one is found one place further. On failure nothing has changed.
    pub fn split(&mut self, m: usize, i: usize, addr: u64, below: bool) -> Result<(), NoMemory> {
        let mut new = self.copy_area(m, i)?;
        self.about(About::Area(self.mms[m].areas[i].id));
        let old = &mut self.mms[m].areas[i];
        let upper = old.pgoff_at(addr);
        if below {
            (new.end, old.start, old.pgoff) = (addr, addr, upper);
        } else {
            (new.start, new.pgoff, old.end) = (addr, upper, addr);
        }
        self.open_area(new.file, new.id);
        self.link(m, if below { i } else { i + 1 }, new);
        self.note(Note::Split { below });
        Ok(())
    }

    /// A copy of area `i` that is not linked: with a policy, a chain and a file reference of its
    /// own. On failure nothing of it is left.
    pub fn copy_area(&mut self, m: usize, i: usize) -> Result<Area, NoMemory> {
        let old = self.mms[m].areas[i].clone();
        let id = self.alloc_vma(Some(old.id))?;
        let Ok(policy) = self.copy_policy(old.policy) else {
            self.note(Note::Undo("copy.policy"));
            self.raise(Event::VmaFree { vma: id });
            return Err(NoMemory);
        };
        let mut rmap = Rmap {
            anon: old.rmap.anon,
            ..Rmap::default()
        };
        if self.clone_anon(&mut rmap, &old.rmap).is_err() {
            self.note(Note::Undo("copy.anon"));
            self.put_policy(policy);
            self.raise(Event::VmaFree { vma: id });
            return Err(NoMemory);
        }
        self.get_file(old.file);
        Ok(Area {
            id,
            policy,
            rmap,
            ..old
        })
    }
}
