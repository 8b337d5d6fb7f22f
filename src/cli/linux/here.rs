//! Runs the programs that the command names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use vmadiff::linux::court;
use vmadiff::program::Case;
use vmadiff_linux::{Closeness, Failed, Linux, Look, known, whose};

use super::super::folder::programs;
use super::super::input::{NO_CALLS, name, read_case, read_one_of_many};
use super::super::output::{complain, print, warn_once};
use super::Args;
use super::line::{Line, one, print_count};
use crate::status::Status;

pub fn run(args: &Args) -> Result<Status> {
    if args.list {
        list(args.json)?;
        return Ok(Status::Agreed);
    }
    let read = read(programs(&args.files)?.files)?;
    if let Some(machinery) = args.boot.machinery(args.memory)? {
        return super::booted::run(args, &machinery, read);
    }
    let mut court = Linux::new().map(court);
    let how = Closeness {
        look: Look::EachCall,
        view: vmadiff_linux::view(args.boundaries),
    };
    let mut status = Status::Agreed;
    let mut counts = BTreeMap::new();
    let is_alone = read.len() == 1;
    for (path, case) in read {
        let name = name(&path);
        let line = match (case, &mut court) {
            (Err(error), _) if is_alone => return Err(error),
            (Err(error), _) => {
                complain(&error);
                Line::unreadable(&name, &format!("{error:#}"))
            }
            (Ok(case), Ok(court)) => one(court, &name, &case, how),
            // Nothing is compared where the kernel refuses what agents need: that is said of each.
            (_, Err(why @ Failed::Unread { .. })) => Line::failed(&name, why.to_string()),
            (_, Err(why)) => Line::skipped(&name, None, why.to_string()),
        };
        status = status.max(line.status());
        *counts.entry(line.verdict.clone()).or_default() += 1;
        line.print(args.json)?;
    }
    if !is_alone && !args.json {
        print_count(&counts)?;
    }
    Ok(status)
}

/// Programs, or why they are none. Of several those without calls, of which engines keep some, are left out.
fn read(paths: Vec<PathBuf>) -> Result<Vec<(PathBuf, Result<Case>)>> {
    if let [path] = &paths[..] {
        let case = read_case(path).map(|(case, _)| case);
        return Ok(vec![(path.clone(), case)]);
    }
    let (mut read, mut empty) = (Vec::new(), Vec::new());
    for path in paths {
        match read_one_of_many(&path) {
            Ok(input) if input.is_empty() => empty.push(path),
            input => read.push((path, input.map(|input| input.case))),
        }
    }
    let empty: Vec<&Path> = empty.iter().map(PathBuf::as_path).collect();
    match (&read[..], &empty[..]) {
        ([], [first, ..]) => bail!("{}: {NO_CALLS}", name(first)),
        _ => warn_once(&empty, "left out: has no calls"),
    }
    Ok(read)
}

/// Prints the table of known differences.
fn list(json: bool) -> Result<()> {
    for known in known() {
        if json {
            let value = serde_json::json!({
                "name": known.name,
                "section": known.section,
                "origin": whose(known),
                "what": known.what,
                "program": known.program,
            });
            print(&format!("{value}\n"))?;
            continue;
        }
        let (name, whose) = (known.name, whose(known));
        let section = known.section.map(|section| format!("; section {section}"));
        let section = section.unwrap_or_default();
        let program = known.program.lines().map(|line| format!("    {line}\n"));
        let program: String = program.collect();
        print(&format!(
            "{name} ({whose}{section})\n  {}\n{program}",
            known.what
        ))?;
    }
    Ok(())
}
