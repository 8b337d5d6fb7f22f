//! The shape of each call: which parameters it has, and its arguments as plain words.
//!
//! One table, so that bytes, text, mutator and the strace importer cannot disagree about a call.

use vmadiff_contract::{
    Access, Advice, Call, CallKind, FallocFlags, Fd, FileKind, LockAllFlags, LockFlags, MapFlags,
    Mode, MoveFlags, PolicyFlags, Prot, QueryFlags, Resource, SyncFlags,
};

/// What a parameter means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Param {
    /// An address.
    Addr,
    /// A length or a size, bytes.
    Len,
    /// An offset in a file, bytes.
    Off,
    /// A limit, in its resource's unit.
    Limit,
    /// A mask of memory nodes.
    Nodes,
    /// One byte of data.
    Value,
    /// `PROT_*`
    Prot,
    /// `MAP_*`
    MapFlags,
    /// `MREMAP_*`
    MoveFlags,
    /// `MLOCK_*`
    LockFlags,
    /// `MCL_*`
    LockAllFlags,
    /// `MS_*`
    SyncFlags,
    /// `MPOL_MF_*` and `MPOL_F_*`
    PolicyFlags,
    /// `MPOL_F_*` of get_mempolicy
    QueryFlags,
    /// `FALLOC_FL_*`
    FallocFlags,
    /// `MADV_*`
    Advice,
    /// `MPOL_*`
    Mode,
    /// `RLIMIT_*`
    Resource,
    /// A file descriptor.
    Fd,
    /// A kind of file.
    FileKind,
    /// `O_RDONLY`, `O_WRONLY`, `O_RDWR`
    Access,
}

/// The most parameters a call has.
pub const MAX_PARAMS: usize = 6;

/// The arguments of a call in the order of [`params`], zero beyond them.
pub type Words = [u64; MAX_PARAMS];

/// An argument as a word. What the type cannot hold is cut off.
trait Word {
    fn to_word(self) -> u64;
    fn from_word(word: u64) -> Self;
}

macro_rules! words {
    ($($type:ty: $value:ident => $to:expr, $word:ident => $from:expr;)*) => {$(
        impl Word for $type {
            #[inline]
            fn to_word(self) -> u64 {
                let $value = self;
                $to
            }
            #[inline]
            fn from_word($word: u64) -> Self {
                $from
            }
        }
    )*};
}

words! {
    u64: x => x, w => w;
    u8: x => x.into(), w => w as u8;
    Prot: x => x.bits().into(), w => Self::from_bits_retain(w as u32);
    MapFlags: x => x.bits(), w => Self::from_bits_retain(w);
    MoveFlags: x => x.bits().into(), w => Self::from_bits_retain(w as u32);
    LockFlags: x => x.bits().into(), w => Self::from_bits_retain(w as u32);
    LockAllFlags: x => x.bits().into(), w => Self::from_bits_retain(w as u32);
    SyncFlags: x => x.bits().into(), w => Self::from_bits_retain(w as u32);
    PolicyFlags: x => x.bits().into(), w => Self::from_bits_retain(w as u32);
    QueryFlags: x => x.bits().into(), w => Self::from_bits_retain(w as u32);
    FallocFlags: x => x.bits().into(), w => Self::from_bits_retain(w as u32);
    Advice: x => x.number().into(), w => Self::from_number(w as u32);
    Mode: x => x.number().into(), w => Self::from_number(w as u32);
    Resource: x => x.number().into(), w => Self::from_number(w as u32);
    Fd: x => i64::from(x.0) as u64, w => Self(w as i32);
    FileKind: x => file_kind_number(x), w => Self::ALL[(w % Self::ALL.len() as u64) as usize];
    Access: x => x.bits().into(), w => Self::from_bits_truncate(w as u8);
}

/// The number of a kind of file in program bytes; for ever.
fn file_kind_number(kind: FileKind) -> u64 {
    match kind {
        FileKind::Plain => 0,
        FileKind::WithClose => 1,
        FileKind::NoFault => 2,
    }
}

#[inline]
fn padded<const N: usize>(words: [u64; N]) -> Words {
    let mut all = [0; MAX_PARAMS];
    all[..N].copy_from_slice(&words);
    all
}

macro_rules! shapes {
    ($($kind:ident($($field:ident: $param:ident),*);)*) => {
        /// The parameters of a call, in the order of the system call's.
        #[inline]
        pub fn params(kind: CallKind) -> &'static [Param] {
            match kind { $(CallKind::$kind => &[$(Param::$param),*],)* }
        }

        /// The names of a call's parameters.
        pub fn names(kind: CallKind) -> &'static [&'static str] {
            match kind { $(CallKind::$kind => &[$(stringify!($field)),*],)* }
        }

        /// The arguments of a call.
        #[inline]
        pub fn words(call: &Call) -> Words {
            match *call { $(Call::$kind { $($field),* } => padded([$(Word::to_word($field)),*]),)* }
        }

        /// The call with these arguments. What a parameter cannot hold is cut off.
        #[inline]
        pub fn build(kind: CallKind, words: &Words) -> Call {
            let mut words = words.iter().copied();
            let mut next = || words.next().unwrap_or(0);
            match kind {
                $(CallKind::$kind => Call::$kind { $($field: Word::from_word(next())),* },)*
            }
        }
    };
}

shapes! {
    Mmap(addr: Addr, len: Len, prot: Prot, flags: MapFlags, fd: Fd, off: Off);
    Munmap(addr: Addr, len: Len);
    Mprotect(addr: Addr, len: Len, prot: Prot);
    Madvise(addr: Addr, len: Len, advice: Advice);
    Brk(addr: Addr);
    Fork();
    Exit();
    Load(addr: Addr);
    Store(addr: Addr, value: Value);
    Exec(addr: Addr);
    Open(kind: FileKind, access: Access, size: Len);
    Ftruncate(fd: Fd, size: Len);
    Close(fd: Fd);
    Reclaim(addr: Addr);
    Softirq();
    Mremap(addr: Addr, old_len: Len, new_len: Len, flags: MoveFlags, new_addr: Addr);
    Mlock(addr: Addr, len: Len);
    Mlock2(addr: Addr, len: Len, flags: LockFlags);
    Munlock(addr: Addr, len: Len);
    Mlockall(flags: LockAllFlags);
    Munlockall();
    Msync(addr: Addr, len: Len, flags: SyncFlags);
    Mincore(addr: Addr, len: Len);
    Mbind(addr: Addr, len: Len, mode: Mode, nodes: Nodes, flags: PolicyFlags);
    SetMempolicy(mode: Mode, nodes: Nodes, flags: PolicyFlags);
    UffdRegister(addr: Addr, len: Len);
    UffdUnregister(addr: Addr, len: Len);
    Fallocate(fd: Fd, flags: FallocFlags, off: Off, len: Len);
    Collapse(addr: Addr, len: Len);
    NumaScan(addr: Addr, len: Len);
    SetRlimit(resource: Resource, soft: Limit, hard: Limit);
    GetMempolicy(addr: Addr, flags: QueryFlags);
    Evict(addr: Addr);
}
