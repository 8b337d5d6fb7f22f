//! A case, or a program alone, in the one form of its text.

use std::fmt::{self, Display, Formatter};

use vmadiff_contract::TaskId;

use super::{checks, config, outcome, schedule, value};
use crate::program::sites::Sites;
use crate::program::{Case, Check, Expect, Program, Step, Switch, shape};

impl Display for Case {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.print(f, &Sites::known())
    }
}

impl Display for Program {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        config::print(f, &self.config)?;
        for step in &self.calls {
            writeln!(f, "{step}")?;
        }
        schedule::print(f, &self.schedule, &Sites::known())
    }
}

impl Display for Switch {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        schedule::Named(self, &Sites::known()).fmt(f)
    }
}

impl Display for Step {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { task, call, fail } = self;
        if *task != TaskId(1) {
            write!(f, "[{task}] ")?;
        }
        let kind = call.kind();
        write!(f, "{}(", kind.name())?;
        let words = shape::words(call);
        for (i, (&param, word)) in shape::params(kind).iter().zip(words).enumerate() {
            f.write_str(if i == 0 { "" } else { ", " })?;
            value::print(f, param, word)?;
        }
        f.write_str(")")?;
        if fail.0 != 0 {
            write!(f, " (fail {})", fail.0)?;
        }
        Ok(())
    }
}

impl Case {
    /// Writes the text, naming these sites.
    pub fn print(&self, f: &mut Formatter<'_>, sites: &Sites) -> fmt::Result {
        let Self {
            program,
            expect,
            checks,
            design,
            comments,
            notes,
        } = self;
        let mut comments = Remarks::new(comments);
        let mut notes = Remarks::new(notes);
        let mut checks = checks.iter().peekable();
        // A check takes the comments before it along, so those before the first call stand behind it.
        if checks.peek().is_none_or(|check| check.after > 0) {
            comments.print_up_to(f, 0)?;
        }
        config::print(f, &program.config)?;
        let none = Expect::default();
        for (i, step) in program.calls.iter().enumerate() {
            while let Some(check) = checks.next_if(|check| check.after <= i) {
                print_check(f, check)?;
            }
            comments.print_up_to(f, i)?;
            write!(f, "{step}")?;
            outcome::print(f, step.call.kind(), expect.get(i).unwrap_or(&none))?;
            notes.append_of(f, i)?;
            writeln!(f)?;
        }
        for check in checks {
            print_check(f, check)?;
        }
        comments.print_up_to(f, usize::MAX)?;
        if let Some(design) = design {
            writeln!(f, "design: {}", design.name)?;
        }
        schedule::print(f, &program.schedule, sites)
    }

    /// The text, naming these sites.
    pub fn display<'a>(&'a self, sites: &'a Sites) -> impl Display + 'a {
        fmt::from_fn(move |f| self.print(f, sites))
    }
}

fn print_check(f: &mut Formatter<'_>, check: &Check) -> fmt::Result {
    for text in &check.comments {
        print_comment(f, text)?;
    }
    checks::print(f, check)
}

fn print_comment(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    for line in text.split('\n') {
        writeln!(f, "{}", format!("# {}", line.trim()).trim_end())?;
    }
    Ok(())
}

/// Comments in the order of the calls that they belong to.
struct Remarks<'a> {
    sorted: Vec<&'a (usize, String)>,
    next: usize,
}

impl<'a> Remarks<'a> {
    fn new(remarks: &'a [(usize, String)]) -> Self {
        let mut sorted: Vec<_> = remarks.iter().collect();
        sorted.sort_by_key(|(at, _)| *at);
        Self { sorted, next: 0 }
    }

    fn next_up_to(&mut self, at: usize) -> Option<&'a str> {
        let (_, text) = self.sorted.get(self.next).filter(|remark| remark.0 <= at)?;
        self.next += 1;
        Some(text)
    }

    /// Writes each on lines of its own.
    fn print_up_to(&mut self, f: &mut Formatter<'_>, at: usize) -> fmt::Result {
        while let Some(text) = self.next_up_to(at) {
            print_comment(f, text)?;
        }
        Ok(())
    }

    /// Writes those of this call behind it.
    fn append_of(&mut self, f: &mut Formatter<'_>, at: usize) -> fmt::Result {
        while let Some(text) = self.next_up_to(at) {
            write!(f, "  # {}", text.replace('\n', " ").trim())?;
        }
        Ok(())
    }
}
