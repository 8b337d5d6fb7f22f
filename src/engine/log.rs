//! What libFuzzer prints on standard error: status lines, and the last words before it dies.

use std::collections::VecDeque;

/// Lines kept to explain a child's end: more than a panic with a short backtrace needs.
const KEPT: usize = 60;

/// How lines begin that are libFuzzer's own. Its advice is for those who call it themselves: to
/// users of this command its options and its doubts about instrumentation mean nothing, and how a
/// job ended is told by its status.
const LIBFUZZERS: [&str; 20] = [
    "==",
    "INFO: ",
    "WARNING: Failed to find function ",
    "WARNING: no interesting inputs ",
    "This may also happen if the target rejected ",
    "far",
    "ALARM: ",
    "       and the timeout value is ",
    "   To change the out-of-memory limit use ",
    "NOTE: libFuzzer ",
    "      Combine libFuzzer with ",
    "SUMMARY: libFuzzer",
    "Slowest unit: ",
    "artifact_prefix=",
    "Base64: ",
    "MS: ",
    "base unit: ",
    "0x",
    "stat::",
    "Live Heap Allocations: ",
];

/// What was learned from the lines so far.
#[derive(Debug, Default)]
pub struct Log {
    /// Inputs in the corpus.
    pub corpus: u64,
    /// Features seen: counters reached, each by magnitude.
    pub coverage: u64,
    /// libFuzzer gave up, and left the input that it was working on.
    pub gave_up: bool,
    /// The first lines from the last panic on, else the last lines.
    tail: VecDeque<String>,
    panicked: bool,
    /// The last line was about an input that was slow and no more.
    is_slow: bool,
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
        self.gave_up |= line.contains("Test unit written to ") && !self.is_slow;
        self.is_slow = line.starts_with("Slowest unit: ");
        if line.is_empty() || LIBFUZZERS.iter().any(|start| line.starts_with(start)) {
            return;
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
        log.line("WARNING: no interesting inputs were found so far. Is the code".into());
        log.line("==7== ERROR: libFuzzer: out-of-memory (used: 1100Mb; limit: 1024Mb)".into());
        log.line("   To change the out-of-memory limit use -rss_limit_mb=<N>".into());
        log.line("Slowest unit: 10 s:".into());
        log.line("artifact_prefix='a/'; Test unit written to a/slow-unit-12".into());
        assert_eq!((log.tail(), log.gave_up), (String::new(), false));
        log.line("panicked at src/run.rs:1:2:".into());
        log.line("panicked at /rustc/1234/library/core/src/panicking.rs:225:5:".into());
        (0..2 * KEPT).for_each(|frame| log.line(format!("{frame}: main")));
        log.line("artifact_prefix='a/'; Test unit written to a/crash-12".into());
        assert_eq!((log.coverage, log.corpus), (3518, 2448));
        assert!(log.gave_up);
        assert!(
            log.tail()
                .starts_with("panicked at src/run.rs:1:2:\npanicked at /rustc/")
        );
        assert_eq!(log.tail().lines().count(), KEPT);
    }
}
