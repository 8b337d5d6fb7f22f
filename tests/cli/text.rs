//! Programs as people bring them: what a file is taken for, warnings, checks, and folders with a bad one.

use serde_json::Value;

use crate::shell::Shell;

const MAP: &str =
    "mmap(0x400000, 0x3000, PROT_READ, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0) = 0x400000\n";

/// One program that agrees, one with two expectations that are not met, one that is no program.
fn folder() -> Shell {
    let shell = Shell::new();
    std::fs::create_dir(shell.folder().join("all")).unwrap();
    shell.write("all/a-bad.vma", "mmpa(0x1000)\n");
    shell.write("all/b-good.vma", MAP);
    shell.write(
        "all/c-unmet.vma",
        format!("{MAP}\nload(0x400000) = 7\nstatus: locked=1\n"),
    );
    shell
}

#[test]
fn a_folder_goes_on_after_a_bad_file() {
    let said = folder().run("run all");
    assert_eq!(said.status, 2);
    let expected = "\
signature          count  calls  smallest
unmet expectation      1      2  all/c-unmet.vma
unreadable             1      0  all/a-bad.vma
all/c-unmet.vma:3: call 2: expected 7, the reference has 0
all/c-unmet.vma:4: locked at the end: expected 1, the reference has 0
";
    let table = said.text();
    assert!(table.starts_with(expected), "{table}");
    assert!(
        table.contains("all/c-unmet.vma:3: call 2: expected 7, "),
        "{table}"
    );
    assert!(
        table.ends_with("3 programs: 1 failed, 1 agree, 0 skipped, 1 unreadable\n"),
        "{table}"
    );
    assert!(
        said.stderr
            .starts_with("all/a-bad.vma:1:1: error: expected a call"),
        "{said:?}"
    );
    assert!(said.stderr.contains("did you mean `mmap`?"), "{said:?}");
}

#[test]
fn scripts_are_told_of_the_bad_file_too() {
    let shell = folder();
    let said = shell.run("run --json all");
    assert_eq!(said.status, 2);
    let all: Value = serde_json::from_slice(&said.stdout).unwrap();
    let bad = &all["verdicts"][0];
    assert_eq!(bad["verdict"], "unreadable");
    assert!(
        bad["error"]
            .as_str()
            .unwrap()
            .starts_with("all/a-bad.vma:1:1: expected")
    );
    assert_eq!(all["verdicts"][1]["form"], "text");
    let said = shell.run("run --junit all");
    assert_eq!(said.status, 2);
    assert!(said.text().contains("<error "), "{said:?}");
}

#[test]
fn bytes_are_named_and_a_damaged_text_is_not_run_as_bytes() {
    let shell = Shell::new();
    shell.write("a.vma", MAP);
    shell.run("convert a.vma -o a").succeeds();
    let said = shell.run("run a");
    assert_eq!(said.succeeds().text(), "agree   a: 1 call, read as bytes\n");
    let json: Value = serde_json::from_slice(&shell.run("run --json a").stdout).unwrap();
    assert_eq!(json[0]["form"], "bytes");
    shell.write("latin", b"# gr\xf6\xdfer than a page\nload(0x1000)\n");
    shell.run("run latin").refuses(&[
        "latin:1:5: error: expected UTF-8",
        "the byte 0xf6",
        "taken for text",
    ]);
    shell.write("paste", "\u{1b}[1mload(0x1000)\u{1b}[0m = 0\n");
    shell
        .run("run paste")
        .refuses(&["paste:1:1:", "control character U+001B"]);
    shell.write("bom.vma", format!("\u{feff}{MAP}"));
    shell
        .run("run bom.vma")
        .refuses(&["bom.vma:1:1:", "a byte order mark (U+FEFF)"]);
    shell.write("wide", b"\xff\xfel\0o\0a\0d\0");
    shell.run("run wide").refuses(&["wide:1:1:", "UTF-16"]);
    // What says that it is bytes is run as bytes, whatever it looks like.
    shell.write("text.bytes", "load(0x1000)\n".repeat(8));
    let said = shell.run("run text.bytes");
    assert!(
        said.succeeds().text().ends_with(", read as bytes\n"),
        "{said:?}"
    );
}

#[test]
fn line_ends_of_other_systems_are_fine() {
    let shell = Shell::new();
    shell.write("crlf.vma", MAP.replace('\n', "\r\n"));
    let said = shell.run("run crlf.vma");
    assert_eq!(said.succeeds().text(), "agree   crlf.vma: 1 call\n");
}

#[test]
fn what_does_nothing_is_warned_of_in_text_and_json() {
    let shell = Shell::new();
    let found = "# made by vmadiff 0.1.0 (unknown); rustc; defects: none\n";
    shell.write("a.vma", format!("{found}{MAP}[6] store(0x401000, 1)\n"));
    let said = shell.run("run a.vma");
    let warning = "\n  a.vma:3:2: there is no task 6 ";
    assert!(said.succeeds().text().contains(warning), "{said:?}");
    let json: Value = serde_json::from_slice(&shell.run("run --json a.vma").stdout).unwrap();
    let warned = json[0]["warnings"][0].as_str().unwrap();
    assert!(
        warned.starts_with("a.vma:3:2: there is no task 6 "),
        "{warned}"
    );
    shell.write("b.vma", format!("{MAP}[6] store(0x401000, 1) = NOTASK\n"));
    let said = shell.run("run b.vma");
    assert_eq!(said.succeeds().text(), "agree   b.vma: 2 calls\n");
    // Of a folder's programs on standard error, as editors read it.
    let said = shell.run("run .");
    let warning = "./a.vma:3:2: warning: there is no task 6 ";
    assert!(said.succeeds().stderr.contains(warning), "{said:?}");
}

/// In a text that somebody wrote, another task was meant.
#[test]
fn tasks_that_cannot_exist_are_refused() {
    let shell = Shell::new();
    let race = format!("{MAP}[2] load(0x400000)\n");
    for (lines, place) in [
        ("[6] store(0x401000, 1)", "a.vma:3:2"),
        ("[6] maps:", "a.vma:3:2"),
        ("switch: 6@call.begin#1 -> 2", "a.vma:3:9"),
        ("switch: 1@call.begin#1 -> 6", "a.vma:3:27"),
        ("switch: +3 -> 6", "a.vma:3:15"),
    ] {
        shell.write("a.vma", format!("{race}{lines}\n"));
        let wanted = format!("{place}: error: expected a task of this program, 0 to 2, found `6`");
        for command in ["run", "show", "minimize", "convert"] {
            shell.run(&format!("{command} a.vma")).refuses(&[&wanted]);
        }
    }
    // With a fork, those that it may make can be named.
    shell.write("a.vma", format!("{race}fork()\n[3] load(0x400000)\n"));
    shell.run("run a.vma").succeeds();
}

/// Bytes hold any program, and what is made of them is read.
#[test]
fn what_bytes_hold_is_read_as_text() {
    let shell = Shell::new();
    shell.write("a.vma", format!("{MAP}[6] load(0x400000) = NOTASK\n"));
    shell.run("convert a.vma -o a.bytes").succeeds();
    shell.run("convert a.bytes -o b.vma").succeeds();
    shell.run("run b.vma").succeeds();
    shell.run("convert b.vma -o b.bytes").succeeds();
    assert_eq!(shell.read("a.bytes"), shell.read("b.bytes"));
}

#[test]
fn checks_count_where_they_stand() {
    let shell = Shell::new();
    let area = |from, to| format!("  {from:08x}-{to:08x} r--p 00000000 anon\n");
    let whole = area(0x40_0000, 0x40_3000);
    let parts = area(0x40_0000, 0x40_1000) + &area(0x40_2000, 0x40_3000);
    let cut = "munmap(0x401000, 0x1000) = 0\n";
    shell.write("met.vma", format!("{MAP}maps:\n{whole}{cut}maps:\n{parts}"));
    shell.run("run met.vma").succeeds();
    shell.write(
        "unmet.vma",
        format!("{MAP}maps:\n{parts}{cut}maps:\n{parts}"),
    );
    let said = shell.run("run unmet.vma");
    assert_eq!(said.status, 1);
    assert!(
        said.text()
            .contains("unmet.vma:2: areas after call 1: expected"),
        "{said:?}"
    );
    assert!(!said.text().contains("at the end"), "{said:?}");
    // A piece is told by what it was made from.
    shell.write(
        "frees.vma",
        format!("{MAP}munmap(0x401000, 0x1000) = 0 frees #1\n"),
    );
    let said = shell.run("run frees.vma");
    assert!(
        said.text()
            .contains("expected frees #1, the reference has frees #3 (made from #2)"),
        "{said:?}"
    );
}

/// Neither a picture nor a walk of a long run is longer than people can look at.
#[test]
fn a_long_run_is_folded() {
    let shell = Shell::new();
    let mut text = String::from("config start_brk=0x1000000\n");
    for area in 0..1500 {
        let at = 0x1000_0000_u64 + area * 0x3000;
        text += &format!(
            "mmap({at:#x}, 0x1000, PROT_READ, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n"
        );
        if area == 700 {
            // An area that grows down over a gap: the defect leaves its offset as it was.
            text += &MAP
                .replace("0x3000", "0x1000")
                .replace("0x400000", "0x401000");
            text += &MAP.replace("0x3000", "0x1000");
        }
    }
    shell.write("long.vma", &text);
    let walk = shell.run("show long.vma");
    let lines = walk.succeeds().text().lines().count();
    assert!((20..80).contains(&lines), "{lines} lines");
    assert!(walk.text().contains("calls are left out"));
    let faulty = "show --html --defect c2-offset-not-lowered long.vma -o long.html";
    assert_eq!(shell.run(faulty).status, 1);
    let page = shell.read("long.html");
    assert!(
        (10_000..5_000_000).contains(&page.len()),
        "{} bytes",
        page.len()
    );
    let page = String::from_utf8(page).unwrap();
    assert!(page.contains("class=\"offends\"") && page.contains("calls are left out"));
}
