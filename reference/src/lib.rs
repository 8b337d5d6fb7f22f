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
//! | `snapshot` | what can be seen of it all |

mod access;
mod advise;
mod anon;
mod area;
mod carve;
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
    Call, CallKind, Capabilities, Config, EventSink, Fail, LockFlags, Manager, Outcome, Snapshot,
    TaskId,
};

use crate::access::Want;
use crate::mmap::Mapping;
use crate::policy::PolicyWanted;
use crate::remap::Remap;
use crate::world::{Answer, World};

/// The one-lock manager.
pub struct Reference {
    world: RwLock<World>,
}

impl Manager for Reference {
    fn new(config: &Config, events: Arc<dyn EventSink>) -> Self {
        let mut world = World::new(events);
        world.boot(config);
        Self {
            world: RwLock::new(world),
        }
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
        let mut world = self.world.write();
        let t = usize::from(task.0).wrapping_sub(1);
        if !world.tasks.get(t).is_some_and(|task| task.alive) {
            return Outcome::NoTask;
        }
        world.begin(fail);
        world.dispatch(t, call)
    }

    fn snapshot(&self, into: &mut Snapshot) {
        self.world.read().snapshot(into);
    }

    /// Nothing is ever deferred.
    fn quiesce(&self) {}
}

impl World {
    /// Makes a call for task `t`.
    fn dispatch(&mut self, t: usize, call: &Call) -> Outcome {
        let m = self.tasks[t].mm;
        match *call {
            Call::Mmap {
                addr,
                len,
                prot,
                flags,
                fd,
                off,
            } => outcome(self.mmap(
                t,
                &Mapping {
                    addr,
                    len,
                    prot,
                    flags,
                    fd,
                    off,
                },
            )),
            Call::Munmap { addr, len } => outcome(self.munmap(m, addr, len).map(|()| 0)),
            Call::Mprotect { addr, len, prot } => outcome(self.mprotect(t, addr, len, prot)),
            Call::Madvise { addr, len, advice } => outcome(self.madvise(m, addr, len, advice)),
            Call::Brk { addr } => Outcome::Value(self.brk(t, addr)),
            Call::Fork => outcome(self.fork(t)),
            Call::Exit => {
                self.exit(t);
                Outcome::Value(0)
            }
            Call::Load { addr } => self.access(t, addr, Want::Load),
            Call::Store { addr, value } => self.access(t, addr, Want::Store(value)),
            Call::Exec { addr } => self.access(t, addr, Want::Exec),
            Call::Open { kind, access, size } => outcome(self.open(m, kind, access, size)),
            Call::Ftruncate { fd, size } => outcome(self.ftruncate(m, fd, size)),
            Call::Close { fd } => outcome(self.close(m, fd)),
            Call::Reclaim { addr } => Outcome::Value(self.reclaim(m, addr)),
            Call::Softirq => Outcome::Value(0),
            Call::Mremap {
                addr,
                old_len,
                new_len,
                flags,
                new_addr,
            } => outcome(self.mremap(
                t,
                &Remap {
                    addr,
                    old_len,
                    new_len,
                    flags,
                    new_addr,
                },
            )),
            Call::Mlock { addr, len } => outcome(self.mlock(t, addr, len, LockFlags::empty())),
            Call::Mlock2 { addr, len, flags } => outcome(self.mlock(t, addr, len, flags)),
            Call::Munlock { addr, len } => outcome(self.munlock(m, addr, len)),
            Call::Mlockall { flags } => outcome(self.mlockall(t, flags)),
            Call::Munlockall => outcome(self.munlockall(m)),
            Call::Msync { addr, len, flags } => outcome(self.msync(m, addr, len, flags)),
            Call::Mincore { addr, len } => outcome(self.mincore(m, addr, len)),
            Call::Mbind {
                addr,
                len,
                mode,
                nodes,
                flags,
            } => outcome(self.mbind(m, addr, len, &PolicyWanted { mode, nodes, flags })),
            Call::SetMempolicy { mode, nodes, flags } => {
                outcome(self.set_mempolicy(t, &PolicyWanted { mode, nodes, flags }))
            }
            Call::Fallocate {
                fd,
                flags,
                off,
                len,
            } => outcome(self.fallocate(m, fd, flags, off, len)),
            Call::UffdRegister { addr, len } => outcome(self.register(m, addr, len, true)),
            Call::UffdUnregister { addr, len } => outcome(self.register(m, addr, len, false)),
            Call::Collapse { addr, len } => Outcome::Value(self.collapse(m, addr, len)),
            Call::NumaScan { addr, len } => {
                self.numa_scan(m, addr, len);
                Outcome::Value(0)
            }
        }
    }
}

fn outcome(answer: Answer) -> Outcome {
    match answer {
        Ok(value) => Outcome::Value(value),
        Err(errno) => Outcome::Errno(errno),
    }
}
