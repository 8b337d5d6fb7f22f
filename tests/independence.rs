//! The two managers know nothing of each other: Cargo keeps it so, and this checks that it may.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Dependencies of each package of the workspace on others of it, as their manifests declare them
/// (those of tests and build scripts too).
fn declared() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let names = |list: &Value| -> BTreeSet<String> {
        let list = list.as_array().expect("an array").iter();
        list.map(|item| item["name"].as_str().expect("a name").to_owned())
            .collect()
    };
    let members = names(&metadata["packages"]);
    let packages = metadata["packages"].as_array().expect("packages").iter();
    packages
        .map(|package| {
            let name = package["name"].as_str().expect("a name").to_owned();
            let used = names(&package["dependencies"])
                .intersection(&members)
                .cloned()
                .collect();
            (name, used)
        })
        .collect()
}

/// All that a package depends on, at any distance.
fn reached(from: &str, declared: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut pending = vec![from.to_owned()];
    while let Some(package) = pending.pop() {
        for used in &declared[&package] {
            if reached.insert(used.clone()) {
                pending.push(used.clone());
            }
        }
    }
    reached
}

#[track_caller]
fn check(package: &str, may_reach: &[&str]) {
    let reached = reached(package, &declared());
    let expected: BTreeSet<String> = may_reach.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(reached, expected, "what {package} depends on");
}

#[test]
fn reference_stands_on_the_contract_alone() {
    check("vmadiff-reference", &["vmadiff-contract"]);
}

#[test]
fn candidate_does_not_know_the_reference() {
    check(
        "vmadiff-candidate",
        &["vmadiff-contract", "vmadiff-interleave"],
    );
}

#[test]
fn contract_and_interleave_stand_on_nothing() {
    check("vmadiff-contract", &[]);
    check("vmadiff-interleave", &[]);
}
