//! What `docs/your-manager.md` shows: every command of it is run and prints what is shown, and every
//! piece of code stands in the program that is run. Commands for fuzzing engines are those that `.ci/run` and
//! `.ci/fleet` run.

#[path = "shared/page.rs"]
mod page;

use page::{blocks, is_shown, root, run};

/// The page.
const PAGE: &str = "docs/your-manager.md";

/// Where pieces of code of the page stand, whole.
const CODE: [&str; 9] = [
    "examples/mine/ranges.rs",
    "examples/mine/areas.rs",
    "examples/mine/pages.rs",
    "examples/mine/races.rs",
    "examples/mine/planted.rs",
    "examples/mine/targets/libfuzzer.rs",
    "examples/mine/targets/afl.rs",
    "examples/mine/targets/mutator.rs",
    "tests/your_manager.rs",
];

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

#[test]
fn every_command_prints_what_is_shown() {
    let [text, readme] = [PAGE, "README.md"].map(read);
    let section = readme
        .split("\n## ")
        .find(|part| part.starts_with("Another manager"));
    let mut commands = page::commands(&text);
    commands.extend(page::commands(section.expect("the section")));
    assert!(commands.len() >= 4, "only {} commands", commands.len());
    // What an earlier run of this test found is counted as found before.
    let _ = std::fs::remove_dir_all(root().join("target/found"));
    for (command, shown) in commands {
        let output = run(&command);
        let said = String::from_utf8_lossy(&output.stdout);
        let failed = String::from_utf8_lossy(&output.stderr);
        let mut lines = said.lines().map(str::trim_end);
        let mut gap = false;
        for shown in shown {
            // A line of `…` alone stands for any number of lines.
            if shown.trim() == "…" {
                gap = true;
                continue;
            }
            let found = if gap {
                lines.any(|line| is_shown(line, &shown))
            } else {
                lines.next().is_some_and(|line| is_shown(line, &shown))
            };
            assert!(
                found,
                "`{command}` printed\n{said}{failed}\nwhere {PAGE} shows\n{shown}"
            );
            gap = false;
        }
        let left: Vec<_> = lines.collect();
        assert!(
            gap || left.is_empty(),
            "`{command}` printed more than {PAGE} shows: {left:?}"
        );
    }
}

/// Indentation aside, so that a page may show what stands inside something.
fn trimmed(lines: impl Iterator<Item = impl AsRef<str>>) -> Vec<String> {
    lines.map(|line| line.as_ref().trim().to_owned()).collect()
}

#[test]
fn every_piece_of_code_stands_in_a_program() {
    let programs = CODE.map(|file| trimmed(read(file).lines()));
    let pieces = blocks(&read(PAGE), "rust");
    assert!(pieces.len() >= 4, "only {} pieces", pieces.len());
    for piece in pieces {
        let piece = trimmed(piece.iter());
        let stands = |program: &Vec<String>| program.windows(piece.len()).any(|w| w == piece);
        assert!(
            programs.iter().any(stands),
            "{PAGE} shows code that stands in none of {CODE:?}:\n{}",
            piece.join("\n")
        );
    }
}

/// Engines are not installed where tests run: the scripts that install them run what the page says.
#[test]
fn every_command_for_an_engine_is_one_of_a_script() {
    let [page, run, fleet] = [PAGE, ".ci/run", ".ci/fleet"].map(read);
    let blocks = blocks(&page, "sh");
    let (afl, others): (Vec<_>, Vec<_>) = blocks
        .iter()
        .partition(|block| block.iter().any(|line| line.starts_with("cargo afl")));
    assert_eq!((afl.len(), others.len()), (1, 1), "{blocks:?}");
    for command in others.into_iter().flatten() {
        assert!(run.contains(command.as_str()), ".ci/run lacks `{command}`");
    }
    assert!(fleet.contains(PAGE), ".ci/fleet does not read {PAGE}");
}

fn said(command: &str) -> String {
    let output = run(command);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "`{command}` printed\n{said}{failed}"
    );
    said
}

/// It is no error, since whoever wrote the program meant a manager that has these points, and nothing agreed.
#[test]
fn a_race_by_points_is_skipped_where_nothing_can_race() {
    let race = "examples/mine/raced.vma";
    let said = said(&format!("cargo run --example areas -- run {race}"));
    let why = "mine has no points at which another task can run: its calls would not race";
    assert_eq!(said, format!("skip    {race}: {why}\n"));
}

/// Nobody takes a call that was not made for one that agrees, nor what was not asked for met.
#[test]
fn what_was_not_made_and_not_asked_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("it is written");
        path.display().to_string()
    };
    let map = "mmap(0x1f0000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)\n";
    let some = file("some.vma", &format!("{map}mlock(0x1f0000, 0x1000)\n"));
    let command = format!("cargo run --example areas -- run {some}");
    let not_made = "not made, since the candidate has not what they ask: call 2";
    let expected = format!("agree   {some}: 1 of 2 calls\n  {not_made}\n");
    assert_eq!(said(&command), expected);
    let none = file("none.vma", "mlock(0x1f0000, 0x1000)\n");
    let command = format!("cargo run --example areas -- run {none}");
    let why = "mine has none of its calls, and none was made";
    assert_eq!(said(&command), format!("skip    {none}: {why}\n"));
    let asks = file("asks.vma", &format!("{map}mlock(0x1f0000, 0x1000) = 0\n"));
    let output = run(&format!("cargo run --example areas -- run --json {asks}"));
    assert_eq!(output.status.code(), Some(2));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a list");
    assert_eq!(told[0]["not_made"], serde_json::json!([2]));
    let unasked = told[0]["unasked"][0].as_str().expect("what was not asked");
    let start = format!("{asks}:2: call 2: what it expects is not asked");
    assert!(unasked.starts_with(&start), "{unasked}");
}

/// What a campaign of managers that hang says: its status, and what it found.
fn hangs(command: &str) -> (Option<i32>, Vec<String>) {
    let folder = tempfile::tempdir().expect("a folder");
    let artifacts = folder.path().display();
    let limits = "--seed 1 --seconds 20 --timeout 1 --json";
    let command =
        format!("cargo run --example unruly -- {command} {limits} --artifacts {artifacts}");
    let output = run(&command);
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a summary");
    assert_eq!(told["failures"], serde_json::json!([]), "{told}");
    let found = told["findings"].as_array().expect("a list");
    let each = found.iter().map(|one| {
        let program = one["program"].as_str().expect("its program");
        let kept = std::fs::read_to_string(program).expect("a text");
        let calls = kept.lines().filter(|line| line.contains("munmap(")).count();
        assert!(calls == 1 || !program.ends_with(".min.vma"), "{kept}");
        one["signature"].as_str().expect("its signature").to_owned()
    });
    (output.status.code(), each.collect())
}

/// A manager that hangs is a finding, whether it does so in a run or while the program is changed.
#[test]
fn a_manager_that_hangs_is_found() {
    let (status, found) = hangs("fuzz serial");
    assert_eq!(found, ["hang/munmap/candidate"]);
    assert_eq!(status, Some(1));
    let (status, found) = hangs("fuzz interleaved --design waiting");
    assert_eq!(found, ["hang/race/candidate"]);
    assert_eq!(status, Some(1));
}

/// The same of one that is compared whole, in a call, in a race, and as it is made.
#[test]
fn a_whole_manager_that_hangs_is_found() {
    for (fuzz, design, signature) in [
        ("fuzz serial", "whole-looping", "hang/munmap/candidate"),
        ("fuzz interleaved", "whole-looping", "hang/race/candidate"),
        ("fuzz serial", "whole-overflowing", "crash/munmap/SIGSEGV"),
        ("fuzz", "whole-waking", "hang/boot/candidate"),
        ("fuzz serial", "waking", "hang/boot/candidate"),
    ] {
        let (status, found) = hangs(&format!("{fuzz} --design {design}"));
        assert_eq!(found, [signature], "{design}");
        assert_eq!(status, Some(1), "{design}");
    }
}

/// A manager that the process would die of is found, and its program replayed.
#[test]
fn a_manager_whose_stack_overflows_is_found() {
    let (status, found) = hangs("fuzz serial --design overflowing");
    assert_eq!(found, ["crash/munmap/SIGSEGV"]);
    assert_eq!(status, Some(1));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.vma");
    let text = "munmap(0x1f0000, 0x1000)\nmunmap(0x1f0000, 0x3000)\n";
    std::fs::write(&file, text).expect("it is written");
    let file = file.display();
    for command in ["run", "show", "bisect"] {
        let output = run(&format!(
            "cargo run --example unruly -- {command} --design overflowing {file}"
        ));
        let told = [output.stdout, output.stderr].concat();
        let told = String::from_utf8_lossy(&told);
        assert!(
            told.contains("dies of SIGSEGV in munmap, call 2: its stack overflows"),
            "{told}"
        );
        assert_eq!(output.status.code(), Some(1), "{told}");
    }
}

/// What is made of a text by `minimize`: what it prints, and the smaller one.
fn minimized(design: &str, text: &str) -> (String, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.vma");
    std::fs::write(&file, text).expect("it is written");
    let file = file.display();
    let output = run(&format!(
        "cargo run --example unruly -- minimize --design {design} --timeout 2 {file}"
    ));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let small = std::fs::read_to_string(folder.path().join("a.min.vma"));
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    (told, small.expect("it is written"))
}

/// The calls of a text.
fn calls(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.contains("map(")).collect()
}

/// Who looks for a smaller program meets one at which the manager hangs, or dies, and goes past it.
#[test]
fn a_program_is_made_smaller_past_one_that_hangs() {
    let map = "mmap(0x1f0000, 0x5000, PROT_READ, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n";
    let other = map.replace("0x1f0000", "0x1a0000");
    let text = format!("{other}{map}munmap(0x1f0000, 0x5000)\n");
    let (told, small) = minimized("fragile", &text);
    assert!(told.contains("2 calls, 3 before; state/munmap/"), "{told}");
    let length = calls(&small)[1];
    assert!(length.contains("0x3000"), "no less would show it: {small}");
}

/// A program that hangs, or at which the process dies, is made smaller like any other.
#[test]
fn a_program_that_hangs_is_made_smaller() {
    let text = "munmap(0x1f0000, 0x1000)\nmunmap(0x1a0000, 0x3000)\nmunmap(0x1f0000, 0x2000)\n";
    for (design, signature) in [
        ("looping", "hang/munmap/candidate"),
        ("overflowing", "crash/munmap/SIGSEGV"),
    ] {
        let (told, small) = minimized(design, text);
        assert!(
            told.contains(&format!("1 call, 3 before; {signature}")),
            "{told}"
        );
        assert!(
            small.contains("call 1"),
            "in words of the small one: {small}"
        );
        assert!(
            calls(&small).last().expect("a call").contains("0x3000"),
            "{small}"
        );
    }
}

/// A campaign goes on past what hangs while its findings are made smaller, and comes to its summary.
#[test]
fn a_campaign_of_a_manager_that_hangs_here_and_there_has_its_summary() {
    let (status, found) = hangs("fuzz serial --design fragile --keep-going");
    assert_eq!(status, Some(1));
    for signature in ["hang/munmap/candidate", "state/munmap/vmas.extra"] {
        assert!(found.iter().any(|one| one == signature), "{found:?}");
    }
}

/// It is no failure of the harness that it ran nothing, and what was found is run like any other finding.
#[test]
fn a_manager_that_never_boots_is_found_and_replayed() {
    for design in ["unbootable", "whole-unbootable"] {
        never_boots(design);
    }
}

fn never_boots(design: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let artifacts = folder.path().display();
    let command = "cargo run --example unruly --";
    let output = run(&format!(
        "{command} fuzz serial --design {design} --seed 1 --runs 100 --json --artifacts {artifacts}"
    ));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a summary");
    assert_eq!(told["failures"], serde_json::json!([]), "{told}");
    assert_eq!(
        told["findings"][0]["signature"], "panic/boot/panic",
        "{told}"
    );
    assert_eq!(output.status.code(), Some(1));
    let file = folder.path().join("panic-boot-panic.vma");
    let file = file.display();
    let output = run(&format!("{command} run --design {design} {file}"));
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("signature: panic/boot/panic"), "{told}");
    assert!(told.contains("nothing to stand on"), "{told}");
    assert_eq!(output.status.code(), Some(1));
    // Of a manager that boots it is still no program.
    let output = run(&format!("{command} run --design looping {file}"));
    assert_eq!(output.status.code(), Some(2));
}

/// A program may take long of which each call comes back, also when time is over.
#[test]
fn a_manager_that_is_slow_does_not_hang() {
    let folder = tempfile::tempdir().expect("a folder");
    let artifacts = folder.path().display();
    let output = run(&format!(
        "cargo run --example unruly -- fuzz serial --design slow --seed 1 --seconds 5 --timeout 1 --json --artifacts {artifacts}"
    ));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a summary");
    assert_eq!(told["findings"], serde_json::json!([]), "{told}");
    assert_eq!(told["failures"], serde_json::json!([]), "{told}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_run_of_a_manager_that_hangs_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.vma");
    let text = "munmap(0x1f0000, 0x1000)\nmunmap(0x1f0000, 0x3000)\n";
    std::fs::write(&file, text).expect("it is written");
    let file = file.display();
    let output = run(&format!(
        "cargo run --example unruly -- run --timeout 1 {file} {file}"
    ));
    let told = String::from_utf8_lossy(&output.stdout);
    let what = "the candidate does not come back from munmap, call 2, within 1 s";
    let start = format!("diverge {file}: hang/munmap/candidate\ndivergence: {what}\n");
    assert!(told.starts_with(&start), "{told}");
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(
        failed.contains("not run, since one before it ended the command"),
        "{failed}"
    );
    assert_eq!(output.status.code(), Some(1));
    let output = run(&format!(
        "cargo run --example unruly -- run --json --timeout 1 {file}"
    ));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a list");
    assert_eq!(told[0]["signature"], "hang/munmap/candidate");
    assert_eq!(told[0]["at_call"], 2);
}

/// Whoever reads results by machine does not take a program that was not run for one that there is not, nor for one
/// that agrees.
#[test]
fn what_stands_behind_a_program_that_hangs_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("it is written");
        path.display().to_string()
    };
    let fine = file("a.vma", "munmap(0x1f0000, 0x1000)\n");
    let hangs = file("b.vma", "munmap(0x1f0000, 0x3000)\n");
    let (behind, bad) = (
        file("c.vma", "munmap(0x1f0000, 0x1000)\n"),
        file("d.vma", "map\n"),
    );
    let command = "cargo run --example unruly -- run --timeout 1";
    let output = run(&format!("{command} --json {fine} {hangs} {behind} {bad}"));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a list");
    let verdicts = told.as_array().expect("a list").iter();
    let verdicts: Vec<_> = verdicts
        .map(|one| one["verdict"].as_str().expect("one"))
        .collect();
    assert_eq!(verdicts, ["agree", "diverge", "skip", "unreadable"]);
    let why = "not run, since one before it ended the command";
    assert_eq!(told[2]["skipped"], why);
    assert_eq!(output.status.code(), Some(2), "one was not read");
    let output = run(&format!("{command} --junit {fine} {hangs} {behind}"));
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        told.contains(&format!("<skipped message=\"{why}\"/>")),
        "{told}"
    );
    assert_eq!(output.status.code(), Some(1));
    let folder = folder.path().display();
    let output = run(&format!("{command} {folder}"));
    let told = String::from_utf8_lossy(&output.stdout);
    let sum = "4 programs: 1 failed, 1 agree, 1 skipped, 1 unreadable";
    assert!(told.contains(sum), "{told}");
}

/// Verdicts, summaries and what jobs say have standard output for themselves.
#[test]
fn a_manager_may_print() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.vma");
    std::fs::write(&file, "munmap(0x1f0000, 0x2000) = 0\n").expect("it is written");
    let (file, artifacts) = (file.display(), folder.path().display());
    let command = "cargo run --example unruly --";
    let output = run(&format!("{command} run --design printing --json {file}"));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a list");
    assert_eq!(told[0]["verdict"], "agree");
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(failed.contains("2 pages go"), "it is not lost: {failed}");
    let told = said(&format!(
        "{command} fuzz serial --design printing --seed 1 --runs 2000 --json --artifacts {artifacts}"
    ));
    let told: serde_json::Value = serde_json::from_str(&told).expect("a summary");
    assert_eq!(told["failures"], serde_json::json!([]), "{told}");
    assert_eq!(told["executions"], 2000);
}

/// Whoever has a program of this command in his hands types its name, and not that of this project.
#[test]
fn help_and_hints_name_the_program() {
    let command = "cargo run --example areas --";
    for of in [
        "",
        "fuzz ",
        "run ",
        "corpus ",
        "convert ",
        "designs ",
        "completions ",
    ] {
        let help = said(&format!("{command} {of}--help"));
        assert!(!help.contains("vmadiff "), "{help}");
        assert!(
            of != "fuzz " || help.contains(&format!("{command} fuzz --seconds 60")),
            "{help}"
        );
    }
    let output = run(&format!("{command} explain zzz"));
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(
        failed.contains(&format!("`{command} explain` lists them")),
        "{failed}"
    );
    let script = said(&format!("{command} completions bash"));
    assert!(
        script.contains("_areas()") && !script.contains("vmadiff"),
        "{script}"
    );
}

/// `Compare::race` plants what races show, and that is found with the manager that is right beside it.
#[test]
fn races_that_are_planted_are_hunted() {
    let said = said("cargo run --example planted -- hunt --seeds 1 --seconds 60 --json");
    let hunted: serde_json::Value = serde_json::from_str(&said).expect("a list");
    let hunted = hunted.as_array().expect("a list");
    let names: Vec<_> = hunted.iter().map(|one| &one["defect"]).collect();
    assert_eq!(names, ["checks-early", "unlocked", "used-late"]);
    for one in hunted {
        let (kind, found) = (&one["kind"], &one["found"]);
        assert!(kind == "interleaved" && found == 1, "{one}");
    }
}

/// The test that is printed for somebody else's manager stands in a program that is built and run.
#[test]
fn a_rust_test_can_be_pasted() {
    let said = said("cargo run --example planted -- convert --rust examples/mine/late.vma");
    let pasted = trimmed(said.lines());
    let program = trimmed(read("examples/mine/planted.rs").lines());
    let stands = program.windows(pasted.len()).any(|lines| lines == pasted);
    assert!(stands, "examples/mine/planted.rs has another test:\n{said}");
}
