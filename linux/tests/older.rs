//! What agents stand on that older kernels lack, hidden from them by seccomp.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use vmadiff_contract::{Access, Call, Config, Fd, FileKind, Outcome, TaskId};
use vmadiff_linux::{Answer, Linux, Look};

/// From here on, a system call does not exist for this thread and the processes that it forks.
fn hide(number: libc::c_long) {
    const LOAD_WORD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
    const JUMP_IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    let step = |code, jt, k| libc::sock_filter { code, jt, jf: 0, k };
    let refuse = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
    let mut steps = [
        step(LOAD_WORD, 0, 0), // the number is the first word
        libc::sock_filter {
            jf: 1,
            ..step(JUMP_IF_EQUAL, 0, number as u32)
        },
        step(RETURN, 0, refuse),
        step(RETURN, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: steps.len() as u16,
        filter: steps.as_mut_ptr(),
    };
    // SAFETY: prctl with a filter that lives through the call; it concerns this thread only.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let mode = libc::SECCOMP_MODE_FILTER;
        assert_eq!(
            libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program),
            0
        );
    }
}

/// close_range is of 5.9. Without it, descriptors that the harness has open must not stay open in
/// agents: the program's first one is 3.
#[test]
fn agents_close_what_they_got_without_close_range() {
    let _open: Vec<_> = (0..5)
        .map(|_| std::fs::File::open("/dev/null").unwrap())
        .collect();
    hide(libc::SYS_close_range);
    // SAFETY: a system call without memory.
    let hidden = unsafe { libc::syscall(libc::SYS_close_range, 1000, 1001, 0) };
    assert_eq!(hidden, -1, "it is there");
    let Ok(mut linux) = Linux::new().inspect_err(|why| eprintln!("skipped: {why}")) else {
        return;
    };
    let open = Call::Open {
        kind: FileKind::Plain,
        access: Access::READ | Access::WRITE,
        size: 4096,
    };
    let calls = [open, open, Call::Close { fd: Fd(3) }, open].map(|call| (TaskId(1), call));
    let config = Config {
        nodes: linux.machine().nodes,
        ..Config::default()
    };
    let run = linux.run(&config, &calls, Look::AtEnd).unwrap();
    let expected = [3, 4, 0, 3].map(|value| Answer::Known(Outcome::Value(value)));
    assert_eq!(run.answers, expected);
}
