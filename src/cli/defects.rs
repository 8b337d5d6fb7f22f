//! `vmadiff defects`: what can be planted.

use anyhow::Result;
use serde::Serialize;
use vmadiff::designs::{self, defects, rules};
use vmadiff_contract::{DefectInfo, DefectKind, DesignInfo};

use super::designs::Asked;
use super::output::print;
use super::paint;
use crate::status::Status;

/// Lists the named defects: what each breaks, and where that bug is from. With --design, those of
/// that design.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    vmadiff defects\n  \
    vmadiff fuzz --seconds 60 --defect NAME")]
pub struct Args {
    /// Prints the list as JSON.
    #[arg(long)]
    json: bool,
}

/// A defect, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Listed {
    name: &'static str,
    kind: &'static str,
    what: &'static str,
    source: &'static str,
    rules: Vec<&'static str>,
    /// The designs that can have it.
    designs: Vec<&'static str>,
}

pub fn run(args: &Args, asked: &Asked) -> Result<Status> {
    asked.refuse_defects("defects")?;
    let of = asked.designs();
    let mut all: Vec<Listed> = Vec::new();
    for design in of {
        for info in defects(design) {
            match all.iter_mut().find(|listed| listed.name == info.name) {
                Some(listed) => listed.designs.push(design.name),
                None => all.push(listed(info, design)),
            }
        }
    }
    if args.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&all)?))?;
        return Ok(Status::Agreed);
    }
    for Listed {
        name,
        kind,
        what,
        source,
        designs,
        ..
    } in all
    {
        // Where there are several, which ones have it.
        let of = match designs.len() == designs::all().len() {
            true => String::new(),
            false => format!(", {}", designs.join(", ")),
        };
        let told = told(what, source);
        print(&format!("{} ({kind}{of})\n{told}", paint::strong(name)))?;
    }
    Ok(Status::Agreed)
}

/// What it is and where it is from, a line each, of which managers of others need not say any.
pub(super) fn told(what: &str, source: &str) -> String {
    let line = |before: &str, text: &str| match text.is_empty() {
        true => String::new(),
        false => format!("  {before}{text}\n"),
    };
    line("", what) + &line("from ", source)
}

fn listed(info: &'static DefectInfo, design: &'static DesignInfo) -> Listed {
    let kind = match info.kind {
        DefectKind::Serial => "serial",
        DefectKind::Interleaved => "interleaved",
    };
    Listed {
        name: info.name,
        kind,
        what: info.what,
        source: info.source,
        rules: rules(design, info),
        designs: vec![design.name],
    }
}
