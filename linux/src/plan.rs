//! From calls to the operations of agents, and from what came of these to outcomes.

use vmadiff_contract::{Access, Call, Fd, Outcome, PAGE_SIZE, PolicyFlags, SegvCode};

use crate::agent::layout::{FIRST, Op, Owner, SHARED, arg, at, kind};
use crate::machine::TASK_SIZE;
use crate::view::Answer;
use crate::zone::Zones;

/// How the answer to a call is read from an operation.
#[derive(Clone, Copy, Debug)]
pub enum Decode {
    /// Nobody was asked.
    Fixed(Outcome),
    /// The result as it is.
    Value,
    /// An address.
    Address,
    /// What an access at this real address came to.
    Access(u64),
    /// What a jump to this real address came to.
    Fetch(u64),
    /// A child's number, if it was made.
    Child(u64),
    /// Which pages are resident, of so many.
    Resident(usize),
}

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
}

/// An argument that stands for "leave the script".
const LEAVE: u64 = u64::MAX;

/// What the calls of one process need to know of it.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The agent that makes the call.
    pub owner: Owner,
    /// Where the program's addresses are.
    pub zones: &'a Zones,
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
        self.call(child, libc::SYS_alarm, [10]);
        op
    }

    /// Appends the operations of one call (all but fork and exit, which concern tasks).
    ///
    /// # Panics
    /// If the call does not fit ([`crate::fits_call`]).
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
                let (prot, flags) = (u64::from(prot.bits()), u64::from(flags.bits()));
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
                let pages = usize::try_from(len.div_ceil(PAGE_SIZE)).expect("64-bit machine");
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
            _ => return self.fixed(owner, Outcome::Value(0)),
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

    /// memfd_create and ftruncate, the first byte of each of the first 16 pages, and another
    /// description of the file if it is not to be both read and written.
    fn open(&mut self, caller: &Caller, access: Access, size: u64) -> Slot {
        let owner = caller.owner;
        let name = self.put(format!("f{}\0", caller.file_name).as_bytes());
        let create = Op::call(libc::SYS_memfd_create, [name, 0]);
        let op = self.push(
            owner,
            Op {
                flags: arg::KEEP,
                ..create
            },
        );
        let give_up = self.push(owner, Op::other(kind::IF_ERROR, [0]));
        let on_file = |number, args: [u64; 4]| Op {
            flags: arg::FIRST_IS_KEPT | arg::FORGET,
            ..Op::call(number, args)
        };
        self.push(owner, on_file(libc::SYS_ftruncate, [0, size, 0, 0]));
        let pages = size.div_ceil(PAGE_SIZE);
        if pages <= 64 {
            // Every page of a file is in the page cache, as the rules have it.
            self.push(owner, on_file(libc::SYS_fallocate, [0, 0, 0, size]));
        }
        let first: Vec<u8> = (0..16).map(|page| 0xa0 + page).collect();
        let first = self.put(&first);
        for page in 0..pages.min(16) {
            let write = [0, first + page, 1, page * PAGE_SIZE];
            self.push(owner, on_file(libc::SYS_pwrite64, write));
        }
        if access != Access::READ | Access::WRITE {
            self.reopen(caller, access);
        }
        self.ops[give_up].args[0] = self.ops.len() as u64;
        Slot {
            op,
            decode: Decode::Value,
        }
    }

    /// Replaces the descriptor that was kept by one with less access. For a moment there is one
    /// descriptor more, so the limit is lifted meanwhile.
    fn reopen(&mut self, caller: &Caller, access: Access) {
        let owner = caller.owner;
        let resource = libc::RLIMIT_NOFILE;
        self.limit(owner, resource, at::PATHS_LEN as u64, at::PATHS_LEN as u64);
        let mode = if access == Access::READ {
            libc::O_RDONLY
        } else {
            libc::O_WRONLY
        };
        let open = Op::call(libc::SYS_open, [SHARED + at::PATHS as u64, mode as u64]);
        self.push(
            owner,
            Op {
                flags: arg::FIRST_BY_LAST,
                ..open
            },
        );
        let replace = Op::call(libc::SYS_dup2, [0, 0]);
        let flags = arg::FIRST_IS_LAST | arg::SECOND_IS_KEPT | arg::FORGET;
        self.push(owner, Op { flags, ..replace });
        let close = Op::call(libc::SYS_close, [0]);
        self.push(
            owner,
            Op {
                flags: arg::FIRST_IS_LAST,
                ..close
            },
        );
        self.limit(owner, resource, caller.nofile, at::PATHS_LEN as u64);
    }
}

/// Mode and node flags share a word; the move flags have one of their own.
fn policy_words(mode: u32, flags: PolicyFlags) -> (u64, u64) {
    let node_flags = PolicyFlags::STATIC_NODES | PolicyFlags::RELATIVE_NODES;
    let word = mode | (flags & node_flags).bits();
    (word.into(), (flags - node_flags).bits().into())
}

/// What came of an operation, as an answer to the call that it stands for.
pub fn decode(how: Decode, op: &Op, resident: &[u8], zones: &Zones) -> Answer {
    match how {
        Decode::Fixed(outcome) => Answer::Known(outcome),
        Decode::Child(task) => system(op, |_| Answer::Known(Outcome::Value(task))),
        Decode::Value => system(op, |value| Answer::Known(Outcome::Value(value))),
        Decode::Address => system(op, |value| match zones.to_program(value) {
            Some(address) => Answer::Known(Outcome::Value(address)),
            None => Answer::Elsewhere(value),
        }),
        Decode::Resident(_) => system(op, |_| {
            let sum = resident
                .iter()
                .enumerate()
                .filter(|(_, byte)| **byte & 1 == 1);
            let sum = sum.fold(0_u64, |sum, (page, _)| sum.wrapping_add(1 << (page % 64)));
            Answer::Known(Outcome::Value(sum))
        }),
        Decode::Access(address) => match op.signal {
            0 => Answer::Known(Outcome::Value(op.result)),
            _ => signal(op, address),
        },
        Decode::Fetch(address) => {
            // A fault that the fetch itself raised says so in its error code, and lies in the page;
            // any other signal is what the instruction there came to.
            const FETCH: u64 = 1 << 4;
            let fetch = op.error & FETCH != 0 && op.addr & !4095 == address & !4095;
            let refused = address >= TASK_SIZE;
            let raised = matches!(op.signal.cast_signed(), libc::SIGSEGV | libc::SIGBUS);
            if raised && (fetch || refused) {
                signal(op, address)
            } else {
                Answer::Known(Outcome::Value(0))
            }
        }
    }
}

fn system(op: &Op, value: impl FnOnce(u64) -> Answer) -> Answer {
    match op.answer() {
        Ok(result) => value(result),
        Err(errno) => Answer::errno(errno),
    }
}

fn signal(op: &Op, address: u64) -> Answer {
    const SI_KERNEL: i32 = 0x80;
    const BUS_ADRERR: i32 = 2;
    let outcome = match (op.signal.cast_signed(), op.code) {
        (libc::SIGSEGV, 1) => Outcome::Segv(SegvCode::MapErr),
        (libc::SIGSEGV, 2) => Outcome::Segv(SegvCode::AccErr),
        // No canonical address: a general protection fault, which has no address of its own.
        (libc::SIGSEGV, SI_KERNEL) if address > TASK_SIZE => Outcome::Segv(SegvCode::MapErr),
        (libc::SIGBUS, BUS_ADRERR) => Outcome::Bus,
        (number, code) => return Answer::Strange(format!("signal {number} with si_code {code}")),
    };
    Answer::Known(outcome)
}
