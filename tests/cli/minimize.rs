//! Shrinking that takes long: what stops it, and that the best so far is kept.

use std::fmt::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::shell::{Said, Shell};

const DEFECT: &str = "mremap-without-reserve";

/// As many areas as a move must find: none can go, so that all of them are tried for long; and as
/// many loads, which can.
fn large(areas: u64) -> String {
    let mut text = format!("config max_map_count={}\n", areas + 3);
    for area in 0..areas {
        let addr = 0x40_0000 + area * 0x2000;
        let flags = "MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED";
        writeln!(text, "mmap({addr:#x}, 0x1000, PROT_READ, {flags}, -1, 0)").unwrap();
    }
    text += "mremap(0x400000, 0x1000, 0x1000, MREMAP_MAYMOVE|MREMAP_FIXED, 0x200000)\n";
    text + &"load(0x402000)\n".repeat(areas as usize)
}

/// What is left is a program that still diverges in the same way.
#[track_caller]
fn still_diverges(shell: &Shell, said: &Said) {
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.text().contains("stopped before the end"), "{said:?}");
    let ran = shell.run(&format!("run --defect {DEFECT} large.min.vma"));
    let line = "diverge large.min.vma: outcome/mremap/succeeded";
    assert!(ran.text().starts_with(line), "{ran:?}");
}

#[test]
fn a_huge_program_is_left_when_its_time_is_over() {
    let shell = Shell::new();
    shell.write("large.vma", large(600));
    let start = Instant::now();
    let said = shell.run(&format!("minimize --seconds 1 --defect {DEFECT} large.vma"));
    // Before and after it runs a few times as a whole.
    assert!(start.elapsed() < Duration::from_secs(60), "{said:?}");
    still_diverges(&shell, &said);
}

#[cfg(target_os = "linux")]
#[test]
fn ctrl_c_keeps_the_best_so_far() {
    let shell = Shell::new();
    shell.write("large.vma", large(300));
    let child = Command::new(env!("CARGO_BIN_EXE_vmadiff"))
        .args(["minimize", "--defect", DEFECT, "large.vma"])
        .current_dir(shell.folder())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until_caught(&child);
    let killed = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    still_diverges(&shell, &Said::from(child.wait_with_output().unwrap()));
}

/// Until then an interrupt would end the process as any other.
#[cfg(target_os = "linux")]
fn wait_until_caught(child: &Child) {
    const SIGINT: u64 = 1 << 1;
    let path = format!("/proc/{}/status", child.id());
    let caught = || {
        let status = std::fs::read_to_string(&path).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let mask = u64::from_str_radix(mask.expect("a mask").trim(), 16).unwrap();
        mask & SIGINT != 0
    };
    let start = Instant::now();
    while !caught() {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "it never catches it"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}
