//! `vmadiff defects`, and the defects that `--defect` plants.

use anyhow::{Result, bail};
use serde::Serialize;
use vmadiff::pair::{Pair, pair};
use vmadiff_candidate::{DEFECTS, Defects};
use vmadiff_contract::{DefectInfo, DefectKind};

use super::output::print;
use super::{Status, paint};

/// Names this alike are worth mentioning (Jaro-Winkler, 1 is equal).
const NEAR: f64 = 0.75;

/// Lists the named defects: what each breaks, and where that bug is from.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    vmadiff defects\n  \
    vmadiff fuzz --seconds 60 --defect get-too-few")]
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
    rules: &'static [&'static str],
}

pub fn run(args: &Args) -> Result<Status> {
    let listed: Vec<Listed> = DEFECTS.iter().map(listed).collect();
    if args.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&listed)?))?;
        return Ok(Status::Agreed);
    }
    for Listed {
        name,
        kind,
        what,
        source,
        ..
    } in listed
    {
        print(&format!(
            "{} ({kind})\n  {what}\n  from {source}\n",
            paint::strong(name)
        ))?;
    }
    Ok(Status::Agreed)
}

fn listed(info: &DefectInfo) -> Listed {
    let kind = match info.kind {
        DefectKind::Serial => "serial",
        DefectKind::Interleaved => "interleaved",
    };
    Listed {
        name: info.name,
        kind,
        what: info.what,
        source: info.source,
        rules: info.rules,
    }
}

/// The defects that were asked for.
#[derive(Clone, Debug, Default)]
pub struct Planted {
    names: Vec<String>,
    set: Defects,
}

impl Planted {
    /// Those of these names. A name that is none is an error that tells near ones.
    pub fn parse(names: &[String]) -> Result<Self> {
        let mut planted = Self::default();
        for name in names {
            let Ok(defect) = Defects::parse(name) else {
                bail!(unknown(name))
            };
            planted.set = planted.set.with(defect);
            if !planted.names.contains(name) {
                planted.names.push(name.clone());
            }
        }
        planted.names.sort();
        Ok(planted)
    }

    /// Their names, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// A pair of managers, the candidate with these defects.
    pub fn pair(&self) -> Pair {
        pair(self.set)
    }
}

fn unknown(name: &str) -> String {
    let mut near: Vec<(f64, &str)> = DEFECTS
        .iter()
        .map(|info| (strsim::jaro_winkler(name, info.name), info.name))
        .filter(|(likeness, known)| *likeness >= NEAR || known.contains(name))
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    let names: Vec<&str> = near.iter().take(5).map(|(_, name)| *name).collect();
    if names.is_empty() {
        format!("no defect is called `{name}`; `vmadiff defects` lists them")
    } else {
        format!(
            "no defect is called `{name}`; near that are {}",
            names.join(", ")
        )
    }
}
