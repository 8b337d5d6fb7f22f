//! Many programs at once: by signature, how many show it, and the smallest that does.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use serde::Serialize;

use super::Outcome;
use crate::cli::input::name;
use crate::cli::output::path_in_json;
use crate::cli::paint;
use crate::counted::counted;

/// Stands for a signature where the managers agree, but not with what the program expects.
const UNMET: &str = "unmet expectation";

/// Stands for a signature where what the program expects could not be asked.
const UNASKED: &str = "unasked expectation";

/// Stands for a signature of files that could not be read.
const UNREADABLE: &str = "unreadable";

/// Expectations of one file that are listed below the table.
const LISTED: usize = 10;

/// The programs of one signature, as `--json` prints them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    pub signature: String,
    pub count: usize,
    /// Of the smallest.
    pub calls: usize,
    #[serde(serialize_with = "path_in_json")]
    pub smallest: PathBuf,
}

/// Groups what is not fine, the largest group first.
pub fn groups(outcomes: &[Outcome]) -> Vec<Group> {
    let mut by_signature: BTreeMap<&str, Vec<&Outcome>> = BTreeMap::new();
    for outcome in outcomes.iter().filter(|outcome| !outcome.is_fine()) {
        let fallback = if outcome.error.is_some() {
            UNREADABLE
        } else if outcome.unmet.is_empty() {
            UNASKED
        } else {
            UNMET
        };
        let signature = outcome.signature.as_deref().unwrap_or(fallback);
        by_signature.entry(signature).or_default().push(outcome);
    }
    let mut groups: Vec<Group> = by_signature.into_iter().filter_map(group).collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    groups
}

fn group((signature, members): (&str, Vec<&Outcome>)) -> Option<Group> {
    let smallest = members.iter().min_by_key(|member| member.calls)?;
    Some(Group {
        signature: signature.to_owned(),
        count: members.len(),
        calls: smallest.calls,
        smallest: smallest.file.clone(),
    })
}

/// The table for people.
pub fn text(outcomes: &[Outcome]) -> String {
    let groups = groups(outcomes);
    let mut out = String::new();
    if !groups.is_empty() {
        let width = groups.iter().map(|group| group.signature.len()).max();
        let width = width.unwrap_or(0).max("signature".len());
        let head = format!("{:width$}  count  calls  smallest", "signature");
        out += &paint::line(paint::STRONG, &head);
        for group in &groups {
            let Group {
                signature,
                count,
                calls,
                smallest,
            } = group;
            let signature = paint::bad(&format!("{signature:width$}"));
            writeln!(
                out,
                "{signature}  {count:>5}  {calls:>5}  {}",
                name(smallest)
            )
            .expect("a String takes all");
        }
    }
    out += &unmet(outcomes);
    let unreadable = outcomes.iter().filter(|outcome| outcome.error.is_some());
    let unreadable = unreadable.count();
    let fine = outcomes.iter().filter(|outcome| outcome.is_fine());
    let skipped = fine.clone().filter(|outcome| outcome.skipped.is_some());
    writeln!(
        out,
        "{}: {} failed, {} agree, {} skipped{}",
        counted(outcomes.len(), "program"),
        groups.iter().map(|group| group.count).sum::<usize>() - unreadable,
        fine.count() - skipped.clone().count(),
        skipped.count(),
        match unreadable {
            0 => String::new(),
            some => format!(", {some} unreadable"),
        },
    )
    .expect("a String takes all");
    out
}

/// Which expectation of which file was not met, or not asked, a line each.
fn unmet(outcomes: &[Outcome]) -> String {
    let mut out = String::new();
    for outcome in outcomes {
        let lines = outcome.unmet.iter().chain(&outcome.unasked);
        for line in lines.clone().take(LISTED) {
            writeln!(out, "{line}").expect("a String takes all");
        }
        let more = lines.count().saturating_sub(LISTED);
        if more > 0 {
            let file = name(&outcome.file);
            let more = counted(more, "more expectation");
            writeln!(out, "{file}: and {more}").expect("a String takes all");
        }
    }
    out
}
