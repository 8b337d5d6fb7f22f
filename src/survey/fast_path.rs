//! The way of one fault through a design: a first store to a page whose area and page table are
//! there, while nobody else does anything.

use vmadiff_contract::DesignInfo;
use vmadiff_interleave::sim::{Trace, What};
use vmadiff_interleave::{Kind, Site};

use crate::designs::Planted;
use crate::pair::pair;
use crate::program::Case;

/// Two tasks, so that the address space has two users; one page was touched, so that the area has
/// its anon_vma and the range its page table. The switch never comes, but makes it a run with a
/// trace.
const PROGRAM: &str = "\
mmap(0x1f0000, 0x2000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)
store(0x1f0000, 1)
store(0x1f1000, 2)
switch: +60000 -> 2
";

/// The call that is looked at.
const STORE: u32 = 2;

/// The way of a fault.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FastPath {
    /// Accesses to memory that tasks share.
    pub accesses: usize,
    /// Of these, such as lock the bus on x86: read-modify-write, and taking a lock.
    pub locked: usize,
    /// A line for each stretch in one function: what is held, and what is accessed.
    pub lines: Vec<Stretch>,
}

/// A stretch of accesses in one function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stretch {
    /// What is held meanwhile.
    pub held: Vec<&'static str>,
    /// The function.
    pub function: &'static str,
    /// What it accesses, in order.
    pub accesses: Vec<&'static str>,
}

/// The way of a fault through a design.
pub fn fast_path(design: &'static DesignInfo) -> FastPath {
    let program = Case::parse("a fault", PROGRAM).expect("a program").program;
    let ran = pair(&Planted::nothing(design)).observe(&program);
    let trace = ran.woven.map(|woven| woven.trace).unwrap_or_default();
    way(&trace)
}

fn way(trace: &Trace) -> FastPath {
    let steps = trace.steps().iter();
    let steps = steps
        .skip_while(|step| step.what != What::Begin(STORE))
        .take_while(|step| step.what != What::End(STORE));
    let mut path = FastPath::default();
    let mut held = Held::default();
    for step in steps {
        let What::Access { kind, object } = step.what else {
            continue;
        };
        // The processor's own tries before and after.
        let (function, what) = step
            .site
            .name
            .split_once('.')
            .unwrap_or((step.site.name, ""));
        let own = function == "access";
        if !own {
            path.accesses += usize::from(is_shared(kind));
            path.locked += usize::from(is_locked(kind));
        }
        // The end of a section shows by what is held.
        if !own && !is_end(kind) {
            path.add(&held, function, what);
        }
        held.step(kind, object, step.site);
    }
    path
}

impl FastPath {
    fn add(&mut self, held: &Held, function: &'static str, what: &'static str) {
        let held = held.names();
        match self.lines.last_mut() {
            Some(last) if last.function == function && last.held == held => {
                last.accesses.push(what);
            }
            _ => self.lines.push(Stretch {
                held,
                function,
                accesses: vec![what],
            }),
        }
    }
}

/// Whether others see the object that is accessed. Read sections and interrupts are the processor's.
fn is_shared(kind: Kind) -> bool {
    let own = [
        Kind::ReadSection,
        Kind::ReadSectionEnd,
        Kind::IrqOff,
        Kind::IrqOn,
    ];
    !own.contains(&kind)
}

fn is_end(kind: Kind) -> bool {
    let ends = [
        Kind::ReadSectionEnd,
        Kind::IrqOn,
        Kind::Unlock,
        Kind::UnlockShared,
    ];
    ends.contains(&kind)
}

fn is_locked(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Update
            | Kind::Lock
            | Kind::LockShared
            | Kind::TryLock
            | Kind::TryLockShared
            | Kind::UnlockShared
            | Kind::Downgrade
    )
}

/// What is held, in the order in which it was taken.
#[derive(Default)]
struct Held(Vec<(u32, &'static str)>);

/// Numbers that no object of a trace has.
const RCU: u32 = u32::MAX;
const IRQS: u32 = u32::MAX - 1;

impl Held {
    fn step(&mut self, kind: Kind, object: u32, site: Site) {
        match kind {
            Kind::ReadSection => self.0.push((RCU, "RCU")),
            Kind::IrqOff => self.0.push((IRQS, "irqs off")),
            Kind::Lock | Kind::LockShared | Kind::TryLock | Kind::TryLockShared => {
                let (function, name) = site.name.split_once('.').unwrap_or((site.name, site.name));
                // A lock that is tried is got where nobody else does anything.
                let name = match name {
                    "lock" | "trylock" => function,
                    name => name,
                };
                self.0.push((object, name));
            }
            Kind::ReadSectionEnd => self.end(RCU),
            Kind::IrqOn => self.end(IRQS),
            Kind::Unlock | Kind::UnlockShared => self.end(object),
            _ => {}
        }
    }

    fn end(&mut self, object: u32) {
        if let Some(at) = self.0.iter().rposition(|(held, _)| *held == object) {
            self.0.remove(at);
        }
    }

    fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|(_, name)| *name).collect()
    }
}
