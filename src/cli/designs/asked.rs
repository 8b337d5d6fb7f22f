//! The design and the defects that `--design` and `--defect` ask for.

use anyhow::{Result, bail};
use vmadiff::designs::{self, Planted, defects};
use vmadiff::program::Case;
use vmadiff_contract::DesignInfo;

use crate::cli::{explain, near};

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
            let of = design.map_or(designs::all().to_vec(), |design| vec![design]);
            let mut all = of.into_iter().flat_map(defects);
            if !all.any(|info| info.name == name) {
                bail!(unknown_defect(design.unwrap_or(designs::first()), name));
            }
        }
        Ok(Self {
            design,
            defects: names,
        })
    }

    /// The design, whatever programs name, and the defects in it.
    pub fn planted(&self) -> Result<Planted> {
        self.planted_in(self.design.unwrap_or(designs::first()))
    }

    /// For a program that may name its design.
    pub fn for_case(&self, case: &Case) -> Result<Planted> {
        self.planted_in(self.design.or(case.design).unwrap_or(designs::first()))
    }

    /// Of the designs, the one that is asked for, or all.
    pub fn designs(&self) -> Vec<&'static DesignInfo> {
        self.design
            .map_or(designs::all().to_vec(), |design| vec![design])
    }

    /// For a command to which a design means something, and a defect nothing.
    pub fn refuse_defects(&self, command: &str) -> Result<()> {
        if self.defects.is_empty() {
            return Ok(());
        }
        bail!("--defect is for the candidate, which `{command}` does not run");
    }

    /// For a command that runs no candidate: what is asked for would be left out without a word.
    pub fn refuse(&self, command: &str) -> Result<()> {
        self.refuse_defects(command)?;
        if self.design.is_none() {
            return Ok(());
        }
        bail!("--design is for the candidate, which `{command}` does not run");
    }

    fn planted_in(&self, design: &'static DesignInfo) -> Result<Planted> {
        match Planted::new(design, &self.defects) {
            Ok(planted) => Ok(planted),
            Err(error) => bail!(unknown_defect(design, &error.defect)),
        }
    }
}

fn unknown_design(name: &str) -> String {
    match near::near(name, designs::names()) {
        Some(near) => format!("no design is called `{name}`; near that are {near}"),
        None => format!(
            "no design is called `{name}`; there are {}",
            designs::listed()
        ),
    }
}

fn unknown_defect(design: &'static DesignInfo, name: &str) -> String {
    if design.posted().any(|posted| posted == name) {
        return format!("`{name}` is in the design {} anyway", design.name);
    }
    if design.unshown.contains(&name) {
        return format!(
            "`{name}` changes nothing that the design {} could show",
            design.name
        );
    }
    let whose = if designs::all().len() > 1 {
        format!("no defect of the design {} is", design.name)
    } else {
        "no defect is".to_owned()
    };
    let others = designs::all()
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
            let list = format!("{} defects --design {}", explain::hinted(), design.name);
            format!("{whose} called `{name}`; `{list}` lists them")
        }
    }
}
