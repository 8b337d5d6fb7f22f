//! From a call to its list of steps.

use vmadiff_contract::{Call, LockFlags, Outcome};

use crate::access::{Access, Want};
use crate::advise::Madvise;
use crate::collapse::Collapse;
use crate::evict::Evict;
use crate::exit::Exit;
use crate::file::FileCall;
use crate::fork::Fork;
use crate::heap::Brk;
use crate::job::List;
use crate::limits::SetRlimit;
use crate::lock::{Mlock, Mlockall};
use crate::mmap::{Mapping, Mmap};
use crate::munmap::Munmap;
use crate::numa::NumaScan;
use crate::policy::{Mbind, PolicyWanted, SetMempolicy};
use crate::protect::Mprotect;
use crate::query::GetMempolicy;
use crate::remap::{Mremap, Remap};
use crate::swap::Reclaim;
use crate::sync::Ask;
use crate::uffd::Register;
use crate::world::{Answer, World};

/// Who begins a call: takes its list, or what it answers without one, by its arguments alone.
pub(crate) trait Begin: Sized {
    type Begun;

    fn list<L: List>(self, world: &mut World, list: L) -> Self::Begun;

    fn nothing(self, outcome: Outcome) -> Self::Begun;

    /// A list, if its arguments are right.
    fn checked<L: List>(self, world: &mut World, list: Answer<L>) -> Self::Begun {
        match list {
            Ok(list) => self.list(world, list),
            Err(errno) => self.nothing(Outcome::Errno(errno)),
        }
    }

    /// A list, unless its arguments are wrong or leave nothing to do.
    fn unless_empty<L: List>(self, world: &mut World, list: Answer<Option<L>>) -> Self::Begun {
        match list {
            Ok(Some(list)) => self.list(world, list),
            Ok(None) => self.nothing(Outcome::Value(0)),
            Err(errno) => self.nothing(Outcome::Errno(errno)),
        }
    }
}

/// Takes all steps at once, and answers the outcome.
pub(crate) struct AtOnce;

impl Begin for AtOnce {
    type Begun = Outcome;

    fn list<L: List>(self, world: &mut World, list: L) -> Outcome {
        world.finish(list);
        world.returned
    }

    fn nothing(self, outcome: Outcome) -> Outcome {
        outcome
    }
}

impl World {
    /// The list of a call of task `t`.
    #[inline]
    pub fn list<B: Begin>(&mut self, t: usize, call: &Call, to: B) -> B::Begun {
        let m = self.tasks[t].mm;
        match *call {
            Call::Load { addr } => to.list(self, Access::new(m, addr, Want::Load)),
            Call::Store { addr, value } => to.list(self, Access::new(m, addr, Want::Store(value))),
            Call::Exec { addr } => to.list(self, Access::new(m, addr, Want::Exec)),
            Call::Mmap {
                addr,
                len,
                prot,
                flags,
                fd,
                off,
            } => {
                let ask = Mapping {
                    addr,
                    len,
                    prot,
                    flags,
                    fd,
                    off,
                };
                to.checked(self, Mmap::new(m, ask))
            }
            Call::Mremap {
                addr,
                old_len,
                new_len,
                flags,
                new_addr,
            } => {
                let ask = Remap {
                    addr,
                    old_len,
                    new_len,
                    flags,
                    new_addr,
                };
                to.checked(self, Mremap::new(m, &ask))
            }
            Call::Munmap { addr, len } => {
                let list = Munmap::call(self, m, addr, len);
                to.checked(self, list)
            }
            Call::Brk { addr } => to.list(self, Brk::new(m, addr)),
            Call::Fork => to.list(self, Fork::new(m)),
            Call::Exit => to.list(self, Exit::new(m, t)),
            Call::Mprotect { addr, len, prot } => {
                let list = Mprotect::new(m, addr, len, prot);
                to.unless_empty(self, list)
            }
            Call::Madvise { addr, len, advice } => {
                let list = Madvise::new(m, addr, len, advice);
                to.unless_empty(self, list)
            }
            Call::Mlock { addr, len } => {
                let list = Mlock::lock(m, addr, len, LockFlags::empty());
                to.checked(self, list)
            }
            Call::Mlock2 { addr, len, flags } => {
                let list = Mlock::lock(m, addr, len, flags);
                to.checked(self, list)
            }
            Call::Munlock { addr, len } => to.list(self, Mlock::unlock(m, addr, len)),
            Call::Mlockall { flags } => {
                let list = Mlockall::lock(m, flags);
                to.checked(self, list)
            }
            Call::Munlockall => to.list(self, Mlockall::unlock(m)),
            Call::UffdRegister { addr, len } => {
                let list = Register::new(self, m, addr, len, true);
                to.checked(self, list)
            }
            Call::UffdUnregister { addr, len } => {
                let list = Register::new(self, m, addr, len, false);
                to.checked(self, list)
            }
            Call::Open { kind, access, size } => {
                let list = FileCall::open(m, kind, access, size);
                to.checked(self, list)
            }
            Call::Ftruncate { fd, size } => {
                let list = FileCall::ftruncate(m, fd, size);
                to.checked(self, list)
            }
            Call::Close { fd } => to.list(self, FileCall::close(m, fd)),
            Call::Fallocate {
                fd,
                flags,
                off,
                len,
            } => to.list(self, FileCall::fallocate(m, fd, flags, off, len)),
            Call::Mbind {
                addr,
                len,
                mode,
                nodes,
                flags,
            } => {
                let list = Mbind::new(m, addr, len, PolicyWanted { mode, nodes, flags });
                to.unless_empty(self, list)
            }
            Call::SetMempolicy { mode, nodes, flags } => {
                to.checked(self, SetMempolicy::new(PolicyWanted { mode, nodes, flags }))
            }
            Call::Msync { addr, len, flags } => {
                let list = Ask::msync(m, addr, len, flags);
                to.checked(self, list)
            }
            Call::Mincore { addr, len } => {
                let list = Ask::mincore(self, m, addr, len);
                to.checked(self, list)
            }
            Call::Reclaim { addr } => to.list(self, Reclaim::new(m, addr)),
            Call::Softirq => to.nothing(Outcome::Value(0)),
            Call::Collapse { addr, len } => to.list(self, Collapse::new(m, addr, len)),
            Call::NumaScan { addr, len } => to.list(self, NumaScan::new(m, addr, len)),
            Call::SetRlimit {
                resource,
                soft,
                hard,
            } => to.checked(self, SetRlimit::new(m, resource, soft, hard)),
            Call::GetMempolicy { addr, flags } => {
                to.checked(self, GetMempolicy::new(m, addr, flags))
            }
            Call::Evict { addr } => to.list(self, Evict::new(m, addr)),
        }
    }
}
