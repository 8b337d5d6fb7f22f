//! `vmadiff convert` goes both ways.

use crate::shell::Shell;

const TEXT: &str = "config max_map_count=64\n\
    mmap(0x1f0000, 0x4000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
    [2] store(0x1f1000, 7)\n";

#[test]
fn text_and_bytes_are_the_same_program() {
    let shell = Shell::new();
    shell.write("in.vma", TEXT);
    shell.run("convert in.vma -o bytes").succeeds();
    assert_eq!(shell.run("convert bytes").succeeds().text(), TEXT);
    assert_eq!(
        shell.run("convert in.vma").succeeds().stdout,
        shell.read("bytes")
    );
}

#[test]
fn what_bytes_cannot_hold_is_said() {
    let shell = Shell::new();
    shell.write("in.vma", "# A comment.\nload(0x1f0000) = SIGSEGV MAPERR\n");
    let said = shell.run("convert in.vma -o bytes");
    assert!(said.succeeds().stderr.contains("expectations"), "{said:?}");
    assert_eq!(
        shell.run("convert bytes").succeeds().text(),
        "load(0x1f0000)\n"
    );
}

/// What is printed to be pasted was pasted into `pasted.rs`, where it compiles and runs.
#[test]
fn a_rust_test_can_be_pasted() {
    let shell = Shell::new();
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/regressions");
    let said = shell.run(&format!(
        "convert --rust {corpus}/softirq-of-a-dead-task.vma"
    ));
    let pasted = include_str!("pasted.rs");
    let pasted = pasted.split_once("\n\n").expect("a line says what it is").1;
    assert_eq!(said.succeeds().text(), pasted);
    let said = shell.run(&format!(
        "convert --rust --defect get-too-few {corpus}/softirq-of-a-dead-task.vma"
    ));
    let with = "let defects: [&str; 1] = [\"get-too-few\"];";
    assert!(said.succeeds().text().contains(with), "{said:?}");
}

#[test]
fn completions_are_printed_for_shells() {
    let said = Shell::new().run("completions bash");
    let script = said.succeeds().text();
    assert!(script.contains("complete -F _vmadiff"), "{said:?}");
    // Names of designs and of defects are completed, too.
    for name in ["--design", "classic", "get-too-few"] {
        assert!(script.contains(name), "no {name}");
    }
}
