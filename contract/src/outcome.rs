//! What a call answers.

use std::fmt;

/// What a call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It succeeded with this value: an address, a descriptor, a task, a byte that was read, or 0.
    Value(u64),
    /// It failed with this error.
    Errno(Errno),
    /// An access got SIGSEGV. The task goes on, as if a handler had skipped the access.
    Segv(SegvCode),
    /// An access got SIGBUS. The task goes on.
    Bus,
    /// An access got nowhere: the page was out of memory for good. The task goes on; nothing else
    /// of it happened (`VM_FAULT_OOM`).
    Oom,
    /// An access faulted again and again without ever being served ([`crate::Manager::call`]).
    Livelock,
    /// There is no such task, or it has exited: nothing was done.
    NoTask,
    /// The manager does not know this call ([`crate::Capabilities`]): nothing was done.
    Unsupported,
}

impl Outcome {
    /// Whether the call did what it was asked for.
    pub fn is_success(self) -> bool {
        matches!(self, Self::Value(_))
    }
}

/// The `si_code` of a SIGSEGV.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SegvCode {
    /// No area covers the address (`SEGV_MAPERR`).
    MapErr,
    /// The area refuses this access (`SEGV_ACCERR`).
    AccErr,
}

impl fmt::Display for SegvCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MapErr => "MAPERR",
            Self::AccErr => "ACCERR",
        })
    }
}

macro_rules! errnos {
    ($($name:ident = $number:literal),* $(,)?) => {
        /// The error numbers that the rules know, with Linux's values.
        #[allow(missing_docs, clippy::upper_case_acronyms)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Errno { $($name = $number),* }

        impl Errno {
            /// Every error number that the rules know.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The name as errno(3) has it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }
        }

        impl fmt::Display for Errno {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

errnos! {
    EPERM = 1, EIO = 5, EBADF = 9, EAGAIN = 11, ENOMEM = 12, EACCES = 13, EFAULT = 14, EBUSY = 16,
    EEXIST = 17, ENODEV = 19, EINVAL = 22, EMFILE = 24, ETXTBSY = 26, EFBIG = 27, EOVERFLOW = 75,
    EOPNOTSUPP = 95,
}
