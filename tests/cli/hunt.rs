//! `vmadiff hunt` that is stopped by its user: what was not found yet was not looked for long enough.

use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::fuzz::{children, send};
use crate::shell::{Said, Shell};

/// Takes more than some tens of thousands of programs.
const SLOW: &str = "e12-wakes-after-put";

/// A hunt of a defect that takes long, stopped right after its job began.
fn interrupted(shell: &Shell, options: &[&str]) -> Said {
    let mut hunt = Command::new(env!("CARGO_BIN_EXE_vmadiff"));
    hunt.args([
        "hunt", "--seeds", "2", "--design", "vmalock", "--defect", SLOW,
    ])
    .args(options)
    .current_dir(shell.folder());
    let hunt = hunt.stdout(Stdio::piped()).stderr(Stdio::piped());
    let hunt = hunt.spawn().unwrap();
    wait_for_a_job(&hunt);
    send("-INT", hunt.id());
    Said::from(hunt.wait_with_output().unwrap())
}

fn wait_for_a_job(hunt: &Child) {
    let start = Instant::now();
    while children(hunt.id()).is_empty() {
        assert!(start.elapsed() < Duration::from_secs(60), "no job");
        sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_was_interrupted_was_not_missed() {
    let shell = Shell::new();
    let said = interrupted(&shell, &[]);
    assert_eq!(said.status, 1, "{said:?}");
    let text = said.text();
    assert!(
        // Seeds whose time was not over do not count.
        text.starts_with(SLOW) && text.contains(" 0/0  interrupted after "),
        "{text}"
    );
    assert!(!text.contains("not in"), "{text}");
    assert_eq!(text.lines().count(), 1, "the second seed is not begun");
    let left_out = format!("interrupted: defect 1 of 1, {SLOW}, at seed 1 of 2\n");
    assert_eq!(said.stderr, left_out);
}

#[test]
fn where_a_program_comes_to_is_interrupted_too() {
    let shell = Shell::new();
    let said = interrupted(&shell, &["--stages"]);
    assert_eq!(said.status, 1, "{said:?}");
    assert!(
        said.stderr.starts_with("interrupted: defect 1 of 1, "),
        "{said:?}"
    );
}

#[test]
fn scripts_are_told_of_it_too() {
    let shell = Shell::new();
    let said = interrupted(&shell, &["--json"]);
    let all: Value = serde_json::from_slice(&said.stdout).unwrap();
    let tries = all[0]["tries"].as_array().unwrap();
    assert_eq!(tries.len(), 1, "{all}");
    assert_eq!(tries[0]["interrupted"], true, "{all}");
    assert_eq!(tries[0]["signature"], Value::Null, "{all}");
}
