//! What made a program: written into every artifact, compared when it is replayed.

use std::fmt;

/// Of the package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit it was built from, or `unknown`.
pub const COMMIT: &str = env!("VMADIFF_COMMIT");
/// What `rustc --version` says.
pub const TOOLCHAIN: &str = env!("VMADIFF_TOOLCHAIN");

/// Version, commit, toolchain and defects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    version: String,
    toolchain: String,
    defects: String,
}

/// How the comment starts that holds it.
const START: &str = "made by vmadiff ";
/// What stands for an empty list of defects.
const NO_DEFECTS: &str = "none";

impl Provenance {
    /// That of this program with these defects enabled.
    pub fn here(defects: &[String]) -> Self {
        Self {
            version: format!("{VERSION} ({COMMIT})"),
            toolchain: TOOLCHAIN.to_owned(),
            defects: if defects.is_empty() {
                NO_DEFECTS.to_owned()
            } else {
                defects.join(", ")
            },
        }
    }

    /// Reads what `Display` wrote; `None` if the comment is about something else.
    pub fn parse(comment: &str) -> Option<Self> {
        let mut parts = comment.trim().strip_prefix(START)?.splitn(3, "; ");
        Some(Self {
            version: parts.next()?.to_owned(),
            toolchain: parts.next()?.to_owned(),
            defects: parts.next()?.strip_prefix("defects: ")?.to_owned(),
        })
    }

    /// What differs from `now`, a sentence each.
    pub fn differences(&self, now: &Self) -> Vec<String> {
        let fields = [
            ("vmadiff", &self.version, &now.version),
            ("toolchain", &self.toolchain, &now.toolchain),
            ("defects", &self.defects, &now.defects),
        ];
        let differs = fields.into_iter().filter(|(_, then, now)| then != now);
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
            defects,
        } = self;
        write!(f, "{START}{version}; {toolchain}; defects: {defects}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_compared() {
        let with = Provenance::here(&["put-twice".to_owned(), "no-get".to_owned()]);
        assert_eq!(Provenance::parse(&with.to_string()), Some(with.clone()));
        let without = Provenance::here(&[]);
        assert_eq!(
            with.differences(&without),
            ["made with defects put-twice, no-get, this is none"]
        );
        assert_eq!(with.differences(&with), Vec::<String>::new());
        assert_eq!(Provenance::parse("unmapping the tail of an area"), None);
    }
}
