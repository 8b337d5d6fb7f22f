//! One run is one program, whatever options strace had, whichever version it was, and whatever
//! others wrote before and between its lines.

use vmadiff::program::strace::{Source, import};

/// A run of two threads, each line with the thread and the call.
const RUN: [(u32, &str); 14] = [
    (
        41,
        "execve(\"/bin/a\", [\"a\", \"-b\"], 0x7ffe00 /* 3 vars */) = 0",
    ),
    (41, "brk(NULL) = 0x5581a3c4e000"),
    (41, "openat(AT_FDCWD, \"/srv/a\", O_RDWR) = 3"),
    (
        41,
        "mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_SHARED, 3, 0) = 0x7f61a8e2c000",
    ),
    (41, "close(3) = 0"),
    (
        41,
        "clone(child_stack=0x7f61, flags=CLONE_VM|CLONE_FILES|CLONE_THREAD) = 42",
    ),
    (41, "munmap(0x7f61a8e2c000, 4096 <unfinished ...>"),
    (42, "madvise(0x7f61a8e2d000, 4096, MADV_DONTNEED) = 0"),
    (41, "<... munmap resumed>) = 0"),
    (42, "mremap(0x7f61a8e2d000, 4096, 4096, 0) = 0x7f61a8e2d000"),
    (
        42,
        "mlock2(0x7f61a8e2d000, 4096, MLOCK_ONFAULT) = -1 EPERM (Operation not permitted)",
    ),
    (
        42,
        "--- SIGUSR1 {si_signo=SIGUSR1, si_code=SI_TKILL, si_pid=41} ---",
    ),
    (41, "exit_group(0) = ?"),
    (41, "+++ exited with 0 +++"),
];

const PROGRAM: &str = "\
config mmap_base=0x7f61a8e2e000 start_brk=0x5581a3c4e000
brk(NULL) = 0x5581a3c4e000
open(\"plain\", O_RDWR, 0x2000) = 3
mmap(NULL, 0x2000, PROT_READ|PROT_WRITE, MAP_SHARED, 3, 0) = 0x7f61a8e2c000
close(3) = 0
[2] madvise(0x7f61a8e2d000, 0x1000, MADV_DONTNEED) = 0
munmap(0x7f61a8e2c000, 0x1000) = 0
[2] mremap(0x7f61a8e2d000, 0x1000, 0x1000, 0, NULL) = 0x7f61a8e2d000
[2] mlock2(0x7f61a8e2d000, 0x1000, MLOCK_ONFAULT) = -1 EPERM
[2] exit()
exit()
";

/// The run's lines, each changed by `write`, which has its place, thread and text.
fn log(write: impl Fn(usize, u32, &str) -> String) -> String {
    let lines = RUN.iter().enumerate();
    lines
        .map(|(i, (pid, line))| write(i, *pid, line) + "\n")
        .collect()
}

/// The log is the run, and so many lines of it are no calls.
#[track_caller]
fn check(log: &str, noise: usize) {
    let import = import(Source {
        name: "log",
        text: log,
    });
    assert_eq!(import.case.to_string(), PROGRAM, "{log}");
    let lines = import
        .summary
        .skipped
        .iter()
        .filter(|((name, _), _)| name == "line");
    assert_eq!(
        lines.map(|(_, skipped)| skipped.count).sum::<usize>(),
        noise,
        "{log}"
    );
    assert_eq!(
        (import.summary.taken, import.summary.seen),
        (9, 11),
        "{log}"
    );
}

fn thread(style: usize, pid: u32) -> String {
    match style {
        0 => format!("{pid}    "),
        1 => format!("[pid {pid:5}] "),
        2 => format!("{pid}<main, (x) [y]> "),
        3 => format!("[pid {pid:5}<a b>] "),
        4 => format!("{pid} /* 7{pid} in strace's PID NS */ "),
        _ => format!("[pid {pid} /* 7{pid} in strace's PID NS */] "),
    }
}

fn time(style: usize, at: usize) -> String {
    match style {
        0 => String::new(),
        1 => format!("10:20:{at:02} "),
        2 => format!("10:20:30.0000{at:02} "),
        3 => format!("16990000{at:02} "),
        4 => format!("1699000001.0000{at:02} "),
        5 => format!("     0.0000{at:02} "),
        6 => format!("10:20:30 (+     0.0000{at:02}) "),
        _ => format!("1699000001.0000{at:02}123 (+     0.0000{at:02}) "),
    }
}

#[test]
fn options_of_the_beginning_of_a_line_in_all_combinations() {
    let numbers = [
        "",
        "[  11] ",
        "[00007f4a21c3e9b3] ",
        "[ 231] [????????????????] ",
    ];
    for thread_style in 0..6 {
        for time_style in 0..8 {
            for number in numbers {
                check(
                    &log(|i, pid, line| {
                        thread(thread_style, pid) + &time(time_style, i) + number + line
                    }),
                    0,
                );
            }
        }
    }
}

#[test]
fn options_of_the_rest_of_a_line() {
    let result = |line: &str, add: &str| match line.contains(") = ") {
        true => format!("{line}{add}"),
        false => line.to_owned(),
    };
    check(
        &log(|_, pid, line| format!("{pid} {}", result(line, " <0.000012>"))),
        0,
    );
    check(
        &log(|_, pid, line| format!("{pid} {line}\n > /lib/c.so(mmap+0x13) [0xfd9b3]")),
        0,
    );
    let aligned = |line: &str| line.replace(") = ", ")                 = ");
    check(&log(|_, pid, line| format!("{pid} {}", aligned(line))), 0);
    let old = |line: &str| line.replace("resumed>", "resumed> ");
    check(&log(|_, pid, line| format!("{pid} {}", old(line))), 0);
}

#[test]
fn what_is_written_behind_numbers() {
    let paths = [
        "/srv/a, b",
        "/srv/(a",
        "/srv/a) b",
        "/srv/[a",
        "/srv/\\\"a",
        "/srv/a = 0",
        "/srv/a (deleted)",
        "/srv/a>b",
        "TCP:[192.0.2.1:1->192.0.2.2:2]",
        "/dev/null<char 1:3>",
    ];
    for path in paths {
        let with = |line: &str| {
            let line = line.replace("AT_FDCWD", "AT_FDCWD</srv/x, y>");
            let line = line.replace("O_RDWR) = 3", &format!("O_RDWR) = 3<{path}>"));
            let line = line.replace("MAP_SHARED, 3", &format!("MAP_SHARED, 3<{path}>(deleted)"));
            line.replace("close(3", &format!("close(3<{path}>"))
                .replace("= 42", "= 42<a b>")
        };
        check(&log(|_, pid, line| format!("{pid} {}", with(line))), 0);
    }
}

#[test]
fn flags_by_number_with_and_without_comments() {
    let numbers = [
        ("PROT_READ|PROT_WRITE", "0x3"),
        ("MAP_SHARED", "0x1"),
        ("MADV_DONTNEED", "0x4"),
        ("MLOCK_ONFAULT", "0x1"),
        ("O_RDWR", "0x2"),
        ("AT_FDCWD", "-100"),
        ("CLONE_VM|CLONE_FILES|CLONE_THREAD", "0x10500"),
    ];
    for verbose in [false, true] {
        let with = |line: &str| {
            numbers
                .iter()
                .fold(line.to_owned(), |line, (name, number)| match verbose {
                    true => line.replace(name, &format!("{number} /* {name}, ) */")),
                    false => line.replace(name, number),
                })
        };
        check(&log(|_, pid, line| format!("{pid} {}", with(line))), 0);
    }
}

#[test]
fn arguments_by_name() {
    let with = |line: &str| {
        let line = line
            .replace("munmap(0x", "munmap(addr=0x")
            .replace("madvise(", "madvise(addr=");
        let line = line
            .replace(", 4096", ", length=4096")
            .replace(", PROT", ", prot=PROT");
        let line = line
            .replace(", MAP", ", flags=MAP")
            .replace("brk(", "brk(brk=");
        line.replace(", 3, 0)", ", fd=3, offset=0)")
            .replace("close(", "close(fd=")
    };
    check(&log(|_, pid, line| format!("{pid} {}", with(line))), 0);
}

#[test]
fn what_others_write_before_each_line() {
    let prefixes = [
        "> ",
        "    ",
        "\t",
        "trace.log:%:",
        "    %\t",
        "Nov 03 10:15:% host tracer[812]: ",
        "2031-02-03T04:05:06.00000%Z ",
        "web-1  | ",
        "2031-02-03T04:05:%Z stdout F ",
        "[ 1234.5678%] ",
        "host strace[9]: ",
    ];
    for prefix in prefixes {
        for style in 0..6 {
            let before = |i: usize| prefix.replace('%', &format!("{:02}", i + 10));
            check(
                &log(|i, pid, line| before(i) + &thread(style, pid) + &time(2, i) + line),
                0,
            );
        }
    }
}

#[test]
fn what_others_write_between_the_lines() {
    let noise = [
        "warming up",
        "50% (3 of 7) = ok",
        "a, b = f(x) = 3;",
        "]}>)",
        "munmap",
        "munmap(0x7f61a8e2d000, 4096",
        "= 0",
        "[pid",
        "\u{1}\u{7f}",
        "größe (n) = 3",
    ];
    for said in noise {
        let text = log(|_, pid, line| format!("{pid} {line}\n{said}"));
        let import = import(Source {
            name: "log",
            text: &text,
        });
        assert_eq!(import.case.to_string(), PROGRAM, "{text}");
        let left: usize = import
            .summary
            .skipped
            .values()
            .map(|skipped| skipped.count)
            .sum();
        assert_eq!(left, RUN.len() + 2, "{text}");
    }
}

#[test]
fn notices_of_all_versions_are_no_lines_to_report() {
    let notices = [
        "strace: Process 42 attached",
        "/opt/bin/strace: Process 42 attached",
        "Process 42 attached (waiting for parent)",
        "Process 42 resumed (parent 41 ready)",
        "Process 41 suspended",
        "[ Process PID=41 runs in 64 bit mode. ]",
        "strace: [ Process PID=41 runs in 64 bit mode. ]",
        "strace: next_event: queued pid 42",
    ];
    for notice in notices {
        check(&log(|_, pid, line| format!("{pid} {line}\n{notice}")), 0);
        // In the middle of each line that is one call.
        let cut = |line: &str| match line.split_once(") = ") {
            Some((before, after)) => format!("{before}{notice}\n) = {after}"),
            None => line.to_owned(),
        };
        check(&log(|_, pid, line| format!("{pid} {}", cut(line))), 0);
    }
}

#[test]
fn lines_that_a_mail_program_has_broken() {
    let broken = |line: &str, width: usize| {
        let mut lines = vec![String::new()];
        for word in line.split(' ') {
            let last = lines.last_mut().expect("a line");
            if last.is_empty() {
                last.push_str(word);
            } else if last.len() + word.len() < width {
                *last += &format!(" {word}");
            } else {
                lines.push(word.to_owned());
            }
        }
        lines.join("\n> ")
    };
    for width in [72, 60, 50] {
        check(
            &log(|_, pid, line| format!("> [pid {pid}] {}", broken(line, width))),
            0,
        );
    }
}

#[test]
fn colours_and_carriage_returns() {
    check(
        &log(|_, pid, line| format!("\u{1b}[33m{pid}\u{1b}[0m {line}\r")),
        0,
    );
    check(
        &format!("\u{feff}{}", log(|_, pid, line| format!("{pid} {line}"))),
        0,
    );
}

#[test]
fn escapes_of_a_web_page() {
    let escaped = log(|_, pid, line| format!("{pid} {line}"))
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;");
    check(&escaped, 0);
}

#[test]
fn output_without_a_line_end_before_a_line() {
    check(
        &log(|_, pid, line| format!("17[pid {pid:5}] {line}")),
        RUN.len(),
    );
}

#[test]
fn the_table_of_counts_is_known() {
    let table = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 71.40    0.000050          25         2         1 munmap
 28.60    0.000020          20         1           mmap
------ ----------- ----------- --------- --------- ----------------
100.00    0.000070          23         3         1 total
";
    let log = log(|_, pid, line| format!("{pid} {line}"));
    check(&format!("{log}{table}"), 0);
    check(
        &format!("{log}System call usage summary for 64 bit mode:\n{table}"),
        0,
    );
}
