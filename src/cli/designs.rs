//! `vmadiff designs`, and the design and the defects that `--design` and `--defect` ask for.

use anyhow::{Result, bail};
use serde::Serialize;
use vmadiff::designs::{self, DESIGNS, Planted, defects};
use vmadiff::program::Case;
use vmadiff_contract::DesignInfo;

use super::output::print;
use super::{near, paint};
use crate::status::Status;

/// Lists the designs that can stand beside the reference: what each is, where it is from, and the
/// defects that can be planted in it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    vmadiff designs\n  \
    vmadiff designs --json\n  \
    vmadiff fuzz --seconds 60 --design NAME")]
pub struct Args {
    /// Prints the list as JSON.
    #[arg(long)]
    json: bool,
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

pub fn run(args: &Args) -> Result<Status> {
    let listed: Vec<Listed> = DESIGNS.iter().copied().map(listed).collect();
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
            ..
        } = design;
        let first = if first {
            " (run where none is named)"
        } else {
            ""
        };
        print(&format!(
            "{}{first}\n  {what}\n  from {source}\n  {} defects: vmadiff defects --design {name}\n",
            paint::strong(name),
            defects.len(),
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
        first: design == DESIGNS[0],
        defects: defects(design).map(|info| info.name).collect(),
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

/// What `--design` and `--defect` ask for.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// None: what a program names, or the first.
    pub design: Option<&'static DesignInfo>,
    /// Names of defects.
    pub defects: Vec<String>,
}

impl Asked {
    /// A name that is none is an error that tells near ones: no design, or no defect of the design,
    /// or of any if none is asked for.
    pub fn new(design: Option<&str>, names: Vec<String>) -> Result<Self> {
        let found = design.map(|name| match designs::from_name(name) {
            Some(design) => Ok(design),
            None => bail!(unknown_design(name)),
        });
        let design = found.transpose()?;
        for name in &names {
            let of = design.map_or(DESIGNS.to_vec(), |design| vec![design]);
            let mut all = of.into_iter().flat_map(defects);
            if !all.any(|info| info.name == name) {
                bail!(unknown_defect(design.unwrap_or(DESIGNS[0]), name));
            }
        }
        Ok(Self {
            design,
            defects: names,
        })
    }

    /// The design, whatever programs name, and the defects in it.
    pub fn planted(&self) -> Result<Planted> {
        self.planted_in(self.design.unwrap_or(DESIGNS[0]))
    }

    /// For a program that may name its design.
    pub fn for_case(&self, case: &Case) -> Result<Planted> {
        self.planted_in(self.design.or(case.design).unwrap_or(DESIGNS[0]))
    }

    /// For a command that runs no candidate: what is asked for would be left out without a word.
    pub fn refuse(&self, command: &str) -> Result<()> {
        let option = match (&self.defects[..], self.design) {
            ([_, ..], _) => "--defect",
            ([], Some(_)) => "--design",
            ([], None) => return Ok(()),
        };
        bail!("{option} is for the candidate, which `{command}` does not run");
    }

    fn planted_in(&self, design: &'static DesignInfo) -> Result<Planted> {
        match Planted::new(design, &self.defects) {
            Ok(planted) => Ok(planted),
            Err(error) => bail!(unknown_defect(design, &error.defect)),
        }
    }
}

fn unknown_design(name: &str) -> String {
    let all = || DESIGNS.iter().map(|design| design.name);
    match near::near(name, all()) {
        Some(near) => format!("no design is called `{name}`; near that are {near}"),
        None => {
            let all: Vec<&str> = all().collect();
            format!("no design is called `{name}`; there are {}", all.join(", "))
        }
    }
}

fn unknown_defect(design: &'static DesignInfo, name: &str) -> String {
    let whose = if DESIGNS.len() > 1 {
        format!("no defect of the design {} is", design.name)
    } else {
        "no defect is".to_owned()
    };
    let others = DESIGNS
        .iter()
        .filter(|other| defects(other).any(|info| info.name == name));
    let others: Vec<&str> = others.map(|design| design.name).collect();
    if let [first, ..] = others[..] {
        return format!(
            "{whose} called `{name}`; {} has it: --design {first}",
            others.join(", ")
        );
    }
    match near::near(name, defects(design).map(|info| info.name)) {
        Some(near) => format!("{whose} called `{name}`; near that are {near}"),
        None => {
            let list = format!("vmadiff defects --design {}", design.name);
            format!("{whose} called `{name}`; `{list}` lists them")
        }
    }
}
