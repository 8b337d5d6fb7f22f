//! What engines and services ask of a target: any bytes, in bounded time, and always the same.
#![cfg(unix)]

#[path = "shared/files.rs"]
mod files;
#[path = "../fuzz/fuzz_targets/panicking.rs"]
mod panicking;

use std::process::Command;
use std::time::Duration;

use files::files;
use rustix::time::{ClockId, clock_gettime};
use vmadiff::coverage::{COUNTERS, WOVEN_COUNTERS};
use vmadiff::program::bytes::{HEADER, MAX_STEPS, RECORD, is_long};
use vmadiff::program::input::Input;
use vmadiff::program::mutate::{Flavour, Profile, generate};
use vmadiff::program::{Case, Program};
use vmadiff::target::known::VARIABLE;
use vmadiff::target::{DEFECT, DESIGN, check_settings, interleaved, let_managers_unwind, serial};

/// What one input may take, unoptimized: services allow 25 s of an optimized target with a
/// sanitizer, which is about as fast.
const LIMIT: Duration = Duration::from_secs(10);

/// The processor time of this thread.
fn now() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Runs bytes as a target does; the counters that were moved.
fn reach(bytes: &[u8], counters: usize, target: fn(&Program, &mut [u8]) -> bool) -> Vec<u8> {
    let mut counters = vec![0; counters];
    if let Some(Input(program)) = Input::from_bytes(bytes) {
        target(&program, &mut counters);
    }
    counters
}

/// A program of as many calls as there can be, all of this kind, with operands out of `byte`.
fn full_of(kind: u8, byte: u8) -> Vec<u8> {
    let mut bytes = vec![0; HEADER];
    for step in 0..MAX_STEPS {
        let mut record = [byte; RECORD];
        record[0] = if step < 2 { 0 } else { kind };
        record[1] = 1;
        record[2] = 0;
        bytes.extend(record);
    }
    bytes
}

#[test]
fn any_bytes_run_in_bounded_time() {
    let mut worst = (Duration::ZERO, Vec::new());
    let mut inputs: Vec<Vec<u8>> = (0..32)
        .flat_map(|kind| [0, 1, 0x7f, 0xff].map(|byte| full_of(kind, byte)))
        .collect();
    inputs.extend([0, 1, 0x55, 0xa5, 0xd0, 0xff].map(|byte| vec![byte; 4096]));
    inputs.extend((0..100).map(|len| vec![len; len.into()]));
    for bytes in inputs {
        let start = now();
        reach(&bytes, COUNTERS, serial);
        reach(&bytes, WOVEN_COUNTERS, interleaved);
        let took = now().saturating_sub(start);
        if took > worst.0 {
            worst = (took, bytes);
        }
    }
    println!("the slowest took {:?}", worst.0);
    assert!(
        worst.0 < LIMIT,
        "{:?}:\n{}",
        worst.0,
        Program::decode(&worst.1)
    );
}

/// What a unit may take on a target with a sanitizer, which is some ten times slower than this; pruning gives
/// it 5 s by the clock, on machines that do other things, too.
const UNIT: Duration = Duration::from_millis(500);
/// How much slower a target with a sanitizer runs than these tests.
const SANITIZED: u32 = 10;

/// Every program that is kept and that engines run, as the target of races runs it.
#[test]
fn the_slowest_of_the_corpus_is_no_slow_unit() {
    let texts = files("corpus", "vma");
    assert!(texts.len() > 500, "{} programs", texts.len());
    let (mut slowest, mut which, mut ran) = (Duration::ZERO, None, 0);
    for path in texts {
        let text = std::fs::read_to_string(&path).expect("a text");
        let name = path.display().to_string();
        let bytes = Case::parse(&name, &text)
            .expect("a program")
            .program
            .encode();
        if is_long(&bytes) {
            continue;
        }
        let start = now();
        reach(&bytes, WOVEN_COUNTERS, interleaved);
        let took = now().saturating_sub(start);
        ran += 1;
        if took > slowest {
            (slowest, which) = (took, Some(path));
        }
    }
    println!("the slowest of {ran} took {slowest:?}: {which:?}");
    assert!(slowest * SANITIZED < UNIT, "{slowest:?}: {which:?}");
}

/// A run of two areas as large as a page table, of which a schedule draws what is raced for: nearly nothing.
const HARDLY_RACED_FOR: &str = "\
config reuse_slots=false
fork()
mmap(0x1f8000, 0x2000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)
store(0x1f8000, 1)
[2] store(0x1f8000, 2)
store(0x1f8000, 2)
mbind(0x1f8000, 0x2000, MPOL_PREFERRED, 0x1, 0)
store(0x1f95d5, 45)
[2] fork()
[2] mlockall(MCL_FUTURE)
[2] mmap(NULL, 0x1000, PROT_READ|PROT_EXEC, MAP_SHARED|MAP_ANONYMOUS|MAP_LOCKED, -1, 0) (fail 4)
fork()
reclaim(0x20f000)
[2] load(0x20fc20)
[2] open(\"plain\", O_RDWR, 0x2000)
munmap(0x1f8000, 0x2000)
[2] collapse(0x1f8000, 0x2000)
[2] mmap(0x210000, 0x2000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)
brk(0x1f0000) (fail 188)
[2] store(0x1f8000, 91)
load(0x1f96c1) (fail 3)
mmap(0x400000, 0x200000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)
store(0x400000, 1)
mmap(0x600000, 0x200000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)
mprotect(0x600000, 0x200000, PROT_READ)
policy: surw seed=350883569356248916
";

#[test]
fn what_is_raced_for_is_drawn_in_time() {
    let case = Case::parse("test", HARDLY_RACED_FOR).expect("a program");
    let bytes = case.program.encode();
    let start = now();
    reach(&bytes, WOVEN_COUNTERS, interleaved);
    let took = now().saturating_sub(start);
    assert!(took * SANITIZED < UNIT, "{took:?}");
}

/// Whatever ran before: AFL++ calls it stability, and services cannot repeat a finding without it.
#[test]
fn the_same_bytes_reach_the_same() {
    for flavour in [Flavour::Serial, Flavour::Interleaved] {
        let profile = Profile {
            flavour,
            ..Profile::default()
        };
        let inputs: Vec<Vec<u8>> = (1..200)
            .map(|seed| generate(seed, &profile).encode())
            .collect();
        let all = |order: &mut dyn Iterator<Item = &Vec<u8>>| -> Vec<Vec<u8>> {
            order
                .map(|bytes| reach(bytes, WOVEN_COUNTERS, interleaved))
                .collect()
        };
        let forward = all(&mut inputs.iter());
        let mut backward = all(&mut inputs.iter().rev());
        backward.reverse();
        assert_eq!(forward, backward, "{flavour:?}");
    }
}

/// Runs this test file again, one test alone, which sees `variables`; whether it passed, and what it
/// said. The targets read the environment, which nobody can change for one thread alone.
fn again(test: &str, variables: &[(&str, &str)]) -> (bool, String) {
    let this = std::env::current_exe().expect("a test");
    let mut again = Command::new(this);
    again.args(["--exact", test, "--nocapture"]);
    again.env("RUST_BACKTRACE", "1");
    again.envs(variables.iter().copied());
    let output = again.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), said)
}

const PLANTED: &str = "c2-offset-not-lowered";

/// The area that grows down keeps its offset if that defect is named, and only then.
#[test]
fn a_defect_is_planted_by_name() {
    const TEST: &str = "a_defect_is_planted_by_name";
    let text = "mmap(0x1f1000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)\n\
                mmap(0x1f0000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)\n";
    let program = Case::parse("test", text).expect("a program").program;
    let worth_keeping = serial(&program, &mut vec![0; COUNTERS]);
    if std::env::var_os(DEFECT).is_some() {
        assert!(!worth_keeping, "what diverges as it is known to");
        return;
    }
    assert!(worth_keeping);
    let (agrees, panic) = again(TEST, &[(DEFECT, PLANTED)]);
    assert!(
        !agrees && panic.contains("state/mmap/vmas.pgoff"),
        "{panic}"
    );
    // The stack says the signature, the innermost frame its last part.
    let names: Vec<&str> = panic
        .lines()
        .filter_map(|line| line.trim().split_once(": "))
        .map(|(_, name)| name)
        .collect();
    let innermost = names
        .iter()
        .position(|name| name.ends_with("field_vmas_pgoff"));
    let ours = &names[innermost.unwrap_or_else(|| panic!("{panic}"))..];
    assert!(
        ours[1].ends_with("call_mmap") && ours[2].ends_with("rule_state"),
        "{panic}"
    );

    let (agrees, panic) = again(TEST, &[(DEFECT, "no-such-defect")]);
    assert!(!agrees && panic.contains("no-such-defect"), "{panic}");

    let (agrees, panic) = again(TEST, &[(DEFECT, PLANTED), (VARIABLE, "")]);
    assert!(
        !agrees && panic.contains("VMADIFF_KNOWN: found nothing, expected"),
        "{panic}"
    );

    let folder = tempfile::tempdir().expect("a folder");
    let list = |text: &str| {
        let file = folder.path().join("list");
        std::fs::write(&file, text).expect("a file");
        again(
            TEST,
            &[
                (DEFECT, PLANTED),
                (VARIABLE, file.to_str().expect("a path")),
            ],
        )
    };
    let (agrees, said) = list("state/mmap/vmas.pgoff # an open bug\n");
    assert!(agrees, "what is known ends no run: {said}");
    let (agrees, said) = list("state/mmap/vmas.flags\n");
    assert!(!agrees && said.contains("state/mmap/vmas.pgoff"), "{said}");
    let (agrees, said) = list("# open bugs\nvmas.pgoff\n");
    assert!(
        !agrees && said.contains("list:2: found `vmas.pgoff`"),
        "{said}"
    );
    assert!(said.contains("VMADIFF_KNOWN: "), "{said}");
}

/// What is asked for and not there would be the first input's crash otherwise, and its file kept as one.
#[test]
fn wrong_settings_end_a_target_before_its_first_input() {
    const TEST: &str = "wrong_settings_end_a_target_before_its_first_input";
    const CHILD: &str = "VMADIFF_TEST_SETTINGS";
    if std::env::var_os(CHILD).is_some() {
        check_settings();
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let list = folder.path().join("list");
    std::fs::write(&list, "state/mmap/vmas.pgoff\nmmap\n").expect("a file");
    let (list, none) = (list.to_str().unwrap(), "/no/such/list");
    for (variable, value, told) in [
        (
            DESIGN,
            "",
            "VMADIFF_DESIGN: found ``, expected one of: spf, ",
        ),
        (DEFECT, "no-such-defect", "VMADIFF_DEFECT: "),
        (VARIABLE, "", "VMADIFF_KNOWN: found nothing, expected "),
        (VARIABLE, none, "VMADIFF_KNOWN: /no/such/list: No such file"),
        (VARIABLE, list, "list:2: found `mmap`, expected a signature"),
    ] {
        let (passed, said) = again(TEST, &[(CHILD, "1"), (variable, value)]);
        assert!(!passed && said.contains(told), "{said}");
        assert!(!said.contains("panicked"), "{said}");
    }
    let (passed, said) = again(TEST, &[(CHILD, "1"), (DEFECT, PLANTED)]);
    assert!(passed, "{said}");
}

/// As under libFuzzer, whose glue for Rust has a panic end the process where it happens.
#[test]
fn a_panic_of_a_manager_is_judged_where_panics_abort() {
    const TEST: &str = "a_panic_of_a_manager_is_judged_where_panics_abort";
    const CALLS: &str = "VMADIFF_TEST_CALLS";
    if let Ok(calls) = std::env::var(CALLS) {
        std::panic::set_hook(Box::new(|panic| {
            eprintln!("{panic}\n{}", std::backtrace::Backtrace::force_capture());
            std::process::abort();
        }));
        let_managers_unwind();
        let program = Case::parse("test", &calls).expect("a program").program;
        let mut target = panicking::target();
        for _ in 0..3 {
            assert!(!target.run(&program, &mut vec![0; WOVEN_COUNTERS]), "known");
        }
        let harmless = Case::parse("test", "fork()\n").expect("a program").program;
        assert!(target.run(&harmless, &mut vec![0; WOVEN_COUNTERS]));
        panic!("of the harness: not passed over");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let list = folder.path().join("list");
    let list = list.to_str().expect("a path");
    let serial = "msync(0x1f0000, 0x1000, 0)\n";
    let race = "fork()\nmsync(0x1f0000, 0x1000, 0)\n[2] munmap(0x1f0000, 0x1000)\n\
                policy: random seed=3\n";
    for calls in [serial, race] {
        std::fs::write(list, "# nothing\n").expect("a file");
        let (passed, said) = again(TEST, &[(CALLS, calls), (VARIABLE, list)]);
        assert!(!passed && said.contains("panic/msync/panic: "), "{said}");
        assert!(said.contains("planted: msync panics"), "{said}");
        let place = "panicking.rs:";
        assert!(said.contains(place), "{said}");
        // Services would take its functions for the finding's.
        assert!(said.contains(": field_panic\n"), "{said}");
        assert!(!said.contains("src/target/panics.rs"), "{said}");
        std::fs::write(list, "panic/msync/panic\n").expect("a file");
        let (passed, said) = again(TEST, &[(CALLS, calls), (VARIABLE, list)]);
        assert!(!passed && !said.contains("panic/msync/panic"), "{said}");
        assert!(said.contains("of the harness: not passed over"), "{said}");
    }
}
