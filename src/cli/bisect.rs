//! `vmadiff bisect`: what makes a program diverge. Which defects or deviations, and in which designs;
//! and, by its exit status, in which commits.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use vmadiff::designs::{self, Planted, defects};
use vmadiff::judge::Verdict;
use vmadiff::pair::pair;
use vmadiff::program::{Case, Program};
use vmadiff_contract::DesignInfo;

use super::designs::Asked;
use super::input::read_case;
use super::output::{complain, print};
use super::paint;
use crate::artifacts::Provenance;
use crate::status::Status;

/// Says which defects, deviations or designs make a program diverge.
///
/// The program is run as the design and the defects that are asked for or, if none are, as those that its
/// text says it was found with. If it diverges, it is run again: with fewer defects; with each defect of
/// the design alone, to see which bring the same signature; and by every other design. A design as posted
/// is taken apart into its deviations.
///
/// The exit status is made for `git bisect run`: what cannot be told of a commit (the program is not
/// understood there, the run is left unjudged, it diverges in another way than --signature) is 125.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    vmadiff bisect artifacts/outcome-munmap-value.vma\n  \
    vmadiff bisect --design spf-as-posted found.vma\n  \
    git bisect run sh -c 'cargo build --release || exit 125; \\\n      \
    target/release/vmadiff bisect --signature outcome/munmap/value found.vma'\n\n\
    Exit status: 0 the managers agree, 1 they diverge, 125 it cannot be told; 2 wrong usage.")]
pub struct Args {
    /// The program; `-` is standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Only a divergence with this signature counts.
    #[arg(long, value_name = "SIGNATURE")]
    signature: Option<String>,
    /// Prints an object as JSON.
    #[arg(long)]
    json: bool,
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "verdict", content = "is")]
enum Came {
    Agrees,
    /// With this signature.
    Diverges(String),
    /// It was left unjudged, and why.
    Skipped(String),
}

/// A design with defects, and what it came to.
#[derive(Debug, Serialize)]
struct Tried {
    design: &'static str,
    defects: Vec<&'static str>,
    came: Came,
}

/// What was found out.
#[derive(Debug, Serialize)]
struct Answer {
    run: Tried,
    /// Defects without which it does not diverge so; empty: it diverges without any.
    needs: Vec<&'static str>,
    /// Single defects and deviations that bring the same signature, each alone in a design that agrees.
    alone: Vec<Tried>,
    /// Other designs, without defects.
    designs: Vec<Tried>,
}

/// Never an error that is none of the user's: a commit that cannot read the program is to be skipped.
pub fn run(args: &Args, asked: Asked) -> Status {
    match answer(args, asked) {
        Ok(status) => status,
        Err(error) => {
            complain(&error);
            Status::CannotTell
        }
    }
}

fn answer(args: &Args, asked: Asked) -> Result<Status> {
    let (case, _) = read_case(&args.file)?;
    let planted = as_found(asked, &case)?;
    let came = came(&planted, &case.program);
    let status = status(&came, args.signature.as_deref());
    let answer = Answer::of(&planted, came, &case.program);
    if args.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&answer)?))?;
    } else {
        print(&answer.to_string())?;
    }
    Ok(status)
}

fn status(came: &Came, wanted: Option<&str>) -> Status {
    match came {
        Came::Agrees => Status::Agreed,
        Came::Diverges(signature) if wanted.is_none_or(|wanted| wanted == signature) => {
            Status::Diverged
        }
        Came::Diverges(_) | Came::Skipped(_) => Status::CannotTell,
    }
}

/// What is asked for; if that is nothing, what the text says.
fn as_found(asked: Asked, case: &Case) -> Result<Planted> {
    let asks = asked.design.is_some() || !asked.defects.is_empty();
    let mut comments = case.comments.iter();
    let found = comments.find_map(|(_, text)| Provenance::parse(text));
    let Some(found) = found.filter(|_| !asks) else {
        return asked.for_case(case);
    };
    let named = found.design().map(|name| {
        let design = designs::from_name(name);
        design.with_context(|| format!("the design {name}, by which it was found, is not known"))
    });
    let design = named
        .transpose()?
        .or(case.design)
        .unwrap_or(designs::first());
    let names: Vec<&str> = found.defects().collect();
    match Planted::new(design, &names) {
        Ok(planted) => Ok(planted),
        Err(error) => bail!("{error}, with which it was found"),
    }
}

fn came(planted: &Planted, program: &Program) -> Came {
    match pair(planted).observe_twice(program).verdict {
        Verdict::Agree => Came::Agrees,
        Verdict::Skip(why) => Came::Skipped(why),
        Verdict::Diverge(found) => Came::Diverges(found.signature.to_string()),
    }
}

impl Tried {
    fn new(planted: &Planted, came: Came) -> Self {
        Self {
            design: planted.design().name,
            defects: planted.defects().to_vec(),
            came,
        }
    }
}

impl Answer {
    fn of(planted: &Planted, first: Came, program: &Program) -> Self {
        let design = planted.design();
        let diverges = matches!(first, Came::Diverges(_));
        let (needs, alone) = if diverges {
            (
                needs(planted, &first, program),
                alone(design, &first, program),
            )
        } else {
            (Vec::new(), Vec::new())
        };
        let others = designs::all().iter().copied();
        let others = others.filter(|&other| other != design || !planted.defects().is_empty());
        let others = others.map(Planted::nothing);
        Self {
            run: Tried::new(planted, first),
            needs,
            alone,
            designs: others
                .map(|other| Tried::new(&other, came(&other, program)))
                .collect(),
        }
    }
}

/// Takes defects away as long as it diverges as before.
fn needs(planted: &Planted, wanted: &Came, program: &Program) -> Vec<&'static str> {
    let mut left = planted.defects().to_vec();
    for &name in planted.defects() {
        let fewer: Vec<&str> = left
            .iter()
            .copied()
            .filter(|&other| other != name)
            .collect();
        let fewer = Planted::new(planted.design(), &fewer).expect("some of those that there are");
        if came(&fewer, program) == *wanted {
            left = fewer.defects().to_vec();
        }
    }
    left
}

/// Each defect alone, where the design agrees without any; one as posted is looked at as what it is a
/// form of, whose defects its deviations are.
fn alone(design: &'static DesignInfo, wanted: &Came, program: &Program) -> Vec<Tried> {
    let base = design.form_of.filter(|_| design.as_posted);
    let design = base.and_then(designs::from_name).unwrap_or(design);
    if came(&Planted::nothing(design), program) != Came::Agrees {
        return Vec::new();
    }
    let each = defects(design)
        .map(|info| Planted::new(design, &[info.name]).expect("a defect that the design declares"));
    let tried = each.map(|planted| Tried::new(&planted, came(&planted, program)));
    tried.filter(|tried| tried.came == *wanted).collect()
}

impl fmt::Display for Came {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agrees => f.write_str(&paint::good("agrees")),
            Self::Diverges(signature) => write!(f, "{} {signature}", paint::bad("diverges")),
            Self::Skipped(why) => write!(f, "{} {why}", paint::warning("left unjudged:")),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            run,
            needs,
            alone,
            designs,
        } = self;
        let with = |names: &[&str]| match names {
            [] => "without defects".to_owned(),
            names => format!("with {}", names.join(", ")),
        };
        writeln!(f, "{}, {}: {}", run.design, with(&run.defects), run.came)?;
        if *needs != run.defects {
            writeln!(f, "  the same {}", with(needs))?;
        }
        if !alone.is_empty() {
            writeln!(f, "\nThe same by one defect alone:")?;
        }
        for tried in alone {
            let name = tried.defects.first().copied().unwrap_or_default();
            writeln!(f, "  {name:32} in {}", tried.design)?;
        }
        writeln!(f, "\nOther designs, without defects:")?;
        for tried in designs {
            writeln!(f, "  {:32} {}", tried.design, tried.came)?;
        }
        Ok(())
    }
}
