//! The map of ranges of `areas.rs`, mended, with memory that is used: the second step of
//! `docs/your-manager.md`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::process::ExitCode;

use vmadiff::areas::{Areas, Place};
use vmadiff::memory::{self, Fault, Memory};
use vmadiff::{Config, Errno, Placement, Prot, View};

/// Areas by their start, each with its end; and pages that were stored to.
#[derive(Default)]
struct Mine {
    areas: BTreeMap<u64, (u64, Prot)>,
    pages: BTreeMap<u64, [u8; 4096]>,
}

impl Mine {
    /// Makes an area begin here, if one lies across.
    fn split(&mut self, at: u64) {
        if let Some((_, (end, prot))) = self.areas.range_mut(..at).next_back()
            && at < *end
        {
            let upper = (*end, *prot);
            *end = at;
            self.areas.insert(at, upper);
        }
    }

    fn allows(&self, addr: u64, wanted: Prot) -> Result<(), Fault> {
        let below = self.areas.range(..=addr).next_back();
        let Some((_, (_, prot))) = below.filter(|(_, (end, _))| addr < *end) else {
            return Err(Fault::Unmapped);
        };
        // Any protection allows a load, on x86-64.
        let allowed = prot.contains(wanted) && !prot.is_empty();
        allowed.then_some(()).ok_or(Fault::Refused)
    }
}

impl Areas for Mine {
    fn boot(_: &Config) -> Self {
        Self::default()
    }

    fn map(&mut self, range: Range<u64>, prot: Prot, how: Place) -> Result<u64, Errno> {
        let below = self.areas.range(..range.end).next_back();
        if how == Place::IfFree && below.is_some_and(|(_, (end, _))| range.start < *end) {
            return Err(Errno::EEXIST);
        }
        self.unmap(range.clone())?;
        self.areas.insert(range.start, (range.end, prot));
        Ok(range.start)
    }

    fn unmap(&mut self, range: Range<u64>) -> Result<(), Errno> {
        self.split(range.start);
        self.split(range.end);
        self.areas.retain(|start, _| !range.contains(start));
        Ok(())
    }

    fn protect(&mut self, range: Range<u64>, prot: Prot) -> Result<(), Errno> {
        self.split(range.start);
        self.split(range.end);
        for (_, area) in self.areas.range_mut(range) {
            area.1 = prot;
        }
        Ok(())
    }

    fn each(&self, mut visit: impl FnMut(Range<u64>, Prot)) {
        for (start, (end, prot)) in &self.areas {
            visit(*start..*end, *prot);
        }
    }
}

impl Memory for Mine {
    fn load(&mut self, addr: u64) -> Result<u8, Fault> {
        self.allows(addr, Prot::NONE)?;
        let page = self.pages.get(&(addr / 4096));
        Ok(page.map_or(0, |page| page[addr as usize % 4096]))
    }

    fn store(&mut self, addr: u64, value: u8) -> Result<(), Fault> {
        self.allows(addr, Prot::WRITE)?;
        let page = self.pages.entry(addr / 4096).or_insert([0; 4096]);
        page[addr as usize % 4096] = value;
        Ok(())
    }
}

fn main() -> ExitCode {
    memory::compare::<Mine>("mine")
        .view(View::areas().joined())
        .placement(Placement::FollowReference)
        .known("mprotect skips holes", |_, difference| {
            difference.call().kind().name() == "mprotect" && difference.names_a_hole()
        })
        .command()
}

#[cfg(test)]
mod tests {
    use super::Mine;

    #[test]
    fn what_reaches_out_behind_a_range_stays() {
        vmadiff::check::<Mine>(
            "mmap(0x1f0000, 0x3000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)
             munmap(0x1f1000, 0x1000) = 0",
        );
    }
}
