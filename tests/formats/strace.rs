//! Logs of strace become programs, and what is not taken is counted.

use proptest::prelude::*;
use vmadiff::program::strace::{Import, Source, import, import_all};
use vmadiff_contract::{Errno, Outcome};

fn source(log: &str) -> Source<'_> {
    Source {
        name: "a.strace",
        text: log,
    }
}

fn read(log: &str) -> Import {
    import(source(log))
}

/// The program of this log is this, and what is skipped is this.
#[track_caller]
fn check(log: &str, program: &str, skipped: &str) {
    let import = read(log);
    assert_eq!(import.case.to_string(), program);
    let all = import.summary.skipped.iter();
    let lines: String = all
        .map(|((name, why), skipped)| format!("{} {name}: {why}\n", skipped.count))
        .collect();
    assert_eq!(lines, skipped);
    assert_eq!(import.linux.len(), import.case.program.calls.len());
}

/// A real log with threads, with times and thread numbers, by `strace -f -tt -o`.
#[test]
fn a_program_with_threads() {
    check(
        include_str!("../data/threads.strace"),
        include_str!("../data/threads.vma"),
        "\
1 clone3: threads are there from the start, or borrow a task
1 close: its descriptor is never mapped
1 dup: its descriptor is never mapped
1 execve: the log begins here
1 mprotect: on memory that the log does not map
1 wait4: not a call that the model has
",
    );
}

/// A real log of a shell that forks, as strace writes it to a terminal.
#[test]
fn a_shell() {
    check(
        include_str!("../data/dash.strace"),
        include_str!("../data/dash.vma"),
        "\
6 close: its descriptor is never mapped
2 dup2: its descriptor is never mapped
1 execve: the log begins here
2 mprotect: on memory that the log does not map
2 newfstatat: not a call that the model has
1 pipe2: not a call that the model has
2 pread64: not a call that the model has
1 read: not a call that the model has
5 wait4: not a call that the model has
",
    );
}

#[test]
fn nothing_is_the_empty_program() {
    check("", "config tasks=1\n", "");
}

/// A file stays open as long as a descriptor of it does, and has the lowest number in the program.
#[test]
fn descriptors_are_followed() {
    check(
        r#"
openat(AT_FDCWD, "/lib/a, (b).so", O_RDONLY|O_CLOEXEC) = 5
fstat(5, {st_mode=S_IFREG|0755, st_size=8192, ...}) = 0
dup2(5, 9)                              = 9
close(5)                                = 0
fcntl(9, F_DUPFD_CLOEXEC, 3)            = 5
openat(AT_FDCWD, "/dev/zero", O_RDWR)   = 6
mmap(0x10000, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_FIXED, 6, 0) = 0x10000
mmap(0x20000, 4096, PROT_READ, MAP_SHARED|MAP_FIXED, 9</lib/a>, 0x1000) = 0x20000
close(9)                                = 0
dup2(6, 5)                              = 5
memfd_create("x", 0)                    = 7
mmap(0x30000, 4096, PROT_READ, MAP_SHARED|MAP_FIXED, 7, 0) = 0x30000
"#,
        "\
config tasks=1
open(\"plain\", O_RDONLY, 0x2000) = 3
mmap(0x20000, 0x1000, PROT_READ, MAP_SHARED|MAP_FIXED, 3, 0x1000) = 0x20000
close(3) = 0
open(\"plain\", O_RDWR, 0) = 3
mmap(0x30000, 0x1000, PROT_READ, MAP_SHARED|MAP_FIXED, 3, 0) = 0x30000
",
        "\
2 close: its descriptor is never mapped
1 dup2: its descriptor is never mapped
1 fcntl: its descriptor is never mapped
1 fstat: not a call that the model has
1 mmap: of a descriptor that the log does not open, or of a device
1 openat: its descriptor is never mapped
",
    );
}

/// Where Linux chose another place than the rules would, the call asks for it.
#[test]
fn places_are_kept() {
    let import = read(
        "\
mmap(NULL, 8192, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000002000
mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000001000
mmap(NULL, 4194304, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7effff800000
mremap(0x7f0000001000, 4096, 12288, MREMAP_MAYMOVE) = 0x7effff000000
",
    );
    assert_eq!(import.summary.placed, 2);
    assert_eq!(
        import.case.to_string(),
        "\
config tasks=1 mmap_base=0x7f0000004000
mmap(NULL, 0x2000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000002000
mmap(NULL, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000001000
mmap(0x7effff800000, 0x400000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7effff800000
mremap(0x7f0000001000, 0x1000, 0x3000, MREMAP_MAYMOVE|MREMAP_FIXED, 0x7effff000000) = 0x7effff000000
"
    );
}

/// What runs after an execve is a program of its own; vfork's child borrows until then.
#[test]
fn an_execve_begins_another_program() {
    let log = "\
10 execve(\"/bin/a\", [\"a\"], 0x7ffe /* 1 var */) = 0
10 vfork( <unfinished ...>
11 munmap(0x10000, 4096) = 0
11 close(0) = 0
11 execve(\"/bin/b\", [\"b\"], 0x7ffe /* 1 var */ <unfinished ...>
10 <... vfork resumed>) = 11
11 <... execve resumed>) = 0
11 brk(NULL) = 0x600000
11 clone(child_stack=NULL, flags=SIGCHLD) = 12
11 exit_group(0) = ?
12 brk(0x601000) = 0x601000
12 +++ killed by SIGKILL +++
10 exit_group(0) = ?
";
    let mut images = import_all(&[source(log)], None).expect("a log");
    assert_eq!(images.len(), 2);
    let second = images.remove(1).case.to_string();
    let expected = "\
config tasks=1 start_brk=0x600000
brk(NULL) = 0x600000
fork() = 2
exit()
[2] brk(0x601000) = 0x601000
[2] exit()
";
    assert_eq!(second, expected);
    assert_eq!(images[0].case.to_string(), "config tasks=1\nexit()\n");
    assert_eq!(read(log).summary.others, 1);
}

/// A program's first address space has eight threads at most; more of them share the first task.
#[test]
fn threads_beyond_the_eighth_act_as_the_first_task() {
    let mut log = String::new();
    for thread in 2..12 {
        log += &format!("1 clone(child_stack=0x7000, flags=CLONE_VM|CLONE_FILES) = {thread}\n");
    }
    log += "8 mprotect(0, 0, PROT_READ) = 0\n";
    log += "9 mprotect(0, 0, PROT_READ) = 0\n";
    log += "9 exit(0) = ?\n8 exit(0) = ?\n1 exit_group(0) = ?\n";
    let text = read(&log).case.to_string();
    let mut expected = "config tasks=8\n[8] mprotect(NULL, 0, PROT_READ) = 0\n".to_owned();
    expected += "mprotect(NULL, 0, PROT_READ) = 0\n[8] exit()\n";
    for task in 2..8 {
        expected += &format!("[{task}] exit()\n");
    }
    assert_eq!(text, expected + "exit()\n");
}

#[test]
fn answers_are_compared_call_by_call() {
    let mut import = read(
        "munmap(0x10000, 1) = 0\nmprotect(0x10000, 1, PROT_READ) = -1 ENOMEM (Cannot allocate)\n\
         madvise(0x10001, 1, MADV_FREE) = -1 EINVAL (Invalid)\n\
         mlock(0x1000, 1) = -1 EINTR (What)\n",
    );
    // The first succeeded on what is not in the log.
    assert_eq!(import.case.program.calls.len(), 3);
    let others = [
        Outcome::Errno(Errno::ENOMEM),
        Outcome::Errno(Errno::EPERM),
        Outcome::Value(0),
    ];
    let differences = import.compare(&others);
    let short: Vec<_> = differences
        .iter()
        .map(|d| (d.call, d.line, d.linux.as_str(), d.other.as_str()))
        .collect();
    assert_eq!(
        short,
        [(1, 3, "-1 EINVAL", "-1 EPERM"), (2, 4, "-1 EINTR", "0")]
    );
    assert_eq!(
        import.case.to_string(),
        "\
config tasks=1
mprotect(0x10000, 0x1, PROT_READ) = -1 ENOMEM
madvise(0x10001, 0x1, MADV_FREE)  # Linux: -1 EINVAL
mlock(0x1000, 0x1)  # Linux: -1 EINTR
"
    );
}

#[test]
fn a_log_that_is_cut_off_is_read_as_far_as_it_goes() {
    check(
        "1 mmap(0x10000, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0 <unfinished ...>\n\
         2 munmap(0x10000 <unfinished ...>\n",
        "config tasks=1\n",
        "1 mmap: the log has no result of it\n\
         1 munmap: of a thread whose birth the log does not show\n",
    );
}

proptest! {
    /// Whatever is in a log, what is understood of it is a program.
    #[test]
    fn no_damage_panics(
        places in prop::collection::vec(any::<prop::sample::Index>(), 1..6),
        with in "\\PC{0,2}|0x[0-9a-f]{1,16}|[(){}\\[\\],\"<>/*\n-]",
    ) {
        let mut log = include_str!("../data/threads.strace").to_owned();
        for place in places {
            let at = place.index(log.len());
            if log.is_char_boundary(at) && log.is_char_boundary(at + 1) {
                log.replace_range(at..=at, &with);
            }
        }
        let program = read(&log).case.program;
        prop_assert_eq!(vmadiff::program::Program::decode(&program.encode()), program);
    }
}
