//! Programs of earlier versions stay what they were: `tests/data/version-N` holds bytes as version N
//! wrote them, beside what they meant. These files never change; a new version gets a new folder.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use vmadiff::program::{Case, Program};
use vmadiff_contract::CallKind;

/// The versions that there have been, each with the calls that it knew.
const VERSIONS: [(u8, usize); 2] = [(1, 30), (2, 33)];

fn of_version(version: u8) -> Vec<PathBuf> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let entries = std::fs::read_dir(data.join(format!("version-{version}"))).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "bytes")
        })
        .collect()
}

#[test]
fn earlier_bytes_mean_what_they_meant() {
    for (version, known) in VERSIONS {
        let mut calls = BTreeSet::new();
        for path in of_version(version) {
            let name = path.display().to_string();
            let bytes = std::fs::read(&path).unwrap();
            assert_eq!(bytes[0], version, "{name}");
            let text = std::fs::read_to_string(path.with_extension("vma")).unwrap();
            let then = Case::parse(&name, &text).unwrap().program;
            assert_eq!(Program::decode(&bytes), then, "{name}");
            calls.extend(then.calls.iter().map(|step| step.call.kind() as u8));
        }
        assert_eq!(calls.len(), known, "each call, in version {version}");
    }
}

#[test]
fn encoding_writes_the_latest_version() {
    let latest = VERSIONS.last().copied();
    let encoding = Program::default().encode()[0];
    assert_eq!(Some((encoding, CallKind::ALL.len())), latest);
}
