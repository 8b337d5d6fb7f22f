//! Pages of `docs/` as tests read them: their blocks, and their commands with what they are shown to
//! print.

use std::path::Path;
use std::process::{Command, Output};

/// The project's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The fenced blocks of a page in a language, by lines.
pub fn blocks(page: &str, language: &str) -> Vec<Vec<String>> {
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
pub fn commands(page: &str) -> Vec<(String, Vec<String>)> {
    let mut commands: Vec<(String, Vec<String>)> = Vec::new();
    for line in blocks(page, "console").into_iter().flatten() {
        match line.strip_prefix("$ ") {
            Some(command) => commands.push((command.to_owned(), Vec::new())),
            None => commands.last_mut().expect("a command").1.push(line),
        }
    }
    commands
}

/// Runs a command of a page in the project's folder.
///
/// # Panics
/// If it is none of `vmadiff` or `cargo run`.
pub fn run(command: &str) -> Output {
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
        _ => panic!("no test knows how to run `{command}`"),
    };
    process.current_dir(root());
    process.output().expect("it runs")
}

/// Whether a line is as it is shown; `…` stands for anything.
pub fn is_shown(line: &str, shown: &str) -> bool {
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
