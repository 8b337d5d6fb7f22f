//! What tells a finding from others, and what becomes of two that are the same.

use std::collections::BTreeMap;
use std::path::Path;

use vmadiff::designs::Planted;
use vmadiff::program::Case;

use super::Provenance;

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
            *most = count(&case).max(*most);
        }
    }
    before
}

/// How the comment starts and ends that tells how often a finding was kept.
const COUNT: (&str, &str) = ("found ", " times");

/// How often a finding was kept; once if nothing is said.
pub fn count(case: &Case) -> u64 {
    let mut comments = case.comments.iter();
    let counted = comments.find_map(|(_, comment)| counted(comment));
    counted.unwrap_or(1)
}

fn counted(comment: &str) -> Option<u64> {
    let number = comment.trim().strip_prefix(COUNT.0)?;
    number.strip_suffix(COUNT.1)?.parse().ok()
}

/// One artifact of two with the same identity: the smaller program, and both counts.
pub fn merged(old: &Case, new: &Case) -> Case {
    let size = |case: &Case| (case.program.calls.len(), case.program.encode().len());
    let smaller = if size(new) < size(old) { new } else { old };
    let mut merged = smaller.clone();
    merged
        .comments
        .retain(|(_, comment)| counted(comment).is_none());
    let times = count(old).saturating_add(count(new));
    let head = merged.comments.iter().take_while(|(at, _)| *at == 0);
    let told = format!("{}{times}{}", COUNT.0, COUNT.1);
    let place = head.count();
    merged.comments.insert(place, (0, told));
    merged
}
