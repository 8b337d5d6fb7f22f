//! From calls to the operations of agents.

use vmadiff_contract::{Call, Fd, Outcome, PAGE_SIZE, PolicyFlags, Resource};

use crate::agent::layout::{FIRST, Op, Owner, SHARED, arg, at, kind};
use crate::decode::Decode;
use crate::machine::TASK_SIZE;
use crate::zone::Zones;

/// Where in a list of operations the answer to a call is.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    /// Index of the operation.
    pub op: usize,
    /// How to read it.
    pub decode: Decode,
}

/// A list of operations in the making, and the data that they point at.
#[derive(Debug, Default)]
pub struct Script {
    /// The operations.
    pub ops: Vec<Op>,
    /// The bytes from [`at::DATA`] on.
    pub data: Vec<u8>,
    /// Seconds after which a forked process is ended by its alarm; 0: never.
    pub alarm: u64,
}

/// Bytes that get_mempolicy writes: the mode in the first half, which it fills four of, and the nodes.
pub const POLICY_SIZE: usize = 16;

/// An argument that stands for "leave the script".
const LEAVE: u64 = u64::MAX;

/// What the calls of one process need to know of it.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The agent that makes the call.
    pub owner: Owner,
    /// Where the program's addresses are.
    pub zones: &'a Zones,
    /// Bytes of the agent's own memory, which RLIMIT_AS counts along.
    pub own: u64,
    /// RLIMIT_NOFILE.
    pub nofile: u64,
    /// Names the file that an open makes.
    pub file_name: u32,
}

impl Script {
    /// Whether there is no room for another call.
    pub fn is_full(&self) -> bool {
        const MOST_OPS_OF_A_CALL: usize = 40;
        const MOST_DATA_OF_A_CALL: usize = 128;
        self.ops.len() + MOST_OPS_OF_A_CALL >= crate::agent::layout::OPS_LEN
            || self.data.len() + MOST_DATA_OF_A_CALL >= at::DATA_SIZE
    }

    /// Puts bytes where agents find them; answers the address.
    pub fn put(&mut self, bytes: &[u8]) -> u64 {
        let address = SHARED + (at::DATA + self.data.len()) as u64;
        self.data.extend_from_slice(bytes);
        self.data.resize(self.data.len().next_multiple_of(8), 0);
        address
    }

    /// Appends an operation; answers its index.
    pub fn push(&mut self, owner: Owner, op: Op) -> usize {
        self.ops.push(Op { owner, ..op });
        self.ops.len() - 1
    }

    /// Appends a system call; answers its index.
    pub fn call<const N: usize>(
        &mut self,
        owner: Owner,
        number: libc::c_long,
        args: [u64; N],
    ) -> usize {
        self.push(owner, Op::call(number, args))
    }

    /// Appends "if the last result is an error, leave the script".
    pub fn or_leave(&mut self, owner: Owner) {
        self.push(owner, Op::other(kind::IF_ERROR, [LEAVE]));
    }

    /// Sets a soft and a hard limit.
    pub fn limit(&mut self, owner: Owner, resource: u32, soft: u64, hard: u64) {
        let limit = [soft.min(hard), hard].map(u64::to_ne_bytes).concat();
        let limit = self.put(&limit);
        let op = Op::call(libc::SYS_prlimit64, [0, u64::from(resource), limit, 0]);
        self.push(
            owner,
            Op {
                flags: arg::FORGET,
                ..op
            },
        );
    }

    /// The operations, with the ways out leading behind the last one.
    pub fn finish(&mut self) -> &[Op] {
        let end = self.ops.len() as u64;
        for op in &mut self.ops {
            if op.kind == kind::IF_ERROR && op.args[0] == LEAVE {
                op.args[0] = end;
            }
        }
        &self.ops
    }

    /// Forks `child` off; if that fails the script ends.
    pub fn fork(&mut self, parent: Owner, child: Owner) -> usize {
        let op = self.push(parent, Op::other(kind::FORK, [u64::from(child)]));
        self.or_leave(parent);
        // None is left behind, whatever happens to the harness. A program's own parent may exit
        // before its child, so a child of the program has its alarm only.
        if parent == FIRST {
            let on_death = libc::PR_SET_PDEATHSIG as u64;
            self.call(child, libc::SYS_prctl, [on_death, libc::SIGKILL as u64]);
        }
        self.call(child, libc::SYS_alarm, [self.alarm]);
        op
    }

    /// Appends the operations of one call. Every call has an arm of its own: one that nobody planned
    /// would be answered without asking Linux, and would agree with kernels that lack it.
    ///
    /// # Panics
    /// If the call does not fit ([`crate::Fitting`]), or is fork or exit, which concern tasks.
    #[deny(clippy::wildcard_enum_match_arm)]
    pub fn translate(&mut self, caller: &Caller, call: &Call) -> Slot {
        let owner = caller.owner;
        let real = |addr| caller.zones.to_linux(addr).expect("an address that fits");
        let fd = |fd: Fd| i64::from(fd.0).cast_unsigned();
        let access = |kind, addr, value| {
            (
                Op::other(kind, [real(addr), value]),
                Decode::Access(real(addr)),
            )
        };
        let system = |number, args: [u64; 6]| (Op::call(number, args), Decode::Value);
        let (op, decode) = match *call {
            Call::Load { addr } => access(kind::LOAD, addr, 0),
            Call::Store { addr, value } => access(kind::STORE, addr, u64::from(value)),
            Call::Exec { addr } => {
                // Any byte of the page will do, but the first ones are those that programs fill,
                // and an instruction at the end would reach into the next page.
                let target = if addr < TASK_SIZE {
                    real(addr) & !4095 | 0x7f8
                } else {
                    addr
                };
                (Op::other(kind::EXEC, [target]), Decode::Fetch(target))
            }
            Call::Mmap {
                addr,
                len,
                prot,
                flags,
                fd: file,
                off,
            } => {
                let (prot, flags) = (u64::from(prot.bits()), flags.bits());
                let op = Op::call(
                    libc::SYS_mmap,
                    [real(addr), len, prot, flags, fd(file), off],
                );
                (op, Decode::Address)
            }
            Call::Mremap {
                addr,
                old_len,
                new_len,
                flags,
                new_addr,
            } => {
                let to = caller.zones.to_linux(new_addr).unwrap_or(0);
                let flags = u64::from(flags.bits());
                let args = [real(addr), old_len, new_len, flags, to];
                (Op::call(libc::SYS_mremap, args), Decode::Address)
            }
            Call::Brk { addr } => (Op::call(libc::SYS_brk, [real(addr)]), Decode::Address),
            Call::Munmap { addr, len } => system(libc::SYS_munmap, [real(addr), len, 0, 0, 0, 0]),
            Call::Mprotect { addr, len, prot } => system(
                libc::SYS_mprotect,
                [real(addr), len, prot.bits().into(), 0, 0, 0],
            ),
            Call::Madvise { addr, len, advice } => system(
                libc::SYS_madvise,
                [real(addr), len, advice.number().into(), 0, 0, 0],
            ),
            Call::Mlock { addr, len } => system(libc::SYS_mlock, [real(addr), len, 0, 0, 0, 0]),
            Call::Mlock2 { addr, len, flags } => system(
                libc::SYS_mlock2,
                [real(addr), len, flags.bits().into(), 0, 0, 0],
            ),
            Call::Munlock { addr, len } => system(libc::SYS_munlock, [real(addr), len, 0, 0, 0, 0]),
            Call::Msync { addr, len, flags } => system(
                libc::SYS_msync,
                [real(addr), len, flags.bits().into(), 0, 0, 0],
            ),
            Call::Mincore { addr, len } => {
                // Of more pages than there is room for, it is refused whatever they are.
                let pages = len.div_ceil(PAGE_SIZE).min(at::RESIDENT_LEN) as usize;
                let vector = SHARED + at::RESIDENT as u64;
                let op = Op::call(libc::SYS_mincore, [real(addr), len, vector]);
                (op, Decode::Resident(pages))
            }
            Call::Ftruncate { fd: file, size } => {
                system(libc::SYS_ftruncate, [fd(file), size, 0, 0, 0, 0])
            }
            Call::Close { fd: file } => system(libc::SYS_close, [fd(file), 0, 0, 0, 0, 0]),
            Call::Fallocate {
                fd: file,
                flags,
                off,
                len,
            } => system(
                libc::SYS_fallocate,
                [fd(file), flags.bits().into(), off, len, 0, 0],
            ),
            Call::Mbind {
                addr,
                len,
                mode,
                nodes,
                flags,
            } => {
                let nodes = self.put(&nodes.to_ne_bytes());
                let (mode, flags) = policy_words(mode.number(), flags);
                system(libc::SYS_mbind, [real(addr), len, mode, nodes, 65, flags])
            }
            Call::SetMempolicy { mode, nodes, flags } => {
                let nodes = self.put(&nodes.to_ne_bytes());
                let (mode, rest) = policy_words(mode.number(), flags);
                system(libc::SYS_set_mempolicy, [mode | rest, nodes, 65, 0, 0, 0])
            }
            Call::Open { access, size, .. } => return self.open(caller, access, size),
            Call::Mlockall { flags } => {
                system(libc::SYS_mlockall, [flags.bits().into(), 0, 0, 0, 0, 0])
            }
            Call::Munlockall => system(libc::SYS_munlockall, [0; 6]),
            Call::UffdRegister { addr, len } => {
                let missing = 1;
                let range = [real(addr), len, missing, 0].map(u64::to_ne_bytes).concat();
                let range = self.put(&range);
                system(
                    libc::SYS_ioctl,
                    [uffd::DESCRIPTOR, uffd::REGISTER, range, 0, 0, 0],
                )
            }
            Call::UffdUnregister { addr, len } => {
                let range = self.put(&[real(addr), len].map(u64::to_ne_bytes).concat());
                system(
                    libc::SYS_ioctl,
                    [uffd::DESCRIPTOR, uffd::UNREGISTER, range, 0, 0, 0],
                )
            }
            Call::Reclaim { addr } => {
                let page = real(addr) & !(PAGE_SIZE - 1);
                let advice = libc::MADV_PAGEOUT as u64;
                (
                    Op::call(libc::SYS_madvise, [page, PAGE_SIZE, advice]),
                    Decode::Step,
                )
            }
            // A grace period ends whenever it likes: that can be waited for, and changes nothing.
            Call::Softirq => return self.fixed(owner, Outcome::Value(0)),
            Call::SetRlimit {
                resource,
                soft,
                hard,
            } => {
                let own = if resource == Resource::As {
                    caller.own
                } else {
                    0
                };
                let limit = [soft, hard].map(|limit| limit.saturating_add(own));
                let limit = self.put(&limit.map(u64::to_ne_bytes).concat());
                system(
                    libc::SYS_prlimit64,
                    [0, resource.number().into(), limit, 0, 0, 0],
                )
            }
            Call::GetMempolicy { addr, flags } => {
                let mode = SHARED + at::RESIDENT as u64;
                let nodes = mode + 8;
                let op = Op::call(
                    libc::SYS_get_mempolicy,
                    [mode, nodes, 65, real(addr), flags.bits().into()],
                );
                (op, Decode::Policy)
            }
            Call::Fork | Call::Exit => unreachable!("fork and exit are planned with their tasks"),
            Call::Collapse { .. } | Call::NumaScan { .. } | Call::Evict { .. } => {
                unreachable!("does not fit")
            }
        };
        Slot {
            op: self.push(owner, op),
            decode,
        }
    }

    /// Something that is answered without asking Linux.
    pub fn fixed(&mut self, owner: Owner, outcome: Outcome) -> Slot {
        let op = self.call(owner, libc::SYS_getpid, []);
        Slot {
            op,
            decode: Decode::Fixed(outcome),
        }
    }
}

/// userfaultfd, as programs have it: one for each process, missing pages only, with signals.
pub mod uffd {
    /// The descriptor it is kept at, above those that programs get.
    pub const DESCRIPTOR: u64 = 62;
    /// `UFFDIO_API`.
    pub const API: u64 = 0xc018_aa3f;
    /// `UFFDIO_REGISTER`.
    pub const REGISTER: u64 = 0xc020_aa00;
    /// `UFFDIO_UNREGISTER`.
    pub const UNREGISTER: u64 = 0x8010_aa01;
    /// `UFFD_FEATURE_SIGBUS`.
    pub const SIGBUS: u64 = 1 << 7;
}

impl Script {
    /// Gives a process a userfaultfd of its own. For a moment there is one descriptor more, so the
    /// limit is lifted meanwhile; `flags` are what this kernel wants.
    pub fn userfaultfd(&mut self, owner: Owner, flags: u64, nofile: u64) {
        let most = at::PATHS_LEN as u64;
        self.limit(owner, libc::RLIMIT_NOFILE, most, most);
        self.call(owner, libc::SYS_userfaultfd, [flags]);
        let mut on_last = |number, second| {
            let flags = arg::FIRST_IS_LAST | arg::FORGET;
            self.push(
                owner,
                Op {
                    flags,
                    ..Op::call(number, [0, second])
                },
            );
        };
        on_last(libc::SYS_dup2, uffd::DESCRIPTOR);
        on_last(libc::SYS_close, 0);
        const VERSION: u64 = 0xaa;
        let api = self.put(&[VERSION, uffd::SIGBUS, 0].map(u64::to_ne_bytes).concat());
        self.call(owner, libc::SYS_ioctl, [uffd::DESCRIPTOR, uffd::API, api]);
        self.limit(owner, libc::RLIMIT_NOFILE, nofile, most);
    }
}

/// Mode and node flags share a word; the move flags have one of their own.
fn policy_words(mode: u32, flags: PolicyFlags) -> (u64, u64) {
    let node_flags = PolicyFlags::STATIC_NODES | PolicyFlags::RELATIVE_NODES;
    let word = mode | (flags & node_flags).bits();
    (word.into(), (flags - node_flags).bits().into())
}
