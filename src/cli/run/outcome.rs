//! What came of a program: its verdict, and all that there is to say of it.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;
use vmadiff::compare::Passed;
use vmadiff::expect::{Of, unasked_in, unmet_in};
use vmadiff::judge::Verdict;
use vmadiff::missed::{is_expected, never_came};
use vmadiff::pair::Ran;

use super::{NOT_RUN, Planned};
use crate::cli::explain;
use crate::cli::input::{Input, name};
use crate::cli::lost::Lost;
use crate::cli::output::path_in_json;

/// What came of one file, as `--json` prints it.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    #[serde(serialize_with = "path_in_json")]
    pub file: PathBuf,
    /// What the file was taken for: `text` or `bytes`; none if it could not be read.
    pub form: Option<&'static str>,
    pub verdict: &'static str,
    pub calls: usize,
    pub skipped: Option<String>,
    pub signature: Option<String>,
    pub at_call: Option<usize>,
    pub what: Option<String>,
    /// Differences that are no news, each with its place and what became of the run.
    pub known: Vec<String>,
    /// Calls that were not made, since the candidate has them not or its world leaves them out; counted
    /// from 1.
    pub not_made: Vec<usize>,
    /// Expectations that were not met, each with its place.
    pub unmet: Vec<String>,
    /// Expectations that were not asked, each with its place, and why.
    pub unasked: Vec<String>,
    /// What else there is to say of the program: what in its text does nothing, switches that never
    /// came.
    pub warnings: Vec<String>,
    /// It has no calls.
    #[serde(skip)]
    pub is_empty: bool,
    /// Its race may not have been run: a switch never came, and nothing expects that it does.
    #[serde(skip)]
    pub never_came: bool,
    /// What it expects was not checked.
    #[serde(skip)]
    pub of_another_design: bool,
    /// Why there is no verdict.
    pub error: Option<String>,
    /// The report on its divergence, in colour.
    #[serde(skip)]
    pub report: Option<String>,
}

impl Outcome {
    /// Whether the managers did what is expected of them: the same, and what the text says.
    pub fn is_fine(&self) -> bool {
        let asked_and_met = self.unmet.is_empty() && self.unasked.is_empty();
        self.signature.is_none() && asked_and_met && self.error.is_none()
    }

    pub fn unreadable(file: &Path, error: &anyhow::Error) -> Self {
        Self {
            error: Some(format!("{error:#}")),
            ..Self::of(file, "unreadable")
        }
    }

    /// Of a program at which the candidate hangs, or dies.
    pub fn lost(file: &Path, planned: &Planned, lost: Lost) -> Self {
        let Planned { input, planted } = planned;
        let program = &input.case.program;
        let report = explain::lost(file, program, &lost, planted);
        let Lost {
            signature,
            what,
            at,
        } = lost;
        Self {
            form: Some(input.form.name()),
            calls: program.calls.len(),
            signature: Some(signature),
            at_call: at.map(|at| at + 1),
            what: Some(what),
            report: Some(report),
            ..Self::of(file, "diverge")
        }
    }

    /// Of a program that stands behind one that ended the command.
    pub fn not_run(file: &Path, planned: &Result<Planned>) -> Self {
        let Planned { input, .. } = match planned {
            Ok(planned) => planned,
            Err(error) => return Self::unreadable(file, error),
        };
        Self {
            form: Some(input.form.name()),
            calls: input.case.program.calls.len(),
            skipped: Some(NOT_RUN.to_owned()),
            ..Self::of(file, "skip")
        }
    }

    fn of(file: &Path, verdict: &'static str) -> Self {
        Self {
            file: file.to_owned(),
            form: None,
            verdict,
            calls: 0,
            skipped: None,
            signature: None,
            at_call: None,
            what: None,
            known: Vec::new(),
            not_made: Vec::new(),
            unmet: Vec::new(),
            unasked: Vec::new(),
            warnings: Vec::new(),
            is_empty: false,
            never_came: false,
            of_another_design: false,
            error: None,
            report: None,
        }
    }
}

/// Of a program that was run.
pub fn judged(file: &Path, input: &Input, ran: &Ran) -> Outcome {
    let case = &input.case;
    let mut warnings: Vec<String> = input.warnings.iter().map(ToString::to_string).collect();
    let mut unmet: Vec<String> = unmet_in(case, ran)
        .iter()
        .map(|unmet| placed(file, input, unmet.of, unmet))
        .collect();
    let mut unasked: Vec<String> = unasked_in(case, ran)
        .iter()
        .map(|unasked| placed(file, input, unasked.of, unasked))
        .collect();
    let other = case.design.filter(|design| *design != ran.design);
    if let Some(design) = other {
        // Its schedule makes other races, or none.
        unmet.clear();
        unasked.clear();
        warnings.push(format!(
            "what it expects is of the design {}, and is not checked",
            design.name
        ));
    }
    let missed = never_came(&case.program, ran);
    let never_came = !missed.is_empty() && !is_expected(case, ran);
    let missed = missed.iter().map(ToString::to_string);
    if never_came {
        warnings.extend(missed);
    } else {
        unmet.extend(missed);
    }
    let mut outcome = Outcome {
        file: file.to_owned(),
        form: Some(input.form.name()),
        verdict: "agree",
        calls: case.program.calls.len(),
        skipped: None,
        signature: None,
        at_call: None,
        what: None,
        known: ran.known.iter().map(known).collect(),
        not_made: ran.unmade().iter().map(|at| at + 1).collect(),
        unmet,
        unasked,
        warnings,
        is_empty: input.is_empty(),
        never_came,
        of_another_design: other.is_some(),
        error: None,
        report: None,
    };
    match &ran.verdict {
        Verdict::Agree if input.is_empty() => {
            outcome.verdict = "skip";
            outcome.skipped = Some("it has no calls".to_owned());
        }
        Verdict::Agree if outcome.not_made.len() == outcome.calls => {
            outcome.verdict = "skip";
            let name = ran.design.name;
            outcome.skipped = Some(format!("{name} has none of its calls, and none was made"));
        }
        Verdict::Agree => {}
        Verdict::Skip(why) => {
            outcome.verdict = "skip";
            outcome.skipped = Some(why.clone());
        }
        Verdict::Diverge(divergence) => {
            outcome.verdict = "diverge";
            outcome.signature = Some(divergence.signature.to_string());
            outcome.at_call = divergence.at.map(|index| index + 1);
            outcome.what = Some(divergence.what.clone());
        }
    }
    outcome
}

fn known(passed: &Passed) -> String {
    let Passed { at, name, went_on } = passed;
    let then = if *went_on {
        "the run went on"
    } else {
        "the run ended there"
    };
    format!("known: {name}, at call {}; {then}", at + 1)
}

/// An expectation, and what came of it, with its line as editors read it.
fn placed(file: &Path, input: &Input, of: Of, what: &dyn Display) -> String {
    let line = match of {
        Of::Call(call) => input.calls.get(call),
        Of::Check(check) => input.checks.get(check),
    };
    let line = line.map_or_else(String::new, |line| format!(":{line}"));
    format!("{}{line}: {what}", name(file))
}
