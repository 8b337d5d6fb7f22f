//! The reference: what a 5.1 kernel does to its memory areas, as a specification.
//!
//! One lock, the mmap_sem of all address spaces at once, and one ordered map of areas each. No
//! speculation, no reference counts, no deferred frees: what a call frees is free when it returns.
//! Each rule stands in one place and cites its section of `docs/rules.md`; where the rules leave a
//! point open, "a choice" in a doc comment says what was chosen.
//!
//! | | |
//! |---|---|
//! | `world`, `mm`, `area`, `ordered` | the machine, an address space, an area, areas in order |
//! | `merge`, `split`, `carve` | one area from two, two from one, and both for a part of one |
//! | `mmap`, `place`, `munmap`, `remap`, `heap`, `fork`, `exit` | areas come and go |
//! | `protect`, `advise`, `lock`, `uffd` | areas change |
//! | `access`, `fault`, `stack`, `populate` | memory is used |
//! | `page`, `zap`, `anon`, `file`, `policy`, `query`, `limits` | what stands behind it |
//! | `swap`, `evict`, `collapse`, `numa`, `sync` | what the kernel does by itself, and what it tells |
//! | `job`, `dispatch`, `drive` | lists of steps: what they are, which a call has, and driving them |
//! | `guard`, `tlb` | what keeps steps of calls apart while they are driven |
//! | `snapshot`, `watched` | what can be seen of it all, and what of it may have changed |
//!
//! A call is a list of steps, each atomic in Linux: `docs/steps.md` shows the lists, which are the
//! tables `ROWS` in the modules. [`Manager::call`] takes all steps of one; [`Stepped`] takes one at
//! a time, of any pending call.
//!
//! [`Stepped`]: vmadiff_contract::Stepped

mod access;
mod advise;
mod anon;
mod area;
mod carve;
mod collapse;
mod dispatch;
mod drive;
mod evict;
mod exit;
mod fault;
mod file;
mod fork;
mod guard;
mod heap;
mod job;
mod kept;
mod limits;
mod lock;
mod merge;
mod mm;
mod mmap;
mod munmap;
mod numa;
mod ordered;
mod page;
mod place;
mod policy;
mod populate;
mod protect;
mod query;
mod remap;
mod snapshot;
mod split;
mod stack;
mod swap;
mod sync;
#[cfg(test)]
mod tests;
mod tlb;
mod uffd;
mod watched;
mod world;
mod zap;

use std::sync::Arc;

use parking_lot::RwLock;
use vmadiff_contract::{
    Call, CallKind, Capabilities, Config, EventSink, Fail, Manager, Moves, Outcome, Parts,
    Snapshot, TaskId,
};

use crate::drive::Machine;

/// The one-lock manager.
pub struct Reference {
    machine: RwLock<Machine>,
}

impl Manager for Reference {
    fn boot(config: &Config, events: Arc<dyn EventSink>) -> Box<dyn Manager> {
        Box::new(Self::new(config, events))
    }

    fn reset(&mut self, config: &Config) {
        self.machine.get_mut().boot(config, false);
    }

    fn name(&self) -> &'static str {
        "one-lock"
    }

    fn supports(&self) -> Capabilities {
        Capabilities::of(CallKind::ALL)
    }

    fn call(&self, task: TaskId, call: &Call, fail: Fail) -> Outcome {
        if task == TaskId(0) && *call == Call::Softirq {
            return Outcome::Value(0); // the kernel's own step, by the kernel (section 30)
        }
        self.run(task, |machine, t| machine.call(t, call, fail))
    }

    fn snapshot(&self, into: &mut Snapshot) {
        self.machine.read().world.snapshot(into);
    }

    fn moves(&self) -> Option<Moves> {
        Some(self.machine.read().world.moves())
    }

    fn look_again(&self, parts: Parts, into: &mut Snapshot) {
        self.machine.read().world.look_again(parts, into);
    }

    /// Nothing is ever deferred.
    fn quiesce(&self) {}
}

impl Reference {
    /// Boots as [`Manager::boot`] does.
    pub fn new(config: &Config, events: Arc<dyn EventSink>) -> Self {
        let mut machine = Machine::new(events);
        machine.boot(config, false);
        Self {
            machine: RwLock::new(machine),
        }
    }

    /// Does something for a task, if it lives.
    fn run(&self, task: TaskId, make: impl FnOnce(&mut Machine, usize) -> Outcome) -> Outcome {
        let mut machine = self.machine.write();
        match machine.world.living(task) {
            Some(t) => make(&mut machine, t),
            None => Outcome::NoTask,
        }
    }
}
