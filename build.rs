//! Notes which compiler and which commit this is: programs that were found carry both.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Written by git on every commit and checkout; not there in a source archive.
    if Path::new(".git/logs/HEAD").exists() {
        println!("cargo::rerun-if-changed=.git/logs/HEAD");
    }
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let toolchain = first_line(&rustc, &["--version"]);
    let commit = first_line("git", &["rev-parse", "--short=12", "HEAD"]);
    println!("cargo::rustc-env=VMADIFF_TOOLCHAIN={toolchain}");
    println!("cargo::rustc-env=VMADIFF_COMMIT={commit}");
}

/// What a program prints, or `unknown`.
fn first_line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let stdout = output
        .ok()
        .filter(|output| output.status.success())
        .map(|output| output.stdout);
    let text = String::from_utf8(stdout.unwrap_or_default()).unwrap_or_default();
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() {
        "unknown".to_owned()
    } else {
        line.to_owned()
    }
}
