//! Which programs can be run on the machine at hand, and why the others can not.
//!
//! What does not fit is either not Linux's to do (a step of the kernel itself, a failing
//! allocation), or asks for a machine with other settings, or would leave the part of the address
//! space that stands for the program's world ([`Zones`]).

mod arguments;
mod end;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod room;

use std::fmt;

use vmadiff_contract::{
    Access, Advice, Call, CallKind, Config, Fail, FileKind, MapFlags, Mode, PolicyFlags,
    QueryFlags, Resource,
};

use crate::OWN_AREAS;
use crate::machine::Machine;
use crate::zone::Zones;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub use room::leaves_room;

/// The calls that can be made on a running kernel.
pub const CALLS: &[CallKind] = &[
    CallKind::Mmap,
    CallKind::Munmap,
    CallKind::Mprotect,
    CallKind::Madvise,
    CallKind::Brk,
    CallKind::Fork,
    CallKind::Exit,
    CallKind::Load,
    CallKind::Store,
    CallKind::Exec,
    CallKind::Open,
    CallKind::Ftruncate,
    CallKind::Close,
    CallKind::Softirq,
    CallKind::Mremap,
    CallKind::Mlock,
    CallKind::Mlock2,
    CallKind::Munlock,
    CallKind::Mlockall,
    CallKind::Munlockall,
    CallKind::Msync,
    CallKind::Mincore,
    CallKind::Mbind,
    CallKind::SetMempolicy,
    CallKind::Fallocate,
    CallKind::SetRlimit,
    CallKind::GetMempolicy,
];

/// Why something can not be run, in a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit(pub String);

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Bytes that one call may bring into memory: a test must not exhaust the machine.
const MOST_POPULATED: u64 = 16 << 20;
/// The largest file of the contract.
const MOST_IN_FILE: u64 = 1 << 40;
/// Pages that mincore may be asked about.
const MOST_ASKED: u64 = 4096;

fn unfit<T>(why: impl Into<String>) -> Result<T, Unfit> {
    Err(Unfit(why.into()))
}

fn only(condition: bool, why: &str) -> Result<(), Unfit> {
    if condition { Ok(()) } else { unfit(why) }
}

/// Whether the machine is, or can be made, what a configuration says.
///
/// # Errors
/// Which setting can not be had.
pub fn fits_config(config: &Config, machine: &Machine) -> Result<Zones, Unfit> {
    let zones = Zones::new(config, machine).map_err(Unfit)?;
    only(
        !config.legacy_layout,
        "legacy_layout: this process has the other layout",
    )?;
    only(
        config.stack_guard_gap == machine.stack_guard_gap,
        &format!(
            "stack_guard_gap={}: is set when the kernel boots, here to {}",
            config.stack_guard_gap, machine.stack_guard_gap
        ),
    )?;
    only(
        config.commit_limit == u64::MAX,
        "commit_limit: belongs to the whole machine",
    )?;
    only(!machine.strict_overcommit, "vm.overcommit_memory is 2 here")?;
    only(
        config.nodes == machine.nodes,
        &format!("nodes={}: here are {}", config.nodes, machine.nodes),
    )?;
    ballast(config, machine)?;
    only(
        config.rlimit_memlock <= machine.most_locked || machine.most_locked >= 8 << 20,
        "rlimit_memlock: above the hard limit",
    )?;
    only(
        !config.cap_ipc_lock || machine.cap_ipc_lock,
        "cap_ipc_lock: this process has no CAP_IPC_LOCK to give",
    )?;
    Ok(zones)
}

/// How many areas fill the map of an agent, so that a program meets its own limit: none if it can
/// not make so many areas anyway.
///
/// # Errors
/// If that is not to be done.
pub fn ballast(config: &Config, machine: &Machine) -> Result<u64, Unfit> {
    /// No program makes so many areas.
    const OUT_OF_REACH: u64 = 4096;
    /// More would make every fork slow.
    const MOST: u64 = 1 << 16;
    let most = u64::from(config.max_map_count);
    only(
        most.min(OUT_OF_REACH) + OWN_AREAS <= machine.max_map_count,
        "max_map_count: above the machine's",
    )?;
    if most >= OUT_OF_REACH {
        return Ok(0);
    }
    let ballast = machine.max_map_count - most - OWN_AREAS;
    only(ballast <= MOST, "max_map_count: far below the machine's")?;
    Ok(ballast)
}

/// Checks the calls of a program, one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Fitting<'a> {
    config: &'a Config,
    machine: &'a Machine,
    zones: &'a Zones,
    /// There may be areas that grow towards lower addresses.
    stacks: bool,
    /// A task has set a policy of its own: the runner's tasks of one process are one.
    own_policies: bool,
    /// MPOL_LOCAL was set, which is told as a mode of its own since 5.14 (by its history).
    local: bool,
}

impl<'a> Fitting<'a> {
    /// For a configuration that fits, and its zones.
    pub fn new(config: &'a Config, machine: &'a Machine, zones: &'a Zones) -> Self {
        Self {
            config,
            machine,
            zones,
            stacks: false,
            own_policies: false,
            local: false,
        }
    }

    /// Whether a program's next call can be made. What does not fit is not part of the program.
    ///
    /// # Errors
    /// Why not.
    pub fn call(&mut self, call: &Call, fail: Fail) -> Result<(), Unfit> {
        only(fail == Fail::NONE, "allocations can not be made to fail")?;
        self.stays_below_the_end(call)?;
        fits(self, call)?;
        match call {
            Call::Mmap { flags, .. } => self.stacks |= flags.contains(MapFlags::GROWSDOWN),
            Call::SetMempolicy { mode, nodes, .. } => {
                self.own_policies |= self.config.tasks > 1;
                self.local |= is_local(*mode, *nodes);
            }
            Call::Mbind { mode, nodes, .. } => self.local |= is_local(*mode, *nodes),
            _ => {}
        }
        Ok(())
    }
}

/// Whether a policy is MPOL_LOCAL; without nodes MPOL_PREFERRED is, since 5.14 by that name (mpol_new).
fn is_local(mode: Mode, nodes: u64) -> bool {
    mode == Mode::Local || (mode == Mode::Preferred && nodes == 0)
}

fn fits(fit: &Fitting, call: &Call) -> Result<(), Unfit> {
    let config = fit.config;
    match *call {
        Call::Mmap {
            addr,
            len,
            prot,
            flags,
            fd,
            ..
        } => {
            only(
                fd.0 >= 3 || fd.0 < 0 || flags.contains(MapFlags::ANONYMOUS),
                DESCRIPTORS,
            )?;
            fit.mmap(addr, len, prot, flags)
        }
        Call::Munmap { addr, len } => {
            let task = config.task_size;
            let refused = addr > task || len > task - addr;
            if refused {
                fit.address(addr)
            } else {
                fit.aligned(addr, len)
            }
        }
        Call::Mprotect { addr, len, prot } => fit.mprotect(addr, len, prot),
        Call::Msync { addr, len, .. } => fit.aligned(addr, len),
        Call::Madvise { addr, len, advice } => {
            if let Advice::Other(number) = advice {
                only(!NEWER_ADVICE.contains(&number), "advice outside the model")?;
            }
            fit.aligned(addr, len)
        }
        Call::Brk { addr } => fit.brk(addr),
        Call::Load { addr } | Call::Store { addr, .. } | Call::Exec { addr } => {
            only(
                !(VSYSCALL..VSYSCALL + 4096).contains(&addr),
                "the vsyscall page",
            )?;
            fit.access(addr)
        }
        Call::Open { kind, access, size } => {
            only(kind == FileKind::Plain, "only plain files are to be had")?;
            only(
                access.intersects(Access::READ | Access::WRITE),
                "open without access",
            )?;
            only(size <= MOST_IN_FILE, FILE_SIZE)
        }
        Call::Ftruncate { fd, size } => {
            only(!(0..3).contains(&fd.0), DESCRIPTORS)?;
            only(
                size <= MOST_IN_FILE || size > i64::MAX.cast_unsigned(),
                FILE_SIZE,
            )
        }
        Call::Close { fd } => only(!(0..3).contains(&fd.0), DESCRIPTORS),
        Call::Mremap {
            addr,
            old_len,
            new_len,
            flags,
            new_addr,
        } => fit.mremap(addr, old_len, new_len, flags, new_addr),
        Call::Mlock { addr, len } | Call::Mlock2 { addr, len, .. } => {
            if !wraps(addr, len) {
                fit.populates(len)?;
            }
            fit.range(addr, len)
        }
        Call::Munlock { addr, len } => fit.range(addr, len),
        Call::Mincore { addr, len } => {
            // What does not lie in the user's half is refused before anything is looked at.
            if len > 1 << 63 {
                return fit.address(addr);
            }
            only(len <= MOST_ASKED << 12, "too many pages for mincore")?;
            fit.aligned(addr, len)
        }
        Call::Mbind {
            addr,
            len,
            mode,
            flags,
            ..
        } => {
            fit.policy(mode, flags)?;
            fit.aligned(addr, len)
        }
        Call::SetMempolicy { mode, flags, .. } => {
            let node_flags = PolicyFlags::STATIC_NODES | PolicyFlags::RELATIVE_NODES;
            only(
                node_flags.contains(flags),
                "set_mempolicy has no other flags",
            )?;
            fit.policy(mode, flags)
        }
        Call::Fallocate {
            fd,
            flags,
            off,
            len,
        } => {
            only(!(0..3).contains(&fd.0), DESCRIPTORS)?;
            fit.fallocate(flags, off, len)
        }
        Call::Fork | Call::Exit | Call::Softirq | Call::Mlockall { .. } | Call::Munlockall => {
            Ok(())
        }
        Call::UffdRegister { addr, len } | Call::UffdUnregister { addr, len } => {
            only(
                fit.machine.userfaultfd.is_some(),
                "userfaultfd is refused here",
            )?;
            fit.aligned(addr, len)
        }
        Call::Reclaim { addr } => {
            only(
                fit.machine.swaps,
                "nothing can be swapped out here: that asks for swap space, and Linux 5.4",
            )?;
            fit.address(addr)
        }
        Call::Collapse { .. } => {
            unfit("a collapse on Linux makes a huge page, the rules' small ones")
        }
        Call::NumaScan { .. } | Call::Evict { .. } => {
            unfit("a step of the kernel that can not be asked for")
        }
        Call::SetRlimit {
            resource,
            soft,
            hard,
        } => limits(resource, soft, hard),
        Call::GetMempolicy { addr, flags } => {
            only(
                !flags.contains(QueryFlags::NODE) || flags.bits() >= 8,
                "get_mempolicy of a node: the model's pages have none",
            )?;
            let asks_task = !flags.intersects(QueryFlags::ADDR | QueryFlags::MEMS_ALLOWED);
            only(
                !(asks_task && fit.own_policies),
                "the policy of one of several tasks: the runner makes one of them",
            )?;
            only(
                !fit.local,
                "get_mempolicy after MPOL_LOCAL, or MPOL_PREFERRED without nodes, which newer kernels tell",
            )?;
            // A stray address is refused as it is.
            fit.address(addr)
        }
    }
}

/// Whether a limit can be set on a process that has its own memory and descriptors beside the
/// program's.
fn limits(resource: Resource, soft: u64, hard: u64) -> Result<(), Unfit> {
    const RESOURCES: u32 = 16;
    if soft > hard || resource.number() >= RESOURCES {
        return Ok(());
    }
    match resource {
        Resource::As | Resource::Data | Resource::Stack => Ok(()),
        Resource::MemLock => unfit("RLIMIT_MEMLOCK: the runner changes it around mlockall"),
        Resource::NoFile => unfit("RLIMIT_NOFILE: the runner changes it around open"),
        Resource::Other(_) => unfit("a limit that is no memory's"),
    }
}

/// Whether a range goes around the end of all addresses, once its length is rounded up to pages: all
/// kernels refuse it, or take it for empty, before they look at anything.
fn wraps(addr: u64, len: u64) -> bool {
    let in_page = addr & 4095;
    match len.checked_add(4095 + in_page) {
        Some(pages) => (addr & !4095).checked_add(pages & !4095).is_none(),
        None => false,
    }
}

/// Where the vsyscall page is, if the kernel has one.
const VSYSCALL: u64 = 0xffff_ffff_ff60_0000;
/// Advice that newer kernels know, or that 5.1 knows and the model does not (100 and 101).
const NEWER_ADVICE: &[u32] = &[20, 21, 22, 23, 24, 25, 100, 101, 102, 103];
const DESCRIPTORS: &str = "descriptors 0 to 2 are not the program's";
const FILE_SIZE: &str = "the contract's largest file is smaller than the kernel's";
