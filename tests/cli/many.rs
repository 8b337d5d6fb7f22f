//! Folders of programs: the table, and what scripts and CI systems get.

use serde_json::Value;

use crate::shell::Shell;

const FAULTY: &str = "--defect c2-offset-not-lowered";

/// Two programs that a defect shows in, one smaller; one that agrees; one that is no program.
fn folder() -> Shell {
    let shell = Shell::new();
    let map = |at: &str| {
        format!("mmap({at}, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)\n")
    };
    std::fs::create_dir_all(shell.folder().join("found/deeper")).unwrap();
    shell.write("found/agrees.vma", map("0x1f0000"));
    let small = map("0x1f1000") + &map("0x1f0000");
    shell.write("found/large.vma", format!("{small}load(0x1f0000)\n"));
    shell.write("found/deeper/small.vma", &small);
    shell.write("found/README.md", "no program");
    shell
        .run("convert found/deeper/small.vma -o found/crash-1")
        .succeeds();
    shell
}

#[test]
fn a_folder_is_grouped_by_signature_with_the_smallest_of_each() {
    let said = folder().run(&format!("run {FAULTY} found"));
    assert_eq!(said.status, 1);
    let expected = "\
signature              count  calls  smallest
state/mmap/vmas.pgoff      3      2  found/crash-1
4 programs: 3 failed, 1 agree, 0 skipped
";
    assert_eq!(said.text(), expected);
}

#[test]
fn json_has_the_groups() {
    let said = folder().run(&format!("run --json {FAULTY} found"));
    let all: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(all["verdicts"].as_array().unwrap().len(), 4);
    let group = &all["groups"][0];
    assert_eq!(group["signature"], "state/mmap/vmas.pgoff");
    assert_eq!(group["count"], 3);
}

/// Names need not be text.
#[test]
fn json_has_files_of_any_name() {
    use std::os::unix::ffi::OsStrExt;
    let shell = folder();
    let odd = std::ffi::OsStr::from_bytes(b"found/f\xff.vma");
    std::fs::copy(
        shell.folder().join("found/large.vma"),
        shell.folder().join(odd),
    )
    .unwrap();
    let said = shell.run(&format!("run --json {FAULTY} found"));
    assert_eq!(said.status, 1, "{said:?}");
    let all: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(all["groups"][0]["count"], 4);
    assert!(said.text().contains("f\u{fffd}.vma"), "{said:?}");
}

#[test]
fn junit_has_a_case_for_each_program() {
    let shell = folder();
    shell.write("unmet.vma", "load(0x1f0000) = 7\n");
    let said = shell.run(&format!("run --junit {FAULTY} found unmet.vma"));
    assert_eq!(said.status, 1);
    let xml = said.text();
    assert!(xml.starts_with("<?xml"), "{xml}");
    assert_eq!(xml.matches("<testcase ").count(), 5, "{xml}");
    assert_eq!(xml.matches("<failure ").count(), 4, "{xml}");
    assert!(xml.contains("type=\"state/mmap/vmas.pgoff\""), "{xml}");
    assert!(
        xml.contains("expected 7, the reference has SIGSEGV"),
        "{xml}"
    );
    assert!(!xml.contains('\u{1b}'), "no colours in XML");
}

/// Once for all artifacts that were made in the same way.
#[test]
fn artifacts_of_other_defects_are_warned_of() {
    let shell = folder();
    let made = shell.run(&format!("minimize {FAULTY} found/large.vma -o found/a.vma"));
    assert_eq!(made.status, 1, "{made:?}");
    shell.write("found/b.vma", shell.read("found/a.vma"));
    let said = shell.run("run found");
    assert_eq!(said.status, 0, "without the defect they agree: {said:?}");
    let warnings: Vec<_> = said.stderr.lines().collect();
    let expected = "warning: found/a.vma: and 1 more: made with defects c2-offset-not-lowered, this \
                    is none";
    let left_out = "warning: found/README.md: left out: programs are named .vma or .bytes, or have no \
                    extension";
    assert_eq!(warnings, [left_out, expected]);
    let same = shell.run(&format!("run {FAULTY} found"));
    assert_eq!(same.stderr, format!("{left_out}\n"));
}

#[test]
fn a_folder_without_programs_is_wrong() {
    let shell = Shell::new();
    std::fs::create_dir(shell.folder().join("empty")).unwrap();
    shell
        .run("run empty")
        .refuses(&["empty: found no file, expected programs"]);
}

/// What a folder has beside programs is told, but for what the command itself wrote there.
#[test]
fn what_is_left_out_of_a_folder_is_told() {
    let shell = folder();
    shell.write("found/counts.txt", "2 large.vma\n");
    for command in ["run found", "linux found"] {
        let said = shell.run(command);
        let told = "warning: found/README.md: left out: ";
        assert_eq!(said.status, 0, "{said:?}");
        assert_eq!(said.stderr.matches(told).count(), 1, "{said:?}");
        assert!(!said.stderr.contains("counts.txt"), "{said:?}");
        let all = "4 programs: ";
        assert!(
            said.text().contains(all),
            "inputs are programs, too: {said:?}"
        );
    }
}

/// Engines keep inputs without calls.
#[test]
fn a_kernel_is_not_asked_about_no_calls() {
    let shell = folder();
    shell.write("found/short", [0]);
    let said = shell.run("linux found");
    assert!(
        said.stderr.contains("found/short: left out: has no calls"),
        "{said:?}"
    );
    assert!(said.succeeds().text().contains("4 programs: "), "{said:?}");
    std::fs::create_dir(shell.folder().join("none")).unwrap();
    shell.write("none/short", [0]);
    shell.write("none/shorter", [0]);
    shell
        .run("linux none")
        .refuses(&["none/short: has no calls"]);
}
