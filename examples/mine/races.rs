//! Two tasks in the map of ranges: the third step of `docs/your-manager.md`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::Mutex;

use vmadiff::areas::Place;
use vmadiff::interleave::RwSem;
use vmadiff::interleaved::{self, Interleaved};
use vmadiff::{Config, Errno, Prot, View};

vmadiff::interleave::sites! {
    MAP = "map.lock";
    UNMAP = "unmap.lock";
    LOOK = "protect.look";
    CHANGE = "protect.change";
}

/// Areas by their start, each with its end.
type All = BTreeMap<u64, (u64, Prot)>;

struct Mine {
    lock: RwSem,
    /// Never held across a place where another task may run.
    areas: Mutex<All>,
}

fn cut(areas: &mut All, range: &Range<u64>) {
    for at in [range.start, range.end] {
        if let Some((_, (end, prot))) = areas.range_mut(..at).next_back()
            && at < *end
        {
            let upper = (*end, *prot);
            *end = at;
            areas.insert(at, upper);
        }
    }
}

impl Interleaved for Mine {
    const SITES: &'static [&'static [&'static str]] = &[NAMES];

    fn boot(_: &Config) -> Self {
        Self {
            lock: RwSem::new(),
            areas: Mutex::default(),
        }
    }

    fn map(&self, range: Range<u64>, prot: Prot, how: Place) -> Result<u64, Errno> {
        let _held = self.lock.write(MAP);
        let mut areas = self.areas.lock().expect("nobody panicked");
        let size = range.end - range.start;
        let taken = |at: u64| areas.range(..at + size).any(|(_, (end, _))| at < *end);
        let start = match how {
            Place::IfFree if taken(range.start) => return Err(Errno::EEXIST),
            Place::Anywhere => (1..).map(|n| n << 16).find(|at| !taken(*at)).expect("room"),
            Place::IfFree | Place::Over => range.start,
        };
        let range = start..start + size;
        cut(&mut areas, &range);
        areas.retain(|start, _| !range.contains(start));
        areas.insert(start, (range.end, prot));
        Ok(start)
    }

    fn unmap(&self, range: Range<u64>) -> Result<(), Errno> {
        let _held = self.lock.write(UNMAP);
        let mut areas = self.areas.lock().expect("nobody panicked");
        cut(&mut areas, &range);
        areas.retain(|start, _| !range.contains(start));
        Ok(())
    }

    fn protect(&self, range: Range<u64>, prot: Prot) -> Result<(), Errno> {
        // Looks with the lock held for reading, so that others may look too.
        let (changed, whole) = {
            let _held = self.lock.read(LOOK);
            let mut areas = self.areas.lock().expect("nobody panicked").clone();
            cut(&mut areas, &range);
            let mut at = range.start;
            let mut changed = All::new();
            for (start, (end, _)) in areas
                .range(range.clone())
                .filter(|(_, (end, _))| *end <= range.end)
            {
                if *start != at {
                    break;
                }
                changed.insert(*start, (*end, prot));
                at = *end;
            }
            (changed, at == range.end)
        };
        let _held = self.lock.write(CHANGE);
        let mut areas = self.areas.lock().expect("nobody panicked");
        for (start, area) in changed {
            cut(&mut areas, &(start..area.0));
            areas.retain(|other, _| !(start..area.0).contains(other));
            areas.insert(start, area);
        }
        if whole { Ok(()) } else { Err(Errno::ENOMEM) }
    }

    fn each(&self, mut visit: impl FnMut(Range<u64>, Prot)) {
        let areas = self.areas.lock().expect("nobody panicked");
        areas
            .iter()
            .for_each(|(start, (end, prot))| visit(*start..*end, *prot));
    }
}

fn main() -> ExitCode {
    interleaved::compare::<Mine>("mine")
        .view(View::areas().joined())
        .command()
}
