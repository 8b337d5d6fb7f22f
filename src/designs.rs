//! The designs that there are, and a design with defects planted in it. The one place of the
//! harness that names a design's crate.

use std::fmt;
use std::sync::{Arc, OnceLock};

use vmadiff_contract::{
    Boot, Breach, Config, DefectInfo, DefectKind, DesignInfo, EventSink, Manager,
};

use crate::compare::Terms;

/// Every design of this project; the first is meant where none is named.
pub static DESIGNS: &[&DesignInfo] = &[
    &vmadiff_spf::DESIGN,
    &vmadiff_spf::AS_POSTED,
    &vmadiff_spf::KREF,
    &vmadiff_classic::DESIGN,
    &vmadiff_mmseq::DESIGN,
    &vmadiff_mmseq::AS_POSTED,
    &vmadiff_vmalock::DESIGN,
];

/// A manager of somebody else's that stands beside the reference in this process, as a design does.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it says of itself.
    pub design: &'static DesignInfo,
    /// On what terms it is compared.
    pub terms: Terms,
    /// Variants of it with a defect, by the defect's name.
    pub mutants: Vec<(&'static str, Boot)>,
}

/// Managers that stand in the place of this project's designs, and what they are called.
struct Others {
    designs: Vec<&'static DesignInfo>,
    entries: Vec<Entry>,
}

static OTHERS: OnceLock<Others> = OnceLock::new();

/// Whether a character may stand in a design's name, as program text and command lines have it.
pub fn is_of_name(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_'
}

/// Has these managers stand in the place of the designs, in all of this process and from its start.
///
/// # Panics
/// If there are none, one has a name that nobody could write in a program's text, two have one name, or it
/// was said before.
pub fn register(entries: Vec<Entry>) {
    let designs: Vec<_> = entries.iter().map(|entry| entry.design).collect();
    assert!(!designs.is_empty(), "expected a manager to compare");
    for (index, design) in designs.iter().enumerate() {
        let name = design.name;
        assert!(
            !name.is_empty() && name.chars().all(is_of_name),
            "a manager is called `{name}`, expected lower case letters, digits, dashes and underscores"
        );
        let again = designs[..index].contains(design);
        assert!(!again, "two managers are called `{}`", design.name);
    }
    let first = OTHERS.set(Others { designs, entries }).is_ok();
    assert!(first, "which managers are compared is said once");
}

/// All that can stand beside the reference; the first is meant where none is named.
pub fn all() -> &'static [&'static DesignInfo] {
    OTHERS.get().map_or(DESIGNS, |others| &others.designs)
}

/// The one that is meant where none is named.
pub fn first() -> &'static DesignInfo {
    all()[0]
}

/// Whether what stands beside the reference is this project's own.
pub fn are_own() -> bool {
    OTHERS.get().is_none()
}

fn entry(design: &'static DesignInfo) -> Option<&'static Entry> {
    let mut entries = OTHERS.get()?.entries.iter();
    entries.find(|entry| entry.design == design)
}

/// On what terms a design is compared.
pub fn terms(design: &'static DesignInfo) -> Terms {
    entry(design).map_or_else(Terms::default, |entry| entry.terms.clone())
}

/// The design of this name.
pub fn from_name(name: &str) -> Option<&'static DesignInfo> {
    all().iter().copied().find(|design| design.name == name)
}

/// The defects that can be planted in a design: those that it declares, but not what it cannot show,
/// nor what it has anyway since it is as posted.
pub fn defects(design: &'static DesignInfo) -> impl Iterator<Item = &'static DefectInfo> {
    let declared = design.defects.iter().copied().flatten();
    declared.filter(|info| {
        let unshown = design.unshown.contains(&info.name);
        !unshown && !design.posted().any(|posted| posted == info.name)
    })
}

/// What designs are called.
pub fn names() -> impl Iterator<Item = &'static str> {
    all().iter().map(|design| design.name)
}

/// What designs are called, for people.
pub(crate) fn listed() -> String {
    names().collect::<Vec<_>>().join(", ")
}

/// Whether calls of a design can be interleaved: it has points at which another task can run.
pub fn interleaves(design: &DesignInfo) -> bool {
    design.sites.iter().copied().flatten().next().is_some()
}

/// What differs of calls and of what they leave.
const DIFFERS: [&str; 2] = ["outcome", "state"];
/// How that shows in a race, which is told by the step at which they part.
const AT_STEPS: [&str; 3] = ["fault-unexplained", "stale-entry", "lost-store"];

/// Whether a defect shows by this rule, if it is in a design.
pub fn shows_by(design: &'static DesignInfo, info: &DefectInfo, rule: &str) -> bool {
    let rules = rules(design, info);
    rules.is_empty() || rules.contains(&rule)
}

/// The rules of which one must fire where a design has a defect, by name; none: any.
pub fn rules(design: &'static DesignInfo, info: &DefectInfo) -> Vec<&'static str> {
    let own = design.also_fires.iter();
    let own = own.filter(|(defect, _)| *defect == info.name);
    let own = own.map(|(_, rule)| *rule);
    let differs = info.rules.iter().any(|rule| DIFFERS.contains(rule));
    let raced = differs && info.kind == DefectKind::Interleaved;
    let at_steps = AT_STEPS.iter().copied().filter(|_| raced);
    info.rules
        .iter()
        .copied()
        .chain(own)
        .chain(at_steps)
        .collect()
}

/// Rules that designs declare of their own protocols, each once.
pub fn breaches() -> impl Iterator<Item = &'static Breach> {
    let each = || {
        let of_each = all().iter().flat_map(|design| design.breaches);
        of_each.copied().flatten().copied()
    };
    each().enumerate().filter_map(move |(i, breach)| {
        let first = each().position(|other| other.rule == breach.rule);
        (first == Some(i)).then_some(breach)
    })
}

/// A design and the defects that are planted in it: what stands beside the reference.
#[derive(Clone)]
pub struct Planted {
    design: &'static DesignInfo,
    /// In the order of their names, each once.
    defects: Vec<&'static str>,
}

impl Planted {
    /// A design without defects.
    pub fn nothing(design: &'static DesignInfo) -> Self {
        Self {
            design,
            defects: Vec::new(),
        }
    }

    /// These defects in a design.
    ///
    /// # Errors
    /// The first name that is none of the design's defects.
    pub fn new<N: AsRef<str>>(
        design: &'static DesignInfo,
        names: &[N],
    ) -> Result<Self, UnknownDefect> {
        let mut planted = Self::nothing(design);
        for name in names.iter().map(AsRef::as_ref) {
            let info = defects(design).find(|info| info.name == name);
            let info = info.ok_or_else(|| UnknownDefect {
                design: design.name,
                defect: name.to_owned(),
            })?;
            planted.defects.push(info.name);
        }
        planted.defects.sort_unstable();
        planted.defects.dedup();
        Ok(planted)
    }

    /// One defect, by name, in the first design that has it.
    ///
    /// # Panics
    /// If none has.
    pub fn defect(name: &str) -> Self {
        let mut planted = all().iter().map(|design| Self::new(design, &[name]));
        let first = planted.find_map(Result::ok);
        first.unwrap_or_else(|| panic!("no design has a defect `{name}`"))
    }

    /// The design.
    pub fn design(&self) -> &'static DesignInfo {
        self.design
    }

    /// The names of the defects, in order.
    pub fn defects(&self) -> &[&'static str] {
        &self.defects
    }

    /// Boots a manager of the design with the defects.
    pub fn boot(&self, config: &Config, events: Arc<dyn EventSink>) -> Box<dyn Manager> {
        let mutants = entry(self.design).map_or(&[][..], |entry| &entry.mutants);
        let planted = |(name, _): &&(&'static str, Boot)| self.defects.contains(name);
        let boot = mutants.iter().find(planted);
        let boot = boot.map_or(self.design.boot, |&(_, boot)| boot);
        boot(config, events, &self.defects)
    }
}

/// The first design, without defects.
impl Default for Planted {
    fn default() -> Self {
        Self::nothing(first())
    }
}

impl fmt::Debug for Planted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with {:?}", self.design.name, self.defects)
    }
}

/// A design has no defect of this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownDefect {
    /// The design's name.
    pub design: &'static str,
    /// The name that was asked for.
    pub defect: String,
}

impl fmt::Display for UnknownDefect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { design, defect } = self;
        write!(f, "no defect is called `{defect}` in the design {design}")
    }
}

impl std::error::Error for UnknownDefect {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Lists of a machine and of a design on it are one list; a name in both would mean two things.
    #[test]
    fn what_a_design_declares_is_declared_once() {
        for design in DESIGNS {
            let once = |what: &str, names: Vec<&str>| {
                let distinct: BTreeSet<&str> = names.iter().copied().collect();
                assert_eq!(distinct.len(), names.len(), "{}: {what}", design.name);
            };
            once("sites", design.sites.concat());
            once("defects", defects(design).map(|info| info.name).collect());
            let reasons = design.reasons.concat();
            once(
                "reasons",
                reasons.iter().map(|reason| reason.name).collect(),
            );
            let numbers: BTreeSet<u8> = reasons.iter().map(|reason| reason.number).collect();
            assert_eq!(numbers.len(), reasons.len(), "{}", design.name);
            assert!(
                numbers
                    .iter()
                    .all(|&number| number < vmadiff_contract::Reason::MAX)
            );
            assert!(design.counts.len() <= vmadiff_contract::COUNTS);
        }
    }

    #[test]
    fn names_are_plain_and_lead_back() {
        for design in DESIGNS {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(design.name.chars().all(plain), "{}", design.name);
            let found = from_name(design.name).map(|found| found.name);
            assert_eq!(found, Some(design.name));
            for info in defects(design) {
                let planted = Planted::new(design, &[info.name, info.name]).unwrap();
                assert_eq!(planted.defects(), [info.name]);
            }
        }
        assert!(Planted::new(DESIGNS[0], &["no-such-defect"]).is_err());
    }
}
