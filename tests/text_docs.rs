//! Every example of docs/text.md is read, printed, read again, and met by both managers.

use vmadiff::designs::Planted;
use vmadiff::expect::{looks, unasked_in, unmet_in};
use vmadiff::judge::Verdict;
use vmadiff::pair::pair;
use vmadiff::program::Case;

const PAGE: &str = include_str!("../docs/text.md");

/// The page's blocks of a language.
fn blocks(language: &str) -> Vec<String> {
    let start = format!("```{language}\n");
    let blocks = PAGE.split(&start).skip(1);
    blocks
        .map(|rest| rest.split("```").next().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn every_example_is_read_and_met() {
    let examples = blocks("text");
    assert!(examples.len() >= 8, "{}", examples.len());
    let mut pair = pair(&Planted::default());
    for text in examples {
        let read = Case::read("docs/text.md", &text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(read.warnings, [], "{text}");
        let case = read.case;
        let printed = case.to_string();
        assert_eq!(
            Case::parse("printed", &printed).as_ref(),
            Ok(&case),
            "{text}"
        );
        let ran = pair.observe_twice_at(&case.program, &looks(&case));
        assert_eq!(ran.verdict, Verdict::Agree, "{text}");
        let unmet = unmet_in(&case, &ran);
        let unmet: Vec<String> = unmet.iter().map(ToString::to_string).collect();
        assert!(unmet.is_empty(), "{text}{unmet:#?}");
        assert_eq!(unasked_in(&case, &ran), [], "{text}");
    }
}

/// The error that the page shows is the one that is printed.
#[test]
fn the_error_is_as_shown() {
    let shown = blocks("console").concat();
    let line = "mprotect(0x400000, 0x1000, PROT_READ|PROT_RAED) = 0";
    let error = Case::parse("typo.vma", line).unwrap_err().to_string();
    let said = error.replacen(": expected", ": error: expected", 1);
    assert!(shown.contains(&said), "{said}");
}

/// Whatever a text can hold has its place on the page.
#[test]
fn every_call_setting_and_counter_is_named() {
    for counter in vmadiff::program::Counter::ALL {
        let name = format!("`{}`", counter.name());
        assert!(PAGE.contains(&name), "{name}");
    }
    for word in [
        "config", "maps:", "status:", "let", "repeat", "design:", "policy:", "switch:",
    ] {
        assert!(PAGE.contains(word), "{word}");
    }
}
