//! Reports in colour, and the command that shows a divergence again.

use std::io::IsTerminal;
use std::path::Path;

use vmadiff::designs::{DESIGNS, Planted};
use vmadiff::judge::Divergence;
use vmadiff::pair::Ran;
use vmadiff::program::Program;
use vmadiff::report::{Report, Role, WIDTH, explain};

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

/// The columns of the terminal; the usual ones where there is none.
pub fn width() -> usize {
    let terminal = std::io::stdout().is_terminal();
    let size = terminal.then(terminal_size::terminal_size).flatten();
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
    let mut command = "cargo run --release -- run".to_owned();
    if planted.design() != DESIGNS[0] {
        command += &format!(" --design {}", planted.design().name);
    }
    for defect in planted.defects() {
        command += &format!(" --defect {defect}");
    }
    let name = file.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./+,=:@%".contains(c);
    if name.chars().all(plain) {
        format!("{command} {name}")
    } else {
        format!("{command} '{}'", name.replace('\'', r"'\''"))
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
    use vmadiff::designs::defects;

    use super::*;

    #[test]
    fn what_is_printed_can_be_typed() {
        let name = defects(DESIGNS[0]).next().expect("a defect").name;
        let planted = Planted::defect(name);
        let start = format!("cargo run --release -- run --defect {name} ");
        assert_eq!(
            replay(Path::new("a/b-2.vma"), &planted),
            format!("{start}a/b-2.vma")
        );
        assert_eq!(
            replay(Path::new("it's.vma"), &planted),
            format!(r"{start}'it'\''s.vma'")
        );
    }
}
