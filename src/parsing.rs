//! What the fuzz targets of the parsers do with their input, whatever the engine: any bytes are
//! read to an end or to an error that names a line, and what was read is written as text that
//! reads the same.

use crate::program::strace::{Source, import_all};
use crate::program::text::TextError;
use crate::program::{Case, Program};

/// The file's name in errors.
const FILE: &str = "input";

/// Reads bytes as program text.
///
/// # Panics
///
/// If the text of what was read is read as something else, or an error names no line of the input.
pub fn text(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match Case::parse(FILE, &text) {
        Ok(case) => {
            let again = reads_the_same(&case);
            assert!(again == case, "written and read, it is another:\n{case}");
        }
        Err(error) => names_a_line(&error, &text),
    }
}

/// Reads bytes as a log of strace's.
///
/// # Panics
///
/// If the text of a program in the log is read as something else.
pub fn strace(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let log = Source {
        name: FILE,
        text: &text,
    };
    // One log is never refused.
    for import in import_all(&[log], None).expect("a log") {
        // Answers of calls that do not return are not written.
        reads_the_same(&import.case);
        assert_eq!(import.linux.len(), import.case.program.calls.len());
        std::hint::black_box(import.summary.to_string());
    }
}

/// Answers what is read of what is written.
fn reads_the_same(case: &Case) -> Case {
    let text = case.to_string();
    let again = match Case::parse(FILE, &text) {
        Ok(again) => again,
        Err(error) => panic!("{error}, in what was written:\n{text}"),
    };
    assert!(again.program == case.program, "another program:\n{text}");
    assert!(
        again.to_string() == text,
        "written again, it is another:\n{text}"
    );
    let bytes = case.program.encode();
    assert!(
        Program::decode(&bytes) == case.program,
        "other bytes:\n{text}"
    );
    again
}

fn names_a_line(error: &TextError, text: &str) {
    let message = error.to_string();
    let place = message
        .strip_prefix(FILE)
        .and_then(|rest| rest.strip_prefix(':'));
    let line = place.and_then(|place| place.split(':').next()?.parse::<usize>().ok());
    // An empty text has a first line, too.
    let lines = text.lines().count().max(1);
    // What is missing at the end is missing behind the last line.
    assert!(
        line.is_some_and(|line| (1..=lines + 1).contains(&line)),
        "{message}: {lines} lines"
    );
}
