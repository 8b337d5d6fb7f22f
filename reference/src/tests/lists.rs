//! `docs/steps.md` shows the lists and the guards as they are in the code.

use std::fmt::Write;

use crate::guard::Guard;
use crate::job::{Sem, all_lists};

/// Where the part of the document that is written from the code begins and ends.
const BEGIN: &str = "<!-- lists -->\n";
const END: &str = "<!-- end of lists -->\n";

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/steps.md");

fn shown() -> String {
    let mut text = String::from("\n## Guards\n\n| guard | from |\n|---|---|\n");
    for guard in Guard::ALL {
        writeln!(text, "| `{}` | {} |", guard.name(), guard.by()).unwrap();
    }
    text.push_str("\n## Lists\n");
    for (name, rows) in all_lists() {
        write!(text, "\n### {name}\n\n| | step | mmap_sem | what | one step in Linux by |\n|---|---|---|---|---|\n").unwrap();
        for (number, (kind, sem, what, by)) in rows.iter().enumerate() {
            let sem = match sem {
                Sem::None => "",
                Sem::Read => "read",
                Sem::Write => "write",
            };
            let kind = kind.name();
            writeln!(text, "| {number} | {kind} | {sem} | {what} | {by} |").unwrap();
        }
    }
    text.push('\n');
    text
}

/// `UPDATE_GOLDEN=1` writes the document anew.
#[test]
fn the_document_shows_the_lists() {
    let document = std::fs::read_to_string(PATH).expect("docs/steps.md is there");
    let begin = document.find(BEGIN).expect("where the lists begin") + BEGIN.len();
    let end = document.find(END).expect("where the lists end");
    let shown = shown();
    if std::env::var("UPDATE_GOLDEN").is_ok() {
        let document = [&document[..begin], &shown, &document[end..]].concat();
        return std::fs::write(PATH, document).expect("docs/steps.md can be written");
    }
    assert_eq!(
        &document[begin..end],
        shown,
        "UPDATE_GOLDEN=1 writes docs/steps.md anew"
    );
}
