//! `vmadiff corpus reach`: what the programs of a corpus make happen, and what none of them does.

use std::fmt::Write;

use anyhow::Result;
use vmadiff::coverage::{Stats, Summary};
use vmadiff::designs::Planted;
use vmadiff::judge::Verdict;
use vmadiff::pair::{Ran, pair};

use super::{From, read_all};
use crate::cli::input::name;
use crate::cli::output::print;
use crate::counted::{counted, noun_for};
use crate::status::Status;

/// Runs programs and says what they reach: outcomes by call, merge cases, faults, and what should
/// happen now and then but never did.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    vmadiff corpus reach corpus\n  \
    vmadiff corpus reach fuzz/corpus/serial --json")]
pub struct Args {
    #[command(flatten)]
    from: From,
    /// Prints it as JSON.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, planted: &Planted) -> Result<Status> {
    let programs = read_all(args.from.files()?)?;
    let mut pair = pair(planted);
    let mut stats = Stats::default();
    let mut diverging = Vec::new();
    for (file, program) in &programs {
        let ran: Option<Box<Ran>> = pair.run(program, &mut stats);
        if ran.is_some_and(|ran| matches!(ran.verdict, Verdict::Diverge(_))) {
            diverging.push(name(file));
        }
    }
    let summary = stats.summary(planted.design());
    if args.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&summary)?))?;
    } else {
        print(&text(&summary, stats.reached()))?;
        for file in &diverging {
            print(&format!("the managers diverge: {file}\n"))?;
        }
    }
    Ok(if diverging.is_empty() {
        Status::Agreed
    } else {
        Status::Diverged
    })
}

fn text(summary: &Summary, reached: usize) -> String {
    let mut out = String::new();
    write(summary, reached, &mut out).expect("a String takes all");
    out
}

fn write(summary: &Summary, reached: usize, out: &mut String) -> std::fmt::Result {
    let Summary {
        executions,
        calls,
        succeeded,
        speculative,
        classic,
        ..
    } = summary;
    writeln!(
        out,
        "{executions} {}, {calls} {}, {succeeded} succeeded, {}",
        noun_for(*executions, "program"),
        noun_for(*calls, "call"),
        counted(reached, "feature"),
    )?;
    for call in &summary.by_call {
        let errors = call.errors.iter();
        let errors: Vec<String> = errors
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        let (name, made, fine) = (call.call, call.made, call.succeeded);
        let line = format!("  {name:<16}{made:>9} {fine:>9}  {}", errors.join(", "));
        writeln!(out, "{}", line.trim_end())?;
    }
    writeln!(
        out,
        "faults: {speculative} speculative, {classic} under mmap_sem"
    )?;
    for (why, count) in &summary.gave_up {
        writeln!(out, "  gave up {why:<20}{count:>9}")?;
    }
    for (case, count) in (1..).zip(summary.merges) {
        writeln!(out, "  vma_merge case {case}{count:>22}")?;
    }
    if summary.never.is_empty() {
        return writeln!(out, "never seen: nothing");
    }
    writeln!(out, "never seen:")?;
    summary
        .never
        .iter()
        .try_for_each(|what| writeln!(out, "  {what}"))
}
