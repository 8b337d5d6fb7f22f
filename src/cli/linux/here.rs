//! Runs the programs that the command names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use vmadiff::linux::court;
use vmadiff_linux::{Closeness, Failed, Linux, Look, known, whose};

use super::super::input::{files_in, is_folder, name, read_case};
use super::super::output::{complain, print};
use super::Args;
use super::line::{Line, one, print_count};
use crate::status::Status;

pub fn run(args: &Args) -> Result<Status> {
    if args.list {
        list(args.json)?;
        return Ok(Status::Agreed);
    }
    let paths = programs(&args.files)?;
    if let Some(machinery) = args.boot.machinery(args.memory)? {
        return super::booted::run(args, &machinery, &paths);
    }
    let mut court = Linux::new().map(court);
    let how = Closeness {
        look: Look::EachCall,
        view: vmadiff_linux::view(args.boundaries),
    };
    let mut status = Status::Agreed;
    let mut counts = BTreeMap::new();
    for path in &paths {
        let name = name(path);
        let line = match (read_case(path), &mut court) {
            (Err(error), _) if paths.len() == 1 => return Err(error),
            (Err(error), _) => {
                complain(&error);
                Line::unreadable(&name, &format!("{error:#}"))
            }
            (Ok((case, _)), Ok(court)) => one(court, &name, &case, how),
            // Nothing is compared where the kernel refuses what agents need: that is said of each.
            (_, Err(why @ Failed::Unread { .. })) => Line::failed(&name, why.to_string()),
            (_, Err(why)) => Line::skipped(&name, None, why.to_string()),
        };
        status = status.max(line.status());
        *counts.entry(line.verdict.clone()).or_default() += 1;
        line.print(args.json)?;
    }
    if paths.len() > 1 && !args.json {
        print_count(&counts)?;
    }
    Ok(status)
}

/// The programs that paths name.
fn programs(files: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for file in files {
        let before = paths.len();
        collect(file, &mut paths)?;
        if paths.len() == before {
            bail!(
                "{}: found no file named .vma, expected programs",
                file.display()
            );
        }
    }
    Ok(paths)
}

/// The programs that a path names: itself, or what a folder holds.
fn collect(path: &Path, to: &mut Vec<PathBuf>) -> Result<()> {
    if !is_folder(path) {
        to.push(path.to_owned());
        return Ok(());
    }
    let files = files_in(path)?;
    to.extend(
        files
            .into_iter()
            .filter(|file| file.extension().is_some_and(|end| end == "vma")),
    );
    Ok(())
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
