//! Every program of the corpus is read, and survives both forms.

use std::fs;

use vmadiff::program::{Case, Program};

use crate::files::files;

#[test]
fn programs_survive_both_forms() {
    let all = files("corpus", "vma");
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
