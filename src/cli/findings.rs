//! What a campaign found, made small and explained before it is reported.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use vmadiff::judge::Verdict;
use vmadiff::pair::Pair;

use super::defects::Planted;
use super::input::read_case;
use super::interrupt::Interrupt;
use super::{artifact, explain, found, shrinking};
use crate::engine::Finding;

/// Time for shrinking all that was found. One takes a second; the rest can be minimized later.
const TIME: Duration = Duration::from_secs(60);

/// A finding, with what was made of it.
#[derive(Clone, Debug)]
pub struct Explained {
    /// As a job found it.
    pub finding: Finding,
    /// The same divergence in a smaller program.
    pub small: Option<PathBuf>,
    /// What happens in the smallest program.
    pub what: String,
    /// The report on the smallest program.
    pub report: String,
}

impl Explained {
    /// The smallest program that shows it.
    pub fn program(&self) -> &Path {
        self.small.as_deref().unwrap_or(&self.finding.program)
    }
}

/// Shrinks and explains what was found. What cannot be repeated here says so.
pub fn explain_all(
    findings: &[Finding],
    planted: &Planted,
    interrupt: &Interrupt,
) -> Result<Vec<Explained>> {
    let end = Instant::now() + TIME;
    let mut pair = planted.pair();
    let explain_one = |finding: &Finding| {
        let left = end.saturating_duration_since(Instant::now());
        explain_one(&mut pair, finding, planted.names(), left, interrupt)
    };
    findings.iter().map(explain_one).collect()
}

fn explain_one(
    pair: &mut Pair,
    finding: &Finding,
    defects: &[String],
    limit: Duration,
    interrupt: &Interrupt,
) -> Result<Explained> {
    let (case, _) = read_case(&finding.program)?;
    let mut explained = Explained {
        finding: finding.clone(),
        small: None,
        what: finding.what.clone(),
        report: String::new(),
    };
    let ran = pair.observe_twice(&case.program);
    let divergence = match &ran.verdict {
        Verdict::Diverge(divergence) if divergence.signature.to_string() == finding.signature => {
            divergence
        }
        _ => {
            explained.report = "it does not show again in a fresh run of its program\n".to_owned();
            return Ok(explained);
        }
    };
    let signature = &divergence.signature;
    let shrunk =
        shrinking::shrink_to(pair, &case.program, signature, Some(limit), interrupt).program;
    let ran = pair.observe_twice(&shrunk);
    let Verdict::Diverge(divergence) = &ran.verdict else {
        explained.report = "its smaller program does not diverge twice\n".to_owned();
        return Ok(explained);
    };
    let text = artifact::text(signature, &divergence.what, &shrunk, defects);
    let small = found::write_beside(&finding.program, &text)?;
    explained.report = explain::text(&small, &shrunk, divergence, &ran, defects);
    explained.what.clone_from(&divergence.what);
    explained.small = Some(small);
    Ok(explained)
}
