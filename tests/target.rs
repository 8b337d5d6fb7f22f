//! What engines and services ask of a target: any bytes, in bounded time, and always the same.
#![cfg(unix)]

use std::process::Command;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use vmadiff::coverage::{COUNTERS, WOVEN_COUNTERS};
use vmadiff::program::bytes::{HEADER, MAX_STEPS, RECORD};
use vmadiff::program::input::Input;
use vmadiff::program::mutate::{Flavour, Profile, generate};
use vmadiff::program::{Case, Program};
use vmadiff::target::{DEFECT, interleaved, serial};

/// What one input may take, unoptimized: services allow 25 s of an optimized target with a
/// sanitizer, which is about as fast.
const LIMIT: Duration = Duration::from_secs(10);

/// The processor time of this thread.
fn now() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Runs bytes as a target does; the counters that were moved.
fn reach(bytes: &[u8], counters: usize, target: fn(&Program, &mut [u8])) -> Vec<u8> {
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

/// The area that grows down keeps its offset if that defect is named, and only then.
#[test]
fn a_defect_is_planted_by_name() {
    const TEST: &str = "a_defect_is_planted_by_name";
    let text = "mmap(0x1f1000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)\n\
                mmap(0x1f0000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)\n";
    let program = Case::parse("test", text).expect("a program").program;
    serial(&program, &mut vec![0; COUNTERS]);
    if std::env::var_os(DEFECT).is_some() {
        return;
    }
    // The targets read the environment, which nobody can change for one thread alone.
    let said = |defect: &str| {
        let this = std::env::current_exe().expect("a test");
        let mut again = Command::new(this);
        again
            .args(["--exact", TEST, "--nocapture"])
            .env(DEFECT, defect);
        let output = again.output().expect("it runs");
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (agrees, panic) = said("c2-offset-not-lowered");
    assert!(
        !agrees && panic.contains("state/mmap/vmas.pgoff"),
        "{panic}"
    );
    let (agrees, panic) = said("no-such-defect");
    assert!(
        !agrees && panic.contains("no defect is called `no-such-defect`"),
        "{panic}"
    );
}
