//! Reads a kernel's log as it comes: what it reports of itself, and during which program.

use std::collections::VecDeque;

/// How a line begins in which the command says what it is about to run.
pub const MARK: &str = "vmadiff: program ";

/// Something that a kernel says is wrong with itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// A name that stays the same as long as the kernel says the same about the same place.
    pub name: String,
    /// The line that says what is wrong.
    pub headline: String,
    /// The report, with what came before it since the program began.
    pub lines: Vec<String>,
    /// What the command was about to run, as it said it; none: the kernel was booting.
    pub during: Option<String>,
    /// The kernel does not go on.
    pub fatal: bool,
}

/// The log of one guest.
#[derive(Debug, Default)]
pub struct Console {
    /// The last lines since the last mark.
    tail: VecDeque<String>,
    during: Option<String>,
    open: Option<Report>,
}

/// Lines that are kept of what came before a report.
const BEFORE: usize = 40;
/// Lines of a report.
const LONGEST: usize = 120;

/// How the lines begin that say what is wrong, the kind that they are in a name, and whether the kernel
/// goes on behind them.
const HEADLINES: &[(&str, &str, bool)] = &[
    ("Kernel panic - not syncing: ", "panic", true),
    ("BUG: KASAN: ", "kasan", false),
    ("BUG: KCSAN: ", "kcsan", false),
    ("BUG: KMSAN: ", "kmsan", false),
    ("BUG: KFENCE: ", "kfence", false),
    ("UBSAN: ", "ubsan", false),
    ("kernel BUG at ", "bug", true),
    ("BUG: ", "bug", false),
    ("Oops: ", "oops", true),
    ("Oops ", "oops", true),
    ("general protection fault", "oops", true),
    ("WARNING: ", "warning", false),
    ("watchdog: BUG: ", "hang", false),
    ("INFO: task ", "hang", false),
    ("INFO: rcu", "hang", false),
    ("rcu: INFO: rcu", "hang", false),
];

impl Console {
    /// Takes the next line of the log; answers a report that it ends.
    pub fn line(&mut self, line: &str) -> Option<Report> {
        let text = message(line);
        if let Some(what) = text.strip_prefix(MARK) {
            let done = self.open.take();
            self.during = Some(what.to_owned());
            self.tail.clear();
            return done;
        }
        if let Some(report) = &mut self.open {
            report.lines.push(line.to_owned());
            // An oops that ends in a panic is one report.
            report.fatal |= headline(text).is_some_and(|(_, _, fatal)| fatal);
            let is_end = text.starts_with("---[ end ") || report.lines.len() >= LONGEST;
            let is_closing = text.starts_with("======") && report.lines.len() > BEFORE.min(8);
            let ends = !report.fatal && (is_end || is_closing);
            return if ends { self.open.take() } else { None };
        }
        self.tail.push_back(line.to_owned());
        if self.tail.len() > BEFORE {
            self.tail.pop_front();
        }
        let (kind, about, fatal) = headline(text)?;
        self.open = Some(Report {
            name: name(kind, about),
            headline: text.to_owned(),
            lines: self.tail.drain(..).collect(),
            during: self.during.clone(),
            fatal,
        });
        None
    }

    /// The report that is under way when the log ends or nothing more is to come.
    pub fn finish(&mut self) -> Option<Report> {
        self.open.take()
    }

    /// Whether the kernel has said that it does not go on.
    pub fn is_broken(&self) -> bool {
        self.open.as_ref().is_some_and(|report| report.fatal)
    }

    /// The headline of the report that is under way.
    pub fn headline(&self) -> Option<&str> {
        self.open.as_ref().map(|report| report.headline.as_str())
    }

    /// What the command was about to run last.
    pub fn during(&self) -> Option<&str> {
        self.during.as_deref()
    }

    /// The last lines, and those of a report that is under way.
    pub fn last_words(&self) -> Vec<String> {
        let open = self.open.iter().flat_map(|report| &report.lines);
        open.chain(&self.tail).cloned().collect()
    }
}

/// A line without its time, and without the processor or thread that some kernels put there.
fn message(line: &str) -> &str {
    let mut rest = line.trim();
    while let Some((_, behind)) = rest
        .strip_prefix('[')
        .and_then(|inside| inside.split_once("] "))
    {
        rest = behind.trim_start();
    }
    rest
}

/// Kind, what it is about, and whether the kernel stops, if a message is a headline.
fn headline(text: &str) -> Option<(&'static str, &str, bool)> {
    let (start, kind, fatal) = HEADLINES
        .iter()
        .find(|(start, _, _)| text.starts_with(start))?;
    Some((kind, &text[start.len()..], *fatal))
}

/// A name for what a headline says: the function it names, otherwise its first words without numbers.
fn name(kind: &str, about: &str) -> String {
    let words: Vec<&str> = about.split_whitespace().collect();
    let function = words
        .iter()
        .find_map(|word| word.split_once("+0x"))
        .map(|(function, _)| function);
    let first = match (function, kind) {
        // What kind of access goes before the function that made it.
        (Some(function), "kasan" | "kcsan" | "kmsan" | "kfence") => {
            format!("{}-{function}", words[0])
        }
        (Some(function), _) => function.to_owned(),
        (None, _) => words.iter().take(6).copied().collect::<Vec<_>>().join(":"),
    };
    // Addresses and line numbers change from run to run and from release to release.
    let stable = first
        .split(':')
        .filter(|part| !part.contains(|c: char| c.is_ascii_digit()));
    let first = match function {
        Some(_) => first.clone(),
        None => stable.collect::<Vec<_>>().join("-"),
    };
    let mut name = format!("{kind}-");
    for c in first.chars() {
        match c {
            c if c.is_ascii_alphabetic() || c == '_' => name.push(c),
            _ if !name.ends_with('-') => name.push('-'),
            _ => {}
        }
    }
    name.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reports(log: &str) -> Vec<Report> {
        let mut console = Console::default();
        let mut found: Vec<Report> = log.lines().filter_map(|line| console.line(line)).collect();
        found.extend(console.finish());
        found
    }

    #[test]
    fn a_warning_belongs_to_the_program_before_it() {
        let log = "[    1.0] Spectre V2 : WARNING: Unprivileged eBPF is enabled\n\
                   [    2.0] vmadiff: program 6\n\
                   [    2.1] vmadiff: program 7\n\
                   [    2.2] ------------[ cut here ]------------\n\
                   [    2.2] WARNING: CPU: 1 PID: 77 at mm/vma.c:123 vma_merge+0x12/0x340\n\
                   [    2.2] Modules linked in:\n\
                   [    2.3] ---[ end trace 0000000000000000 ]---\n\
                   [    2.4] vmadiff: program 8\n";
        let found = reports(log);
        let [report] = &found[..] else {
            panic!("{found:?}")
        };
        assert_eq!(
            (report.name.as_str(), report.during.as_deref()),
            ("warning-vma_merge", Some("7"))
        );
        assert!(!report.fatal && report.lines.len() == 4, "{report:?}");
    }

    #[test]
    fn a_panic_is_the_end_and_has_all_that_follows() {
        let log = "[2.0] vmadiff: program 3\n\
                   [2.1] kernel BUG at mm/mmap.c:3163!\n\
                   [2.1] invalid opcode: 0000 [#1] SMP\n\
                   [2.2] ---[ end trace 0000000000000000 ]---\n\
                   [2.3] Kernel panic - not syncing: Fatal exception\n";
        let found = reports(log);
        let [report] = &found[..] else {
            panic!("{found:?}")
        };
        assert_eq!(report.name, "bug-mm-mmap-c");
        assert!(report.fatal && report.lines.len() == 4, "{report:?}");
    }

    #[test]
    fn what_debugging_options_report_is_named_by_kind_and_function() {
        for (line, expected) in [
            (
                "[ 3.0] BUG: KASAN: slab-use-after-free in vm_area_free+0x1/0x2",
                "kasan-slab-use-after-free-vm_area_free",
            ),
            (
                "[    3.0][   T77] BUG: KCSAN: data-race in a_reader / a_writer",
                "kcsan-data-race-in-a_reader-a_writer",
            ),
            (
                "[ 3.0] WARNING: possible circular locking dependency detected",
                "warning-possible-circular-locking-dependency-detected",
            ),
            (
                "[ 3.0] BUG: Bad rss-counter state mm:00000000abcdef type:MM_ANONPAGES val:1",
                "bug-Bad-rss-counter-state-mm-type-MM_ANONPAGES-val",
            ),
            (
                "[ 3.0] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
                "hang-_preempt-detected-stalls-on-CPUs-tasks",
            ),
        ] {
            let found = reports(line);
            assert_eq!(
                found.first().map(|report| report.name.as_str()),
                Some(expected),
                "{line}"
            );
        }
    }
}
