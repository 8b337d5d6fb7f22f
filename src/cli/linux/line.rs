//! What a program came to on a kernel: a line, for people or as JSON.

use std::borrow::Cow;
use std::collections::BTreeMap;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use vmadiff::linux::judge;
use vmadiff::program::{Case, Schedule};
use vmadiff_contract::Fail;
use vmadiff_linux::{Closeness, Stopped, Trial, Verdict};

use super::super::output::print;
use super::super::paint;
use crate::counted::counted;
use crate::status::Status;

/// What a program came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Line {
    /// The program's file.
    pub file: String,
    /// `agrees`, `differs`, `skipped`, `unreadable` or `failed`.
    pub verdict: Cow<'static, str>,
    /// The call that a finding, or the end of the comparison, is about, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<usize>,
    /// What differs, or why it was skipped or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// Names of the known differences that showed.
    pub known: Vec<Cow<'static, str>>,
    /// What a booted kernel said of itself meanwhile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
}

impl Line {
    fn new(file: &str, verdict: &'static str, call: Option<usize>) -> Self {
        Self {
            file: file.to_owned(),
            verdict: verdict.into(),
            call: call.map(|index| index + 1),
            what: None,
            known: Vec::new(),
            log: Vec::new(),
        }
    }

    /// It can not be run here.
    pub fn skipped(file: &str, call: Option<usize>, why: String) -> Self {
        Self {
            what: Some(why),
            ..Self::new(file, "skipped", call)
        }
    }

    /// Something differs, or the kernel itself is at fault.
    pub fn differs(file: &str, call: Option<usize>, what: String) -> Self {
        Self {
            what: Some(what),
            ..Self::new(file, "differs", call)
        }
    }

    /// It is no program.
    pub fn unreadable(file: &str, why: &str) -> Self {
        Self {
            what: why.lines().next().map(str::to_owned),
            ..Self::new(file, "unreadable", None)
        }
    }

    /// The harness or its agents failed.
    pub fn failed(file: &str, what: String) -> Self {
        Self {
            what: Some(what),
            ..Self::new(file, "failed", None)
        }
    }

    /// How the command ends if this is all that there is.
    pub fn status(&self) -> Status {
        match &*self.verdict {
            "differs" => Status::Diverged,
            "unreadable" => Status::BadInput,
            "failed" => Status::HarnessFailed,
            _ => Status::Agreed,
        }
    }
}

/// Runs a program and says what it came to.
pub fn one(court: &mut Trial, file: &str, case: &Case, how: Closeness) -> Line {
    if case.program.schedule != Schedule::default() {
        let why = "threads can not be scheduled on a real kernel";
        return Line::skipped(file, None, why.into());
    }
    let mut steps = case.program.calls.iter();
    if let Some(index) = steps.position(|step| step.fail != Fail::NONE) {
        let why = "allocations can not be made to fail";
        return Line::skipped(file, Some(index), why.into());
    }
    match judge(court, &case.program, how) {
        Ok(Verdict::Agrees { known, until, .. }) => Line {
            known: known.iter().map(|known| known.name.into()).collect(),
            ..Line::new(file, "agrees", until)
        },
        Ok(Verdict::Differs(finding)) => {
            Line::differs(file, finding.call, finding.difference.to_string())
        }
        Err(Stopped::Unfit { call, why }) => Line::skipped(file, call, why.to_string()),
        Err(why) => Line::failed(file, why.to_string()),
    }
}

impl Line {
    /// Prints it.
    pub fn print(&self, json: bool) -> Result<()> {
        if json {
            let text = serde_json::to_string(self).expect("strings and numbers");
            return print(&format!("{text}\n"));
        }
        let verdict = match &*self.verdict {
            "agrees" => self.verdict.to_string(),
            "skipped" => paint::warning(&self.verdict),
            other => paint::bad(other),
        };
        let at = self
            .call
            .map(|call| format!("call {call}: "))
            .unwrap_or_default();
        let what = match (&self.what, self.call) {
            (Some(what), _) => format!(": {at}{what}"),
            (None, Some(call)) => format!(" until call {call}"),
            (None, None) => String::new(),
        };
        let known = match self.known.as_slice() {
            [] => String::new(),
            names => format!(", known: {}", names.join(", ")),
        };
        let log = self.log.iter().map(|line| format!("  | {line}\n"));
        let log: String = log.collect();
        print(&format!("{}: {verdict}{what}{known}\n{log}", self.file))
    }
}

/// Prints how many programs came to what.
pub fn print_count(counts: &BTreeMap<Cow<'static, str>, usize>) -> Result<()> {
    let all: usize = counts.values().sum();
    let each = counts
        .iter()
        .map(|(verdict, count)| format!("{count} {verdict}"));
    let each = each.collect::<Vec<_>>().join(", ");
    print(&format!("{}: {each}\n", counted(all, "program")))
}
