//! What a campaign finds, made small and explained as it is found.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use vmadiff::designs::Planted;
use vmadiff::judge::Verdict;
use vmadiff::pair::{Pair, pair};

use super::input::read_case;
use super::interrupt::Interrupt;
use super::{explain, shrinking};
use crate::artifacts;
use crate::engine::Finding;

/// Time for shrinking one that was found, while jobs go on. Most take a fraction of a second; the
/// rest can be minimized later.
const TIME: Duration = Duration::from_secs(10);

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

/// Shrinks and explains.
pub struct Explainer<'a> {
    pair: Pair,
    planted: &'a Planted,
    interrupt: &'a Interrupt,
}

impl<'a> Explainer<'a> {
    /// With these defects planted; after an interrupt nothing is shrunk.
    pub fn new(planted: &'a Planted, interrupt: &'a Interrupt) -> Self {
        Self {
            pair: pair(planted),
            planted,
            interrupt,
        }
    }

    /// Shrinks and explains what was found. What cannot be repeated here says so.
    pub fn explain(&mut self, finding: &Finding) -> Result<Explained> {
        let (case, _) = read_case(&finding.program)?;
        let mut explained = Explained {
            finding: finding.clone(),
            small: None,
            what: finding.what.clone(),
            report: String::new(),
        };
        let pair = &mut self.pair;
        let ran = pair.observe_twice(&case.program);
        let divergence = match &ran.verdict {
            Verdict::Diverge(divergence)
                if divergence.signature.to_string() == finding.signature =>
            {
                divergence
            }
            _ => {
                explained.report =
                    "it does not show again in a fresh run of its program\n".to_owned();
                return Ok(explained);
            }
        };
        let signature = &divergence.signature;
        let shrunk =
            shrinking::shrink_to(pair, &case.program, signature, Some(TIME), self.interrupt)
                .program;
        let ran = pair.observe_twice(&shrunk);
        let Verdict::Diverge(divergence) = &ran.verdict else {
            explained.report = "its smaller program does not diverge twice\n".to_owned();
            return Ok(explained);
        };
        let text = artifacts::text(signature, &divergence.what, &shrunk, Some(self.planted));
        let small = artifacts::write_beside(&finding.program, &text)?;
        explained.report = explain::text(&small, &shrunk, divergence, &ran, self.planted);
        explained.what.clone_from(&divergence.what);
        explained.small = Some(small);
        Ok(explained)
    }
}
