//! `rangemap`: a map whose keys are ranges.

use rangemap::RangeMap;
use vmadiff::areas::prelude::*;

pub struct Space(RangeMap<u64, Prot>);

impl Areas for Space {
    const CHECKED: &'static [CallKind] = &[CallKind::Mprotect];

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
        self.0.insert(range, prot);
        Ok(())
    }

    fn each(&self, mut visit: impl FnMut(Range<u64>, Prot)) {
        self.0
            .iter()
            .for_each(|(range, prot)| visit(range.clone(), *prot));
    }
}
