//! `vmadiff designs`: which there are, and tables of what they promise, cost and hide.

mod asked;
mod beside;
mod tables;

use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;
use vmadiff::designs::{self, defects};
use vmadiff_contract::DesignInfo;

pub use asked::Asked;
use tables::Table;

use super::defects::told;
use super::explain;
use super::output::print;
use super::paint;
use crate::counted::counted;
use crate::status::Status;

/// Lists the designs that can stand beside the reference: what each is, where it is from, and the
/// defects that can be planted in it. With --design, that one.
///
/// With --table a table of docs/designs.md, for people and for the test that compares it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    vmadiff designs\n  \
    vmadiff designs --json\n  \
    vmadiff designs --table deviations --design NAME\n  \
    vmadiff designs --table counts corpus/races\n  \
    vmadiff fuzz --seconds 60 --design NAME")]
pub struct Args {
    /// Prints the list as JSON.
    #[arg(long)]
    json: bool,
    /// Prints a table, in Markdown.
    #[arg(long, value_enum, value_name = "TABLE", conflicts_with = "json")]
    table: Option<Table>,
    /// Programs for `--table counts` and `--table signatures`.
    #[arg(value_name = "FILE", requires = "table")]
    files: Vec<PathBuf>,
}

/// A design, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Listed {
    name: &'static str,
    what: &'static str,
    source: &'static str,
    /// It is run where no other is asked for.
    first: bool,
    /// By name; `vmadiff defects` says more.
    defects: Vec<&'static str>,
    /// Those that it is never without: it is as posted, and diverges by them.
    posted: Vec<&'static str>,
    /// Why its faults go on under mmap_sem.
    reasons: Vec<Why>,
    /// Rules of its own.
    rules: Vec<Own>,
}

#[derive(Debug, Serialize)]
struct Why {
    name: &'static str,
    what: &'static str,
}

#[derive(Debug, Serialize)]
struct Own {
    name: &'static str,
    says: &'static str,
    source: &'static str,
}

pub fn run(args: &Args, asked: &Asked) -> Result<Status> {
    asked.refuse_defects("designs")?;
    let designs = asked.designs();
    if let Some(table) = args.table {
        print(&tables::print(table, &designs, &args.files)?)?;
        return Ok(Status::Agreed);
    }
    let listed: Vec<Listed> = designs.into_iter().map(listed).collect();
    if args.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&listed)?))?;
        return Ok(Status::Agreed);
    }
    for design in listed {
        let Listed {
            name,
            what,
            source,
            first,
            defects,
            posted,
            ..
        } = design;
        let posted = match posted.len() {
            0 => String::new(),
            count => format!(", and {count} that are always there"),
        };
        let first = if first {
            " (run where none is named)"
        } else {
            ""
        };
        print(&format!(
            "{}{first}\n{}  {}: {} defects --design {name}{posted}\n",
            paint::strong(name),
            told(what, source),
            counted(defects.len(), "defect"),
            explain::hinted(),
        ))?;
    }
    Ok(Status::Agreed)
}

fn listed(design: &'static DesignInfo) -> Listed {
    let reasons = design.reasons.iter().copied().flatten();
    let breaches = design.breaches.iter().copied().flatten();
    Listed {
        name: design.name,
        what: design.what,
        source: design.source,
        first: design == designs::first(),
        defects: defects(design).map(|info| info.name).collect(),
        posted: design.posted().collect(),
        reasons: reasons
            .map(|reason| Why {
                name: reason.name,
                what: reason.what,
            })
            .collect(),
        rules: breaches
            .map(|breach| Own {
                name: breach.rule,
                says: breach.says,
                source: breach.source,
            })
            .collect(),
    }
}
