//! The mutator knows no design: what it aims at, designs declare ([`vmadiff_contract::Aim`]), and which
//! accesses it has come in another order it takes from runs.

use std::fs;
use std::path::{Path, PathBuf};

use vmadiff::designs::{DESIGNS, defects};
use vmadiff_contract::DesignInfo;

/// Every file of source in a folder.
fn sources(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, all);
        } else {
            all.push(path);
        }
    }
}

/// What is between quotation marks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .flat_map(|line| line.split('"').skip(1).step_by(2))
}

/// The names of a design that stand in a text.
fn named<'a>(
    design: &'static DesignInfo,
    text: &'a str,
) -> impl Iterator<Item = &'static str> + 'a {
    let sites = design.sites.iter().copied().flatten().copied();
    let sites = sites.filter(|site| {
        let (function, _) = site.split_once('.').expect("function.what");
        let begins = format!("{function}.");
        text.contains(site) || quoted(text).any(|quoted| quoted.starts_with(&begins))
    });
    let defects = defects(design).map(|info| info.name);
    sites.chain(defects.filter(|name| text.contains(name)))
}

#[test]
fn no_name_of_a_design_stands_in_the_mutator() {
    let mut all = Vec::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/program/mutate");
    sources(&folder, &mut all);
    assert!(all.len() > 10, "{all:?}");
    for path in all {
        let text = fs::read_to_string(&path).expect("a file");
        for design in DESIGNS {
            let names: Vec<_> = named(design, &text).collect();
            assert!(
                names.is_empty(),
                "{}: {names:?} of {design:?}",
                path.display()
            );
        }
    }
}

#[test]
fn a_name_would_be_seen() {
    let design = DESIGNS[0];
    let site = design.sites.concat()[0];
    let (function, _) = site.split_once('.').expect("function.what");
    for text in [site.to_owned(), format!("aim(\"{function}.\")")] {
        assert!(named(design, &text).next().is_some(), "{text}");
    }
    let defect = defects(design).next().expect("a defect").name;
    assert!(named(design, defect).next().is_some());
    assert!(
        named(design, "a call, an access. \"switch:\"")
            .next()
            .is_none()
    );
}
