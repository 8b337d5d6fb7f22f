//! The reference: what a 5.1 kernel does to its memory areas, as a specification.
//!
//! One lock, the mmap_sem of all address spaces at once, and one ordered map of areas each. No
//! speculation, no reference counts, no deferred frees: what a call frees is free when it returns.
//! Each rule stands in one place and cites its section of `docs/rules.md`; where the rules leave a
//! point open, "a choice" in a doc comment says what was chosen.
//!
//! | | |
//! |---|---|
//! | `world`, `mm`, `area` | the machine, an address space, an area |
//! | `merge`, `split`, `carve` | one area from two, two from one, and both for a part of one |
//! | `mmap`, `place`, `munmap`, `remap`, `heap`, `fork` | areas come and go |
//! | `protect`, `advise`, `lock`, `uffd` | areas change |
//! | `access`, `fault`, `stack`, `populate` | memory is used |
//! | `page`, `swap`, `anon`, `file`, `policy` | what stands behind it |
//! | `steps`, `sync` | what the kernel does by itself, and what it tells |
//! | `replay` | parts of calls, for a judge of interleaved runs |
//! | `snapshot` | what can be seen of it all |

mod access;
mod advise;
mod anon;
mod area;
mod carve;
mod dispatch;
mod fault;
mod file;
mod fork;
mod heap;
mod lock;
mod merge;
mod mm;
mod mmap;
mod munmap;
mod page;
mod place;
mod policy;
mod populate;
mod protect;
mod remap;
mod replay;
mod snapshot;
mod split;
mod stack;
mod steps;
mod swap;
mod sync;
#[cfg(test)]
mod tests;
mod uffd;
mod world;

use std::sync::Arc;

use parking_lot::RwLock;
use vmadiff_contract::{
    Call, CallKind, Capabilities, Config, EventSink, Fail, Manager, Outcome, Snapshot, TaskId,
};

use crate::world::World;

/// The one-lock manager.
pub struct Reference {
    world: RwLock<World>,
}

impl Manager for Reference {
    fn boot(config: &Config, events: Arc<dyn EventSink>) -> Box<dyn Manager> {
        Box::new(Self::new(config, events))
    }

    fn reset(&mut self, config: &Config) {
        self.world.get_mut().boot(config);
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
        self.run(task, |world, t| {
            world.begin(fail);
            world.dispatch(t, call)
        })
    }

    fn snapshot(&self, into: &mut Snapshot) {
        self.world.read().snapshot(into);
    }

    /// Nothing is ever deferred.
    fn quiesce(&self) {}
}

impl Reference {
    /// Boots as [`Manager::boot`] does.
    pub fn new(config: &Config, events: Arc<dyn EventSink>) -> Self {
        let mut world = World::new(events);
        world.boot(config);
        Self {
            world: RwLock::new(world),
        }
    }

    /// Does something for a task, if it lives.
    fn run(&self, task: TaskId, make: impl FnOnce(&mut World, usize) -> Outcome) -> Outcome {
        let mut world = self.world.write();
        let t = usize::from(task.0).wrapping_sub(1);
        if !world.tasks.get(t).is_some_and(|task| task.alive) {
            return Outcome::NoTask;
        }
        make(&mut world, t)
    }
}
