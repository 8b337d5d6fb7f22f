//! The shared memory, as the harness sees it.

use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::unistd::ftruncate;

use super::layout::{AGENT, HARNESS, OPS_LEN, Op, Owner, SHARED, SHARED_SIZE, at};
use super::{Failed, code, refused};

/// Shared memory and the file behind it.
pub struct Shared {
    base: NonNull<u8>,
    file: OwnedFd,
}

// SAFETY: the mapping belongs to this value; all access goes through `&self` methods that copy, and
// the turn (an atomic) says who may.
unsafe impl Send for Shared {}

impl Shared {
    /// Makes it, with the paths that agents open filled in.
    ///
    /// # Errors
    /// If the kernel refuses a memfd or its mapping.
    pub fn new() -> Result<Self, Failed> {
        let file =
            memfd_create("vmadiff", MFdFlags::MFD_CLOEXEC).map_err(refused("memfd_create"))?;
        ftruncate(&file, SHARED_SIZE.cast_signed()).map_err(refused("ftruncate of a memfd"))?;
        let length = NonZeroUsize::new(SHARED_SIZE as usize).expect("not empty");
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at a place of the kernel's choice.
        let base = unsafe { mmap(None, length, protection, MapFlags::MAP_SHARED, &file, 0) };
        let base = base.map_err(refused("mmap of a memfd"))?.cast();
        let shared = Self { base, file };
        for n in 0..at::PATHS_LEN {
            let path = format!("/proc/self/fd/{n}\0");
            shared.put(at::PATHS + 32 * n, path.as_bytes());
        }
        Ok(shared)
    }

    /// The file, which the first agent maps too.
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Writes bytes at an offset.
    ///
    /// # Panics
    /// If they do not fit.
    pub fn put(&self, offset: usize, bytes: &[u8]) {
        assert!(
            fits(offset, bytes.len(), SHARED_SIZE as usize),
            "beyond the shared memory"
        );
        // SAFETY: inside the mapping, by the check above; it is the harness's turn.
        unsafe {
            let to = self.base.as_ptr().add(offset);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
        }
    }

    /// Reads bytes at an offset.
    ///
    /// # Panics
    /// If they reach beyond the memory.
    pub fn get(&self, offset: usize, bytes: &mut [u8]) {
        assert!(
            fits(offset, bytes.len(), SHARED_SIZE as usize),
            "beyond the shared memory"
        );
        // SAFETY: inside the mapping, by the check above; it is the harness's turn.
        unsafe {
            let from = self.base.as_ptr().add(offset);
            std::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), bytes.len());
        }
    }

    /// Writes operations from an index on.
    ///
    /// # Panics
    /// If they do not fit.
    pub fn write(&self, index: usize, ops: &[Op]) {
        assert!(fits(index, ops.len(), OPS_LEN), "more operations than fit");
        // SAFETY: inside the mapping and aligned (the mapping is page-aligned, the list and an
        // operation's size are multiples of 8); it is the harness's turn.
        unsafe {
            let to = self.base.as_ptr().add(at::OPS).cast::<Op>().add(index);
            std::ptr::copy_nonoverlapping(ops.as_ptr(), to, ops.len());
        }
    }

    /// Reads an operation.
    ///
    /// # Panics
    /// If there is none of that index.
    pub fn read(&self, index: usize) -> Op {
        assert!(index < OPS_LEN, "no such operation");
        // SAFETY: as for `write`; any bytes are an `Op`.
        unsafe {
            self.base
                .as_ptr()
                .add(at::OPS)
                .cast::<Op>()
                .add(index)
                .read_volatile()
        }
    }

    /// Which operation is the current one.
    pub fn pc(&self) -> usize {
        usize::try_from(self.word64(at::PC).load(Ordering::Acquire)).expect("64-bit machine")
    }

    /// Sets which operation is the current one.
    pub fn set_pc(&self, index: usize) {
        self.word64(at::PC).store(index as u64, Ordering::Release);
    }

    /// Whose turn it is.
    pub fn turn(&self) -> Owner {
        self.word32(at::TURN).load(Ordering::Acquire)
    }

    /// Gives the turn to an agent.
    pub fn pass_turn(&self, to: Owner) {
        let turn = self.word32(at::TURN);
        turn.store(to, Ordering::Release);
        // SAFETY: FUTEX_WAKE_BITSET on a word that lives.
        unsafe {
            let wake = libc::FUTEX_WAKE_BITSET;
            libc::syscall(
                libc::SYS_futex,
                turn.as_ptr(),
                wake,
                i32::MAX,
                0,
                0,
                1_u32 << to,
            );
        }
    }

    /// Waits until it is the harness's turn; says whether it is.
    pub fn await_turn(&self, at_most: Duration) -> bool {
        let turn = self.word32(at::TURN);
        let seen = turn.load(Ordering::Acquire);
        if seen == HARNESS {
            return true;
        }
        let nanos = libc::c_long::from(at_most.subsec_nanos().cast_signed());
        let time = libc::timespec {
            tv_sec: at_most.as_secs().cast_signed(),
            tv_nsec: nanos,
        };
        // SAFETY: FUTEX_WAIT (relative timeout) on a word that lives.
        unsafe {
            libc::syscall(
                libc::SYS_futex,
                turn.as_ptr(),
                libc::FUTEX_WAIT,
                seen,
                &raw const time,
            );
        }
        turn.load(Ordering::Acquire) == HARNESS
    }

    /// Writes the structures for sigaltstack and rt_sigaction; answers where agents see them.
    pub fn signal_structs(&self) -> (u64, u64) {
        let stack = [SHARED + at::STACK as u64, 0, at::STACK_SIZE as u64];
        let handler = AGENT + code::code().2;
        let flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER | SA_RESTORER;
        let action = [handler, flags as u64, handler, 0];
        self.put(at::DATA, &bytes_of(&stack));
        self.put(at::DATA + 64, &bytes_of(&action));
        (SHARED + at::DATA as u64, SHARED + at::DATA as u64 + 64)
    }

    fn word32(&self, offset: usize) -> &AtomicU32 {
        // SAFETY: inside the mapping and aligned; agents access it with whole-word moves.
        unsafe { AtomicU32::from_ptr(self.base.as_ptr().add(offset).cast()) }
    }

    fn word64(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: inside the mapping and aligned; agents access it with whole-word moves.
        unsafe { AtomicU64::from_ptr(self.base.as_ptr().add(offset).cast()) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own and nothing borrows from it.
        let _ = unsafe { munmap(self.base.cast(), SHARED_SIZE as usize) };
    }
}

/// Whether `length` things from an index on end within `size`. A sum that overflows does not.
fn fits(start: usize, length: usize, size: usize) -> bool {
    start.checked_add(length).is_some_and(|end| end <= size)
}

/// The kernel asks for a restorer on x86-64. It is never used: the handler does not return.
const SA_RESTORER: i32 = 0x0400_0000;

/// Words as the bytes that a system call reads.
pub fn bytes_of(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}
