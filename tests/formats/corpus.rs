//! Every program of the corpus is read, and survives both forms.

use std::fs;
use std::path::{Path, PathBuf};

use vmadiff::program::{Case, Program};

fn programs(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            programs(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "vma") {
            found.push(path);
        }
    }
}

#[test]
fn programs_survive_both_forms() {
    let mut all = Vec::new();
    programs(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus"),
        &mut all,
    );
    assert!(all.len() >= 100, "{}", all.len());
    for path in all {
        let name = path.display().to_string();
        let text = fs::read_to_string(&path).expect("a text");
        let case = Case::parse(&name, &text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            Case::parse(&name, &case.to_string()),
            Ok(case.clone()),
            "{name}"
        );
        assert_eq!(
            Program::decode(&case.program.encode()),
            case.program,
            "{name}"
        );
    }
}
