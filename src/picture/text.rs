//! The program as text, beside its picture.

use std::fmt::Write;

use crate::program::{Program, Schedule};
use crate::views::fold;

/// A program's text with its calls folded.
pub fn program_text(program: &Program, found: Option<usize>) -> String {
    let ranges = fold::shown(program.calls.len(), found);
    if ranges.len() < 2 {
        return program.to_string();
    }
    let mut text = Program {
        config: program.config.clone(),
        ..Program::default()
    }
    .to_string();
    let mut next = 0;
    for range in ranges {
        if range.start > next {
            writeln!(text, "# {}", fold::left_out(range.start - next)).expect("a String takes all");
        }
        next = range.end;
        for step in &program.calls[range] {
            writeln!(text, "{step}").expect("a String takes all");
        }
    }
    let schedule = Program {
        schedule: Schedule::clone(&program.schedule),
        ..Program::default()
    };
    text + &schedule.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_program_is_folded_in_its_text() {
        let line = "load(0x1000)\n";
        let case = crate::program::Case::parse("long", &line.repeat(1000)).expect("a text");
        let text = program_text(&case.program, None);
        assert_eq!(text.lines().count(), 17);
        assert!(text.contains("# 984 calls are left out"));
    }
}
