//! The verdicts as JUnit's XML, which CI systems show: a test case for each program.

use anyhow::{Context, Result};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::Outcome;
use crate::cli::input::name;

/// The report as a file.
pub fn report(outcomes: &[Outcome]) -> Result<Vec<u8>> {
    let mut suite = TestSuite::new("vmadiff run");
    suite.add_test_cases(outcomes.iter().map(case));
    let mut report = Report::new("vmadiff");
    report.add_test_suite(suite);
    let mut xml = Vec::new();
    report.serialize(&mut xml).context("JUnit's XML")?;
    Ok(xml)
}

fn case(outcome: &Outcome) -> TestCase {
    let mut case = TestCase::new(name(&outcome.file), status(outcome));
    case.set_classname(outcome.verdict);
    case
}

fn status(outcome: &Outcome) -> TestCaseStatus {
    let skipped = outcome.skipped.as_ref();
    if let Some(why) = skipped.filter(|_| outcome.is_fine()) {
        let mut status = TestCaseStatus::skipped();
        status.set_message(why.clone());
        return status;
    }
    if outcome.is_fine() {
        return TestCaseStatus::success();
    }
    if let Some(error) = &outcome.error {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_type("unreadable");
        status.set_message(error.lines().next().unwrap_or_default().to_owned());
        status.set_description(error.clone());
        return status;
    }
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    match (&outcome.signature, &outcome.what, &outcome.report) {
        (Some(signature), Some(what), Some(report)) => {
            status.set_type(signature.clone());
            status.set_message(what.clone());
            status.set_description(anstream::adapter::strip_str(report).to_string());
        }
        _ if outcome.unmet.is_empty() => {
            status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_type("unasked");
            status.set_message("what the program expects was not asked");
            status.set_description(outcome.unasked.join("\n"));
        }
        _ => {
            status.set_type("unmet");
            status.set_message("the managers agree, but not with what the program expects");
            status.set_description(outcome.unmet.join("\n"));
        }
    }
    status
}
