//! `vmadiff run` and `minimize` on programs that agree, that do not, and that expect the wrong.

use serde_json::Value;

use crate::shell::Shell;

/// A serial defect that every program with an area shows.
const DEFECT: &str = "get-too-few";

const PROGRAM: &str = "config max_map_count=100\n\
    mmap(0x1f4000, 0x4000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
    [2] store(0x1f5000, 7)\n\
    munmap(0x1f5000, 0x1000)\n";

#[test]
fn agreement_is_status_0() {
    let shell = Shell::new();
    shell.write("a.vma", PROGRAM);
    shell.run("convert a.vma -o a").succeeds();
    let said = shell.run("run a.vma a");
    assert_eq!(
        said.succeeds().text(),
        "agree   a.vma: 3 calls\nagree   a: 3 calls, read as bytes\n"
    );
    assert_eq!(said.stderr, "");
}

#[test]
fn programs_are_run_beside_one_that_cannot_be_read() {
    let shell = Shell::new();
    shell.write("good.vma", PROGRAM);
    shell.write("bad.vma", "munmapp(\n");
    let said = shell.run("run good.vma bad.vma none.vma");
    assert_eq!(said.status, 2, "{said:?}");
    assert_eq!(said.text(), "agree   good.vma: 3 calls\n");
    for told in ["bad.vma:1:1: ", "none.vma: No such file"] {
        assert!(said.stderr.contains(told), "{said:?}");
    }
    let last = "warning: bad.vma: and 1 more: could not be read: see above\n";
    assert!(said.stderr.ends_with(last), "{said:?}");
    let said = shell.run("run --json good.vma bad.vma");
    assert_eq!(said.status, 2, "{said:?}");
    let verdicts: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(verdicts[0]["verdict"], "agree");
    assert_eq!(verdicts[1]["verdict"], "unreadable");
    let said = shell.run("linux good.vma bad.vma good.vma");
    assert_eq!(said.status, 2, "{said:?}");
    let lines = said.text().lines();
    let files: Vec<_> = lines.filter_map(|line| line.split(':').next()).collect();
    assert_eq!(
        files,
        ["good.vma", "bad.vma", "good.vma", "3 programs"],
        "{said:?}"
    );
}

/// A program whose calls leave no area has something to show, too.
#[test]
fn calls_without_areas_are_shown() {
    let shell = Shell::new();
    shell.write("a.vma", "munmap(0x1f0000, 0x1000)\n[2] load(0x1f0000)\n");
    let said = shell.run("show a.vma");
    assert_eq!(
        said.succeeds().text(),
        "calls, and no area that changes:\n     1  munmap(0x1f0000, 0x1000) = 0\n     \
         2  [2] load(0x1f0000) = SIGSEGV MAPERR\n"
    );
}

/// A text without calls is one that a full disk or an editor cut off: that managers agree on it is no news.
#[test]
fn what_has_no_calls_is_no_program() {
    let shell = Shell::new();
    shell.write("empty.vma", "");
    shell.write("blank.vma", "\t\n\n  \n");
    shell.write("said.vma", "# nothing\nconfig tasks=3\n");
    for file in ["empty.vma", "blank.vma", "said.vma"] {
        for command in [
            "run",
            "minimize",
            "show",
            "convert --to text",
            "linux",
            "corpus reach",
            "corpus seeds -o seeds",
            "corpus distill -o texts",
        ] {
            let said = shell.run(&format!("{command} {file}"));
            said.refuses(&[&format!("{file}: has no calls, expected a program")]);
        }
        let said = shell.run(&format!("bisect {file}"));
        assert_eq!(said.status, 125, "{said:?}");
    }
    // What is expected of the start is something to compare.
    shell.write("start.vma", "maps:\n");
    shell.run("run start.vma").succeeds();
}

/// Engines keep inputs without calls: among others they are no error.
#[test]
fn bytes_without_calls_are_skipped_among_others() {
    let shell = Shell::new();
    shell.write("a.vma", PROGRAM);
    std::fs::create_dir(shell.folder().join("inputs")).unwrap();
    shell.run("convert a.vma -o inputs/a").succeeds();
    shell.write("inputs/b.bytes", "\n");
    let said = shell.run("run inputs");
    assert_eq!(
        said.succeeds().text(),
        "2 programs: 0 failed, 1 agree, 1 skipped\n"
    );
    let said = shell.run("corpus reach inputs");
    assert!(
        said.succeeds().text().starts_with("1 program, 3 calls, "),
        "{said:?}"
    );
    for command in ["show", "minimize", "corpus reach"] {
        let said = shell.run(&format!("{command} inputs/b.bytes"));
        said.refuses(&["inputs/b.bytes: has no calls, expected a program"]);
    }
    let said = shell.run("run inputs/b.bytes");
    assert_eq!(said.status, 2, "{said:?}");
    assert!(said.stderr.contains("b.bytes: has no calls"), "{said:?}");
}

#[test]
fn an_expectation_that_is_not_met_is_status_1() {
    let shell = Shell::new();
    shell.write("a.vma", "load(0x1f0000) = 7\n");
    let said = shell.run("run a.vma");
    assert_eq!(said.status, 1);
    assert!(
        said.text()
            .contains("call 1: expected 7, the reference has SIGSEGV MAPERR"),
        "{said:?}"
    );
}

#[test]
fn a_divergence_is_reported_with_the_command_that_shows_it_again() {
    let shell = Shell::new();
    shell.write("a.vma", PROGRAM);
    let said = shell.run(&format!("run --defect {DEFECT} a.vma"));
    assert_eq!(said.status, 1);
    let replay = format!(" run --defect {DEFECT} a.vma\n");
    assert!(said.text().contains(&replay), "{said:?}");
    assert!(
        said.text().contains("signature: vma-references/"),
        "{said:?}"
    );
    assert!(!said.text().contains('\u{1b}'), "no colours on a pipe");
}

#[test]
fn json_says_the_same() {
    let shell = Shell::new();
    shell.write("a.vma", PROGRAM);
    shell.write("b.vma", "load(0x1f0000) = 7\n");
    let said = shell.run(&format!("run --json --defect {DEFECT} a.vma b.vma"));
    assert_eq!(said.status, 1);
    let verdicts: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(verdicts[0]["verdict"], "diverge");
    assert!(
        verdicts[0]["signature"]
            .as_str()
            .unwrap()
            .starts_with("vma-references/")
    );
    assert_eq!(verdicts[1]["verdict"], "agree");
    assert_eq!(verdicts[1]["unmet"].as_array().unwrap().len(), 2);
}

#[test]
fn minimize_keeps_the_signature_and_writes_beside() {
    let shell = Shell::new();
    shell.write("a.vma", PROGRAM);
    let said = shell.run(&format!("minimize --defect {DEFECT} a.vma"));
    assert_eq!(said.status, 1, "{said:?}");
    let small = String::from_utf8(shell.read("a.min.vma")).unwrap();
    let calls = small.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(calls, 1, "{small}");
    assert_eq!(
        shell
            .run(&format!("run --defect {DEFECT} a.min.vma"))
            .status,
        1
    );
    let again = shell.run(&format!("minimize --defect {DEFECT} a.vma"));
    again.refuses(&["a.min.vma: exists already"]);
}

/// An artifact made with a defect says so where the defect is off.
#[test]
fn replay_warns_of_what_differs() {
    let shell = Shell::new();
    shell.write("a.vma", PROGRAM);
    shell.run(&format!("minimize --defect {DEFECT} a.vma"));
    let said = shell.run("run a.min.vma");
    assert!(
        said.succeeds()
            .stderr
            .contains(&format!("made with defects {DEFECT}, this is none"))
    );
}

#[test]
fn minimize_wants_a_divergence() {
    let shell = Shell::new();
    shell.write("a.vma", PROGRAM);
    shell
        .run("minimize a.vma")
        .refuses(&["a.vma: the managers agree", "expected"]);
    assert!(!shell.folder().join("a.min.vma").exists());
}

#[test]
fn unknown_defects_name_near_ones() {
    let shell = Shell::new();
    shell
        .run("run --defect get-to-few x")
        .refuses(&["`get-to-few`", "get-too-few"]);
    shell
        .run("run --defect zzz x")
        .refuses(&["`zzz`", "vmadiff defects"]);
}

#[test]
fn defects_are_listed() {
    let shell = Shell::new();
    let said = shell.run("defects");
    assert!(
        said.succeeds()
            .text()
            .contains("get-too-few (serial, spf, "),
        "{said:?}"
    );
    let list: Value = serde_json::from_slice(&shell.run("defects --json").stdout).unwrap();
    let list = list.as_array().unwrap();
    assert!(
        list.iter()
            .all(|defect| defect["rules"].as_array().is_some_and(|r| !r.is_empty()))
    );
}
