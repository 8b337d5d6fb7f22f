//! Managers that do not come back: of one a call loops, another waits for itself; and one that is slow, whose calls
//! all do. Tests see what is made of them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Duration;

use vmadiff::areas::{Areas, Place};
use vmadiff::interleave::RwSem;
use vmadiff::interleaved::{self, Interleaved};
use vmadiff::{CallKind, Config, Errno, Placement, Prot, View, compare};

vmadiff::interleave::sites! {
    WRITE = "write.lock";
}

/// Pages, one by one.
#[derive(Default)]
struct Pages(BTreeMap<u64, Prot>);

impl Pages {
    fn map(&mut self, range: Range<u64>, prot: Prot, how: Place) -> Result<u64, Errno> {
        if how == Place::IfFree && self.0.range(range.clone()).next().is_some() {
            return Err(Errno::EEXIST);
        }
        let start = range.start;
        self.0.extend(range.step_by(4096).map(|page| (page, prot)));
        Ok(start)
    }

    fn unmap(&mut self, range: &Range<u64>) {
        self.0.retain(|page, _| !range.contains(page));
    }

    fn each(&self, mut visit: impl FnMut(Range<u64>, Prot)) {
        for (page, prot) in &self.0 {
            visit(*page..*page + 4096, *prot);
        }
    }
}

/// To unmap three pages takes for ever.
struct Looping(Pages);

impl Areas for Looping {
    const HAS: &'static [CallKind] = &[CallKind::Mmap, CallKind::Munmap];

    fn boot(_: &Config) -> Self {
        Self(Pages::default())
    }

    fn map(&mut self, range: Range<u64>, prot: Prot, how: Place) -> Result<u64, Errno> {
        self.0.map(range, prot, how)
    }

    fn unmap(&mut self, range: Range<u64>) -> Result<(), Errno> {
        if range.end - range.start == 0x3000 {
            loop {
                std::thread::park();
            }
        }
        self.0.unmap(&range);
        Ok(())
    }

    fn each(&self, visit: impl FnMut(Range<u64>, Prot)) {
        self.0.each(visit);
    }
}

/// Each mapping takes a good part of a second.
struct Slow(Pages);

impl Areas for Slow {
    const HAS: &'static [CallKind] = &[CallKind::Mmap, CallKind::Munmap];

    fn boot(_: &Config) -> Self {
        Self(Pages::default())
    }

    fn map(&mut self, range: Range<u64>, prot: Prot, how: Place) -> Result<u64, Errno> {
        std::thread::sleep(Duration::from_millis(400));
        self.0.map(range, prot, how)
    }

    fn unmap(&mut self, range: Range<u64>) -> Result<(), Errno> {
        self.0.unmap(&range);
        Ok(())
    }

    fn each(&self, visit: impl FnMut(Range<u64>, Prot)) {
        self.0.each(visit);
    }
}

/// A lock of the standard library is held across a place where another task may run, and it waits for that.
struct Waiting {
    lock: RwSem,
    pages: Mutex<Pages>,
}

impl Interleaved for Waiting {
    const SITES: &'static [&'static [&'static str]] = &[NAMES];
    const HAS: &'static [CallKind] = &[CallKind::Mmap, CallKind::Munmap];

    fn boot(_: &Config) -> Self {
        Self {
            lock: RwSem::new(),
            pages: Mutex::default(),
        }
    }

    fn map(&self, range: Range<u64>, prot: Prot, how: Place) -> Result<u64, Errno> {
        let _held = self.lock.write(WRITE);
        let mut pages = self.pages.lock().expect("nobody panicked");
        match how {
            Place::Anywhere => {
                let size = range.end - range.start;
                let free = |at: &u64| pages.0.range(*at..*at + size).next().is_none();
                let start = (1..).map(|n| n << 16).find(free).expect("room");
                pages.map(start..start + size, prot, how)
            }
            Place::IfFree | Place::Over => pages.map(range, prot, how),
        }
    }

    fn unmap(&self, range: Range<u64>) -> Result<(), Errno> {
        let mut pages = self.pages.lock().expect("nobody panicked");
        let _held = self.lock.write(WRITE);
        pages.unmap(&range);
        Ok(())
    }

    fn each(&self, visit: impl FnMut(Range<u64>, Prot)) {
        self.pages.lock().expect("nobody panicked").each(visit);
    }
}

fn main() -> ExitCode {
    let view = View::areas().joined();
    vmadiff::commands([
        compare::<Looping>("looping")
            .view(view)
            .placement(Placement::FollowReference),
        interleaved::compare::<Waiting>("waiting").view(view),
        compare::<Slow>("slow")
            .view(view)
            .placement(Placement::FollowReference),
    ])
}
