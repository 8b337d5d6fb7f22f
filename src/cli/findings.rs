//! What a campaign finds, made small and explained as it is found.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use vmadiff::designs::Planted;
use vmadiff::judge::Verdict;
use vmadiff::pair::{Pair, pair};

use super::interrupt::Interrupt;
use super::lost::{self, Lost};
use super::{explain, shrinking};
use crate::artifacts::{self, Kept, kept_before};
use crate::engine::Finding;

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
    pair: Pair,
    planted: &'a Planted,
    folder: &'a Path,
    /// What the folder had at first.
    before: BTreeMap<String, u64>,
    interrupt: &'a Interrupt,
}

impl<'a> Explainer<'a> {
    /// With these defects planted, for artifacts in `folder`; after an interrupt nothing is shrunk.
    pub fn new(planted: &'a Planted, folder: &'a Path, interrupt: &'a Interrupt) -> Self {
        Self {
            pair: pair(planted),
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
        if lost::is_of_lost(signature) {
            // It would be lost here, too.
            explained.report = self.lost(&explained);
            return Ok(explained);
        }
        let program = &explained.found.case().program;
        let pair = &mut self.pair;
        let ran = pair.observe_twice(program);
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
        let shrunk =
            shrinking::shrink_to(pair, program, signature, Some(TIME), self.interrupt).program;
        let ran = pair.observe_twice(&shrunk);
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

    /// What is said of a program at which a manager is lost: as it is, since a smaller one would end this command.
    fn lost(&self, explained: &Explained) -> String {
        let Explained {
            signature,
            what,
            found,
            ..
        } = explained;
        let file = found.path().unwrap_or(Path::new(UNSAVED));
        let lost = Lost {
            signature: signature.clone(),
            what: what.clone(),
            at: None,
        };
        explain::lost(file, &found.case().program, &lost, self.planted)
    }
}
