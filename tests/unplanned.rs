//! A call that nobody has planned for Linux does not compile: it would be answered without asking the
//! kernel, and agree with kernels that lack it. A call is added to a copy of the contract, and the
//! compiler has to name the places where `linux/` decides what becomes of it.

use std::fs;
use std::path::Path;
use std::process::Command;

/// The packages that are copied.
const PACKAGES: [&str; 2] = ["contract", "linux"];

/// Where `linux/` has to say something of each call: what is made of it, whether it fits, and whether it
/// stays in the program's part of the address space.
const DECIDES: [&str; 3] = [
    "linux/src/plan.rs",
    "linux/src/fit/mod.rs",
    "linux/src/fit/end.rs",
];

#[test]
#[ignore = "compiles two packages anew; .ci/weekly does"]
fn a_call_without_a_plan_does_not_compile() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let copy = tempfile::tempdir().expect("a folder");
    for package in PACKAGES {
        copy_folder(&root.join(package), &copy.path().join(package));
    }
    fs::copy(root.join("Cargo.lock"), copy.path().join("Cargo.lock")).expect("a lock file");
    let manifest = fs::read_to_string(root.join("Cargo.toml")).expect("a manifest");
    fs::write(copy.path().join("Cargo.toml"), workspace(&manifest)).expect("written");
    check(copy.path(), &[]);

    let calls = copy.path().join("contract/src/call.rs");
    let text = fs::read_to_string(&calls).expect("the table of calls");
    let end = text.rfind("\n}\n").expect("the end of the table");
    let trial = "    /// Nobody has planned this one.\n    33 \"trial\" Trial {\n        /// Any.\n        addr: u64,\n    },";
    fs::write(&calls, format!("{}\n{trial}{}", &text[..end], &text[end..])).expect("written");
    check(copy.path(), &DECIDES);
}

/// The workspace's part of a manifest, with the packages that were copied.
fn workspace(manifest: &str) -> String {
    let rest = manifest.find("[workspace.package]").expect("a workspace");
    let end = manifest.find("[profile.release]").expect("profiles");
    let members = PACKAGES.map(|name| format!("{name:?}")).join(", ");
    format!(
        "[workspace]\nmembers = [{members}]\nresolver = \"3\"\n\n{}",
        &manifest[rest..end]
    )
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let to = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_folder(&path, &to);
        } else {
            fs::copy(&path, to).expect("copied");
        }
    }
}

/// Has the copy checked. The compiler objects to a call that is missing at these places, and if there are
/// none, it does not object.
fn check(folder: &Path, places: &[&str]) {
    let output = Command::new(env!("CARGO"))
        .args(["check", "--offline", "-p", "vmadiff-linux", "--target-dir"])
        .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("unplanned"))
        .current_dir(folder)
        .env("CARGO_TERM_COLOR", "never")
        .output()
        .expect("cargo runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.success(), places.is_empty(), "{said}");
    let objections: Vec<&str> = said
        .split("\nerror[E0004]")
        .filter(|part| part.contains("Trial { .. }` not covered"))
        .collect();
    for place in places {
        let named = objections.iter().any(|part| part.contains(place));
        assert!(named, "nothing is said of {place}:\n{said}");
    }
}
