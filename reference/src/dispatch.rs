//! From a call to the rule for it.

use vmadiff_contract::{Call, LockFlags, Outcome};

use crate::access::Want;
use crate::mmap::Mapping;
use crate::policy::PolicyWanted;
use crate::remap::Remap;
use crate::world::{Answer, World};

impl World {
    /// Makes a call for task `t`.
    pub fn dispatch(&mut self, t: usize, call: &Call) -> Outcome {
        let m = self.tasks[t].mm;
        outcome(match *call {
            Call::Mmap {
                addr,
                len,
                prot,
                flags,
                fd,
                off,
            } => self.mmap(
                t,
                &Mapping {
                    addr,
                    len,
                    prot,
                    flags,
                    fd,
                    off,
                },
            ),
            Call::Munmap { addr, len } => self.munmap(m, addr, len).map(|()| 0),
            Call::Mremap {
                addr,
                old_len,
                new_len,
                flags,
                new_addr,
            } => self.mremap(
                t,
                &Remap {
                    addr,
                    old_len,
                    new_len,
                    flags,
                    new_addr,
                },
            ),
            Call::Brk { addr } => Ok(self.brk(t, addr)),
            Call::Fork => self.fork(t),
            Call::Exit => Ok(self.exit(t)),
            Call::Mprotect { addr, len, prot } => self.mprotect(t, addr, len, prot),
            Call::Madvise { addr, len, advice } => self.madvise(m, addr, len, advice),
            Call::Mlock { addr, len } => self.mlock(t, addr, len, LockFlags::empty()),
            Call::Mlock2 { addr, len, flags } => self.mlock(t, addr, len, flags),
            Call::Munlock { addr, len } => self.munlock(m, addr, len),
            Call::Mlockall { flags } => self.mlockall(t, flags),
            Call::Munlockall => self.munlockall(m),
            Call::UffdRegister { addr, len } => self.register(m, addr, len, true),
            Call::UffdUnregister { addr, len } => self.register(m, addr, len, false),
            Call::Load { addr } => return self.access(t, addr, Want::Load),
            Call::Store { addr, value } => return self.access(t, addr, Want::Store(value)),
            Call::Exec { addr } => return self.access(t, addr, Want::Exec),
            _ => return self.dispatch_rest(t, call),
        })
    }

    /// Calls on files, policies and single pages, and steps of the kernel.
    fn dispatch_rest(&mut self, t: usize, call: &Call) -> Outcome {
        let m = self.tasks[t].mm;
        outcome(match *call {
            Call::Open { kind, access, size } => self.open(m, kind, access, size),
            Call::Ftruncate { fd, size } => self.ftruncate(m, fd, size),
            Call::Close { fd } => self.close(m, fd),
            Call::Fallocate {
                fd,
                flags,
                off,
                len,
            } => self.fallocate(m, fd, flags, off, len),
            Call::Mbind {
                addr,
                len,
                mode,
                nodes,
                flags,
            } => self.mbind(m, addr, len, &PolicyWanted { mode, nodes, flags }),
            Call::SetMempolicy { mode, nodes, flags } => {
                self.set_mempolicy(t, &PolicyWanted { mode, nodes, flags })
            }
            Call::Msync { addr, len, flags } => self.msync(m, addr, len, flags),
            Call::Mincore { addr, len } => self.mincore(m, addr, len),
            Call::Reclaim { addr } => Ok(self.reclaim(m, addr)),
            Call::Softirq => Ok(0),
            Call::Collapse { addr, len } => Ok(self.collapse(m, addr, len)),
            Call::NumaScan { addr, len } => Ok(self.numa_scan(m, addr, len)),
            _ => return Outcome::Unsupported,
        })
    }
}

fn outcome(answer: Answer) -> Outcome {
    match answer {
        Ok(value) => Outcome::Value(value),
        Err(errno) => Outcome::Errno(errno),
    }
}
