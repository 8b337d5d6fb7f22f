//! Making a part of an area an area of its own, which mprotect, madvise, mlock and mbind do alike.

use crate::merge::Wanted;
use crate::world::{NoMemory, World};

impl World {
    /// Gives the part `wanted` of area `i` to its neighbours if it may be one with them (section
    /// 2), else cuts it out: first its start, the new area below, then its end, the new area
    /// above (section 4). Answers the place of the area that holds it, whose flags and policy the
    /// caller sets. If the second cut fails the first remains.
    pub fn carve(&mut self, m: usize, i: usize, wanted: &Wanted) -> Result<usize, NoMemory> {
        let inside = self.mms[m].areas[i].start < wanted.start;
        let prev = if inside { Some(i) } else { i.checked_sub(1) };
        if let Some(merged) = self.merge(m, prev, wanted) {
            return Ok(merged);
        }
        let mut i = i;
        if inside {
            self.split_within_limit(m, i, wanted.start, true)?;
            i += 1;
        }
        if wanted.end < self.mms[m].areas[i].end {
            self.split_within_limit(m, i, wanted.end, false)?;
        }
        Ok(i)
    }
}
