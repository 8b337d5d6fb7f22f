//! The house's walls: who may know whom. Cargo keeps the packages apart, and this checks that it may;
//! a package that is not known here is an error. And nothing outside a design knows a design: no name
//! of its sites or defects stands in what all designs share.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use vmadiff::designs::{DESIGNS, from_name};
use vmadiff_contract::DesignInfo;

/// Each package of the workspace that is no design, and all that it may reach of it.
const WALLS: &[(&str, &[&str])] = &[
    ("vmadiff-contract", &[]),
    ("vmadiff-interleave", &[]),
    ("vmadiff-reference", &["vmadiff-contract"]),
    ("vmadiff-linux", &["vmadiff-contract"]),
    ("vmadiff-libfuzzer", &[]),
    (
        "vmadiff-machine",
        &["vmadiff-contract", "vmadiff-interleave"],
    ),
];

/// What a design may reach: not another design, not the reference.
const OF_A_DESIGN: &[&str] = &["vmadiff-contract", "vmadiff-interleave", "vmadiff-machine"];

/// What all designs share.
const SHARED: &[&str] = &[
    "contract",
    "interleave",
    "reference",
    "candidate/machine",
    "linux",
    "libfuzzer",
    "src",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The packages of the workspace with their folders, and what each depends on of it, as the manifests
/// say (for tests and build scripts too).
fn declared() -> BTreeMap<String, (PathBuf, BTreeSet<String>)> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(root())
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
            let manifest = package["manifest_path"].as_str().expect("a path");
            let folder = Path::new(manifest).parent().expect("a folder").to_owned();
            for used in package["dependencies"].as_array().expect("an array") {
                let (to, path) = (used["name"].as_str().expect("a name"), &used["path"]);
                assert!(
                    path.is_null() || members.contains(to),
                    "{name} depends on {to} at {path}, which no wall is known of"
                );
            }
            let used = names(&package["dependencies"])
                .intersection(&members)
                .cloned()
                .collect();
            (name, (folder, used))
        })
        .collect()
}

/// All that a package depends on, at any distance.
fn reached(
    from: &str,
    declared: &BTreeMap<String, (PathBuf, BTreeSet<String>)>,
) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut pending = vec![from.to_owned()];
    while let Some(package) = pending.pop() {
        for used in &declared[&package].1 {
            if reached.insert(used.clone()) {
                pending.push(used.clone());
            }
        }
    }
    reached
}

#[test]
fn each_package_reaches_what_it_may_and_none_is_unknown() {
    let declared = declared();
    let mut designs = Vec::new();
    for (package, (folder, _)) in &declared {
        let known = WALLS.iter().find(|(name, _)| name == package);
        let design = folder.parent() == Some(&root().join("candidate"));
        let may_reach = match known {
            Some((_, may_reach)) => {
                assert!(
                    SHARED.iter().any(|shared| root().join(shared) == *folder),
                    "{package} is no design, and is not searched for the names of designs"
                );
                *may_reach
            }
            None if design => {
                designs.push(package.as_str());
                OF_A_DESIGN
            }
            // The harness, which joins them all.
            None if package == "vmadiff" => continue,
            None => panic!("the package {package} is not known here: which walls has it?"),
        };
        for reached in reached(package, &declared) {
            assert!(
                may_reach.contains(&reached.as_str()),
                "{package} depends on {reached}, which it must not know"
            );
        }
    }
    // A form of a design lies in the design's package.
    let of = |design: &&'static DesignInfo| design.form_of.unwrap_or(design.name);
    let listed = DESIGNS
        .iter()
        .map(|design| format!("vmadiff-{}", of(design)));
    assert_eq!(
        designs
            .into_iter()
            .map(str::to_owned)
            .collect::<BTreeSet<_>>(),
        listed.collect::<BTreeSet<_>>(),
        "the packages in candidate/ and the designs that the harness lists"
    );
}

/// Names of sites and defects that a design declares.
fn names(design: &DesignInfo) -> BTreeSet<&'static str> {
    let sites = design.sites.iter().copied().flatten().copied();
    let defects = design.defects.iter().copied().flatten().map(|d| d.name);
    sites.chain(defects).collect()
}

/// Names that are a design's own. What `classic` declares, which has none of its own, is the machine's.
fn own_names() -> BTreeMap<&'static str, &'static str> {
    let machine = names(from_name("classic").expect("the smallest design"));
    let of = |design: &&'static DesignInfo| {
        let name = design.name;
        let own: Vec<_> = names(design).difference(&machine).copied().collect();
        own.into_iter().map(move |own| (own, name))
    };
    DESIGNS.iter().flat_map(of).collect()
}

#[test]
fn no_name_of_a_design_stands_in_what_all_share() {
    let own = own_names();
    assert!(own.len() > 50, "only {} names to look for", own.len());
    let mut found = Vec::new();
    let mut read = 0;
    for folder in SHARED {
        for file in texts(&root().join(folder)) {
            let text = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{file:?}: {e}"));
            read += 1;
            for (number, line) in text.lines().enumerate() {
                let shown = file.strip_prefix(root()).expect("inside");
                found.extend(standing_in(line, &own).map(|(name, design)| {
                    format!("{}:{}: {name}, of {design}", shown.display(), number + 1)
                }));
            }
        }
    }
    assert!(read > 50, "only {read} files were read");
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Only the list of designs names their crates.
#[test]
fn no_crate_of_a_design_stands_in_what_all_share() {
    let crates = |design: &&'static DesignInfo| {
        let name = format!("vmadiff-{}", design.name);
        [name.replace('-', "_"), name]
    };
    let crates: Vec<String> = DESIGNS.iter().flat_map(crates).collect();
    let list = root().join("src/designs.rs");
    for folder in SHARED {
        for file in texts(&root().join(folder)) {
            let text = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{file:?}: {e}"));
            let named = crates.iter().find(|&name| text.contains(name));
            assert_eq!(named.is_some(), file == list, "{file:?}: {named:?}");
        }
    }
}

#[test]
fn a_name_is_found_where_it_stands() {
    let own = BTreeMap::from([("get-too-few", "spf"), ("vma_adjust.begin", "spf")]);
    let standing = |line| standing_in(line, &own).count();
    assert_eq!(standing("at(&[\"vma_adjust.begin\"]), // get-too-few."), 2);
    assert_eq!(
        standing("vma_adjust.begin_next, not-get-too-few, get-too-fewer"),
        0
    );
}

/// The names that stand in a line as words of their own.
fn standing_in<'a>(
    line: &'a str,
    own: &'a BTreeMap<&'static str, &'static str>,
) -> impl Iterator<Item = (&'static str, &'static str)> + 'a {
    let joins = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    line.split(move |c| !joins(c)).filter_map(|word| {
        let word = word.trim_matches(['.', '-']);
        own.get_key_value(word)
            .map(|(name, design)| (*name, *design))
    })
}

/// The source, manifest and text files of a folder, at any depth.
fn texts(folder: &Path) -> Vec<PathBuf> {
    let mut texts = Vec::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(folder) = pending.pop() {
        let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{folder:?}: {e}"));
        for entry in entries {
            let path = entry.expect("an entry").path();
            let extension = path.extension().and_then(|e| e.to_str());
            if path.is_dir() {
                pending.push(path);
            } else if matches!(extension, Some("rs" | "toml" | "md" | "css" | "js" | "c")) {
                texts.push(path);
            }
        }
    }
    texts.sort();
    texts
}
