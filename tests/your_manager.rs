//! What `docs/your-manager.md` shows: every command of it is run and prints what is shown, and every
//! piece of code stands in the program that is run.

use std::path::Path;
use std::process::{Command, Output};

/// The page.
const PAGE: &str = "docs/your-manager.md";

/// Where pieces of code of the page stand, whole.
const CODE: [&str; 4] = [
    "examples/mine/areas.rs",
    "examples/mine/pages.rs",
    "examples/mine/races.rs",
    "tests/your_manager.rs",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

/// The fenced blocks of a page in a language, each with the line before it.
fn blocks(page: &str, language: &str) -> Vec<Vec<String>> {
    let (mut blocks, mut open) = (Vec::new(), None::<Vec<String>>);
    for line in page.lines() {
        match &mut open {
            Some(block) if line == "```" => {
                blocks.push(std::mem::take(block));
                open = None;
            }
            Some(block) => block.push(line.to_owned()),
            None if line == format!("```{language}") => open = Some(Vec::new()),
            None => {}
        }
    }
    blocks
}

/// The commands of a page's console blocks, each with the lines that it is shown to print.
fn commands(page: &str) -> Vec<(String, Vec<String>)> {
    let mut commands: Vec<(String, Vec<String>)> = Vec::new();
    for line in blocks(page, "console").into_iter().flatten() {
        match line.strip_prefix("$ ") {
            Some(command) => commands.push((command.to_owned(), Vec::new())),
            None => commands.last_mut().expect("a command").1.push(line),
        }
    }
    commands
}

/// Runs a command of the page.
fn run(command: &str) -> Output {
    let words: Vec<&str> = command.split(' ').collect();
    let mut process = match words[..] {
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
    let [page, readme] = [PAGE, "README.md"].map(read);
    let section = readme
        .split("\n## ")
        .find(|part| part.starts_with("Another manager"));
    let mut commands = commands(&page);
    commands.extend(self::commands(section.expect("the section")));
    assert!(commands.len() >= 4, "only {} commands", commands.len());
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
