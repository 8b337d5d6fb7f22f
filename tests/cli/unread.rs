//! Standard output that nobody reads any more (`| head`) is no failure; one that takes nothing (a full
//! disk) is told, and is no panic.

use std::fs::OpenOptions;
use std::process::{Command, Output, Stdio};

const PRINTING: [&[&str]; 8] = [
    &["--help"],
    &["fuzz", "--help"],
    &["explain"],
    &["linux", "--list"],
    &["linux", "--list", "--json"],
    &["linux", "corpus/conformance/brk"],
    &["defects"],
    &["designs"],
];

fn printing(args: &[&str], stdout: Stdio) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vmadiff"));
    command.args(args).stdout(stdout).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    child.wait_with_output().unwrap()
}

#[test]
fn a_reader_that_left_is_no_error() {
    for args in PRINTING {
        let output = printing(args, Stdio::piped());
        assert_eq!(output.status.code(), Some(0), "{args:?}: {output:?}");
    }
}

#[test]
fn a_full_disk_behind_standard_output_is_told() {
    for args in PRINTING {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = printing(args, full.into());
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{args:?}: {told}");
        assert!(told.contains("standard output: "), "{args:?}: {told}");
    }
}
