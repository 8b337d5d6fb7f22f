//! Logs that do not say all: what is not certain is left out, with the reason and the line.

use proptest::prelude::*;
use vmadiff::program::strace::{Import, Listing, LogError, Source, import, import_all};

fn read(text: &str) -> Import {
    import(Source { name: "log", text })
}

/// The program of this log is this, and what is left out is this.
#[track_caller]
fn check(log: &str, program: &str, left: &[&str]) -> Import {
    let import = read(log);
    let text = import.case.to_string();
    let calls: Vec<_> = text
        .lines()
        .filter(|line| !line.starts_with("config"))
        .collect();
    let expected: Vec<_> = program.lines().collect();
    assert_eq!(calls, expected, "{log}");
    let skipped = import.summary.skipped.iter();
    let lines: Vec<_> = skipped
        .map(|((name, why), skipped)| {
            format!("{} {name}: {why} ({})", skipped.count, skipped.first)
        })
        .collect();
    assert_eq!(lines, left, "{log}");
    assert_eq!(import.linux.len(), import.case.program.calls.len());
    import
}

const MAP: &str = "mmap(NULL, 16384, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = \
                   0x7f0000010000";
const MAPPED: &str = "mmap(NULL, 0x4000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) \
                      = 0x7f0000010000\n";

/// A first line that maps four pages, then these.
#[track_caller]
pub fn check_after_map(log: &str, program: &str, left: &[&str]) -> Import {
    check(
        &format!("{MAP}\n{log}"),
        &format!("{MAPPED}{program}"),
        left,
    )
}

#[test]
fn a_call_with_something_else_in_it_is_left_out() {
    // The output begins with a digit, so the length could be any number that begins with 409.
    check_after_map(
        "munmap(0x7f0000010000, 40967 items\n) = 0\nmunmap(0x7f0000012000, 4096) = 0\n",
        "munmap(0x7f0000012000, 0x1000) = 0\n",
        &["1 munmap: something else was written in the middle of it (log:2)"],
    );
    check_after_map(
        "munmap(0x7f0000010000, 4096) = 0 ready\nmprotect(0x7f0000010000, 4096, PROT_READ) = ok\n",
        "",
        &[
            "1 mprotect: something else was written in the middle of it (log:3)",
            "1 munmap: something else was written in the middle of it (log:2)",
        ],
    );
    check_after_map(
        "munmap(0x7f0000010000, 4096done.\nand more\n",
        "",
        &[
            "1 line: no system call in strace's notation (log:3)",
            "1 munmap: where it ends is not in the log (log:2)",
        ],
    );
}

/// Digits of the program's output right behind a length: what is no number of pages is not sure.
#[test]
fn a_length_that_output_may_have_lengthened_is_left_out() {
    let log = |noise: &str, len: &str| {
        format!(
            "1 {MAP}\n{noise}1 munmap(0x7f0000010000, {len} <unfinished ...>\n\
             1 <... munmap resumed>) = 0\n"
        )
    };
    let whole = format!("{MAPPED}munmap(0x7f0000010000, 0x1000) = 0\n");
    let noise = "1 line: no system call in strace's notation (log:2)";
    check(&log("hello\n", "4096"), &whole, &[noise]);
    check(
        &log("hello\n", "409617"),
        MAPPED,
        &[
            noise,
            "1 munmap: something else was written in the middle of it (log:3)",
        ],
    );
    let odd = format!("{MAPPED}munmap(0x7f0000010000, 0x64011) = 0\n");
    check(&log("", "409617"), &odd, &[]);
}

#[test]
fn a_last_line_without_its_end_is_left_out_unless_it_is_whole() {
    let cut = |line: &str| {
        check_after_map(
            line,
            "",
            &[&format!(
                "1 {}: cut off: the log ends within the line (log:2)",
                line.split('(').next().unwrap_or_default()
            )],
        )
    };
    cut("munmap(0x7f0000010000, 40");
    cut("munmap(0x7f0000010000, 4096)");
    cut("munmap(0x7f0000010000, 4096) = 0");
    cut("mmap(NULL, 8192, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f00000e000");
    cut("munmap(0x7f0000010000, 4096) = -1 EINVA");
    cut("munmap(0x7f0000010000, 4096) = -1 EINVAL");
    cut("munmap(0x7f0000010000, 4096) = -1 EINVAL (Inval");
    check_after_map(
        "munmap(0x1, 1) = -1 EINVAL (Invalid argument)",
        "munmap(0x1, 0x1) = -1 EINVAL\n",
        &[],
    );
    check_after_map(
        "munmap(0x7f0000010000, 1) = 0 <0.000031>",
        "munmap(0x7f0000010000, 0x1) = 0\n",
        &[],
    );
}

#[test]
fn a_call_whose_beginning_or_result_is_missing_is_left_out() {
    check(
        "7 <... mmap resumed>) = 0x7f0000000000\n7 munmap(0x7f0000000000, 4096) = 0\n\
         7 mlock(0x1000, 1) = -1 ENOMEM (Cannot allocate memory)\n",
        "mlock(0x1000, 0x1) = -1 ENOMEM\n",
        &[
            "1 mmap: where it begins is not in the log (log:1)",
            "1 munmap: on memory that the log does not map (log:2)",
        ],
    );
    check_after_map(
        "madvise(0x7f0000010000, 4096, MADV_DONTNEED <detached ...>\n",
        "",
        &["1 madvise: the log has no result of it (log:2)"],
    );
    // What the call did is not known, so what is there is not.
    check_after_map(
        "munmap(0x7f0000010000, 4096) = ? <unavailable>\n\
         mlock(0x7f0000010000, 4096) = 0\nmlock(0x7f0000011000, 4096) = 0\n",
        "mlock(0x7f0000011000, 0x1000) = 0\n",
        &[
            "1 mlock: on memory of a call that is left out (log:3)",
            "1 munmap: the log has no result of it (log:2)",
        ],
    );
}

#[test]
fn what_strace_made_up_is_left_out() {
    check_after_map(
        "munmap(0x7f0000010000, 4096) = 0 (INJECTED)\nmlock(0x7f0000010000, 1) = 0 (DELAYED)\n",
        "mlock(0x7f0000010000, 0x1) = 0\n",
        &["1 munmap: strace made its result or its arguments up (-e inject) (log:2)"],
    );
}

#[test]
fn numbers_of_arguments_and_results_that_cannot_be_are_not_guessed() {
    check_after_map(
        "munmap(0x7f0000010000) = 0\nmprotect(0x7f0000010000, 4096, PROT_READ, 7) = 0\n\
         mmap(0xffd3a1c0) = 0x7f0000000000\n\
         mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f000000abc\n",
        "",
        &[
            "1 mmap: its result is no address of a page (log:5)",
            "1 mmap: with 1 argument (log:4)",
            "1 mprotect: with 4 arguments (log:3)",
            "1 munmap: with 1 argument (log:2)",
        ],
    );
}

#[test]
fn what_stands_on_a_call_that_is_left_out_is_left_out() {
    // A device is mapped over the second page.
    check_after_map(
        "mmap(0x7f0000011000, 4096, PROT_READ, MAP_SHARED|MAP_FIXED, 9, 0) = 0x7f0000011000\n\
         mprotect(0x7f0000010000, 8192, PROT_READ) = 0\n\
         mprotect(0x7f0000012000, 8192, PROT_READ) = 0\n\
         munmap(0x7f0000010000, 16384) = 0\n\
         mmap(0x7f0000010000, 8192, PROT_READ, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0) = \
         0x7f0000010000\n\
         mprotect(0x7f0000010000, 8192, PROT_NONE) = 0\n",
        "mprotect(0x7f0000012000, 0x2000, PROT_READ) = 0\n\
         munmap(0x7f0000010000, 0x4000) = 0\n\
         mmap(0x7f0000010000, 0x2000, PROT_READ, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0) = \
         0x7f0000010000\n\
         mprotect(0x7f0000010000, 0x2000, PROT_NONE) = 0\n",
        &[
            "1 mmap: of a descriptor that the log does not open, or of a device (log:2)",
            "1 mprotect: on memory of a call that is left out (log:3)",
        ],
    );
}

/// Another thread's munmap took effect before the mmap that got its place, but returned later.
#[test]
fn calls_that_overlap_are_put_in_an_order_that_was_possible() {
    let import = check(
        &format!(
            "1 {MAP}\n1 clone(child_stack=0x7000, flags=CLONE_VM) = 2\n\
             2 munmap(0x7f0000010000, 16384 <unfinished ...>\n\
             1 mmap(NULL, 8192, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000012000\n\
             2 <... munmap resumed>) = 0\n1 munmap(0x7f0000012000, 8192) = 0\n"
        ),
        &format!(
            "{MAPPED}[2] munmap(0x7f0000010000, 0x4000) = 0\n\
             mmap(NULL, 0x2000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000012000\n\
             munmap(0x7f0000012000, 0x2000) = 0\n"
        ),
        &["1 clone: threads are there from the start, or borrow a task (log:2)"],
    );
    assert_eq!(import.summary.unmapped, 0);
}

#[test]
fn a_place_that_linux_uses_again_was_unmapped() {
    let import = check_after_map(
        "mmap(NULL, 8192, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000012000\n",
        "munmap(0x7f0000012000, 0x2000)  # the log does not unmap this, but Linux used its place \
         again\n\
         mmap(NULL, 0x2000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000012000\n",
        &[],
    );
    assert_eq!(import.summary.unmapped, 1);
}

#[test]
fn flags_that_only_choose_a_place_or_do_nothing_are_no_obstacle() {
    check(
        "mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_32BIT, -1, 0) = 0x40001000\n\
         mmap(NULL, 4096, PROT_READ, 0x62, -1, 0) = 0x40000000\n\
         mmap(0x10000, 4096, PROT_READ, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS|MAP_EXECUTABLE, -1, 0) \
         = 0x10000\n",
        "mmap(0x40001000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x40001000\n\
         mmap(0x40000000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x40000000\n\
         mmap(0x10000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS|MAP_EXECUTABLE, -1, 0) = \
         0x10000\n",
        &[],
    );
}

#[test]
fn calls_of_32_bit_programs_are_those_of_today() {
    let calls = |off: &str| {
        format!(
            "brk(0) = 0x80a1000\nopen(\"/srv/x\", O_RDONLY) = 4\n\
             fstat64(4, {{st_mode=S_IFREG|0644, st_size=70000, ...}}) = 0\n\
             mmap2(NULL, 8192, PROT_READ, MAP_PRIVATE, 4, 0) = 0xf7e91000\n\
             mmap2(0xf7e92000, 4096, PROT_READ, MAP_PRIVATE|MAP_FIXED, 4, {off}) = 0xf7e92000\n\
             old_mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0xf7e90000\n\
             _exit(0) = ?\n"
        )
    };
    for (given, off) in [("0x2000", "0x2000"), ("0x2", "0x2000")] {
        let import = check(
            &calls(given),
            &format!(
                "brk(NULL) = 0x80a1000\nopen(\"plain\", O_RDONLY, 0x11170) = 3\n\
                 mmap(NULL, 0x2000, PROT_READ, MAP_PRIVATE, 3, 0) = 0xf7e91000\n\
                 mmap(0xf7e92000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_FIXED, 3, {off}) = 0xf7e92000\n\
                 mmap(NULL, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0xf7e90000\n\
                 exit()\n"
            ),
            &["1 fstat64: not a call that the model has (log:3)"],
        );
        assert!(
            import.summary.notes[0].contains("32-bit"),
            "{:?}",
            import.summary.notes
        );
    }
}

#[test]
fn an_execve_of_a_thread_goes_on_under_its_process() {
    check(
        "7 execve(\"/bin/a\", [\"a\"], 0x7ffe00 /* 1 var */) = 0\n\
         7 clone(child_stack=0x7000, flags=CLONE_VM|CLONE_THREAD) = 8\n\
         7 brk(NULL) = 0x5000000\n\
         8 execve(\"/bin/b\", [\"b\"], 0x7ffe00 /* 1 var */ <pid changed to 7 ...>\n\
         7 +++ superseded by execve in pid 8 +++\n\
         7 <... execve resumed>) = 0\n7 brk(NULL) = 0x6000000\n",
        "brk(NULL) = 0x5000000\nexit()\n[2] exit()\n",
        &[
            "1 clone: threads are there from the start, or borrow a task (log:2)",
            "1 execve: the log begins here (log:1)",
        ],
    );
}

#[test]
fn a_program_that_is_looked_for_in_several_folders_begins_where_it_is_found() {
    check(
        "execve(\"/a/x\", [\"x\"], 0x7ffe00) = -1 ENOENT (No such file or directory)\n\
         execve(\"/b/x\", [\"x\"], 0x7ffe00) = 0\nbrk(NULL) = 0x5000000\n",
        "brk(NULL) = 0x5000000\n",
        &[
            "1 execve: not a call that the model has (log:1)",
            "1 execve: the log begins here (log:2)",
        ]
        .map(|line| line),
    );
}

#[test]
fn a_log_without_calls_on_memory_is_empty_and_says_why() {
    let reason = |log: &str| {
        let import = read(log);
        assert!(import.is_empty(), "{log}");
        import.summary.main_reason()
    };
    assert_eq!(reason(""), None);
    let check = |log: &str, why: &str| {
        let said = reason(log).expect("a reason");
        assert!(said.ends_with(why), "{said}");
    };
    check(
        "once upon a time\nthere was (a log) = 1\n",
        "no system call in strace's notation",
    );
    check(
        "munmap(0x1000, 1) = 0\nexit_group(0) = ?\n",
        "on memory that the log does not map",
    );
    check(
        "SYS_brk(0) = 0x5000\nSYS_munmap(0x5000, 1) = 0\n",
        "in ltrace's notation, not strace's",
    );
    assert!(!read("munmap(0x1, 1) = -1 EINVAL (Invalid argument)\n").is_empty());
}

/// strace says of which process the threads are that it attached to.
#[test]
fn threads_of_an_attached_process_share_its_memory() {
    let log = |notice: &str| {
        format!(
            "{notice}\n[pid   32] futex(0x7f00, FUTEX_WAIT, 2, NULL <unfinished ...>\n\
             [pid   31] {MAP}\n[pid   32] <... futex resumed>) = 0\n\
             [pid   32] munmap(0x7f0000010000, 4096) = 0\n"
        )
    };
    let futex = "1 futex: not a call that the model has (log:2)";
    check(
        &log("strace: Process 31 attached with 2 threads"),
        &format!("{MAPPED}[2] munmap(0x7f0000010000, 0x1000) = 0\n"),
        &[futex],
    );
    check(
        &log("strace: Process 31 attached"),
        "",
        &[
            futex,
            "1 mmap: of a thread whose birth the log does not show (log:3)",
            "1 munmap: on memory that the log does not map (log:5)",
        ],
    );
}

const AREAS: &str = "\
00400000-00402000 r-xp 00001000 08:01 77      /opt/a, b
00402000-00403000 rw-p 00000000 00:00 0
01000000-01002000 rw-p 00000000 00:00 0       [heap]
01002000-01003000 r--p 00000000 00:00 0       [heap]
7f0000000000-7f0000002000 rw-s 00000000 00:01 9  /dev/zero (deleted)
7f0000002000-7f0000004000 rw-s 00000000 08:01 78 /opt/data (deleted)
7f0000004000-7f0000005000 rw-s 00000000 00:05 3 /dev/dri/card0
7f0000005000-7f0000006000 rw-p 00002000 08:01 77 /opt/a, b
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0  [stack]
7ffc00030000-7ffc00032000 r-xp 00000000 00:00 0  [vdso]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]
";

const START: &str = "\
config tasks=1 mmap_base=0x7f0000006000 start_brk=0x1000000
open(\"plain\", O_RDWR, 0x3000) = 3
mmap(0x400000, 0x2000, PROT_READ|PROT_EXEC, MAP_PRIVATE|MAP_FIXED, 3, 0x1000) = 0x400000
mmap(0x402000, 0x1000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0) = 0x402000
brk(0x1003000) = 0x1003000
mprotect(0x1002000, 0x1000, PROT_READ) = 0
mmap(0x7f0000000000, 0x2000, PROT_READ|PROT_WRITE, MAP_SHARED|MAP_FIXED|MAP_ANONYMOUS, -1, 0) = 0x7f0000000000
open(\"plain\", O_RDWR, 0x2000) = 4
mmap(0x7f0000002000, 0x2000, PROT_READ|PROT_WRITE, MAP_SHARED|MAP_FIXED, 4, 0) = 0x7f0000002000
close(4) = 0
mmap(0x7f0000005000, 0x1000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_FIXED, 3, 0x2000) = 0x7f0000005000
close(3) = 0
mmap(0x7ffc00000000, 0x21000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS|MAP_GROWSDOWN, -1, 0) = 0x7ffc00000000
";

#[test]
fn a_listing_makes_what_was_there_before_the_log() {
    let text = "brk(0x1005000) = 0x1005000\nmunmap(0x7f0000000000, 16384) = 0\n\
                munmap(0x7f0000004000, 4096) = 0\n";
    let log = [Source { name: "log", text }];
    let listing = Listing::parse("maps", AREAS).expect("a listing");
    let mut images = import_all(&log, Some(&listing)).expect("a log");
    let import = images.remove(0);
    let calls = "brk(0x1005000) = 0x1005000\nmunmap(0x7f0000000000, 0x4000) = 0\n";
    assert_eq!(import.case.to_string(), format!("{START}{calls}"));
    assert_eq!((import.summary.start, import.summary.taken), (12, 2));
    let left = import.summary.to_string();
    for said in [
        "of a device (line 7",
        "2 area: the kernel's own (first line 10",
        "munmap: on mem",
    ] {
        assert!(left.contains(said), "{left}");
    }
    // Without it the log says that it wants one, if strace says that it attached.
    let import = read(&format!("strace: Process 5 attached\n{text}"));
    assert!(import.is_empty());
    assert!(
        import
            .summary
            .notes
            .iter()
            .any(|note| note.contains("/proc/5/maps"))
    );
    assert!(read(text).summary.notes.is_empty());
}

#[test]
fn a_listing_for_a_program_from_its_beginning_is_an_error() {
    let text = "execve(\"/bin/a\", [\"a\"], 0x7ffe00) = 0\n";
    let listing = Listing::parse("maps", AREAS).expect("a listing");
    let error = import_all(&[Source { name: "log", text }], Some(&listing)).expect_err("an error");
    assert!(
        error
            .to_string()
            .starts_with("log:1: execve leaves nothing"),
        "{error}"
    );
}

#[test]
fn files_of_several_threads_are_put_in_the_order_of_their_times() {
    let first = format!(
        "23:59:59.999990 execve(\"/bin/a\", [\"a\"], 0x7ffe00) = 0\n\
         23:59:59.999991 {MAP}\n\
         23:59:59.999992 clone(child_stack=0x7000, flags=CLONE_VM|CLONE_FILES) = 22 <0.000004>\n\
         00:00:00.000003 munmap(0x7f0000010000, 4096) = 0\n\
         00:00:00.000009 exit_group(0) = ?\n00:00:00.000010 +++ exited with 0 +++\n"
    );
    let second = "\
        23:59:59.999995 mprotect(0x7f0000010000, 4096, PROT_READ) = 0\n\
        00:00:00.000001 madvise(0x7f0000010000, 4096, MADV_FREE) = 0 <0.000004>\n\
        00:00:00.000010 +++ exited with 0 +++\n";
    let logs = [
        Source {
            name: "run.22",
            text: second,
        },
        Source {
            name: "run.21",
            text: &first,
        },
    ];
    let import = import_all(&logs, None).expect("logs").remove(0);
    let expected = format!(
        "config mmap_base=0x7f0000014000\n{MAPPED}\
         [2] mprotect(0x7f0000010000, 0x1000, PROT_READ) = 0\n\
         munmap(0x7f0000010000, 0x1000) = 0\n[2] exit()\nexit()\n"
    );
    // The advice ended after the area was gone, and Linux says that it succeeded: nobody knows.
    assert_eq!(import.case.to_string(), expected);
    let places: Vec<_> = import
        .linux
        .iter()
        .map(|linux| (linux.file, linux.line))
        .collect();
    assert_eq!(places, [(1, 2), (0, 1), (1, 4), (1, 5), (1, 5)]);
}

#[test]
fn files_of_several_threads_without_an_order_are_refused() {
    let refuses = |first: (&str, &str), second: (&str, &str)| {
        let logs = [first, second].map(|(name, text)| Source { name, text });
        import_all(&logs, None).expect_err("an error")
    };
    let call = "brk(NULL) = 0x5000000\n";
    let timed = "1699000001.200114 brk(NULL) = 0x5000000\n";
    let error = refuses(("a.7", timed), ("a.8", call));
    assert_eq!(
        error,
        LogError::NoTime {
            file: "a.8".to_owned(),
            line: 1
        }
    );
    let error = refuses(("a.7", timed), ("a.8", "10:20:30 brk(NULL) = 0x5000000\n"));
    assert_eq!(
        error,
        LogError::NoTime {
            file: "a.8".to_owned(),
            line: 1
        }
    );
    let error = refuses(("a.7", timed), ("b/a.7", timed));
    assert_eq!(
        error,
        LogError::SameThread {
            file: "b/a.7".to_owned(),
            pid: 7
        }
    );
}

/// Two programs at once behind one journal's prefix: one of them is taken.
#[test]
fn of_two_streams_one_is_taken() {
    check(
        &format!(
            "web-1 | {MAP}\nweb-2 | {MAP}\nweb-1 | munmap(0x7f0000010000, 4096) = 0\nweb-2 | up\n"
        ),
        &format!("{MAPPED}munmap(0x7f0000010000, 0x1000) = 0\n"),
        &[
            "1 line: no system call in strace's notation (log:4)",
            "1 line: of another stream of the same journal (log:2)",
        ],
    );
}

/// Time and memory grow with the length of a log, not with its square.
#[test]
fn a_long_log_is_read_in_time() {
    let mut log = String::new();
    let place = |i: u64| 0x7f00_0000_0000 - i * 8192;
    for i in 0..20_000 {
        let place = place(i);
        log += &format!(
            "mmap({place:#x}, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = {place:#x}\n"
        );
    }
    for i in 0..20_000 {
        log += &format!("munmap({:#x}, 4096) = 0\n", place(i * 7 % 20_000));
    }
    let started = std::time::Instant::now();
    assert_eq!(read(&log).summary.taken, 40_000);
    // Seconds if each call looked at all areas.
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

/// Pieces of lines, of which any order is a log.
fn pieces() -> impl Strategy<Value = Vec<String>> {
    let piece = prop_oneof![
        Just("mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000000000\n"),
        Just("munmap(0x7f0000000000, 4096"),
        Just("mremap(0x7f0000000000, 4096, 0xffffffffffffffff, MREMAP_MAYMOVE) = 0x7f0000001000\n"),
        Just(
            "mmap(0xfffffffffffff000, 18446744073709551615, 3, 0x32, -1, 0) = 0xfffffffffffff000\n"
        ),
        Just("brk(0) = 0xffffffffffffffff\n"),
        Just("7 "),
        Just("[pid 8] "),
        Just("[pid 8<a"),
        Just("99:99:99.999999 "),
        Just("clone(flags=CLONE_VM) = 8\n"),
        Just("clone(flags=0) = 9\n"),
        Just("execve(\"/a\") = 0\n"),
        Just("<... munmap resumed>"),
        Just(" <unfinished ...>\n"),
        Just(" <pid changed to 7 ...>\n"),
        Just(") = 0\n"),
        Just("exit_group(0) = ?\n"),
        Just("+++ exited with 0 +++\n"),
        Just("strace: Process 8 attached with 2 threads\n"),
        Just("open(\"/srv/a\", O_RDWR) = 3\n"),
        Just("mmap(NULL, 4096, PROT_READ, MAP_SHARED, 3</a, b>, 0) = 0x7f0000002000\n"),
        Just("ftruncate(3, 1) = 0\nclose(3) = 0\n"),
        Just("------ ----------- syscall\n"),
        Just("\n"),
    ];
    prop::collection::vec(
        prop_oneof![4 => piece.prop_map(str::to_owned), 1 => "\\PC{0,9}"],
        0..30,
    )
}

proptest! {
    /// Nothing that can be in a log, a listing or several logs is too much.
    #[test]
    fn nothing_in_a_log_panics(first in pieces(), second in pieces(), areas in pieces()) {
        let (first, second) = (first.concat(), second.concat());
        let listing = Listing::parse("maps", &format!("{AREAS}{}", areas.concat())).ok();
        let listing = listing.or_else(|| Listing::parse("maps", AREAS).ok());
        let logs = [Source { name: "a.7", text: &first }, Source { name: "a.8", text: &second }];
        for given in [&logs[..1], &logs] {
            for import in import_all(given, listing.as_ref()).unwrap_or_default() {
                let program = import.case.program;
                prop_assert_eq!(vmadiff::program::Program::decode(&program.encode()), program);
            }
        }
    }
}
