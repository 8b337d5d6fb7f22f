//! Of the defects that a design shares with another form of it: in how many runs each goes wrong in
//! either, and in how many of them the count itself says so. So one sees what another way of counting
//! would have caught.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use vmadiff::designs::{self, Planted, defects};
use vmadiff::judge::Verdict;
use vmadiff::pair::{Ran, pair};
use vmadiff::program::mutate::{Flavour, Profile, generate};
use vmadiff::program::{Case, Program};
use vmadiff_contract::{DefectInfo, DefectKind, DesignInfo, Event, Misuse};

use super::tables::{code, header, row};

/// Fresh programs besides those that are given.
const FRESH: u64 = 1_500;

/// The first design, and its other forms that are repaired as it is.
fn forms() -> Vec<&'static DesignInfo> {
    let first = designs::first();
    let of_it = |design: &&'static DesignInfo| design.form_of == Some(first.name);
    let others = designs::all().iter().copied().filter(of_it);
    let others = others.filter(|design| !design.as_posted);
    std::iter::once(first).chain(others).collect()
}

/// The table: a defect a row, a design a column.
pub fn print(cases: &[Case]) -> Result<String> {
    if cases.is_empty() {
        bail!("--table counts needs programs, for example those of corpus/races");
    }
    let forms = forms();
    let mut columns = vec!["defect".to_owned()];
    for design in &forms {
        let name = design.name;
        columns.push(format!("{name}: runs that go wrong"));
        columns.push("noticed by the count".to_owned());
    }
    columns.push("rules that break".to_owned());
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut out = header(&columns);
    for info in defects(forms[0]).filter(|info| is_about_counts(info)) {
        let programs = programs(info, cases);
        let mut rules = BTreeSet::new();
        let mut cells = vec![code(info.name)];
        for design in &forms {
            let wrong = wrong(design, info, &programs);
            cells.push(wrong.runs.to_string());
            cells.push(wrong.noticed.to_string());
            rules.extend(wrong.rules);
        }
        cells.push(rules.into_iter().collect::<Vec<_>>().join(", "));
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        row(&mut out, &cells);
    }
    out += &format!(
        "\nOf {} programs, {FRESH} of them fresh.\n",
        cases.len() as u64 + FRESH
    );
    Ok(out)
}

/// Whether a defect can make an area be freed at the wrong time, or never.
fn is_about_counts(info: &DefectInfo) -> bool {
    const LIFE: [&str; 6] = [
        "vma-references",
        "vma-leaked",
        "vma-freed-referenced",
        "vma-used-after-free",
        "misuse-dead-vma",
        "misuse-put-below-zero",
    ];
    info.rules.iter().any(|rule| LIFE.contains(rule))
}

fn programs(info: &DefectInfo, cases: &[Case]) -> Vec<Program> {
    let profile = Profile {
        flavour: match info.kind {
            DefectKind::Serial => Flavour::Serial,
            DefectKind::Interleaved => Flavour::Interleaved,
        },
        ..Profile::default()
    };
    let fresh = (0..FRESH).map(|seed| generate(seed, &profile));
    let given = cases.iter().map(|case| case.program.clone());
    given.chain(fresh).collect()
}

/// What came of programs where a design has a defect.
#[derive(Default)]
struct Wrong {
    /// Runs that diverge.
    runs: u32,
    /// Of these, such in which the count itself objects, at whatever moment.
    noticed: u32,
    /// What broke.
    rules: BTreeSet<&'static str>,
}

fn wrong(design: &'static DesignInfo, info: &DefectInfo, programs: &[Program]) -> Wrong {
    let mut wrong = Wrong::default();
    let Ok(planted) = Planted::new(design, &[info.name]) else {
        return wrong;
    };
    let mut pair = pair(&planted);
    for program in programs {
        let Some(ran) = pair.run(program, &mut ()) else {
            continue;
        };
        let Verdict::Diverge(found) = &ran.verdict else {
            continue;
        };
        wrong.runs += 1;
        wrong.noticed += u32::from(events(&ran).any(is_of_the_count));
        wrong.rules.insert(found.signature.rule.name());
    }
    wrong
}

/// All that the candidate raised in a run.
fn events(ran: &Ran) -> impl Iterator<Item = &Event> {
    let serial = ran.candidate.calls.iter().flat_map(|call| &call.events);
    let serial = serial.chain(&ran.candidate.deferred);
    let woven = ran.woven.iter().flat_map(|woven| {
        let raced = woven.events.iter().map(|raised| &raised.event);
        let exits = woven.exits.iter().flat_map(|exit| &exit.seen.events);
        raced.chain(exits).chain(&woven.deferred)
    });
    serial.chain(woven)
}

/// Whether the count of references objects to what was done to it.
fn is_of_the_count(event: &Event) -> bool {
    let Event::Misuse(Misuse::Breach(_, breach)) = event else {
        return false;
    };
    let own = [
        "misuse-get-from-zero",
        "misuse-put-below-zero",
        "misuse-count-saturated",
    ];
    own.contains(&breach.rule)
}
