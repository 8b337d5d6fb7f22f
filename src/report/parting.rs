//! Where a race parts from the reference, line by line: what was legal there, what was seen, what made
//! it so, and what the nearest legal order would have given.

use super::race::deciding;
use super::{Report, Role};
use crate::judge::Divergence;
use crate::judge::steps::{StepAt, step_name};
use crate::program::Program;
use crate::program::text::outcome_text;
use crate::story::{Moment, words};

pub fn add(report: &mut Report, program: &Program, divergence: &Divergence, story: &[Moment]) {
    let Some(parting) = &divergence.parting else {
        return;
    };
    let part = parting.legal.is_some();
    report.heading(if part {
        "where they part"
    } else {
        "where it shows"
    });
    let mut line = |role, label: &str, text: &str| {
        report.line(role, format!("  {label:<15} {text}"));
    };
    let at = &parting.step;
    line(Role::Marked, "step", &step(program, at));
    line(Role::Plain, "that is", at.step.what);
    line(Role::Plain, "one step by", at.step.by);
    if let Some(seen) = &parting.seen {
        line(Role::Candidate, "seen", &format!("the candidate {seen}"));
    }
    if let Some(legal) = &parting.legal {
        line(Role::Reference, "legal", legal);
    }
    if let Some(cause) = &parting.cause {
        line(Role::Plain, "made so by", &objects(program, cause));
    }
    if let (None, Some(beside)) = (&parting.cause, &parting.beside) {
        line(Role::Plain, "beside", &objects(program, beside));
    }
    let reads = deciding(story, divergence).into_iter();
    let mut read: Vec<String> = Vec::new();
    for text in reads.filter_map(|index| words::moment(program, &story[index])) {
        let text = text.trim_start_matches("reads ").to_owned();
        // The same word again, and the same in it, says nothing.
        let word = |text: &str| text.split(" = ").next().map(str::to_owned);
        let before = read.iter().rfind(|before| word(before) == word(&text));
        if before != Some(&text) {
            read.push(text);
        }
    }
    if !read.is_empty() {
        line(Role::Plain, "by what it read", &read.join(", "));
    }
    if let Some(nearest) = parting.nearest {
        let kind = program.calls[at.call].call.kind();
        let text = format!(
            "from there on the reference's call {} answers {}",
            at.call + 1,
            outcome_text(kind, nearest)
        );
        line(Role::Reference, "nearest order", &text);
    }
}

/// A step, whose it is, and what it was about.
fn objects(program: &Program, at: &StepAt) -> String {
    let step = step(program, at);
    if at.about.is_empty() {
        return step;
    }
    format!("{step} ({})", at.about)
}

/// A step, and whose it is.
fn step(program: &Program, at: &StepAt) -> String {
    let call = words::call(program, Some(at.call));
    let name = step_name(&at.step);
    format!("`{name}` of call {}, {call}", at.call + 1)
}
