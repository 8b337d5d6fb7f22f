//! `vmadiff designs`, `--design`, and programs that name their design.

use serde_json::Value;

use crate::shell::Shell;

/// Where the reader stands when it is left, which it passes once.
const POINT: &str = "2@access.pte";

/// A race; its schedule names a point, which comes the `nth` time, or not.
fn race(design: &str, nth: u32) -> String {
    format!(
        "mmap(0x1f4000, 0x4000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
         [2] load(0x1f5000)\n\
         munmap(0x1f5000, 0x1000)\n\
         {design}switch: {POINT}#{nth} -> 1\n"
    )
}

fn designs(shell: &Shell) -> Vec<Value> {
    let said = shell.run("designs --json");
    serde_json::from_str(said.succeeds().text()).expect("a list")
}

#[test]
fn designs_are_listed_with_their_defects() {
    let shell = Shell::new();
    let all = designs(&shell);
    let text = shell.run("designs");
    let text = text.succeeds().text();
    assert!(!all.is_empty() && all[0]["first"] == true);
    for design in &all {
        for key in ["name", "what", "source"] {
            let says = design[key].as_str().expect("a text");
            assert!(text.contains(says), "no {says} in {text}");
        }
        let name = design["name"].as_str().unwrap();
        let said = shell.run(&format!("defects --json --design {name}"));
        let defects: Vec<Value> = serde_json::from_str(said.succeeds().text()).expect("a list");
        let names: Vec<_> = defects.iter().map(|defect| &defect["name"]).collect();
        let listed: Vec<_> = design["defects"].as_array().unwrap().iter().collect();
        assert_eq!(names, listed, "{name}");
    }
}

#[test]
fn every_repaired_design_agrees_with_the_reference() {
    let shell = Shell::new();
    shell.write("a.vma", race("", 1));
    let posted = |design: &Value| !design["posted"].as_array().unwrap().is_empty();
    for design in designs(&shell).iter().filter(|design| !posted(design)) {
        let name = design["name"].as_str().unwrap();
        let said = shell.run(&format!("run --design {name} a.vma"));
        assert!(said.succeeds().text().starts_with("agree"), "{said:?}");
        let said = shell.run(&format!("fuzz --runs 300 --seed 7 --json --design {name}"));
        let summary: Value = serde_json::from_str(said.succeeds().text()).expect("a summary");
        assert_eq!(summary["design"], design["name"]);
    }
}

#[test]
fn an_unknown_design_is_refused_with_near_ones() {
    let shell = Shell::new();
    let said = shell.run("run --design sfp x");
    said.refuses(&["no design is called `sfp`", "spf"]);
    shell.write("a.vma", race("design: sfp\n", 1));
    shell
        .run("run a.vma")
        .refuses(&["a.vma:4:9", "the name of a design", "spf"]);
}

#[test]
fn a_switch_that_never_comes_is_told_and_fails_where_the_design_is_named() {
    let shell = Shell::new();
    let never = "switch: 2@access.pte#9 -> 1 never came: task 2 passed access.pte 1 time";
    shell.write("comes.vma", race("design: spf\n", 1));
    assert!(
        !shell
            .run("run comes.vma")
            .succeeds()
            .text()
            .contains("never")
    );

    shell.write("told.vma", race("", 9));
    let said = shell.run("run told.vma");
    assert!(said.succeeds().text().contains(never), "{said:?}");
    let said = shell.run("run --json told.vma");
    let verdicts: Value = serde_json::from_str(said.succeeds().text()).expect("a list");
    assert_eq!(verdicts[0]["warnings"][0], never);

    shell.write("fails.vma", race("design: spf\n", 9));
    let said = shell.run("run fails.vma");
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.text().starts_with("unmet"), "{said:?}");
    assert!(said.text().contains(never), "{said:?}");
    let said = shell.run("run --json fails.vma");
    let verdicts: Value = serde_json::from_str(said.text()).expect("a list");
    assert_eq!(verdicts[0]["unmet"][0], never);
}

#[test]
fn a_switch_of_a_task_that_cannot_be_is_refused_at_its_place() {
    let shell = Shell::new();
    shell.write(
        "a.vma",
        "load(0x1000)\nswitch: 6@access.pte#1 -> 2\nswitch: +1 -> 6\n",
    );
    let why = "expected a task of this program, 0 to 2, found `6`";
    let said = shell.run("run a.vma");
    said.refuses(&["a.vma:2:9", "a.vma:3:15"]);
    assert_eq!(said.stderr.matches(why).count(), 2, "{said:?}");
}

/// An artifact says which design it is from; where another runs, that is told.
#[test]
fn an_artifact_of_another_design_is_warned_of() {
    let shell = Shell::new();
    let made = "# made by vmadiff 1 (x); rustc 1; design: other; defects: none\n";
    shell.write("a.vma", format!("{made}{}", race("", 1)));
    let said = shell.run("run a.vma");
    let warning = "made with design other, this is spf";
    assert!(said.succeeds().stderr.contains(warning), "{said:?}");
}

#[test]
fn old_names_are_rewritten_and_nothing_else() {
    let shell = Shell::new();
    shell.write("a.vma", race("", 1));
    let said = shell.run("corpus rename --check .");
    assert_eq!(said.succeeds().text(), "1 file, 0 to rewrite\n");
    let said = shell.run("corpus rename .");
    assert_eq!(said.succeeds().text(), "1 file, 0 rewritten\n");
    assert_eq!(shell.read("a.vma"), race("", 1).as_bytes());
    shell
        .run("corpus rename -")
        .refuses(&["standard input is no file to rewrite"]);
    shell.write("cut.vma", &race("", 1)[..30]);
    shell.run("corpus rename .").refuses(&["cut.vma:"]);
}

/// What a program expects of a race is of the design that it names.
#[test]
fn what_is_expected_of_one_design_is_not_asked_of_another() {
    let shell = Shell::new();
    shell.write(
        "a.vma",
        race("design: spf\n", 1).replace("load(0x1f5000)", "load(0x1f5000) = 9"),
    );
    assert_eq!(shell.run("run a.vma").status, 1);
    let said = shell.run("run --design classic a.vma");
    let why = "what it expects is of the design spf, and is not checked";
    assert!(said.succeeds().text().contains(why), "{said:?}");
}

/// A store that is left just before the page-table lock while its area goes.
const RECHECK: &str = "mmap(0x1f0000, 0x2000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
    store(0x1f0000, 1)\n\
    [2] store(0x1f1000, 2)\n\
    munmap(0x1f0000, 0x2000)\n\
    design: spf\n\
    switch: 2@pte_map_lock.trylock#1 -> 1\n";

/// A small program is kept for what the large one was kept for.
#[test]
fn a_program_that_names_its_design_names_it_when_it_is_small() {
    let shell = Shell::new();
    shell.write("a.vma", RECHECK);
    let said = shell.run("minimize --defect skip-last-recheck a.vma");
    assert_eq!(said.status, 1, "{said:?}");
    let small = String::from_utf8(shell.read("a.min.vma")).unwrap();
    assert!(small.contains("\ndesign: spf\n"), "{small}");
}

/// The table of a folder has no lines of its programs, and JUnit's XML no place for warnings.
#[test]
fn of_many_programs_it_is_told_once_that_races_were_not_run() {
    let shell = Shell::new();
    std::fs::create_dir_all(shell.folder().join("all")).unwrap();
    shell.write("all/a.vma", RECHECK);
    shell.write("all/b.vma", RECHECK);
    shell.write("all/c.vma", race("", 9));
    for form in ["", "--junit "] {
        let said = shell.run(&format!("run {form}--design classic all"));
        let told = &said.succeeds().stderr;
        let expects = "all/a.vma: and 1 more: what it expects is of another design";
        assert!(told.contains(expects), "{said:?}");
        let never = "all/a.vma: and 2 more: has a switch that never came";
        assert!(told.contains(never), "{said:?}");
    }
    let said = shell.run("run all");
    let never = "all/c.vma: has a switch that never came";
    assert!(said.succeeds().stderr.contains(never), "{said:?}");
    assert_eq!(said.stderr.lines().count(), 1, "{said:?}");
}

#[test]
fn a_defect_of_another_design_is_refused_with_what_to_say() {
    let shell = Shell::new();
    let said = shell.run("run --design classic --defect get-too-few x");
    said.refuses(&["no defect of the design classic", "--design spf"]);
    let said = shell.run("run --design classic --defect zzzzzz x");
    said.refuses(&["`vmadiff defects --design classic` lists them"]);
}

#[test]
fn a_design_that_is_asked_for_is_the_only_one_that_is_told() {
    let shell = Shell::new();
    let said = shell.run("designs --json --design classic");
    let all: Vec<Value> = serde_json::from_str(said.succeeds().text()).expect("a list");
    assert!(all.len() == 1 && all[0]["name"] == "classic", "{said:?}");

    shell.run("explain --design spf NoAnonVma").succeeds();
    let said = shell.run("explain --design classic NoAnonVma");
    said.refuses(&["`NoAnonVma` is no word"]);

    let of_all = shell.run("completions bash");
    assert!(of_all.succeeds().text().contains("get-too-few"));
    let of_one = shell.run("completions bash --design classic");
    let script = of_one.succeeds().text();
    assert!(script.contains("c7-forked-merges") && !script.contains("get-too-few"));

    for command in ["designs", "explain", "completions bash", "defects"] {
        let said = shell.run(&format!("{command} --defect get-too-few"));
        said.refuses(&["--defect is for the candidate"]);
    }
}

#[test]
fn a_defect_that_a_design_has_or_cannot_show_is_refused() {
    let shell = Shell::new();
    let said = shell.run("run --design spf-as-posted --defect a26-exec-unchecked x");
    said.refuses(&["`a26-exec-unchecked` is in the design spf-as-posted anyway"]);
    let said = shell.run("run --design classic --defect a12-table-moved-unlocked x");
    said.refuses(&["changes nothing that the design classic could show"]);
}
