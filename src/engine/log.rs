//! What libFuzzer prints on standard error: status lines, and the last words before it dies.

use std::collections::VecDeque;
use std::path::PathBuf;

/// Lines kept to explain a child's end: more than a panic with a short backtrace needs.
const KEPT: usize = 60;

/// How lines begin that say nothing of an end: libFuzzer's greetings.
const GREETINGS: [&str; 2] = ["INFO: ", "WARNING: Failed to find function "];

/// What was learned from the lines so far.
#[derive(Debug, Default)]
pub struct Log {
    /// Inputs in the corpus.
    pub corpus: u64,
    /// Features seen: counters reached, each by magnitude.
    pub coverage: u64,
    /// The input on which libFuzzer gave up.
    pub input: Option<PathBuf>,
    /// The first lines from the last panic on, else the last lines.
    tail: VecDeque<String>,
    panicked: bool,
}

impl Log {
    /// Reads a line. Status lines look like `#4096 NEW ft: 97 corp: 12/1234b lim: 64 …`.
    pub fn line(&mut self, line: String) {
        if line.starts_with('#') {
            let mut words = line.split_whitespace();
            while let Some(word) = words.next() {
                match word {
                    "ft:" => set(&mut self.coverage, words.next()),
                    "corp:" => set(&mut self.corpus, words.next()),
                    _ => {}
                }
            }
            return;
        }
        if GREETINGS.iter().any(|greeting| line.starts_with(greeting)) {
            return;
        }
        if let Some((_, path)) = line.split_once("Test unit written to ") {
            self.input = Some(path.into());
        }
        if begins_a_panic(&line) {
            self.panicked = true;
            self.tail.clear();
        }
        if self.tail.len() == KEPT {
            if self.panicked {
                return;
            }
            self.tail.pop_front();
        }
        self.tail.push_back(line);
    }

    /// The lines that tell most of how it ended.
    pub fn tail(&self) -> String {
        self.tail.iter().map(|line| format!("{line}\n")).collect()
    }
}

/// Whether a panic is told from here on. That it could not unwind, which is told where panicking
/// itself is, belongs to the one before.
fn begins_a_panic(line: &str) -> bool {
    const PANICKING: &str = "library/core/src/panicking.rs:";
    line.contains("panicked at ") && !line.contains(PANICKING)
}

/// Takes the leading number of a word such as `12/1234b`.
fn set(field: &mut u64, word: Option<&str>) {
    let digits = word
        .unwrap_or_default()
        .split('/')
        .next()
        .unwrap_or_default();
    if let Ok(number) = digits.parse() {
        *field = number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_libfuzzers_status_and_last_words() {
        let mut log = Log::default();
        log.line("#999636\tREDUCE ft: 3518 corp: 2448/370Kb lim: 200 exec/s: 499818".into());
        log.line("INFO: seed corpus".into());
        assert_eq!(log.tail(), "");
        log.line("WARNING: no interesting inputs were found so far.".into());
        log.line("panicked at src/run.rs:1:2:".into());
        log.line("panicked at /rustc/1234/library/core/src/panicking.rs:225:5:".into());
        (0..2 * KEPT).for_each(|frame| log.line(format!("{frame}: main")));
        log.line("artifact_prefix='a/'; Test unit written to a/crash-12".into());
        assert_eq!((log.coverage, log.corpus), (3518, 2448));
        assert_eq!(log.input, Some("a/crash-12".into()));
        assert!(
            log.tail()
                .starts_with("panicked at src/run.rs:1:2:\npanicked at /rustc/")
        );
        assert_eq!(log.tail().lines().count(), KEPT);
    }
}
