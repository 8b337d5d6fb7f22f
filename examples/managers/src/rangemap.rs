//! `rangemap`: a map whose keys are ranges.

use std::ops::Range;

use rangemap::RangeMap;
use vmadiff::areas::{Areas, Place};
use vmadiff::{Config, Errno, Prot};

pub struct Space(RangeMap<u64, Prot>);

impl Areas for Space {
    fn boot(_: &Config) -> Self {
        Self(RangeMap::new())
    }

    fn map(&mut self, range: Range<u64>, prot: Prot, how: Place) -> Result<u64, Errno> {
        if how == Place::IfFree && self.0.overlaps(&range) {
            return Err(Errno::EEXIST);
        }
        self.0.insert(range.clone(), prot);
        Ok(range.start)
    }

    fn unmap(&mut self, range: Range<u64>) -> Result<(), Errno> {
        self.0.remove(range);
        Ok(())
    }

    fn protect(&mut self, range: Range<u64>, prot: Prot) -> Result<(), Errno> {
        let hole = self.0.gaps(&range).next();
        let end = hole.as_ref().map_or(range.end, |hole| hole.start);
        if range.start < end {
            self.0.insert(range.start..end, prot);
        }
        hole.map_or(Ok(()), |_| Err(Errno::ENOMEM))
    }

    fn each(&self, mut visit: impl FnMut(Range<u64>, Prot)) {
        self.0
            .iter()
            .for_each(|(range, prot)| visit(range.clone(), *prot));
    }
}
