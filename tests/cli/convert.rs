//! `vmadiff convert` goes both ways.

use crate::shell::Shell;

const TEXT: &str = "config max_map_count=64\n\
    mmap(0x1f0000, 0x4000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
    [2] store(0x1f1000, 7)\n";

#[test]
fn text_and_bytes_are_the_same_program() {
    let shell = Shell::new();
    shell.write("in.vma", TEXT);
    shell.run("convert in.vma -o bytes").succeeds();
    assert_eq!(shell.run("convert bytes").succeeds().text(), TEXT);
    assert_eq!(
        shell.run("convert in.vma").succeeds().stdout,
        shell.read("bytes")
    );
}

#[test]
fn what_bytes_cannot_hold_is_said() {
    let shell = Shell::new();
    shell.write(
        "in.vma",
        "# A comment.\nload(0x1f0000) = SIGSEGV MAPERR\ndesign: spf\n",
    );
    let said = shell.run("convert in.vma -o bytes");
    let left_out = "no expectations, no comments and no design";
    assert!(said.succeeds().stderr.contains(left_out), "{said:?}");
    assert_eq!(
        shell.run("convert bytes").succeeds().text(),
        "load(0x1f0000)\n"
    );
}

/// What is printed to be pasted was pasted into `pasted.rs`, where it compiles and runs.
#[test]
fn a_rust_test_can_be_pasted() {
    let shell = Shell::new();
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/regressions");
    let said = shell.run(&format!(
        "convert --rust {corpus}/softirq-of-a-dead-task.vma"
    ));
    let pasted = include_str!("pasted.rs");
    let pasted = pasted.split_once("\n\n").expect("a line says what it is").1;
    assert_eq!(said.succeeds().text(), pasted);
    let said = shell.run(&format!(
        "convert --rust --defect get-too-few {corpus}/softirq-of-a-dead-task.vma"
    ));
    let with = "let defects: [&str; 1] = [\"get-too-few\"];";
    assert!(said.succeeds().text().contains(with), "{said:?}");
}

const LOG: &str = "\
    strace: Process 7 attached\n\
    mprotect(0x7f0000001000, 4096, PROT_READ) = 0\n\
    hello\n\
    mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7effffffe000\n";

#[test]
fn a_log_becomes_a_program_and_says_what_is_left_out() {
    let shell = Shell::new();
    shell.write("log", LOG);
    shell.write("maps", "7f0000000000-7f0000004000 rw-p 00000000 00:00 0\n");
    let said = shell.run("convert --strace log");
    said.succeeds();
    for words in [
        "1 call from a log of 2",
        "line: no system call in strace's notation (log:3: \"hello\")",
        "mprotect: on memory that the log does not map (log:2)",
        "/proc/7/maps",
    ] {
        assert!(said.stderr.contains(words), "{words}: {said:?}");
    }
    let said = shell.run("convert --strace log --maps maps -o log.vma");
    said.succeeds();
    assert!(said.stderr.contains("2 calls from a log of 2"), "{said:?}");
    shell.run("run log.vma").succeeds();
    shell
        .run("convert --strace log --maps log")
        .refuses(&["log:1:1: error: expected an area", "found `strace`"]);
}

#[test]
fn a_log_of_which_nothing_is_left_is_refused_and_nothing_is_written() {
    let shell = Shell::new();
    shell.write("empty", "");
    shell.write("prose", "It was a dark night.\n");
    shell.write(
        "unknown",
        "munmap(0x7f0000001000, 4096) = 0\nexit_group(0) = ?\n",
    );
    shell.write("other.syz", "r0 = socket(0x2, 0x1, 0x0)\n");
    let check = |command: &str, words: &[&str]| {
        shell.run(&format!("{command} -o out.vma")).refuses(words);
        assert!(!shell.folder().join("out.vma").exists());
    };
    check(
        "convert --strace empty",
        &["empty: no call on memory is left", "no lines"],
    );
    shell.write(
        "counts",
        "% time     seconds  usecs/call     calls    errors syscall\n\
         ------ ----------- ----------- --------- --------- ----------------\n\
         100.00    0.000050          25         2           munmap\n\
         ------ ----------- ----------- --------- --------- ----------------\n\
         100.00    0.000050          25         2           total\n",
    );
    check("convert --strace counts", &["`strace -c` only counts"]);
    shell.write("ends", "7 +++ exited with 0 +++\n");
    check("convert --strace ends", &["nothing but ends of threads"]);
    check(
        "convert --strace prose",
        &["1 of what is left out: no system call", "strace -f"],
    );
    check(
        "convert --strace unknown",
        &["on memory that the log does not map", "--maps"],
    );
    check(
        "convert other.syz",
        &[
            "not a call that the model has",
            "expected a syzkaller program",
        ],
    );
    check("convert --strace nowhere", &["nowhere"]);
}

#[test]
fn several_logs_are_those_of_one_run() {
    let shell = Shell::new();
    let map = "mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7effffffe000";
    let clone = "clone(child_stack=0x7000, flags=CLONE_VM|CLONE_FILES) = 8";
    shell.write(
        "log.7",
        format!("1699000001.1 {map}\n1699000001.2 {clone}\n"),
    );
    shell.write("log.8", "1699000001.3 munmap(0x7effffffe000, 4096) = 0\n");
    let said = shell.run("convert --strace log.7 log.8");
    let text = said.succeeds().text();
    assert!(
        text.ends_with("[2] munmap(0x7effffffe000, 0x1000) = 0\n"),
        "{said:?}"
    );
    shell.write("log.9", "munmap(0x7effffffe000, 4096) = 0\n");
    shell
        .run("convert --strace log.7 log.9")
        .refuses(&["log.9:1: expected a time", "-ttt"]);
    shell
        .run("convert log.7 log.8")
        .refuses(&["log.8", "--strace"]);
}

#[test]
fn a_syzkaller_program_is_told_by_its_name() {
    let shell = Shell::new();
    shell.write("a.syz", "mlock(&(0x7f0000000000/0x1000)=nil, 0x1000)\n");
    let said = shell.run("convert a.syz");
    assert!(
        said.succeeds()
            .text()
            .ends_with("mlock(0x200000000000, 0x1000)\n"),
        "{said:?}"
    );
    shell.write("a", shell.read("a.syz"));
    assert_eq!(shell.run("convert --syz a").succeeds().text(), said.text());
}

#[test]
fn completions_are_printed_for_shells() {
    let said = Shell::new().run("completions bash");
    let script = said.succeeds().text();
    assert!(script.contains("complete -F _vmadiff"), "{said:?}");
    // Names of designs and of defects are completed, too.
    for name in ["--design", "classic", "get-too-few"] {
        assert!(script.contains(name), "no {name}");
    }
}
