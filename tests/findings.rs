//! What `docs/findings.md` says is seen: each of its commands diverges and prints what the page shows, and
//! the same program agrees where the design is repaired. With UPDATE_GOLDEN=1 the page is written anew.

use std::path::Path;
use std::process::{Command, Output};

use vmadiff::designs::{DESIGNS, from_name};

/// The page.
const PAGE: &str = "docs/findings.md";

/// How the command of a table begins in the page's source.
const BEGIN: &str = "<!-- vmadiff show --design ";

fn run(arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vmadiff"))
        .args(arguments.split(' '))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("it runs")
}

/// What `show` says of the divergence, but for the command that runs it again.
fn report(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stdout);
    let begin = said.find("divergence: ").expect("a divergence");
    let end = said.find("\nreplay:").expect("how to run it again");
    said[begin..end].trim_end().to_owned()
}

/// A table of the page, made anew.
fn table(design: &str, file: &str) -> String {
    let shown = run(&format!("show --design {design} {file}"));
    assert_eq!(shown.status.code(), Some(1), "{file} agrees in {design}");
    let info = from_name(design).expect("a design");
    let repaired = info.form_of.unwrap_or(DESIGNS[0].name);
    let said = run(&format!("run --design {repaired} {file}"));
    assert_eq!(
        said.status.code(),
        Some(0),
        "{file} in {repaired}: {said:?}"
    );
    format!(
        "```console\n$ vmadiff show --design {design} {file}\n{}\n```\n",
        report(&shown)
    )
}

#[test]
fn every_finding_is_seen() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = std::fs::read_to_string(&path).expect("the page");
    let (mut made, mut found) = (String::new(), 0);
    let mut rest = page.as_str();
    while let Some((before, after)) = rest.split_once(BEGIN) {
        let (command, after) = after.split_once(" -->\n").expect("the end of a comment");
        let (_, after) = after
            .split_once("<!-- end -->")
            .expect("the end of a table");
        let (design, file) = command.split_once(' ').expect("a design and a file");
        let table = table(design, file);
        made += &format!("{before}{BEGIN}{command} -->\n{table}<!-- end -->");
        rest = after;
        found += 1;
    }
    made += rest;
    assert!(found >= 15, "only {found} findings");
    let headings = page.lines().filter(|line| line.starts_with("## ")).count();
    assert!(headings >= found, "a finding without a heading");
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"))
        .expect("the README");
    let counted = format!("{found} bugs");
    assert!(
        readme.contains(&counted),
        "README.md counts otherwise than {found}"
    );
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, made).expect("the page is written");
        return;
    }
    assert!(made == page, "UPDATE_GOLDEN=1 writes {PAGE} anew");
}

/// Each bug of what was posted is a finding, or is named as one that is not shown.
#[test]
fn every_bug_that_was_posted_is_named() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = std::fs::read_to_string(path).expect("the page");
    for bug in DESIGNS.iter().flat_map(|design| design.posted()) {
        assert!(page.contains(bug), "{PAGE} has nothing of {bug}");
    }
}
