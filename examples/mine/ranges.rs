//! A map of ranges that somebody has, with a bug: `areas.rs` and `targets/` have it fuzzed.

use std::collections::BTreeMap;
use std::ops::Range;

use vmadiff::areas::{Areas, Place};
use vmadiff::{CallKind, Config, Errno, Prot};

/// Areas by their start, each with its end.
pub struct Mine(BTreeMap<u64, (u64, Prot)>);

impl Areas for Mine {
    const HAS: &'static [CallKind] = &[CallKind::Mmap, CallKind::Munmap];

    fn boot(_: &Config) -> Self {
        Self(BTreeMap::new())
    }

    fn map(&mut self, range: Range<u64>, prot: Prot, how: Place) -> Result<u64, Errno> {
        let taken =
            |(start, (end, _)): (&u64, &(u64, Prot))| *start < range.end && range.start < *end;
        if how == Place::IfFree && self.0.iter().any(taken) {
            return Err(Errno::EEXIST);
        }
        self.unmap(range.clone())?;
        self.0.insert(range.start, (range.end, prot));
        Ok(range.start)
    }

    fn unmap(&mut self, range: Range<u64>) -> Result<(), Errno> {
        // What reaches into the range ends where that begins.
        if let Some((_, (end, _))) = self.0.range_mut(..range.start).next_back() {
            *end = range.start.min(*end);
        }
        self.0.retain(|start, _| !range.contains(start));
        Ok(())
    }

    fn each(&self, mut visit: impl FnMut(Range<u64>, Prot)) {
        for (start, (end, prot)) in &self.0 {
            visit(*start..*end, *prot);
        }
    }
}
