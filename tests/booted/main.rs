//! `--kernel`: what is no image is told apart, and what boots is booted, if VMADIFF_KERNEL names an image
//! and qemu is installed; otherwise that is said and skipped.
#![cfg(all(feature = "engine", target_os = "linux", target_arch = "x86_64"))]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

fn vmadiff(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vmadiff"));
    let output = command
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
    output.expect("the command starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What the command says of a file that is no kernel for this machine; it ends in 2.
#[track_caller]
fn refuses(image: &Path, expected: &str) {
    let program = "corpus/conformance/mprotect/case-8.vma";
    let output = vmadiff(&["linux", "--kernel", image.to_str().unwrap(), program]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains(expected) && said.contains(image.to_str().unwrap()),
        "{said}"
    );
}

#[test]
fn what_is_no_image_is_named() {
    let folder = tempfile::tempdir().unwrap();
    refuses(&folder.path().join("none"), "No such file");
    refuses(folder.path(), "a folder without arch/x86/boot/bzImage");
    refuses(Path::new(env!("CARGO_BIN_EXE_vmadiff")), "as vmlinux is");
    let arm = folder.path().join("Image");
    let mut bytes = vec![0; 64];
    bytes[0x38..0x3c].copy_from_slice(b"ARM\x64");
    std::fs::write(&arm, bytes).unwrap();
    refuses(&arm, "arm64");
}

#[test]
fn options_of_a_guest_ask_for_a_kernel() {
    for args in [
        &["linux", "--cpus", "2", "x.vma"][..],
        &["fuzz", "--kernel", "x"],
        &["linux", "--append", "quiet", "x.vma"],
    ] {
        let output = vmadiff(args);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{args:?}: {}",
            text(&output.stderr)
        );
    }
}

/// Without qemu the command says what to install.
#[test]
fn without_qemu_it_says_what_to_install() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("bzImage");
    let mut bytes = vec![0; 0x400];
    bytes[0x202..0x206].copy_from_slice(b"HdrS");
    bytes[0x236] = 1;
    std::fs::write(&image, bytes).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_vmadiff"));
    command.args([
        "linux",
        "--kernel",
        image.to_str().unwrap(),
        "corpus/conformance/mprotect/case-8.vma",
    ]);
    let output = command
        .env("PATH", folder.path())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("apt install qemu-system-x86"), "{said}");
}

/// The image to boot, if there is one to be had.
fn image() -> Option<PathBuf> {
    let image = std::env::var_os("VMADIFF_KERNEL").map(PathBuf::from);
    if image.is_none() {
        eprintln!("skipped: VMADIFF_KERNEL names no image");
    }
    image
}

/// Guests that were started by a process and still run.
fn guests_of(parent: u32) -> usize {
    let is_guest = |path: PathBuf| {
        let stat = std::fs::read_to_string(path.join("stat")).unwrap_or_default();
        let of = stat
            .rsplit(')')
            .next()
            .and_then(|rest| rest.split_whitespace().nth(1));
        stat.contains("(qemu") && of == Some(&parent.to_string())
    };
    let entries = std::fs::read_dir("/proc").unwrap();
    entries
        .filter(|entry| is_guest(entry.as_ref().unwrap().path()))
        .count()
}

#[test]
fn a_kernel_that_breaks_down_is_a_finding_with_its_last_words_and_the_rest_is_run() {
    let Some(image) = image() else { return };
    let programs = ["case-4", "case-5", "case-6", "case-7"];
    let programs = programs.map(|name| format!("corpus/conformance/mprotect/{name}.vma"));
    let mut args = vec![
        "linux",
        "--json",
        "--kernel",
        image.to_str().unwrap(),
        "--append",
        "vmadiff.plant=panic:1",
    ];
    args.extend(programs.iter().map(String::as_str));
    let output = vmadiff(&args);
    let said = text(&output.stdout);
    let lines: Vec<serde_json::Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        output.status.code(),
        Some(1),
        "{said}{}",
        text(&output.stderr)
    );
    let verdicts: Vec<_> = lines
        .iter()
        .map(|line| line["verdict"].as_str().unwrap())
        .collect();
    assert_eq!(verdicts.len(), programs.len(), "{said}");
    // The second program of each guest: a guest that runs one program lives.
    for (number, line) in lines.iter().enumerate() {
        let planted = number % 2 == 1;
        let log = line.get("log").map(ToString::to_string).unwrap_or_default();
        assert_eq!(line["verdict"] == "differs", planted, "{line}");
        assert_eq!(log.contains("Kernel panic"), planted, "{line}");
    }
}

#[test]
fn ctrl_c_leaves_no_guest_behind() {
    let Some(image) = image() else { return };
    let mut command = Command::new(env!("CARGO_BIN_EXE_vmadiff"));
    command
        .args(["fuzz", "linux", "--kernel", image.to_str().unwrap()])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let folder = tempfile::tempdir().unwrap();
    let mut child = command.current_dir(folder.path()).spawn().unwrap();
    let start = Instant::now();
    while guests_of(child.id()) == 0 && start.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(guests_of(child.id()), 1);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    child.wait().unwrap();
    assert_eq!(guests_of(child.id()), 0);
    assert_eq!(guests_of(1), 0, "none was handed to init");
}
