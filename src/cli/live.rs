//! A campaign while it runs: the line on a terminal, and what is told at once.

use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use vmadiff::designs::{self, Planted};
use vmadiff_contract::DesignInfo;

use super::findings::{Explained, Explainer};
use super::interrupt::Interrupt;
use super::paint;
use super::summary::{human, share};
use crate::engine::{self, Ended, News, PassedOver, Plan, Progress, Seen};

/// How often a campaign says that it lives, where no terminal shows it.
const SIGN_OF_LIFE: Duration = Duration::from_secs(600);

/// How often it is tried again to save a finding for which there was no room.
const AGAIN: Duration = Duration::from_secs(5);

/// Runs a campaign to its end. What it finds is shrunk at once: of one that runs for months and is
/// killed, that is there, too.
pub fn campaign(
    plan: &Plan,
    planted: &Planted,
    interrupt: &Interrupt,
) -> Result<(Ended, Vec<Explained>)> {
    // Drawn on standard error, and only if that is a terminal.
    let bar = ProgressBar::new_spinner();
    bar.set_style(ProgressStyle::with_template("{spinner} {wide_msg}")?);
    let mut explainer = Explainer::new(planted, &plan.settings, interrupt);
    let findings: RefCell<Vec<Explained>> = RefCell::default();
    let mut said = Duration::ZERO;
    let mut room = Room::default();
    let ended = engine::run(
        plan,
        || interrupt.came(),
        |news| {
            if let News::Found(finding) = news {
                let explained = explainer.explain(finding)?;
                findings.borrow_mut().push(explained);
            }
            if plan.settings.keep_going {
                let told = told(&news, findings.borrow().last());
                bar.suspend(|| crate::tell!("{told}"));
            }
            Ok(!plan.settings.keep_going)
        },
        |progress| {
            for told in room.look(plan, progress, &mut findings.borrow_mut()) {
                bar.suspend(|| crate::tell!("{told}"));
            }
            bar.tick();
            bar.set_message(line(plan, planted.design(), progress));
            if bar.is_hidden() && progress.elapsed >= said + SIGN_OF_LIFE {
                said = progress.elapsed;
                crate::tell!("{}", line(plan, planted.design(), progress));
            }
        },
    );
    bar.finish_and_clear();
    let mut findings = findings.into_inner();
    findings.iter_mut().for_each(Explained::retry);
    findings.sort_by(|one, other| one.signature.cmp(&other.signature));
    Ok((ended?, findings))
}

/// Whether there is room for what is found, and whether all inputs can be read, as it was told last.
#[derive(Default)]
struct Room {
    passed_over: u64,
    inputs: Option<String>,
    findings: Option<String>,
    tried: Duration,
}

impl Room {
    /// Tries again to save findings that are in no file; answers what changed, in words.
    fn look(
        &mut self,
        plan: &Plan,
        progress: &Progress,
        findings: &mut [Explained],
    ) -> Vec<String> {
        if progress.elapsed >= self.tried + AGAIN {
            self.tried = progress.elapsed;
            findings.iter_mut().for_each(Explained::retry);
        }
        let mut unsaved = findings.iter().flat_map(Explained::unsaved);
        let trouble = unsaved.find_map(|kept| kept.place().clone().err());
        let folder = plan.settings.corpus.iter();
        let folder: String = folder.map(|folder| folder.display().to_string()).collect();
        let inputs = progress.trouble.as_ref();
        let inputs = inputs.map(|why| format!("{folder}: {why}"));
        let mut told = Vec::new();
        told.extend(change(&mut self.inputs, inputs, "new inputs"));
        told.extend(change(&mut self.findings, trouble, "findings"));
        let passed_over = progress.passed_over.as_ref();
        if let Some(more) = passed_over.filter(|now| now.files > self.passed_over) {
            let heading = paint::warning("warning:");
            told.push(format!("{heading} {}: passed over", in_words(more)));
        }
        self.passed_over = passed_over.map_or(0, |now| now.files);
        told
    }
}

/// The first that is no input, and how many more.
pub fn in_words(passed_over: &PassedOver) -> String {
    let PassedOver { files, first } = passed_over;
    match files {
        1 => first.clone(),
        _ => format!("{first} (and {} more)", HumanCount(files - 1)),
    }
}

/// What to say if there is trouble now and there was none, or the other way round.
fn change(was: &mut Option<String>, is: Option<String>, what: &str) -> Option<String> {
    let told = match (&*was, &is) {
        (None, Some(why)) => {
            let heading = paint::warning("warning:");
            format!("{heading} {why}; {what} are held in memory until there is room")
        }
        (Some(_), None) => format!("{} {what} are written again", paint::warning("note:")),
        _ => return None,
    };
    *was = is;
    Some(told)
}

/// A line of news; `last` is what was found last.
fn told(news: &News<'_>, last: Option<&Explained>) -> String {
    match news {
        News::Found(finding) => {
            let signature = paint::bad(&finding.signature);
            let program = last.and_then(Explained::program);
            let program = program.map_or("(not saved yet)".into(), Path::to_string_lossy);
            match last.map_or(0, |last| last.before) {
                0 => format!("found: {signature} {program}"),
                times => {
                    let times = human(times, "time");
                    format!("found again: {signature} {program}, kept {times} before")
                }
            }
        }
        News::Refused(error) => {
            let heading = paint::warning("warning:");
            format!("{heading} {error:#}; it is tried again")
        }
        News::Replaced(failure) => {
            let heading = paint::bad("harness failure:");
            format!("{heading} {}; another takes its place", failure.how)
        }
    }
}

/// The live line.
fn line(plan: &Plan, design: &'static DesignInfo, progress: &Progress) -> String {
    let summary = progress.stats.summary(design);
    let seconds = progress.elapsed.as_secs_f64();
    let limit = plan
        .duration
        .map_or(String::new(), |limit| format!("/{}", limit.as_secs()));
    let per_second = summary.executions as f64 / seconds.max(f64::MIN_POSITIVE);
    let per_program = summary.calls as f64 / summary.executions.max(1) as f64;
    let speculative = 100.0 * share(summary.speculative, summary.speculative + summary.classic);
    let mut line = format!(
        "{seconds:.0}{limit} s · {} exec/s · corpus {} · coverage {} · {per_program:.1} \
         calls/program",
        HumanCount(per_second as u64),
        HumanCount(progress.corpus),
        HumanCount(progress.coverage),
    );
    if designs::are_own() {
        line += &format!(" · {speculative:.0} % of faults speculative");
    }
    if progress.inputs.left() > 0 {
        let Seen { seen, all } = progress.inputs;
        let (seen, all) = (HumanCount(seen), HumanCount(all));
        line += &format!(" · {seen} of {all} inputs of the corpus read");
    }
    let diverged: u64 = progress.findings.values().sum();
    if diverged > 0 {
        line += &format!(" · {} diverged", HumanCount(diverged));
    }
    line
}
