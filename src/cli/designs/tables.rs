//! The tables of docs/designs.md, each printed by `vmadiff designs --table NAME`, so that the page says
//! what the code says.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Result;
use vmadiff::designs::defects;
use vmadiff::program::Case;
use vmadiff::survey::{CAMPAIGN, FastPath, Stretch, fast_path, faults, first_found, signatures};
use vmadiff_contract::{DefectInfo, DesignInfo, Deviation, Frees};

use super::beside;
use crate::cli::folder::programs;
use crate::cli::input::read_input;

/// Which table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Table {
    /// What each design promises, and how long it is.
    Promises,
    /// How many faults of one campaign went without mmap_sem, and why the others did not.
    Faults,
    /// What a fault costs.
    Costs,
    /// The way of a fault, as a picture.
    Ways,
    /// Where a design leaves what it is made after.
    Deviations,
    /// The real bugs of designs, and how soon fresh programs show each.
    Bugs,
    /// What a counted reference would have caught of the defects that two forms of a design share:
    /// by the programs that are given.
    Counts,
    /// By which signatures each defect shows: in the programs that are given, and in fresh ones.
    Signatures,
}

/// Fresh programs in which a bug is looked for.
const FRESH: u64 = 100_000;

/// A table, in Markdown.
pub fn print(table: Table, designs: &[&'static DesignInfo], files: &[PathBuf]) -> Result<String> {
    Ok(match table {
        Table::Promises => promises(designs),
        Table::Faults => served(designs),
        Table::Costs => costs(designs),
        Table::Ways => ways(designs),
        Table::Deviations => deviations(designs),
        Table::Bugs => bugs(designs),
        Table::Counts => beside::print(&cases(files)?)?,
        Table::Signatures => signed(designs, &cases(files)?),
    })
}

fn cases(files: &[PathBuf]) -> Result<Vec<Case>> {
    let files = programs(files)?.files;
    let cases = files.iter().map(|file| Ok(read_input(file)?.case));
    cases.collect()
}

/// Fresh programs in which signatures are counted, of each defect.
const SIGNED: u64 = 10_000;

/// Signatures that are listed of a defect; of the others is said how many there are.
const LISTED: usize = 4;

fn signed(designs: &[&'static DesignInfo], cases: &[Case]) -> String {
    let mut out = header(&["defect", "programs that show it", "signatures"]);
    let mut seen: Vec<&str> = Vec::new();
    for design in designs {
        for info in defects(design) {
            // A defect of the machine is one of all designs: by the first that has it.
            if seen.contains(&info.name) {
                continue;
            }
            seen.push(info.name);
            let shown = signatures(design, info, cases, SIGNED);
            let all = shown.by_count();
            let listed = all.iter().take(LISTED);
            let mut cells: Vec<String> = listed
                .map(|(signature, count)| format!("`{signature}` {count}"))
                .collect();
            let rest = all.len().saturating_sub(LISTED);
            if rest > 0 {
                cells.push(format!("and {rest} more"));
            }
            let count: u64 = all.iter().map(|(_, count)| count).sum();
            row(
                &mut out,
                &[&code(info.name), &count.to_string(), &cells.join(", ")],
            );
        }
    }
    out
}

fn promises(designs: &[&DesignInfo]) -> String {
    let mut out = header(&[
        "design",
        "what proves a reader safe",
        "when an area that left its tree may be freed",
        "what is used again",
        "lines, about",
    ]);
    for design in designs {
        let lines = lines(design).map_or("–".to_owned(), |lines| lines.to_string());
        let lines = match design.form_of {
            Some(of) => format!("of {of}"),
            None => lines,
        };
        row(
            &mut out,
            &[
                design.name,
                design.proof,
                frees(design.frees),
                design.recycles,
                &lines,
            ],
        );
    }
    out
}

fn frees(frees: Frees) -> &'static str {
    match frees {
        Frees::AtOnce => "inside the call that removed it",
        Frees::AfterReaders => {
            "when every task has left that was in a read section, or had interrupts off, when it was \
             erased"
        }
        Frees::Recycled => "as soon as no counted reference is left",
    }
}

/// Lines of a design's package, as build.rs counted them, to the next fifty: the table is not to change
/// with every line.
fn lines(design: &DesignInfo) -> Option<u32> {
    let counted = env!("VMADIFF_LINES").split(' ');
    let mut counted = counted.filter_map(|one| one.split_once(':'));
    let (_, lines) = counted.find(|(name, _)| *name == design.name)?;
    let lines: u32 = lines.parse().ok()?;
    Some(lines.div_ceil(50) * 50)
}

fn served(designs: &[&'static DesignInfo]) -> String {
    let mut out = header(&[
        "design",
        "faults",
        "without mmap_sem",
        "why not, the most frequent",
    ]);
    for design in designs {
        let summary = faults(design);
        let all = summary.speculative + summary.classic;
        let share = 100.0 * summary.speculative as f64 / all.max(1) as f64;
        let most = summary.gave_up.iter().take(6);
        let why: Vec<String> = most
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        row(
            &mut out,
            &[
                design.name,
                &all.to_string(),
                &format!("{share:.1} %"),
                &why.join(", "),
            ],
        );
    }
    writeln!(out, "\n{CAMPAIGN} programs, the same for all.").expect("a String takes all");
    out
}

fn costs(designs: &[&'static DesignInfo]) -> String {
    let mut out = header(&[
        "design",
        "shared accesses",
        "locked instructions",
        "sections",
    ]);
    for design in designs {
        let FastPath {
            accesses,
            locked,
            lines,
        } = fast_path(design);
        let mut held: Vec<&str> = Vec::new();
        for name in lines.iter().flat_map(|line| line.held.iter().copied()) {
            if !held.contains(&name) {
                held.push(name);
            }
        }
        let (accesses, locked) = (accesses.to_string(), locked.to_string());
        row(
            &mut out,
            &[design.name, &accesses, &locked, &held.join(", ")],
        );
    }
    out
}

fn ways(designs: &[&'static DesignInfo]) -> String {
    let mut out = String::from("```text\n");
    for design in designs {
        let way = fast_path(design);
        writeln!(out, "{}", design.name).expect("a String takes all");
        let of = designs.iter().find(|of| design.form_of == Some(of.name));
        if let Some(of) = of.filter(|of| fast_path(of) == way) {
            writeln!(out, "  as {}\n", of.name).expect("a String takes all");
            continue;
        }
        for Stretch {
            held,
            function,
            accesses,
        } in way.lines
        {
            let held = held.join(" + ");
            let accesses = accesses.join(" ");
            writeln!(out, "  {held:28} {function}: {accesses}").expect("a String takes all");
        }
        out.push('\n');
    }
    out.truncate(out.trim_end().len());
    out + "\n```\n"
}

fn deviations(designs: &[&DesignInfo]) -> String {
    let mut out = header(&[
        "mark",
        "the original, and here",
        "what that hides",
        "undone by",
    ]);
    let mut told: Vec<&Deviation> = Vec::new();
    for deviation in designs.iter().flat_map(|design| design.deviations) {
        for deviation in *deviation {
            if told.contains(&deviation) {
                continue;
            }
            told.push(deviation);
            let undone = deviation.undone_by.map_or("stays".to_owned(), code);
            row(
                &mut out,
                &[deviation.mark, deviation.what, deviation.hides, &undone],
            );
        }
    }
    out
}

/// Each bug once, by the first design that has it: those of the machine are all designs'.
fn bugs(designs: &[&'static DesignInfo]) -> String {
    let mut out = header(&["design", "bug", "from", "fresh programs until found", "as"]);
    let mut told = BTreeSet::new();
    for design in designs {
        let real = defects(design).filter(|info| is_real(info));
        for info in real.filter(|info| told.insert(info.name)) {
            let found = first_found(design, info, FRESH);
            let (programs, signature) = match found {
                Some(found) => (
                    found.programs.to_string(),
                    code(found.signature.to_string()),
                ),
                None => (format!("more than {FRESH}"), String::new()),
            };
            let name = code(info.name);
            row(
                &mut out,
                &[design.name, &name, info.source, &programs, &signature],
            );
        }
    }
    out
}

/// Whether somebody had that bug.
fn is_real(info: &DefectInfo) -> bool {
    !info.source.contains("made up")
}

pub(super) fn header(columns: &[&str]) -> String {
    let mut out = String::new();
    row(&mut out, columns);
    row(&mut out, &vec!["---"; columns.len()]);
    out
}

pub(super) fn row(out: &mut String, cells: &[&str]) {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    writeln!(out, "| {} |", cells.join(" | ")).expect("a String takes all");
}

pub(super) fn code(name: impl AsRef<str>) -> String {
    format!("`{}`", name.as_ref())
}
