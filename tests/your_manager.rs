//! What `docs/your-manager.md` shows: every command of it is run and prints what is shown, and every
//! piece of code stands in the program that is run. Commands for fuzzing engines are those that `.ci/run` and
//! `.ci/fleet` run.

#[path = "shared/page.rs"]
mod page;

use page::{blocks, is_shown, root, run};

/// The page.
const PAGE: &str = "docs/your-manager.md";

/// Where pieces of code of the page stand, whole.
const CODE: [&str; 8] = [
    "examples/mine/ranges.rs",
    "examples/mine/areas.rs",
    "examples/mine/pages.rs",
    "examples/mine/races.rs",
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
