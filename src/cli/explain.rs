//! Reports in colour, and the command that shows a divergence again.

use std::path::Path;

use vmadiff::designs::{self, Planted};
use vmadiff::judge::Divergence;
use vmadiff::pair::Ran;
use vmadiff::program::Program;
use vmadiff::report::{Report, Role, WIDTH, explain};

use super::input::STDIN;
use super::lost::Lost;
use super::output::is_on_terminal;
use super::paint;

/// Explains a divergence of the program in `file`.
pub fn text(
    file: &Path,
    program: &Program,
    divergence: &Divergence,
    ran: &Ran,
    planted: &Planted,
) -> String {
    let replay = replay(file, planted);
    painted(&explain(program, divergence, ran, &replay, width()))
}

/// Says at which program a manager hangs, or dies.
pub fn lost(file: &Path, program: &Program, lost: &Lost, planted: &Planted) -> String {
    let Lost {
        signature,
        what,
        at,
    } = lost;
    let heading = |text: &str| paint::line(paint::STRONG, text);
    let calls = program.calls.iter().enumerate();
    let calls = calls.map(|(index, step)| {
        let number = index + 1;
        if *at == Some(index) {
            paint::line(
                paint::BAD,
                &format!(" > {number:>3}  {step}   never returned"),
            )
        } else {
            format!("   {number:>3}  {step}\n")
        }
    });
    let calls: String = calls.collect();
    let schedule = Program {
        calls: Vec::new(),
        ..program.clone()
    };
    let schedule = schedule.to_string();
    let schedule = schedule.lines().map(|line| format!("        {line}\n"));
    [
        paint::line(paint::BAD, &format!("divergence: {what}")),
        format!(
            "signature: {signature}\nrule: A call returns. (the contract, `Manager::call`)\n\n"
        ),
        heading("program:"),
        calls,
        schedule.collect(),
        "\n".to_owned(),
        heading("replay:"),
        heading(&format!("  {}", replay(file, planted))),
    ]
    .concat()
}

/// The columns of the terminal; the usual ones where there is none.
pub fn width() -> usize {
    let size = is_on_terminal()
        .then(terminal_size::terminal_size)
        .flatten();
    size.map_or(WIDTH, |(width, _)| usize::from(width.0))
}

/// A report in colour.
pub fn painted(report: &Report) -> String {
    let lines = report.lines.iter();
    lines
        .map(|line| paint::line(style(line.role), &line.text))
        .collect()
}

/// The command that runs a program again.
pub fn replay(file: &Path, planted: &Planted) -> String {
    replay_by(&myself(), file, planted)
}

/// The command that runs a program on the kernel again.
#[cfg(feature = "engine")]
pub fn replay_on_linux(file: &Path, kernel: Option<&Path>, boundaries: bool) -> String {
    let kernel = kernel.map_or(String::new(), |image| {
        format!(" --kernel {}", quoted(image))
    });
    let boundaries = if boundaries { " --boundaries" } else { "" };
    format!("{} linux{kernel}{boundaries} {}", myself(), quoted(file))
}

/// What hints call this program: by its own name, or as somebody else's was started.
pub fn hinted() -> String {
    if designs::are_own() {
        "vmadiff".to_owned()
    } else {
        myself()
    }
}

/// How this program was started: what a user types to start it again.
fn myself() -> String {
    let program = std::env::args_os().next().unwrap_or_default();
    called(
        Path::new(&program),
        std::env::var_os("CARGO_MANIFEST_DIR").is_some(),
    )
}

/// What to type for a program started by this name, by cargo or not.
fn called(program: &Path, by_cargo: bool) -> String {
    if !by_cargo {
        // By a path, or where shells look for programs.
        let unknown = program.as_os_str().is_empty();
        return if unknown {
            "vmadiff".to_owned()
        } else {
            quoted(program)
        };
    }
    let within = |folder: &str| program.components().any(|part| part.as_os_str() == folder);
    let mut command = "cargo run".to_owned();
    if within("release") {
        command += " --release";
    }
    if let Some(name) = program.file_name().filter(|_| within("examples")) {
        command += &format!(" --example {}", quoted(Path::new(name)));
    }
    command + " --"
}

fn replay_by(program: &str, file: &Path, planted: &Planted) -> String {
    let mut command = format!("{program} run");
    if planted.design() != designs::first() {
        command += &format!(" --design {}", planted.design().name);
    }
    for defect in planted.defects() {
        command += &format!(" --defect {defect}");
    }
    format!("{command} {}", quoted(file))
}

/// A name as shells take it.
fn quoted(file: &Path) -> String {
    let name = file.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./+,=:@%".contains(c);
    if name.starts_with('-') && name != STDIN {
        // No option.
        quoted(&Path::new(".").join(file))
    } else if name.chars().all(plain) {
        name
    } else {
        format!("'{}'", name.replace('\'', r"'\''"))
    }
}

fn style(role: Role) -> paint::Style {
    match role {
        Role::Headline => paint::BAD,
        Role::Heading | Role::Command => paint::STRONG,
        Role::Plain => paint::PLAIN,
        Role::Marked => paint::WARNING,
        Role::Reference => paint::GOOD,
        Role::Candidate => paint::BAD,
    }
}

#[cfg(test)]
mod tests {
    use vmadiff::designs::{DESIGNS, defects};

    use super::*;

    #[test]
    fn what_is_printed_can_be_typed() {
        let name = defects(DESIGNS[0]).next().expect("a defect").name;
        let planted = Planted::defect(name);
        let typed = |file: &str| replay_by("vmadiff", Path::new(file), &planted);
        let start = format!("vmadiff run --defect {name} ");
        assert_eq!(typed("a/b-2.vma"), format!("{start}a/b-2.vma"));
        assert_eq!(typed("-x.vma"), format!("{start}./-x.vma"));
        assert_eq!(typed("-"), format!("{start}-"));
        assert_eq!(typed("it's.vma"), format!(r"{start}'it'\''s.vma'"));
    }

    #[test]
    fn it_is_called_as_it_was_started() {
        let called = |program: &str, by_cargo| called(Path::new(program), by_cargo);
        assert_eq!(called("vmadiff", false), "vmadiff");
        assert_eq!(
            called("./target/release/vmadiff", false),
            "./target/release/vmadiff"
        );
        assert_eq!(
            called("target/release/vmadiff", true),
            "cargo run --release --"
        );
        assert_eq!(called("target/debug/vmadiff", true), "cargo run --");
        assert_eq!(called("mine", false), "mine");
        assert_eq!(
            called("target/release/examples/races", true),
            "cargo run --release --example races --"
        );
    }
}
