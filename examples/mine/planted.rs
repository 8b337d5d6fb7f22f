//! Areas and pages under one lock, right, and with three bugs that only races show: the last step of
//! `docs/your-manager.md`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard};

use vmadiff::areas::Place;
use vmadiff::interleave::{Cell, RwSem};
use vmadiff::interleaved::{self, Interleaved};
use vmadiff::memory::Fault;
use vmadiff::{CallKind, Compare, Config, Errno, Prot, View};

vmadiff::interleave::sites! {
    MAP_LOOK = "map.look";
    MAP = "map.lock";
    UNMAP = "unmap.lock";
    UNMAP_NEXT = "unmap.next";
    PROTECT = "protect.lock";
    ACCESS = "access.lock";
    ACCESS_BYTE = "access.byte";
}

/// Nothing is wrong.
const RIGHT: u8 = 0;
/// A place is found free, and taken under another hold of the lock.
const CHECKS_EARLY: u8 = 1;
/// Nothing keeps other calls away while areas are taken out one by one.
const UNLOCKED: u8 = 2;
/// An area is used after the lock that kept it was given up, and perhaps after it was freed.
const USED_LATE: u8 = 3;

/// An area, in a slot that the next one may have.
#[derive(Clone)]
struct Area {
    end: u64,
    prot: Prot,
    bytes: BTreeMap<u64, u8>,
}

/// Areas, and their slots by where they start.
#[derive(Default)]
struct Areas {
    slots: Vec<Option<Area>>,
    starts: BTreeMap<u64, usize>,
}

impl Areas {
    fn insert(&mut self, start: u64, area: Area) {
        let free = self.slots.iter().position(Option::is_none);
        let slot = free.unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[slot] = Some(area);
        self.starts.insert(start, slot);
    }

    /// The slot of the area that has an address.
    fn slot(&self, addr: u64) -> Option<usize> {
        let (_, &slot) = self.starts.range(..=addr).next_back()?;
        (addr < self.area(slot)?.end).then_some(slot)
    }

    fn area(&self, slot: usize) -> Option<&Area> {
        self.slots[slot].as_ref()
    }

    /// Has an area begin here, if one lies across.
    fn cut(&mut self, at: u64) {
        let Some(slot) = self.slot(at).filter(|_| !self.starts.contains_key(&at)) else {
            return;
        };
        let Some(lower) = &mut self.slots[slot] else {
            return;
        };
        let upper = Area {
            bytes: lower.bytes.split_off(&at),
            ..*lower
        };
        lower.end = at;
        self.insert(at, upper);
    }

    fn remove(&mut self, range: &Range<u64>) -> bool {
        let Some((&start, &slot)) = self.starts.range(range.clone()).next() else {
            return false;
        };
        self.starts.remove(&start);
        self.slots[slot] = None;
        true
    }

    fn is_free(&self, range: &Range<u64>) -> bool {
        let mut starts = self.starts.range(..range.end).rev();
        let below = starts.next().and_then(|(_, &slot)| self.area(slot));
        below.is_none_or(|area| area.end <= range.start)
    }
}

struct Mine<const BUG: u8> {
    lock: RwSem,
    /// Counts what was unmapped.
    unmapped: Cell<u64>,
    /// Never held across a place where another task may run.
    areas: Mutex<Areas>,
}

impl<const BUG: u8> Mine<BUG> {
    fn areas(&self) -> MutexGuard<'_, Areas> {
        self.areas.lock().expect("nobody panicked")
    }

    /// Has a byte of an area that allows so much.
    fn access<T>(
        &self,
        addr: u64,
        wanted: Prot,
        with: impl FnOnce(&mut Area) -> T,
    ) -> Result<T, Fault> {
        let held = self.lock.read(ACCESS);
        let slot = self.areas().slot(addr).ok_or(Fault::Unmapped)?;
        let allows = |area: &Area| area.prot.contains(wanted) && !area.prot.is_empty();
        if !self.areas().area(slot).is_some_and(allows) {
            return Err(Fault::Refused);
        }
        let _held = (BUG != USED_LATE).then_some(held);
        self.unmapped.get(ACCESS_BYTE);
        let mut areas = self.areas();
        let area = areas.slots[slot].as_mut();
        Ok(with(area.expect("an area that was freed is used")))
    }
}

impl<const BUG: u8> Interleaved for Mine<BUG> {
    const SITES: &'static [&'static [&'static str]] = &[NAMES];
    const HAS: &'static [CallKind] = &[
        CallKind::Mmap,
        CallKind::Munmap,
        CallKind::Mprotect,
        CallKind::Load,
        CallKind::Store,
    ];

    fn boot(_: &Config) -> Self {
        Self {
            lock: RwSem::new(),
            unmapped: Cell::new(0),
            areas: Mutex::default(),
        }
    }

    fn map(&self, range: Range<u64>, prot: Prot, how: Place) -> Result<u64, Errno> {
        if BUG == CHECKS_EARLY {
            let _held = self.lock.read(MAP_LOOK);
            if how == Place::IfFree && !self.areas().is_free(&range) {
                return Err(Errno::EEXIST);
            }
        }
        let _held = self.lock.write(MAP);
        let mut areas = self.areas();
        let size = range.end - range.start;
        let start = match how {
            Place::IfFree if BUG != CHECKS_EARLY && !areas.is_free(&range) => {
                return Err(Errno::EEXIST);
            }
            Place::Anywhere => (1..)
                .map(|n| n << 16)
                .find(|at| areas.is_free(&(*at..at + size)))
                .expect("room"),
            Place::IfFree | Place::Over => range.start,
        };
        let range = start..start + size;
        areas.cut(range.start);
        areas.cut(range.end);
        while areas.remove(&range) {}
        let area = Area {
            end: range.end,
            prot,
            bytes: BTreeMap::new(),
        };
        areas.insert(start, area);
        Ok(start)
    }

    fn unmap(&self, range: Range<u64>) -> Result<(), Errno> {
        let _held = (BUG != UNLOCKED).then(|| self.lock.write(UNMAP));
        self.areas().cut(range.start);
        self.areas().cut(range.end);
        while self.areas().remove(&range) {
            self.unmapped.add(UNMAP_NEXT, 1);
        }
        Ok(())
    }

    fn protect(&self, range: Range<u64>, prot: Prot) -> Result<(), Errno> {
        let _held = self.lock.write(PROTECT);
        let mut areas = self.areas();
        areas.cut(range.start);
        areas.cut(range.end);
        let mut at = range.start;
        while at < range.end {
            let slot = areas.starts.get(&at).copied().ok_or(Errno::ENOMEM)?;
            let area = areas.slots[slot].as_mut().expect("its slot");
            (area.prot, at) = (prot, area.end);
        }
        Ok(())
    }

    fn load(&self, addr: u64) -> Result<u8, Fault> {
        self.access(addr, Prot::NONE, |area| {
            area.bytes.get(&addr).copied().unwrap_or(0)
        })
    }

    fn store(&self, addr: u64, value: u8) -> Result<(), Fault> {
        self.access(addr, Prot::WRITE, |area| {
            area.bytes.insert(addr, value);
        })
    }

    fn each(&self, mut visit: impl FnMut(Range<u64>, Prot)) {
        let areas = self.areas();
        for (start, slot) in &areas.starts {
            let area = areas.area(*slot).expect("its slot");
            visit(*start..area.end, area.prot);
        }
    }
}

/// What is compared, and three bugs that races show.
fn compared() -> Compare {
    interleaved::compare::<Mine<RIGHT>>("mine")
        .view(View::areas().joined())
        .race(
            "checks-early",
            "A place is found free, and taken under another hold of the lock.",
            interleaved::boot::<Mine<CHECKS_EARLY>>,
        )
        .race(
            "unlocked",
            "munmap takes no lock.",
            interleaved::boot::<Mine<UNLOCKED>>,
        )
        .race(
            "used-late",
            "An access uses an area after the lock that kept it was given up.",
            interleaved::boot::<Mine<USED_LATE>>,
        )
}

fn main() -> ExitCode {
    compared().command()
}

#[cfg(test)]
mod tests {
    use super::compared;

    #[test]
    fn late() {
        let text = r#"
# An area is unmapped between the look at it and the store: examples/mine/planted.rs, with the bug used-late.
mmap(0x1f0000, 0x1000, PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)
store(0x1f0000, 1)
[2] munmap(0x1f0000, 0x1000)
switch: 1@access.byte#1 -> 2
"#;
        // `compared` makes what `main` has the command of, for the manager `mine`.
        compared().check(text);
    }
}
