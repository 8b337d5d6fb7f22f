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
    println!("cargo::rerun-if-changed=candidate");
    println!("cargo::rustc-env=VMADIFF_LINES={}", lines());
}

/// The lines of each package in candidate/, as `NAME:LINES` with spaces between.
fn lines() -> String {
    let packages = std::fs::read_dir("candidate")
        .into_iter()
        .flatten()
        .flatten();
    let mut counted: Vec<String> = packages
        .map(|package| {
            let name = package.file_name().to_string_lossy().into_owned();
            format!("{name}:{}", lines_of(&package.path().join("src")))
        })
        .collect();
    counted.sort();
    counted.join(" ")
}

/// The lines of all Rust files in a folder, at any depth.
fn lines_of(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let of_entry = |path: &Path| match path.extension() {
        _ if path.is_dir() => lines_of(path),
        Some(extension) if extension == "rs" => {
            std::fs::read_to_string(path).map_or(0, |text| text.lines().count())
        }
        _ => 0,
    };
    entries.map(|entry| of_entry(&entry.path())).sum()
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
