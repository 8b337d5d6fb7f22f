//! Runs the programs that the command names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;
use vmadiff::linux::{court, judge};
use vmadiff::program::{Case, Schedule};
use vmadiff_contract::Fail;
use vmadiff_linux::{Areas, Closeness, Linux, Look, Stopped, Verdict, known};

use super::super::input::read_case;
use super::super::paint;
use super::Args;
use crate::status::Status;

/// What a program came to.
#[derive(Debug, Serialize)]
struct Line {
    file: String,
    verdict: &'static str,
    /// The call that a finding, or the end of the comparison, is about, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    what: Option<String>,
    /// Names of the known differences that showed.
    known: Vec<&'static str>,
}

pub fn run(args: &Args) -> Result<Status> {
    if args.list {
        list(args.json);
        return Ok(Status::Agreed);
    }
    let mut paths = Vec::new();
    for file in &args.files {
        collect(file, &mut paths)?;
    }
    let mut court = Linux::new().map(court);
    let how = Closeness {
        look: Look::EachCall,
        areas: Areas::new(args.boundaries),
    };
    let mut status = Status::Agreed;
    let mut counts = BTreeMap::<&str, usize>::new();
    for path in &paths {
        let (case, _) = read_case(path)?;
        let (line, came_to) = match &mut court {
            Ok(court) => one(court, path, &case, how),
            // Nothing is compared where the kernel refuses what agents need: that is said of each.
            Err(why) => (Line::skipped(path, None, why.to_string()), Status::Agreed),
        };
        status = status.max(came_to);
        *counts.entry(line.verdict).or_default() += 1;
        print(&line, args.json);
    }
    if paths.len() > 1 && !args.json {
        let counts = counts
            .iter()
            .map(|(verdict, count)| format!("{count} {verdict}"));
        let counts = counts.collect::<Vec<_>>().join(", ");
        anstream::println!("{} programs: {counts}", paths.len());
    }
    Ok(status)
}

/// The programs that a path names: itself, or what a folder holds.
fn collect(path: &Path, to: &mut Vec<PathBuf>) -> Result<()> {
    if !path.is_dir() {
        to.push(path.to_owned());
        return Ok(());
    }
    let entries = std::fs::read_dir(path)?.collect::<std::io::Result<Vec<_>>>()?;
    let mut inside: Vec<PathBuf> = entries.iter().map(std::fs::DirEntry::path).collect();
    inside.sort();
    for path in inside {
        if path.is_dir() || path.extension().is_some_and(|extension| extension == "vma") {
            collect(&path, to)?;
        }
    }
    Ok(())
}

impl Line {
    fn new(path: &Path, verdict: &'static str, call: Option<usize>) -> Self {
        Self {
            file: path.display().to_string(),
            verdict,
            call: call.map(|index| index + 1),
            what: None,
            known: Vec::new(),
        }
    }

    fn skipped(path: &Path, call: Option<usize>, why: String) -> Self {
        Self {
            what: Some(why),
            ..Self::new(path, "skipped", call)
        }
    }
}

fn one(
    court: &mut vmadiff_linux::Trial,
    path: &Path,
    case: &Case,
    how: Closeness,
) -> (Line, Status) {
    let skipped = |call, why: String| (Line::skipped(path, call, why), Status::Agreed);
    if case.program.schedule != Schedule::default() {
        return skipped(
            None,
            "threads can not be scheduled on the running kernel".into(),
        );
    }
    let failing = case
        .program
        .calls
        .iter()
        .position(|step| step.fail != Fail::NONE);
    if let Some(index) = failing {
        return skipped(Some(index), "allocations can not be made to fail".into());
    }
    match judge(court, &case.program, how) {
        Ok(Verdict::Agrees { known, until, .. }) => {
            let known = known.iter().map(|known| known.name).collect();
            let line = Line {
                known,
                ..Line::new(path, "agrees", until)
            };
            (line, Status::Agreed)
        }
        Ok(Verdict::Differs(finding)) => {
            let line = Line {
                what: Some(finding.difference.to_string()),
                ..Line::new(path, "differs", finding.call)
            };
            (line, Status::Diverged)
        }
        Err(Stopped::Unfit { call, why }) => skipped(call, why.to_string()),
        Err(why) => {
            let line = Line {
                what: Some(why.to_string()),
                ..Line::new(path, "failed", None)
            };
            (line, Status::HarnessFailed)
        }
    }
}

fn print(line: &Line, json: bool) {
    if json {
        let text = serde_json::to_string(line).expect("strings and numbers");
        return anstream::println!("{text}");
    }
    let verdict = match line.verdict {
        "agrees" => line.verdict.to_owned(),
        "skipped" => paint::warning(line.verdict),
        other => paint::bad(other),
    };
    let at = line
        .call
        .map(|call| format!("call {call}: "))
        .unwrap_or_default();
    let what = match (&line.what, line.call) {
        (Some(what), _) => format!(": {at}{what}"),
        (None, Some(call)) => format!(" until call {call}"),
        (None, None) => String::new(),
    };
    let known = match line.known.as_slice() {
        [] => String::new(),
        names => format!(", known: {}", names.join(", ")),
    };
    anstream::println!("{}: {verdict}{what}{known}", line.file);
}

/// Prints the table of known differences.
fn list(json: bool) {
    for known in known() {
        if json {
            let value = serde_json::json!({
                "name": known.name,
                "section": known.section,
                "origin": known.origin.to_string(),
                "what": known.what,
                "program": known.program,
            });
            anstream::println!("{value}");
            continue;
        }
        let (name, origin, section) = (known.name, known.origin, known.section);
        anstream::println!("{name} ({origin}; section {section})\n  {}", known.what);
        for line in known.program.lines() {
            anstream::println!("    {line}");
        }
    }
}
