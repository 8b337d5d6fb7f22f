//! Managers that do what none should: they do not come back, or print where the command does. Tests see what is
//! made of them.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use vmadiff::areas::{Areas, Place};
use vmadiff::contract::{
    Call, Capabilities, DesignInfo, EventSink, Fail, Manager, Outcome, Snapshot, TaskId,
};
use vmadiff::designs;
use vmadiff::interleave::RwSem;
use vmadiff::interleaved::{self, Interleaved};
use vmadiff::{CallKind, Compare, Config, Errno, Placement, Prot, View, compare};

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

/// Does what no manager should.
trait Habit: Send + 'static {
    fn boot() {}
    fn map() {}
    fn unmap(_start: u64, _pages: u64) {}
    /// Pages of a range that are unmapped.
    fn unmapped(pages: u64) -> u64 {
        pages
    }
}

/// Pages, by somebody with a habit.
struct Unruly<H>(Pages, PhantomData<H>);

impl<H: Habit> Areas for Unruly<H> {
    const HAS: &'static [CallKind] = &[CallKind::Mmap, CallKind::Munmap];

    fn boot(_: &Config) -> Self {
        H::boot();
        Self(Pages::default(), PhantomData)
    }

    fn map(&mut self, range: Range<u64>, prot: Prot, how: Place) -> Result<u64, Errno> {
        H::map();
        self.0.map(range, prot, how)
    }

    fn unmap(&mut self, range: Range<u64>) -> Result<(), Errno> {
        let pages = (range.end - range.start) / 4096;
        H::unmap(range.start, pages);
        let end = range.start + H::unmapped(pages) * 4096;
        self.0.unmap(&(range.start..end));
        Ok(())
    }

    fn each(&self, visit: impl FnMut(Range<u64>, Prot)) {
        self.0.each(visit);
    }
}

/// To unmap three pages takes for ever.
struct Looping;

impl Habit for Looping {
    fn unmap(_: u64, pages: u64) {
        if pages == 3 {
            loop {
                std::thread::park();
            }
        }
    }
}

/// Each mapping takes a good part of a second.
struct Slow;

impl Habit for Slow {
    fn map() {
        std::thread::sleep(Duration::from_millis(400));
    }
}

/// Says what it does where the command says what came of it.
struct Printing;

impl Habit for Printing {
    fn unmap(_: u64, pages: u64) {
        println!("{pages} pages go");
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

/// To unmap three pages takes more of the stack than there is.
struct Overflowing;

impl Habit for Overflowing {
    fn unmap(_: u64, pages: u64) {
        fn deeper(depth: u64) -> u64 {
            let place = std::hint::black_box([depth; 64]);
            // Not the last thing that is done: it would need no stack.
            match depth {
                u64::MAX => 0,
                _ => deeper(depth + 1) + place[0],
            }
        }
        if pages == 3 {
            std::hint::black_box(deeper(0));
        }
    }
}

/// The last of three or more pages stays. To unmap one page alone takes for ever at some places.
struct Fragile;

impl Habit for Fragile {
    fn unmap(start: u64, pages: u64) {
        while pages == 1 && start.is_multiple_of(0x10000) {
            std::hint::spin_loop();
        }
    }

    fn unmapped(pages: u64) -> u64 {
        if pages < 3 { pages } else { pages - 1 }
    }
}

/// Never comes up.
struct Unbootable;

impl Habit for Unbootable {
    fn boot() {
        panic!("nothing to stand on");
    }
}

/// Takes for ever to come up.
struct Waking;

impl Habit for Waking {
    fn boot() {
        loop {
            std::thread::park();
        }
    }
}

/// A design of this project, compared whole, with a habit.
struct Whole<H>(Box<dyn Manager>, PhantomData<fn(H)>);

impl<H: Habit> Whole<H> {
    /// What it is else: the smallest of the designs.
    fn design() -> &'static DesignInfo {
        let mut designs = designs::DESIGNS.iter();
        let design = designs.find(|design| design.name == "classic");
        design.expect("it is there")
    }

    fn boot(config: &Config, events: Arc<dyn EventSink>, _: &[&str]) -> Box<dyn Manager> {
        H::boot();
        let design = (Self::design().boot)(config, events, &[]);
        Box::new(Self(design, PhantomData))
    }
}

impl<H: Habit> Manager for Whole<H> {
    fn boot(config: &Config, events: Arc<dyn EventSink>) -> Box<dyn Manager> {
        Self::boot(config, events, &[])
    }

    fn reset(&mut self, config: &Config) {
        self.0.reset(config);
    }

    fn name(&self) -> &'static str {
        "whole"
    }

    fn supports(&self) -> Capabilities {
        self.0.supports()
    }

    fn call(&self, task: TaskId, call: &Call, fail: Fail) -> Outcome {
        match *call {
            Call::Mmap { .. } => H::map(),
            Call::Munmap { addr, len } => H::unmap(addr, len / 4096),
            _ => {}
        }
        self.0.call(task, call, fail)
    }

    fn snapshot(&self, into: &mut Snapshot) {
        self.0.snapshot(into);
    }

    fn quiesce(&self) {
        self.0.quiesce();
    }
}

/// A manager that is compared whole, with a habit, by name.
fn whole<H: Habit>(name: &'static str) -> Compare {
    Compare::of(DesignInfo {
        name,
        boot: Whole::<H>::boot,
        ..*Whole::<H>::design()
    })
}

/// A manager with a habit, by name.
fn unruly<H: Habit>(name: &'static str) -> Compare {
    compare::<Unruly<H>>(name)
        .view(View::areas().joined())
        .placement(Placement::FollowReference)
}

fn main() -> ExitCode {
    vmadiff::commands([
        unruly::<Looping>("looping"),
        interleaved::compare::<Waiting>("waiting").view(View::areas().joined()),
        unruly::<Slow>("slow"),
        unruly::<Printing>("printing"),
        unruly::<Overflowing>("overflowing"),
        unruly::<Fragile>("fragile"),
        unruly::<Unbootable>("unbootable"),
        unruly::<Waking>("waking"),
        whole::<Looping>("whole-looping"),
        whole::<Overflowing>("whole-overflowing"),
        whole::<Unbootable>("whole-unbootable"),
        whole::<Waking>("whole-waking"),
    ])
}
