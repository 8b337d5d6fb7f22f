//! The memory that the harness and its agents share: where everything is, and one operation.

/// Where the page of code lies in an agent's address space; the shared memory follows it.
///
/// 32 TiB: far from every address that a program names, below the third of the address space from
/// which Linux places from the bottom up, and free in any process (sanitizers' shadows included).
pub const AGENT: u64 = 0x2000_0000_0000;
/// Bytes of code.
pub const CODE_SIZE: u64 = 0x1000;
/// Bytes of shared memory.
pub const SHARED_SIZE: u64 = 0x2_0000;
/// Start of the shared memory in an agent.
pub const SHARED: u64 = AGENT + CODE_SIZE;
/// End of all that is the agent's own.
pub const AGENT_END: u64 = SHARED + SHARED_SIZE;
/// Pages of the agent's own.
pub const OWN_PAGES: u64 = (AGENT_END - AGENT) / 4096;

/// Offsets in the shared memory.
pub mod at {
    /// u32: whose turn it is (an [`Owner`](super::Owner)); the futex.
    pub const TURN: usize = 0x00;
    /// u64: index of the current operation.
    pub const PC: usize = 0x08;
    /// u64: result of the last system call.
    pub const LAST: usize = 0x10;
    /// u64: a result that was kept.
    pub const KEPT: usize = 0x18;
    /// u64: where `exec` jumps to.
    pub const TARGET: usize = 0x20;
    /// Stack of the signal handler, 4 pages.
    pub const STACK: usize = 0x1000;
    /// Bytes of that stack.
    pub const STACK_SIZE: usize = 0x4000;
    /// `/proc/self/fd/N` for N below [`PATHS_LEN`], 32 bytes each.
    pub const PATHS: usize = 0x5000;
    /// How many paths.
    pub const PATHS_LEN: usize = 64;
    /// What system calls point at: structures and names, handed out by the planner.
    pub const DATA: usize = 0x5800;
    /// Bytes of that.
    pub const DATA_SIZE: usize = 0x1800;
    /// One byte per page, for mincore.
    pub const RESIDENT: usize = 0x7000;
    /// How many pages.
    pub const RESIDENT_LEN: u64 = 4096;
    /// The operations.
    pub const OPS: usize = 0x8000;
}

/// Who makes an operation: 0 is the harness, 1 the first agent, from which all others are forked,
/// `1 + n` the agent that stands for address space `n`.
pub type Owner = u32;
/// The harness.
pub const HARNESS: Owner = 0;
/// The first agent.
pub const FIRST: Owner = 1;

/// How many operations fit.
pub const OPS_LEN: usize = (SHARED_SIZE as usize - at::OPS) / size_of::<Op>();

/// One operation and what came of it. The assembly knows the offsets; a test holds them equal.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Op {
    /// Who makes it.
    pub owner: Owner,
    /// What it is.
    pub kind: u32,
    /// The system call's number.
    pub number: u32,
    /// `arg::*`
    pub flags: u32,
    /// Arguments.
    pub args: [u64; 6],
    /// Result.
    pub result: u64,
    /// Signal that the access raised, or 0.
    pub signal: u32,
    /// Its `si_code`.
    pub code: i32,
    /// Its `si_addr`.
    pub addr: u64,
    /// The processor's error code for the fault.
    pub error: u64,
}

/// Values of [`Op::kind`].
pub mod kind {
    /// A system call.
    pub const SYSCALL: u32 = 0;
    /// A load from `args[0]`.
    pub const LOAD: u32 = 1;
    /// A store to `args[0]` of `args[1]`.
    pub const STORE: u32 = 2;
    /// A jump to `args[0]`.
    pub const EXEC: u32 = 3;
    /// fork; the child is the owner `args[0]`.
    pub const FORK: u32 = 4;
    /// exit_group, with the turn passed on.
    pub const EXIT: u32 = 5;
    /// If the last result is an error, go on at operation `args[0]`.
    pub const IF_ERROR: u32 = 6;
}

/// Bits of [`Op::flags`]: where arguments come from and results go to.
pub mod arg {
    /// The first argument is the last result.
    pub const FIRST_IS_LAST: u32 = 1;
    /// The second argument is what was kept.
    pub const SECOND_IS_KEPT: u32 = 2;
    /// The first argument moves on by 32 bytes times the last result.
    pub const FIRST_BY_LAST: u32 = 4;
    /// The result is not the last result.
    pub const FORGET: u32 = 8;
    /// The result is kept.
    pub const KEEP: u32 = 16;
    /// The first argument is what was kept.
    pub const FIRST_IS_KEPT: u32 = 32;
}
