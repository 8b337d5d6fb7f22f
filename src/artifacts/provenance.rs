//! What made a program: written into every artifact, compared when it is replayed.

use std::fmt;

use vmadiff::designs::Planted;

/// Of the package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit it was built from, or `unknown`.
pub const COMMIT: &str = env!("VMADIFF_COMMIT");
/// What `rustc --version` says.
pub const TOOLCHAIN: &str = env!("VMADIFF_TOOLCHAIN");

/// Version, commit, toolchain, design and defects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    version: String,
    toolchain: String,
    /// None: made before designs were told, or not by a candidate.
    design: Option<String>,
    defects: String,
}

/// How the comment starts that holds it.
const START: &str = "made by vmadiff ";
/// What stands for an empty list of defects.
const NO_DEFECTS: &str = "none";

impl Provenance {
    /// That of this program, and of the candidate that ran, if one did.
    pub fn here(planted: Option<&Planted>) -> Self {
        let defects = planted.map_or(&[][..], Planted::defects);
        Self {
            version: format!("{VERSION} ({COMMIT})"),
            toolchain: TOOLCHAIN.to_owned(),
            design: planted.map(|planted| planted.design().name.to_owned()),
            defects: if defects.is_empty() {
                NO_DEFECTS.to_owned()
            } else {
                defects.join(", ")
            },
        }
    }

    /// All but the toolchain, which has no part in what a program does.
    #[cfg(feature = "engine")]
    pub fn without_toolchain(self) -> Self {
        Self {
            toolchain: String::new(),
            ..self
        }
    }

    /// Reads what `Display` wrote; `None` if the comment is about something else.
    pub fn parse(comment: &str) -> Option<Self> {
        let mut parts = comment.trim().strip_prefix(START)?.splitn(3, "; ");
        let (version, toolchain, rest) = (parts.next()?, parts.next()?, parts.next()?);
        let (design, rest) = match rest.strip_prefix("design: ") {
            Some(rest) => {
                let (design, rest) = rest.split_once("; ")?;
                (Some(design.to_owned()), rest)
            }
            None => (None, rest),
        };
        Some(Self {
            version: version.to_owned(),
            toolchain: toolchain.to_owned(),
            design,
            defects: rest.strip_prefix("defects: ")?.to_owned(),
        })
    }

    /// The candidate's design, if it is told.
    pub fn design(&self) -> Option<&str> {
        self.design.as_deref()
    }

    /// The defects that were planted in it.
    pub fn defects(&self) -> impl Iterator<Item = &str> {
        self.defects.split(", ").filter(|&name| name != NO_DEFECTS)
    }

    /// What differs from `now`, a sentence each.
    pub fn differences(&self, now: &Self) -> Vec<String> {
        let fields = [
            ("vmadiff", Some(&self.version), Some(&now.version)),
            ("toolchain", Some(&self.toolchain), Some(&now.toolchain)),
            ("design", self.design.as_ref(), now.design.as_ref()),
            ("defects", Some(&self.defects), Some(&now.defects)),
        ];
        let known = fields
            .into_iter()
            .filter_map(|(name, then, now)| Some((name, then?, now?)));
        let differs = known.filter(|(_, then, now)| then != now);
        differs
            .map(|(name, then, now)| format!("made with {name} {then}, this is {now}"))
            .collect()
    }
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            version,
            toolchain,
            design,
            defects,
        } = self;
        write!(f, "{START}{version}; {toolchain}; ")?;
        if let Some(design) = design {
            write!(f, "design: {design}; ")?;
        }
        write!(f, "defects: {defects}")
    }
}

#[cfg(test)]
mod tests {
    use vmadiff::designs::{self, DESIGNS};

    use super::*;

    #[test]
    fn what_is_written_is_read_and_compared() {
        let design = DESIGNS[0];
        let names: Vec<&str> = designs::defects(design).map(|info| info.name).collect();
        let (one, other) = (names[0].min(names[1]), names[0].max(names[1]));
        let planted = Planted::new(design, &[other, one]).unwrap();
        let with = Provenance::here(Some(&planted));
        assert_eq!(Provenance::parse(&with.to_string()), Some(with.clone()));
        let without = Provenance::here(Some(&Planted::default()));
        assert_eq!(
            with.differences(&without),
            [format!("made with defects {one}, {other}, this is none")]
        );
        assert_eq!(with.differences(&with), Vec::<String>::new());
        assert_eq!(Provenance::parse("unmapping the tail of an area"), None);
    }

    #[test]
    fn another_design_is_told_and_an_old_file_tells_none() {
        let here = Provenance::here(Some(&Planted::default()));
        let name = DESIGNS[0].name;
        let text = here.to_string();
        let other = text.replace(&format!("design: {name}"), "design: other");
        let other = Provenance::parse(&other).expect("the same form");
        assert_eq!(
            other.differences(&here),
            [format!("made with design other, this is {name}")]
        );
        let old = text.replace(&format!("design: {name}; "), "");
        let old = Provenance::parse(&old).expect("the form of old files");
        assert_eq!(old.differences(&here), Vec::<String>::new());
    }
}
