//! How the first agent comes to be: fork, shed what libc left behind, jump into the page of code.

use std::arch::asm;
use std::os::fd::{AsRawFd, RawFd};

use nix::unistd::{ForkResult, Pid, fork as fork_process};

use super::layout::{AGENT, CODE_SIZE, FIRST, SHARED, SHARED_SIZE};
use super::{Failed, Shared, code, refused};
use crate::machine::Machine;

/// What the child needs, found before the fork: it must not allocate.
struct Baggage {
    file: RawFd,
    rseq: Option<*mut libc::c_void>,
    code: (*const u8, usize),
    parent: Pid,
    keep_lock_capability: bool,
}

/// Forks the first agent. It then waits for its turn.
pub fn fork(shared: &Shared, machine: &Machine) -> Result<Pid, Failed> {
    let (start, length, _) = code::code();
    assert!(
        length as u64 <= CODE_SIZE,
        "the agent's code is longer than a page"
    );
    let baggage = Baggage {
        file: shared.file().as_raw_fd(),
        rseq: restartable_area(),
        code: (start, length),
        parent: nix::unistd::getpid(),
        keep_lock_capability: machine.cap_ipc_lock,
    };
    // SAFETY: the child allocates nothing and takes no lock: it makes system calls and jumps away.
    match unsafe { fork_process() }.map_err(refused("fork"))? {
        ForkResult::Parent { child } => Ok(child),
        // SAFETY: we are the forked child.
        ForkResult::Child => unsafe { become_agent(&baggage) },
    }
}

/// The area for restartable sequences that glibc registered for this thread: the kernel writes to
/// it whenever the thread was interrupted, so it must be given up before its memory goes.
fn restartable_area() -> Option<*mut libc::c_void> {
    // SAFETY: dlsym with a constant name; the variable, where there is one, is a `ptrdiff_t`
    // relative to the thread pointer, which on x86-64 is the word at fs:0.
    unsafe {
        let offset = libc::dlsym(libc::RTLD_DEFAULT, c"__rseq_offset".as_ptr());
        if offset.is_null() {
            return None;
        }
        let thread: usize;
        asm!("mov {}, fs:0", out(reg) thread, options(nostack, readonly));
        let offset = offset.cast::<isize>().read();
        Some(thread.wrapping_add_signed(offset) as *mut libc::c_void)
    }
}

/// Turns the calling process into an agent.
///
/// # Safety
/// Only in a freshly forked child: it throws away the process as libc knows it.
unsafe fn become_agent(baggage: &Baggage) -> ! {
    // SAFETY: system calls on the child's own process; the two mappings are put where nothing is
    // (MAP_FIXED_NOREPLACE), and the code is position-independent and fits its page.
    unsafe {
        detach(baggage);
        let new = libc::MAP_FIXED_NOREPLACE | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let read_write = libc::PROT_READ | libc::PROT_WRITE;
        let page = libc::mmap(AGENT as *mut _, CODE_SIZE as usize, read_write, new, -1, 0);
        let flags = libc::MAP_FIXED_NOREPLACE | libc::MAP_SHARED;
        let size = SHARED_SIZE as usize;
        let data = libc::mmap(SHARED as *mut _, size, read_write, flags, baggage.file, 0);
        if page as u64 != AGENT || data as u64 != SHARED {
            libc::_exit(101);
        }
        std::ptr::copy_nonoverlapping(baggage.code.0, page.cast::<u8>(), baggage.code.1);
        libc::mprotect(page, CODE_SIZE as usize, libc::PROT_READ | libc::PROT_EXEC);
        shed_descriptors();
        asm!(
            "mov r14d, {first:e}",
            "jmp {code}",
            first = in(reg) FIRST,
            code = in(reg) AGENT,
            options(noreturn)
        );
    }
}

/// Leaves what would reach into memory that is about to go, and what the program should not have.
unsafe fn detach(baggage: &Baggage) {
    // SAFETY: as for `become_agent`; pointers are to locals that live through the calls, and to the area
    // that glibc registered for this thread, which is there still.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        if libc::getppid() != baggage.parent.as_raw() {
            libc::_exit(102);
        }
        // Ctrl-C reaches the command alone, which lets the program come to its end.
        libc::setpgid(0, 0);
        if let Some(area) = baggage.rseq {
            // The length must be the one it was registered with, which differs between versions.
            for length in (32..=512).step_by(4) {
                const UNREGISTER: i32 = 1;
                const SIGNATURE: u32 = 0x5305_3053;
                if libc::syscall(libc::SYS_rseq, area, length, UNREGISTER, SIGNATURE) == 0 {
                    break;
                }
            }
        }
        let nowhere = std::ptr::null_mut::<u64>();
        libc::syscall(libc::SYS_set_tid_address, nowhere);
        libc::syscall(libc::SYS_set_robust_list, nowhere, 24_usize);
        let none: u64 = 0;
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const none,
            nowhere,
            size_of_val(&none),
        );
        libc::setitimer(libc::ITIMER_REAL, &std::mem::zeroed(), std::ptr::null_mut());
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1);
        libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0);
        libc::syscall(libc::SYS_personality, 0);
        for resource in [
            libc::RLIMIT_MEMLOCK,
            libc::RLIMIT_STACK,
            libc::RLIMIT_NOFILE,
        ] {
            let mut limit = std::mem::zeroed::<libc::rlimit>();
            libc::getrlimit(resource, &raw mut limit);
            let most = libc::rlimit {
                rlim_max: libc::RLIM_INFINITY,
                ..limit
            };
            libc::setrlimit(resource, &raw const most);
        }
        drop_capabilities(baggage.keep_lock_capability);
    }
}

/// Programs are those of an ordinary user: no capability is in effect.
unsafe fn drop_capabilities(keep_lock: bool) {
    const VERSION_3: u32 = 0x2008_0522;
    const IPC_LOCK: u32 = 1 << 14;
    let header: [u32; 2] = [VERSION_3, 0];
    let permitted = if keep_lock { IPC_LOCK } else { 0 };
    let sets: [u32; 6] = [0, permitted, 0, 0, 0, 0];
    // SAFETY: header and sets have the layout that version 3 asks for.
    unsafe {
        libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr());
    }
}

/// Descriptors 0 to 2 are /dev/null, all others closed: the program's first one is 3.
unsafe fn shed_descriptors() {
    // SAFETY: system calls on the child's own descriptors.
    unsafe {
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
        for standard in 0..3 {
            libc::dup2(null, standard);
        }
        // Since 5.9; before it, one by one.
        if libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) != 0 {
            close_one_by_one();
        }
    }
}

/// Closes all descriptors from 3 on, as far as any may be open: their limit may have been lowered below
/// one that is.
unsafe fn close_one_by_one() {
    // SAFETY: system calls on the child's own descriptors; the structure is a local.
    unsafe {
        let mut limit = std::mem::zeroed::<libc::rlimit>();
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
        let most = limit.rlim_max.clamp(LEAST_CLOSED, MOST_CLOSED);
        for descriptor in 3..most {
            libc::close(descriptor as i32);
        }
    }
}

const LEAST_CLOSED: u64 = 1 << 10;
const MOST_CLOSED: u64 = 1 << 16;

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use nix::unistd::{getpgid, getpgrp};

    use super::super::Agent;
    use super::super::layout::{FIRST, Op, kind};
    use crate::machine::Machine;

    #[test]
    fn ctrl_c_on_a_terminal_reaches_no_agent() {
        match Agent::new(&Machine::look().unwrap()) {
            Ok(agent) => assert_ne!(getpgid(Some(agent.pid)).unwrap(), getpgrp()),
            Err(why) => eprintln!("skipped: {why}"),
        }
    }

    /// A list that never comes to its end: what was forked in it has told nobody its number.
    #[test]
    fn an_agent_takes_with_it_what_a_cut_off_list_forked() {
        let agent = match Agent::new(&Machine::look().unwrap()) {
            Ok(agent) => agent,
            Err(why) => return eprintln!("skipped: {why}"),
        };
        let first = |op: Op| Op { owner: FIRST, ..op };
        let child = u64::from(FIRST + 1);
        let list = [
            first(Op::other(kind::FORK, [child])),
            first(Op::call::<0>(libc::SYS_pause, [])),
        ];
        agent.shared().write(0, &list);
        agent.shared().set_pc(0);
        agent.shared().pass_turn(FIRST);
        let list = format!("/proc/{0}/task/{0}/children", agent.pid);
        let start = Instant::now();
        let forked = loop {
            let children = std::fs::read_to_string(&list).unwrap();
            if let Some(forked) = children.split_whitespace().next() {
                break forked.to_owned();
            }
            assert!(start.elapsed() < Duration::from_secs(30), "nothing forked");
        };
        drop(agent);
        // Whoever inherits it may leave it a zombie.
        let lives = || {
            let stat = std::fs::read_to_string(format!("/proc/{forked}/stat"));
            stat.is_ok_and(|stat| !stat.contains(") Z "))
        };
        let start = Instant::now();
        while lives() {
            assert!(start.elapsed() < Duration::from_secs(30), "{forked} lives");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
