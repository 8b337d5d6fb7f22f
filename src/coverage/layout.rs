//! Where each feature has its counter.

use vmadiff_contract::{CallKind, Errno, Outcome, Reason, SegvCode};

/// Room for calls; a call's number is for ever.
pub const CALLS: usize = 40;
/// Kinds of outcome: a value, each error, the rest.
pub const OUTCOMES: usize = 24;
/// Kinds of access: load, store, exec, and faults of other calls (populating).
pub const ACCESSES: usize = 4;
/// Room for reasons to give up.
pub const REASONS: usize = Reason::MAX as usize;
/// Buckets of a size: 0, 1, 2 to 3, 4 to 7, and so on.
const BUCKETS: usize = 8;
/// Sizes of the state that are looked at.
const SIZES: usize = 8;
/// Names of error exits, by hash.
const UNDOS: usize = 64;

const OUTCOME: usize = 0;
const MERGE: usize = OUTCOME + CALLS * OUTCOMES;
const SPLIT: usize = MERGE + CALLS * 8;
const GIVE_UP: usize = SPLIT + CALLS * 2;
const SERVED: usize = GIVE_UP + ACCESSES * REASONS;
const GONE: usize = SERVED + ACCESSES * 4;
const UNDO: usize = GONE + CALLS * 4;
const MEETING: usize = UNDO + UNDOS;
const SIZE: usize = MEETING + CALLS * CALLS;

/// Counters of serial runs: 3.5 KiB. libFuzzer sweeps them after every execution.
pub const COUNTERS: usize = SIZE + SIZES * BUCKETS;

const _: () = assert!(COUNTERS <= 4096);

/// Who had been reading when an area was erased, and who freed it.
const GRACES: usize = 16;

const RACED: usize = COUNTERS;
const OVERLAP: usize = RACED + REASONS * CALLS;
const GRACE: usize = OVERLAP + CALLS * CALLS;

/// Where the counters of pairs begin: which write met which read of another task, by a hash.
pub const PAIRS: usize = GRACE + GRACES;

/// Counters of woven runs: 13 KiB.
pub const WOVEN_COUNTERS: usize = PAIRS + (8 << 10);

const _: () = assert!(WOVEN_COUNTERS <= 16 << 10);

/// How a fault was served.
#[derive(Clone, Copy)]
pub enum Served {
    Speculative,
    Classic,
    Cow,
    Reuse,
}

/// How an area went.
#[derive(Clone, Copy)]
pub enum Gone {
    /// Unmapped, by whatever call.
    Unmapped,
    /// Merged into another.
    Merged,
    /// With its address space.
    TornDown,
    /// On an error exit, without ever having been linked.
    NeverLinked,
}

pub fn outcome(call: CallKind, outcome: Outcome) -> usize {
    OUTCOME + call as usize * OUTCOMES + class(outcome)
}

pub fn merge(call: CallKind, case: u8) -> usize {
    MERGE + call as usize * 8 + usize::from(case.wrapping_sub(1) % 8)
}

pub fn split(call: CallKind, below: bool) -> usize {
    SPLIT + call as usize * 2 + usize::from(below)
}

pub fn give_up(call: CallKind, reason: &Reason) -> usize {
    GIVE_UP + access(call) * REASONS + usize::from(reason.number)
}

pub fn served(call: CallKind, how: Served) -> usize {
    SERVED + access(call) * 4 + how as usize
}

pub fn gone(call: CallKind, how: Gone) -> usize {
    GONE + call as usize * 4 + how as usize
}

/// An error exit, by its name (FNV-1a).
pub fn undo(name: &str) -> usize {
    let hash = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    UNDO + name.bytes().fold(0x811c_9dc5, hash) as usize % UNDOS
}

pub fn meeting(first: CallKind, second: CallKind) -> usize {
    MEETING + first as usize * CALLS + second as usize
}

/// A speculative fault gave up while another task was in this call.
pub fn raced(reason: &Reason, call: CallKind) -> usize {
    RACED + usize::from(reason.number) * CALLS + call as usize
}

/// The second call began while another task was in the first.
pub fn overlap(first: CallKind, second: CallKind) -> usize {
    OVERLAP + first as usize * CALLS + second as usize
}

/// Who freed an area that had been erased.
#[derive(Clone, Copy)]
pub enum Freed {
    /// The task that erased it.
    Eraser,
    /// Another task, that put the last reference.
    Other,
    /// The end of a grace period.
    Softirq,
    /// Nobody before all calls had returned.
    Later,
}

/// An area was erased while so many were inside a section, and freed so.
pub fn grace(readers: u32, freed: Freed) -> usize {
    GRACE + readers.min(3) as usize * 4 + freed as usize
}

/// How large one of the state's sizes is; `which` below 8.
pub fn size(which: usize, size: u64) -> usize {
    let bucket = (u64::BITS - size.leading_zeros()) as usize;
    SIZE + which * BUCKETS + bucket.min(BUCKETS - 1)
}

/// The class of an outcome: 0 is success, then each error.
pub fn class(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Value(_) => 0,
        Outcome::Errno(errno) => 1 + errno_index(errno),
        Outcome::Segv(SegvCode::MapErr) => 17,
        Outcome::Segv(SegvCode::AccErr) => 18,
        Outcome::Bus => 19,
        Outcome::Oom => 20,
        Outcome::Livelock => 21,
        Outcome::NoTask => 22,
        Outcome::Unsupported => 23,
    }
}

const _: () = assert!(Errno::ALL.len() <= 16);
const _: () = assert!(CallKind::ALL.len() <= CALLS);

fn errno_index(errno: Errno) -> usize {
    match errno {
        Errno::EPERM => 0,
        Errno::EIO => 1,
        Errno::EBADF => 2,
        Errno::EAGAIN => 3,
        Errno::ENOMEM => 4,
        Errno::EACCES => 5,
        Errno::EFAULT => 6,
        Errno::EBUSY => 7,
        Errno::EEXIST => 8,
        Errno::ENODEV => 9,
        Errno::EINVAL => 10,
        Errno::EMFILE => 11,
        Errno::ETXTBSY => 12,
        Errno::EFBIG => 13,
        Errno::EOVERFLOW => 14,
        Errno::EOPNOTSUPP => 15,
    }
}

fn access(call: CallKind) -> usize {
    match call {
        CallKind::Load => 0,
        CallKind::Store => 1,
        CallKind::Exec => 2,
        _ => 3,
    }
}
