//! `nodit`: maps of intervals that do not overlap.

use nodit::interval::ie;
use nodit::{Interval, NoditMap};
use vmadiff::areas::prelude::*;

pub struct Space(NoditMap<u64, Interval<u64>, Prot>);

impl Areas for Space {
    const CHECKED: &'static [CallKind] = &[CallKind::Mprotect];

    fn boot(_: &Config) -> Self {
        Self(NoditMap::new())
    }

    fn map(&mut self, range: Range<u64>, prot: Prot, how: Place) -> Result<u64, Errno> {
        let interval = ie(range.start, range.end);
        if how == Place::Over {
            drop(self.0.cut(&interval));
        }
        let inserted = self.0.insert_merge_touching_if_values_equal(interval, prot);
        inserted.map(|_| range.start).map_err(|_| Errno::EEXIST)
    }

    fn unmap(&mut self, range: Range<u64>) -> Result<(), Errno> {
        drop(self.0.cut(&ie(range.start, range.end)));
        Ok(())
    }

    fn protect(&mut self, range: Range<u64>, prot: Prot) -> Result<(), Errno> {
        drop(self.0.insert_overwrite(ie(range.start, range.end), prot));
        Ok(())
    }

    fn each(&self, mut visit: impl FnMut(Range<u64>, Prot)) {
        for (interval, prot) in self.0.iter() {
            visit(*interval.start()..*interval.end() + 1, *prot);
        }
    }
}
