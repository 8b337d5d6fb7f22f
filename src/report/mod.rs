//! Puts a divergence into words: what was broken, by which call, how the states differ, and the
//! life of the object that a law is about.
//!
//! A [`Report`] is a list of lines, each with a role; as text it is plain, and a caller that has
//! colours gives them by role.

mod life;
mod listing;
mod map;
mod parting;
mod race;
mod states;
pub mod walk;

use std::fmt;

use crate::judge::{Divergence, Side};
use crate::pair::Ran;
use crate::program::Program;
use crate::run::Woven;
use crate::story;

/// An explanation, line by line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The lines, without line ends.
    pub lines: Vec<Line>,
}

/// A line of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it is for.
    pub role: Role,
    /// What it says.
    pub text: String,
}

/// What a line is for, which a caller may paint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The first line: what was broken.
    Headline,
    /// Begins a section.
    Heading,
    /// Neither good nor bad.
    Plain,
    /// The call, or the event, at which it shows.
    Marked,
    /// Only the reference has it.
    Reference,
    /// Only the candidate has it.
    Candidate,
    /// A command to type.
    Command,
}

/// Columns that a report on a race takes where nobody says how many there are.
pub const WIDTH: usize = 120;

/// Explains a divergence of a program. `replay` is the command that shows it again; a table of
/// threads takes up to `width` columns.
pub fn explain(
    program: &Program,
    divergence: &Divergence,
    ran: &Ran,
    replay: &str,
    width: usize,
) -> Report {
    let mut report = Report::default();
    report.headline(divergence);
    match &ran.woven {
        Some(woven) => report.woven(program, divergence, woven, width),
        None => {
            if !program.schedule.is_serial() {
                let text = "schedule: the program diverges without it, too; this is that run";
                report.line(Role::Plain, text.to_owned());
            }
            report.serial(program, divergence, ran);
        }
    }
    report.heading("replay");
    report.line(Role::Command, format!("  {replay}"));
    report
}

impl Report {
    fn headline(&mut self, divergence: &Divergence) {
        let Divergence {
            signature, what, ..
        } = divergence;
        let rule = signature.rule.info();
        self.line(Role::Headline, format!("divergence: {what}"));
        self.line(Role::Plain, format!("signature: {signature}"));
        self.line(
            Role::Plain,
            format!("rule: {} ({})", rule.says, rule.source),
        );
    }

    fn serial(&mut self, program: &Program, divergence: &Divergence, ran: &Ran) {
        let Ran {
            view,
            reference,
            candidate,
            ..
        } = ran;
        listing::add(self, program, divergence, reference, candidate);
        map::add(self, *view, program, divergence, reference, candidate);
        states::add(self, *view, divergence, reference, candidate);
        let seen = match divergence.side {
            Some(Side::Reference) => reference,
            Some(Side::Candidate) | None => candidate,
        };
        let story = story::serial(program, seen, Some(divergence));
        life::add(self, program, divergence, &story);
    }

    fn woven(&mut self, program: &Program, divergence: &Divergence, woven: &Woven, width: usize) {
        listing::add_woven(self, program, Some(divergence), woven);
        let story = story::woven(program, woven, Some(divergence));
        parting::add(self, program, divergence, &story);
        race::add(self, program, Some(divergence), &story, width);
        life::add(self, program, divergence, &story);
    }

    fn heading(&mut self, text: &str) {
        if !self.lines.is_empty() {
            self.line(Role::Plain, String::new());
        }
        self.line(Role::Heading, format!("{text}:"));
    }

    fn line(&mut self, role: Role, text: String) {
        self.lines.push(Line { role, text });
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines
            .iter()
            .try_for_each(|line| writeln!(f, "{}", line.text))
    }
}
