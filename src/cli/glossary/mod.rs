//! `vmadiff explain`: what the words in the command's output mean, and where each is from.

mod states;
mod told;
mod words;

use std::fmt::Write;

use anyhow::{Result, bail};
use serde::Serialize;
use vmadiff::designs::{defects, rules, terms};
use vmadiff::interleave::sim::SITES;
use vmadiff::interleave::{Site, at};
use vmadiff::judge::RULES;
use vmadiff::judge::steps::{ALONE, MARKS, step_names};
use vmadiff::program::sites::Sites;
use vmadiff_contract::{CallKind, DesignInfo, Errno, Known, Origin};

use super::designs::Asked;
use super::explain;
use super::near::near;
use super::output::print;
use super::paint;
use crate::status::Status;
use states::{FLAGS, STATES};
use told::TOLD;
use words::{CALLS, OUTCOMES, WORDS};

/// Explains a word of the command's output: a rule, a signature, a reason to give up, a defect, a
/// design, a known difference, a call, what a call came to, or a heading of a summary. With --design, of
/// that design's words and those that all have.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    vmadiff explain NoAnonVma\n  \
    vmadiff explain state/mmap/vmas.pgoff\n  \
    vmadiff explain vma-freed-once gave up NOTASK\n  \
    vmadiff explain")]
pub struct Args {
    /// The words; all that there are, without one.
    #[arg(value_name = "WORD")]
    words: Vec<String>,
    /// Prints a list as JSON.
    #[arg(long)]
    json: bool,
}

/// A word, as `--json` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Entry {
    word: String,
    /// What it is a word for.
    kind: &'static str,
    means: String,
    source: String,
}

pub fn run(args: &Args, asked: &Asked) -> Result<Status> {
    asked.refuse_defects("explain")?;
    let all = entries(&asked.designs());
    let mut found = Vec::new();
    for word in said(&args.words, &all) {
        let entries = explain(&word, &all);
        if entries.is_empty() {
            bail!(unknown(&word, &all));
        }
        found.extend(entries);
    }
    if args.words.is_empty() && !args.json {
        print(&list(&all))?;
        return Ok(Status::Agreed);
    }
    let told = if args.words.is_empty() { all } else { found };
    if args.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&told)?))?;
    } else {
        told.iter().try_for_each(|entry| print(&text(entry)))?;
    }
    Ok(Status::Agreed)
}

/// The words that were meant: some are of two, as `gave up` is, and need no quotes.
fn said(arguments: &[String], all: &[Entry]) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = arguments;
    while !rest.is_empty() {
        let known = (1..=rest.len()).rev().find(|&count| {
            let joined = rest[..count].join(" ");
            all.iter()
                .any(|entry| entry.word.eq_ignore_ascii_case(&joined))
        });
        let (word, after) = rest.split_at(known.unwrap_or(1));
        words.push(word.join(" "));
        rest = after;
    }
    words
}

/// All that is known of a word: it may be a rule and a defect, too.
fn explain(word: &str, all: &[Entry]) -> Vec<Entry> {
    let known = all
        .iter()
        .filter(|entry| entry.word.eq_ignore_ascii_case(word));
    let known: Vec<Entry> = known.cloned().collect();
    if known.is_empty() {
        signature(word, all).into_iter().collect()
    } else {
        known
    }
}

/// A signature: the rule; the call and the field that it names, or of a race the step at which it parts
/// and what it raced with.
fn signature(word: &str, all: &[Entry]) -> Option<Entry> {
    let parts: Vec<&str> = word.split('/').collect();
    let [rule, call, field] = parts[..] else {
        return None;
    };
    let rule = all
        .iter()
        // Who hangs or dies is found by a watch, and not by a rule.
        .find(|entry| {
            (entry.kind == RULE || ["crash", "hang"].contains(&rule)) && entry.word == rule
        })?;
    let is_call = CallKind::ALL.iter().any(|kind| kind.name() == call);
    let is_step = step_names().any(|step| step == call);
    let said = match (is_call, is_step, field) {
        (true, ..) => {
            format!("It shows at a call of {call}; what differs, or is concerned, is `{field}`.")
        }
        (_, true, ALONE) => {
            format!("The race parts from the reference at `{call}`, and met nobody there.")
        }
        (_, true, MARKS) => format!(
            "The marks of `{call}` are in no order of the reference's steps, while another order explains the \
             run."
        ),
        (_, true, _) => format!(
            "The race parts from the reference at `{call}`, the step of a list of docs/steps.md; what made \
             it so is of the list `{field}`."
        ),
        _ => format!("It shows at {call}; what differs, or is concerned, is `{field}`."),
    };
    Some(Entry {
        word: word.to_owned(),
        kind: "signature: what tells a kind of divergence from others",
        means: format!("{} {said}", rule.means),
        source: rule.source.clone(),
    })
}

/// Where calls say that they take effect.
static AT: [Site; 4] = [at::SECTION, at::FAULT, at::ACCESS, at::REFUSED];

const RULE: &str = "rule that a run can break";

/// Every word, by what it is for.
fn entries(designs: &[&'static DesignInfo]) -> Vec<Entry> {
    let entry = |kind, word: &str, means: &str, source: &str| Entry {
        word: word.to_owned(),
        kind,
        means: means.to_owned(),
        source: source.to_owned(),
    };
    let mut all = Vec::new();
    all.extend(
        WORDS.map(|(word, means, source)| entry("word of the command", word, means, source)),
    );
    for (kind, words) in [
        ("word of the command", TOLD),
        ("word of a state or of program text", STATES),
    ] {
        let words = words.iter();
        all.extend(words.map(|(word, means, source)| entry(kind, word, means, source)));
    }
    all.extend(FLAGS.iter().map(|(word, means)| {
        let source = format!("VM_{} of Linux 5.1", word.to_uppercase());
        entry("flag of an area", word, means, &source)
    }));
    all.extend(
        OUTCOMES.map(|(word, means, source)| entry("what a call comes to", word, means, source)),
    );
    all.extend(Errno::ALL.iter().map(|errno| {
        let means = "The call failed with this error; a report tells which rule says so.";
        entry(
            "what a call comes to",
            errno.name(),
            means,
            "errno(3), docs/rules.md",
        )
    }));
    all.extend(CallKind::ALL.iter().map(|kind| {
        let own = CALLS.iter().find(|(own, ..)| own == kind);
        let (means, source) = match own {
            Some((_, means, source)) => (*means, (*source).to_owned()),
            None => (
                "The system call.",
                format!("{}(2), docs/rules.md", kind.name()),
            ),
        };
        entry("call of a program", kind.name(), means, &source)
    }));
    all.extend(
        RULES
            .iter()
            .map(|rule| entry(RULE, rule.name, rule.says, rule.source)),
    );
    for &design in designs {
        let breaches = design.breaches.iter().copied().flatten();
        all.extend(breaches.map(|breach| entry(RULE, breach.rule, breach.says, breach.source)));
        let (name, from) = (design.name, design.source);
        all.push(entry("design", name, design.what, from));
        let reasons = design.reasons.iter().copied().flatten();
        let kind = "reason for which a fault gives up and goes on under mmap_sem";
        all.extend(reasons.map(|reason| entry(kind, reason.name, reason.what, from)));
        all.extend(defects(design).map(|defect| {
            let rules = rules(design, defect).join(", ");
            let means = match rules.as_str() {
                "" => defect.what.to_owned(),
                rules => format!("{} It breaks: {rules}.", defect.what),
            };
            entry(
                "defect that --defect plants",
                defect.name,
                &means,
                defect.source,
            )
        }));
    }
    let steps = step_names().map(|step| {
        let means = format!(
            "A step of {}: a race is followed step by step.",
            list_of(step)
        );
        entry("step of a call", step, &means, "docs/steps.md")
    });
    all.extend(steps);
    let of_designs = designs.iter().map(|design| Sites::of_design(design));
    let of_all = SITES.iter().chain(&AT);
    for site in of_all.chain(of_designs.flat_map(|sites| sites.all().iter())) {
        let name = site.name;
        let means = format!("Another task can go on there, as by `switch: 1@{name}#1 -> 2`.");
        all.push(entry("point of a race", name, &means, "docs/races.md"));
    }
    for &design in designs {
        let terms = terms(design);
        let known = terms.known.iter().chain(terms.always_known());
        all.extend(known.map(|known| of_known(known, design.name, "rules")));
    }
    all.extend(vmadiff_linux::known().map(|known| of_known(known, "Linux", "newer-kernels")));
    // Designs share what the machine under them declares.
    let mut once: Vec<Entry> = Vec::new();
    for entry in all {
        if !once
            .iter()
            .any(|other| (&other.word, other.kind) == (&entry.word, entry.kind))
        {
            once.push(entry);
        }
    }
    once
}

/// The list that a step's name begins with.
fn list_of(step: &str) -> &str {
    step.split_once('.').map_or(step, |(list, _)| list)
}

/// A known difference of a manager or of Linux; `page` is the one whose sections tell of it.
fn of_known<M: ?Sized>(known: &Known<M>, whose: &str, page: &str) -> Entry {
    let why = match known.origin {
        Origin::Changed(change) => format!("{whose}, {change}"),
        Origin::Chosen => format!("{whose}, all releases that were seen"),
    };
    let section = known
        .section
        .map(|section| format!("; docs/{page}.md, {section}"));
    let means = if known.what.is_empty() {
        known.name
    } else {
        known.what
    };
    Entry {
        word: known.name.to_owned(),
        kind: "known difference: told and counted, and no finding",
        means: means.to_owned(),
        source: why + &section.unwrap_or_default(),
    }
}

fn text(entry: &Entry) -> String {
    let Entry {
        word,
        kind,
        means,
        source,
    } = entry;
    format!(
        "{} ({kind})\n  {means}\n  from {source}\n",
        paint::strong(word)
    )
}

/// All words, a line for each kind.
fn list(all: &[Entry]) -> String {
    let mut out = String::new();
    let mut kinds: Vec<&str> = Vec::new();
    for entry in all {
        if !kinds.contains(&entry.kind) {
            kinds.push(entry.kind);
        }
    }
    for kind in kinds {
        let words = all.iter().filter(|entry| entry.kind == kind);
        let words: Vec<&str> = words.map(|entry| entry.word.as_str()).collect();
        writeln!(out, "{}\n  {}", paint::strong(kind), words.join(", "))
            .expect("a String takes all");
    }
    out
}

fn unknown(word: &str, all: &[Entry]) -> String {
    match near(word, all.iter().map(|entry| entry.word.as_str())) {
        Some(names) => format!("`{word}` is no word of this command; near that are {names}"),
        None => {
            let myself = explain::hinted();
            format!("`{word}` is no word of this command; `{myself} explain` lists them")
        }
    }
}

#[cfg(test)]
mod tests {
    use vmadiff::designs::DESIGNS;

    use super::*;

    #[test]
    fn every_word_has_a_meaning_and_a_source() {
        let all = entries(DESIGNS);
        for Entry {
            word,
            means,
            source,
            ..
        } in &all
        {
            assert!(!means.is_empty() && !source.is_empty(), "{word}");
        }
        let kinds: std::collections::BTreeSet<&str> = all.iter().map(|entry| entry.kind).collect();
        assert_eq!(kinds.len(), 12, "{kinds:?}");
    }

    #[test]
    fn words_of_two_need_no_quotes() {
        let all = entries(DESIGNS);
        let said = |arguments: &[&str]| {
            let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
            said(&arguments, &all)
        };
        assert_eq!(said(&["skip", "gave", "up"]), ["skip", "gave up"]);
        assert_eq!(said(&["gave", "skip"]), ["gave", "skip"]);
    }

    #[test]
    fn signatures_name_rule_call_and_field() {
        let all = entries(DESIGNS);
        let one = explain("state/mmap/vmas.pgoff", &all);
        assert!(one[0].means.contains("at a call of mmap"), "{one:?}");
        let rest = explain("vma-references/quiescence/vma", &all);
        assert!(rest[0].means.contains("It shows at quiescence"), "{rest:?}");
        let hang = explain("hang/munmap/candidate", &all);
        assert!(hang[0].means.contains("does not come back"), "{hang:?}");
        let crash = explain("crash/munmap/SIGSEGV", &all);
        assert!(crash[0].means.contains("deadly signal"), "{crash:?}");
        assert_eq!(explain("nonsense/mmap/vmas.pgoff", &all), []);
        assert_eq!(explain("state/mmap", &all), []);
    }
}
