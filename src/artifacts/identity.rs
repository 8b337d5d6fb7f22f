//! What tells a finding from others, and which of two that are the same stays.

use std::collections::BTreeMap;
use std::path::Path;

use vmadiff::designs::Planted;
use vmadiff::program::Case;

use super::Provenance;
use super::counts::Counts;

/// A finding's signature, and what made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    signature: String,
    /// Without the toolchain, which has no part in it.
    made_by: Provenance,
}

impl Identity {
    /// That of an artifact; `None` if the text is something else.
    pub fn of(case: &Case) -> Option<Self> {
        let mut comments = case.comments.iter().map(|(_, comment)| comment.trim());
        let (signature, _) = comments.next()?.split_once(": ")?;
        let made_by = comments.find_map(Provenance::parse)?;
        Some(Self {
            signature: signature.to_owned(),
            made_by: made_by.without_toolchain(),
        })
    }
}

/// How often each signature was kept in a folder by what runs now: this version, this design, these
/// defects; none: not by a candidate. What cannot be read or is no artifact is left out.
pub fn kept_before(folder: &Path, planted: Option<&Planted>) -> BTreeMap<String, u64> {
    let here = Provenance::here(planted).without_toolchain();
    let counts = Counts::of(folder);
    let mut before = BTreeMap::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
        let Ok(case) = Case::parse("", &text) else {
            continue;
        };
        if let Some(identity) = Identity::of(&case)
            && identity.made_by == here
        {
            let most: &mut u64 = before.entry(identity.signature).or_default();
            let name = entry.file_name();
            *most = counts.get(&name.to_string_lossy(), &case).max(*most);
        }
    }
    before
}

/// Whether a program is smaller than another one.
pub fn is_smaller(one: &Case, other: &Case) -> bool {
    let size = |case: &Case| (case.program.calls.len(), case.program.encode().len());
    size(one) < size(other)
}
