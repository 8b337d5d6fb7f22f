//! What `docs/designs.md` says happens: every command of it is run, and prints what is shown there.
//! And every design agrees with the reference where calls come one after another.

use std::path::Path;
use std::process::{Command, Output};

use vmadiff::designs::{DESIGNS, Planted};
use vmadiff::judge::Verdict;
use vmadiff::pair::pair;
use vmadiff::program::Case;

/// The page.
const PAGE: &str = "docs/designs.md";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The commands of a page's console blocks, each with the lines that it is shown to print.
fn commands(page: &str) -> Vec<(String, Vec<String>)> {
    let mut commands: Vec<(String, Vec<String>)> = Vec::new();
    let mut console = false;
    for line in page.lines() {
        match line.strip_prefix("$ ") {
            _ if line.starts_with("```") => console = line == "```console",
            Some(command) if console => commands.push((command.to_owned(), Vec::new())),
            None if console => commands
                .last_mut()
                .expect("a command")
                .1
                .push(line.to_owned()),
            _ => {}
        }
    }
    commands
}

/// Runs a command of the page.
fn run(command: &str) -> Output {
    let words: Vec<&str> = command.split(' ').collect();
    let mut process = match words[..] {
        ["vmadiff", ref rest @ ..] => {
            let mut vmadiff = Command::new(env!("CARGO_BIN_EXE_vmadiff"));
            vmadiff.args(rest);
            vmadiff
        }
        ["cargo", "run", ref rest @ ..] => {
            let mut cargo = Command::new(env!("CARGO"));
            cargo.args(["run", "--quiet"]).args(rest);
            cargo
        }
        _ => panic!("{PAGE}: no test knows how to run `{command}`"),
    };
    process.current_dir(root());
    process.output().expect("it runs")
}

/// Whether a line is as it is shown; `…` stands for anything.
fn is_shown(line: &str, shown: &str) -> bool {
    let mut parts = shown.split('…');
    let Some(mut left) = line.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let mut open = false;
    for part in parts {
        let Some(at) = left.find(part) else {
            return false;
        };
        left = &left[at + part.len()..];
        open = part.is_empty();
    }
    open || left.is_empty()
}

#[test]
fn every_command_prints_what_is_shown() {
    let page = std::fs::read_to_string(root().join(PAGE)).expect("the page");
    let commands = commands(&page);
    assert!(commands.len() >= 8, "only {} commands", commands.len());
    for (command, shown) in commands {
        let output = run(&command);
        let said = String::from_utf8_lossy(&output.stdout);
        let failed = String::from_utf8_lossy(&output.stderr);
        // One shown line of `…` alone stands for any number of lines.
        let mut lines = said.lines().peekable();
        for shown in &shown {
            let line = lines.next();
            let fits = line.is_some_and(|line| is_shown(line, shown));
            assert!(
                fits,
                "`{command}` printed\n{said}{failed}\nwhere {PAGE} shows\n{shown}"
            );
            while shown.trim() == "…" && lines.next_if(|next| next.starts_with("  ")).is_some() {}
        }
        let left: Vec<_> = lines.collect();
        assert!(
            left.is_empty(),
            "`{command}` printed more than {PAGE} shows: {left:?}"
        );
    }
}

#[test]
fn a_line_is_compared_around_what_is_left_open() {
    assert!(is_shown("864 programs, 0 diverge", "… programs, 0 diverge"));
    assert!(is_shown("program 7: a/b", "program …"));
    assert!(!is_shown(
        "864 programs, 10 diverge",
        "… programs, 0 diverge"
    ));
    assert!(!is_shown(
        "1 programs, 1 diverge, too",
        "… programs, 1 diverge"
    ));
    assert!(!is_shown("nothing", ""));
}

#[test]
fn every_design_agrees_on_conformance() {
    for design in DESIGNS {
        let mut pair = pair(&Planted::nothing(design));
        let mut run = 0;
        for file in texts(&root().join("corpus/conformance")) {
            let text = std::fs::read_to_string(&file).expect("a text");
            let case = Case::parse(&file.display().to_string(), &text).expect("a program");
            run += 1;
            let verdict = pair.run(&case.program, &mut ()).map(|ran| ran.verdict);
            let agrees = matches!(verdict, None | Some(Verdict::Agree));
            assert!(agrees, "{}: {file:?}: {verdict:?}", design.name);
        }
        assert!(run > 400, "only {run} programs");
    }
}

fn texts(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            texts.extend(self::texts(&path));
        } else if path.extension().is_some_and(|e| e == "vma") {
            texts.push(path);
        }
    }
    texts
}
