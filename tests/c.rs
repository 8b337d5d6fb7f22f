//! Programs as C: they compile without a warning, and print what `vmadiff linux` sees of the same
//! calls on the same kernel.
//!
//! Where there is no compiler, or programs can not be run on the kernel, that is said and skipped.
#![cfg(all(feature = "command", target_os = "linux", target_arch = "x86_64"))]

use std::path::Path;
use std::process::Command;

use vmadiff::pair::reference_answers;
use vmadiff::program::c::to_c;
use vmadiff::program::{self, Case};
use vmadiff_contract::Config;
use vmadiff_linux::{Answer, Linux, Look, Stopped};

/// One or two of each piece that C programs are made of.
const PROGRAMS: &[&str] = &[
    "access/exec-refused",
    "access/none",
    "access/private-file",
    "brk/grow-and-shrink",
    "exit/parent-first",
    "file/truncate-partial-page",
    "fork/copy-on-write",
    "fork/grandchild",
    "madvise/dontneed-private",
    "mincore/errors",
    "mlock/limit",
    "mmap/topdown",
    "mprotect/case-8",
    "mremap/grow-moves",
    "munmap/across-holes",
    "set_mempolicy/table",
    "get_mempolicy/task",
    "setrlimit/address-space",
];

fn case(name: &str) -> Case {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/conformance");
    let text = std::fs::read_to_string(root.join(name).with_extension("vma")).expect("readable");
    Case::parse(name, &text).unwrap_or_else(|error| panic!("{error}"))
}

fn to_c_alone(case: &Case) -> String {
    to_c(case, &reference_answers(&case.program))
}

/// Compiles and runs a C program; answers what it printed. None if there is no compiler.
fn output(name: &str, c: &str) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let (source, program) = (
        folder.path().join("program.c"),
        folder.path().join("program"),
    );
    std::fs::write(&source, c).unwrap();
    let mut compile = Command::new("cc");
    compile.args(["-Wall", "-Wextra", "-Werror", "-o"]);
    let compiled = match compile.arg(&program).arg(&source).output() {
        Ok(compiled) => compiled,
        Err(why) => {
            eprintln!("skipped: cc: {why}");
            return None;
        }
    };
    let said = String::from_utf8_lossy(&compiled.stderr);
    assert!(compiled.status.success(), "{name}: {said}\n{c}");
    let ran = Command::new(&program).output().unwrap();
    let printed = String::from_utf8(ran.stdout).unwrap();
    assert!(ran.status.success(), "{name}: {}\n{printed}", ran.status);
    Some(printed)
}

#[test]
fn a_program_as_c_prints_what_linux_answers() {
    let mut linux = match Linux::new() {
        Ok(linux) => linux,
        Err(why) => return eprintln!("skipped: {why}"),
    };
    for name in PROGRAMS {
        let case = case(name);
        let Some(printed) = output(name, &to_c_alone(&case)) else {
            return;
        };
        let nodes = linux.machine().nodes;
        let config = Config {
            nodes,
            ..case.program.config.clone()
        };
        let steps = case.program.calls.iter();
        let calls: Vec<_> = steps.map(|step| (step.task, step.call)).collect();
        let seen = match linux.run(&config, &calls, Look::AtEnd) {
            Ok(run) => run.answers,
            Err(why @ Stopped::Unfit { .. }) => {
                eprintln!("{name}: skipped: {why}");
                continue;
            }
            Err(why) => panic!("{name}: {why}"),
        };
        // What is printed is a program again, with the answers as expectations.
        let again = Case::parse("printed", &printed).unwrap_or_else(|error| panic!("{error}"));
        let known = |answer| match answer {
            program::Answer::Is(outcome) => Answer::Known(outcome),
            other => panic!("{name}: {other:?}"),
        };
        let answers = again.expect.iter().map(|expect| expect.outcome.map(known));
        let seen = seen.into_iter().map(Some);
        assert_eq!(
            answers.collect::<Vec<_>>(),
            seen.collect::<Vec<_>>(),
            "{name}\n{printed}"
        );
    }
}

/// What can not be had in C is said, and is not left out silently.
#[test]
fn what_c_can_not_do_is_said() {
    let text = "config max_map_count=5\n\
                mmap(0x1f0000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0) (fail 1)\n\
                reclaim(0x1f0000)\n\
                [9] load(0x1f0000)\n\
                mmap(NULL, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)\n";
    let case = Case::parse("test", text).unwrap();
    let c = to_c_alone(&case);
    for said in [
        "It is about a machine with max_map_count=0x5.",
        "allocation 1 was made to fail",
        "/* reclaim(0x1f0000): a step of the kernel, left out. */",
        "/* [9] load(0x1f0000): there is no such task. */",
        "CALL(1, mmap(0x20f000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)); /* = 0x20f000; \
         was mmap(NULL, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) */",
    ] {
        assert!(c.contains(said), "{said}\n{c}");
    }
}
