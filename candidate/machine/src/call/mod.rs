//! A file for each system call or step of the kernel, the access and its fault; and which function
//! makes which call.

pub mod access;
pub mod brk;
pub mod evict;
pub mod exit;
pub mod fault;
pub mod fork;
pub mod get_mempolicy;
pub mod hugetlb;
pub mod khugepaged;
pub mod madvise;
pub mod mempolicy;
pub mod mincore;
pub mod mlock;
pub mod mmap;
pub mod mmap_region;
pub mod move_vma;
pub mod movetables;
pub mod mprotect;
pub mod mremap;
pub mod msync;
pub mod munmap;
pub mod numa;
pub mod open;
pub mod reclaim;
pub mod setrlimit;
pub mod truncate;
pub mod userfaultfd;

use vmadiff_contract::{Call, Errno, Outcome};

use crate::call::mempolicy::Asked;
use crate::call::mmap::MapRequest;
use crate::call::mremap::Remap;
use crate::core::current::Current;
use crate::core::rlimit::Rlimit;
use crate::design::Design;
use crate::page::pte::Need;

impl<D: Design> Current<'_, D> {
    /// Makes a call.
    pub fn call(&self, call: &Call) -> Outcome {
        let answer = match *call {
            Call::Mmap {
                addr,
                len,
                prot,
                flags,
                fd,
                off,
            } => self.sys_mmap(MapRequest {
                addr,
                len,
                prot,
                flags,
                fd,
                off,
            }),
            Call::Munmap { addr, len } => self.sys_munmap(addr, len),
            Call::Mprotect { addr, len, prot } => self.sys_mprotect(addr, len, prot),
            Call::Madvise { addr, len, advice } => self.sys_madvise(addr, len, advice),
            Call::Brk { addr } => Ok(self.sys_brk(addr)),
            Call::Fork => self.sys_fork(),
            Call::Exit => {
                self.sys_exit();
                Ok(0)
            }
            Call::Load { addr } => return self.access(addr, Need::Read, 0),
            Call::Store { addr, value } => return self.access(addr, Need::Write, value),
            Call::Exec { addr } => return self.access(addr, Need::Exec, 0),
            Call::Open { kind, access, size } => self.sys_open(kind, access, size),
            Call::Ftruncate { fd, size } => self.sys_ftruncate(fd, size),
            Call::Close { fd } => self.sys_close(fd),
            Call::Reclaim { addr } => Ok(self.step_reclaim(addr)),
            Call::Fallocate {
                fd,
                flags,
                off,
                len,
            } => self.sys_fallocate(fd, flags, off, len),
            Call::Mlock { addr, len } => self.sys_mlock(addr, len),
            Call::Mlock2 { addr, len, flags } => self.sys_mlock2(addr, len, flags),
            Call::Munlock { addr, len } => self.sys_munlock(addr, len),
            Call::Mlockall { flags } => self.sys_mlockall(flags),
            Call::Munlockall => self.sys_munlockall(),
            Call::Msync { addr, len, flags } => self.sys_msync(addr, len, flags),
            Call::Mincore { addr, len } => self.sys_mincore(addr, len),
            Call::Mremap {
                addr,
                old_len,
                new_len,
                flags,
                new_addr,
            } => self.sys_mremap(Remap {
                addr,
                old_len,
                new_len,
                flags,
                new_addr,
            }),
            Call::Mbind {
                addr,
                len,
                mode,
                nodes,
                flags,
            } => self.sys_mbind(addr, len, Asked { mode, nodes, flags }),
            Call::SetMempolicy { mode, nodes, flags } => {
                self.sys_set_mempolicy(Asked { mode, nodes, flags })
            }
            Call::UffdRegister { addr, len } => self.sys_uffd_register(addr, len),
            Call::UffdUnregister { addr, len } => self.sys_uffd_unregister(addr, len),
            Call::Collapse { addr, len } => Ok(self.step_collapse(addr, len)),
            Call::NumaScan { addr, len } => Ok(self.step_numa_scan(addr, len)),
            Call::SetRlimit {
                resource,
                soft,
                hard,
            } => self.sys_setrlimit(resource, Rlimit { soft, hard }),
            Call::GetMempolicy { addr, flags } => self.sys_get_mempolicy(addr, flags),
            Call::Evict { addr } => Ok(self.step_evict(addr)),
            // Made by no task in particular, before one is looked up.
            Call::Softirq => return Outcome::Unsupported,
        };
        outcome(answer)
    }
}

fn outcome(answer: Result<u64, Errno>) -> Outcome {
    match answer {
        Ok(value) => Outcome::Value(value),
        Err(errno) => Outcome::Errno(errno),
    }
}
