//! A campaign while it runs: the line on a terminal, and what is told at once.

use std::time::Duration;

use anyhow::Result;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use vmadiff::designs::Planted;
use vmadiff_contract::DesignInfo;

use super::findings::{Explained, Explainer};
use super::interrupt::Interrupt;
use super::paint;
use super::summary::share;
use crate::engine::{self, Ended, News, Plan, Progress};

/// How often a campaign says that it lives, where no terminal shows it.
const SIGN_OF_LIFE: Duration = Duration::from_secs(600);

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
    let mut explainer = Explainer::new(planted, interrupt);
    let mut findings: Vec<Explained> = Vec::new();
    let mut said = Duration::ZERO;
    let ended = engine::run(
        plan,
        || interrupt.came(),
        |news| {
            if let News::Found(finding) = news {
                findings.push(explainer.explain(finding)?);
            }
            if plan.settings.keep_going {
                let told = told(&news, findings.last());
                bar.suspend(|| anstream::eprintln!("{told}"));
            }
            Ok(!plan.settings.keep_going)
        },
        |progress| {
            bar.tick();
            bar.set_message(line(plan, planted.design(), progress));
            if bar.is_hidden() && progress.elapsed >= said + SIGN_OF_LIFE {
                said = progress.elapsed;
                anstream::eprintln!("{}", line(plan, planted.design(), progress));
            }
        },
    );
    bar.finish_and_clear();
    findings.sort_by(|one, other| one.finding.signature.cmp(&other.finding.signature));
    Ok((ended?, findings))
}

/// A line of news; `last` is what was found last.
fn told(news: &News<'_>, last: Option<&Explained>) -> String {
    match news {
        News::Found(finding) => {
            let program = last.map_or(&*finding.program, Explained::program);
            let signature = paint::bad(&finding.signature);
            format!("found: {signature} {}", program.display())
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
         calls/program · {speculative:.0} % of faults speculative",
        HumanCount(per_second as u64),
        HumanCount(progress.corpus),
        HumanCount(progress.coverage),
    );
    let diverged: u64 = progress.findings.values().sum();
    if diverged > 0 {
        line += &format!(" · {} diverged", HumanCount(diverged));
    }
    line
}
