//! `vmadiff bisect`: what makes a program diverge, and an exit status that `git bisect run` takes.

use serde_json::Value;

use crate::shell::Shell;

/// Two serial defects; the first is met by every program with an area, the second by none of these.
const MET: &str = "get-too-few";
const NOT_MET: &str = "c16-wrong-survivor";

const PROGRAM: &str = "\
    mmap(0x1f4000, 0x4000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
    munmap(0x1f5000, 0x1000)\n";

#[test]
fn what_agrees_is_good_and_names_every_design() {
    let shell = Shell::new();
    shell.write("a.vma", PROGRAM);
    let said = shell.run("bisect a.vma");
    let said = said.succeeds().text();
    assert!(said.starts_with("spf, without defects: agrees\n"), "{said}");
    assert!(said.contains("classic"), "{said}");
}

#[test]
fn what_a_finding_does_not_need_is_taken_away() {
    let shell = Shell::new();
    shell.write("a.vma", PROGRAM);
    let said = shell.run(&format!(
        "bisect --json --defect {MET} --defect {NOT_MET} a.vma"
    ));
    assert_eq!(said.status, 1, "{said:?}");
    let answer: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(answer["needs"], serde_json::json!([MET]));
    let alone = answer["alone"].as_array().expect("a list");
    let names = |tried: &Value| tried["defects"][0].as_str().map(str::to_owned);
    assert!(
        alone.iter().filter_map(names).any(|name| name == MET),
        "{answer}"
    );
    assert_eq!(answer["designs"][0]["came"]["verdict"], "agrees");
}

/// The text says with what it was found; what is asked for comes first.
#[test]
fn a_finding_is_run_as_it_was_found() {
    let shell = Shell::new();
    let found = format!(
        "# made by vmadiff 0.1.0 (0); rustc 1.95.0; design: spf; defects: {MET}, {NOT_MET}\n{PROGRAM}"
    );
    shell.write("a.vma", &found);
    let said = shell.run("bisect a.vma");
    assert_eq!(said.status, 1, "{said:?}");
    let text = said.text();
    assert!(text.contains(&format!("the same with {MET}\n")), "{text}");
    assert_eq!(shell.run("bisect --design classic a.vma").status, 0);
    shell.write("b.vma", found.replace(MET, "no-such-defect"));
    let said = shell.run("bisect b.vma");
    assert_eq!(said.status, 125, "{said:?}");
    assert!(said.stderr.contains("no-such-defect"), "{said:?}");
}

#[test]
fn a_design_as_posted_is_taken_apart() {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/corpus/races/dontneed-twice.vma"
    );
    let said = Shell::new().run(&format!("bisect --design spf-as-posted {file}"));
    assert_eq!(said.status, 1, "{said:?}");
    let text = said.text();
    let (_, alone) = text.split_once("by one defect alone:").expect("a list");
    assert!(
        alone
            .lines()
            .nth(1)
            .is_some_and(|line| line.ends_with(" in spf")),
        "{text}"
    );
}

#[test]
fn what_cannot_be_told_is_skipped() {
    let shell = Shell::new();
    shell.write("a.vma", PROGRAM);
    shell.write("bad.vma", "mnumap(0x1f5000, 0x1000)\n");
    let run = |args: &str| shell.run(&format!("bisect {args}")).status;
    assert_eq!(run("bad.vma"), 125);
    assert_eq!(run("none.vma"), 125);
    let other = format!("--signature outcome/load/value --defect {MET} a.vma");
    assert_eq!(run(&other), 125);
    assert_eq!(run("--no-such-option a.vma"), 2);
}
