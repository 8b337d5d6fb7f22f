//! What a campaign finds, made small and explained as it is found.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use vmadiff::designs::Planted;
use vmadiff::judge::Verdict;

use super::explain;
use super::interrupt::Interrupt;
use super::lost::{Lost, is_of_lost};
use super::shrinking::{Later, Shrinking};
use crate::artifacts::{self, Kept, kept_before};
use crate::engine::{Finding, Settings};

/// Time for shrinking one that was found, while jobs go on. Most take a fraction of a second; the
/// rest can be minimized later.
const TIME: Duration = Duration::from_secs(10);

/// Stands for the file's name where a program could not be written.
const UNSAVED: &str = "FILE";

/// A finding, with what was made of it.
#[derive(Clone, Debug)]
pub struct Explained {
    /// Its signature.
    pub signature: String,
    /// How often the folder had it when the campaign began.
    pub before: u64,
    /// As a job found it.
    pub found: Kept,
    /// The same divergence in a smaller program.
    pub small: Option<Kept>,
    /// What happens in the smallest program.
    pub what: String,
    /// The report on the smallest program.
    pub report: String,
}

impl Explained {
    /// The smallest program that shows it.
    fn smallest(&self) -> &Kept {
        self.small.as_ref().unwrap_or(&self.found)
    }

    /// Its file; none if there was no room for one yet.
    pub fn program(&self) -> Option<&Path> {
        self.smallest().path()
    }

    /// Its programs that are in no file.
    pub fn unsaved(&self) -> impl Iterator<Item = &Kept> {
        let all = [Some(&self.found), self.small.as_ref()];
        all.into_iter()
            .flatten()
            .filter(|kept| kept.path().is_none())
    }

    /// Tries again to write them.
    pub fn retry(&mut self) {
        self.found.retry();
        if let Some(small) = &mut self.small {
            small.retry();
        }
    }
}

/// Shrinks and explains.
pub struct Explainer<'a> {
    pair: Later<'a>,
    planted: &'a Planted,
    folder: &'a Path,
    /// What a program may take, seconds.
    seconds: u64,
    /// What the folder had at first.
    before: BTreeMap<String, u64>,
    interrupt: &'a Interrupt,
}

impl<'a> Explainer<'a> {
    /// With these defects planted, for what jobs with these settings find; after an interrupt nothing is shrunk.
    pub fn new(planted: &'a Planted, settings: &'a Settings, interrupt: &'a Interrupt) -> Self {
        let folder = &settings.artifacts;
        Self {
            seconds: settings.limits.seconds.into(),
            pair: Later::new(planted),
            planted,
            folder,
            before: kept_before(folder, Some(planted)),
            interrupt,
        }
    }

    /// Shrinks and explains what was found. What cannot be repeated here says so.
    ///
    /// # Errors
    ///
    /// If the job told no program.
    pub fn explain(&mut self, finding: &Finding) -> Result<Explained> {
        let Finding {
            signature,
            what,
            text,
            program,
            executions: _,
            processor_ms: _,
        } = finding;
        let found = Kept::told(self.folder, signature, text, program.clone())?;
        let mut explained = Explained {
            signature: signature.clone(),
            before: self.before.get(signature).copied().unwrap_or_default(),
            found,
            small: None,
            what: what.clone(),
            report: String::new(),
        };
        if is_of_lost(signature) {
            self.explain_lost(&mut explained)?;
            return Ok(explained);
        }
        let program = &explained.found.case().program;
        let (shrinking, pair) = (self.shrinking(), &mut self.pair);
        let ran = pair.get().observe_twice(program);
        let divergence = match &ran.verdict {
            Verdict::Diverge(divergence) if divergence.signature.to_string() == *signature => {
                divergence
            }
            _ => {
                explained.report =
                    "it does not show again in a fresh run of its program\n".to_owned();
                return Ok(explained);
            }
        };
        let signature = &divergence.signature;
        let shrunk = shrinking.shrink(pair, program, &signature.to_string());
        let shrunk = shrunk.program;
        let ran = pair.get().observe_twice(&shrunk);
        let Verdict::Diverge(divergence) = &ran.verdict else {
            explained.report = "its smaller program does not diverge twice\n".to_owned();
            return Ok(explained);
        };
        let planted = Some(self.planted);
        let case = artifacts::case(signature, &divergence.what, &shrunk, planted);
        let small = Kept::beside(&explained.found, case);
        let file = small.path().unwrap_or(Path::new(UNSAVED));
        explained.report = explain::text(file, &shrunk, divergence, &ran, self.planted);
        explained.what.clone_from(&divergence.what);
        explained.small = Some(small);
        Ok(explained)
    }

    fn shrinking(&self) -> Shrinking<'a> {
        Shrinking {
            planted: self.planted,
            limit: Some(TIME),
            interrupt: self.interrupt,
        }
    }

    /// Shrinks and explains a program at which a manager hangs or dies, which is not run here.
    fn explain_lost(&mut self, explained: &mut Explained) -> Result<()> {
        let program = &explained.found.case().program;
        let signature = &explained.signature;
        let (shrunk, lost) =
            self.shrinking()
                .shrink_lost(&mut self.pair, program, signature, self.seconds)?;
        let again = lost.is_some();
        let lost = lost.unwrap_or_else(|| Lost {
            signature: signature.clone(),
            what: explained.what.clone(),
            at: None,
        });
        if again && shrunk.program != *program {
            let planted = Some(self.planted);
            let case = artifacts::case(signature, &lost.what, &shrunk.program, planted);
            explained.small = Some(Kept::beside(&explained.found, case));
        }
        explained.what.clone_from(&lost.what);
        let file = explained.program().unwrap_or(Path::new(UNSAVED));
        let mut report = explain::lost(file, &shrunk.program, &lost, self.planted);
        if !again && !self.interrupt.came() {
            report += "it does not show again in a process of its own\n";
        }
        explained.report = report;
        Ok(())
    }
}
