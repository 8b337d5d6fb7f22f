//! What helps those who do not know the command yet: words explained, names completed, standard
//! input wherever a file is read.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::shell::{Said, Shell};

#[test]
fn words_of_reports_and_summaries_are_explained() {
    let shell = Shell::new();
    for (word, means) in [
        ("NoAnonVma", "anon_vma"),
        ("vma-freed-once", "A VMA is freed once."),
        ("state/mmap/vmas.pgoff", "It shows at a call of mmap"),
        ("get-too-few", "It breaks: vma-references"),
        ("skip", "left unjudged"),
        ("gave up", "Why faults did not go on"),
        ("NOTASK", "There is no such task"),
        ("eagain", "EAGAIN (what a call comes to)"),
        ("evict", "takes a page of a file out of memory"),
        ("msync", "msync(2)"),
    ] {
        let said = shell.run(&format!("explain {word}"));
        let text = said.succeeds().text();
        assert!(text.contains(means), "{text}");
        assert!(text.contains("\n  from "), "{text}");
    }
    let all: Value =
        serde_json::from_slice(&shell.run("explain --json").succeeds().stdout).unwrap();
    assert!(all.as_array().unwrap().len() > 100);
    let listed = shell.run("explain");
    assert!(
        listed.succeeds().text().contains("NoAnonVma, "),
        "{listed:?}"
    );
}

#[test]
fn words_that_are_none_are_refused_with_near_ones() {
    let shell = Shell::new();
    shell
        .run("explain NoAnonVna")
        .refuses(&["near that are NoAnonVma"]);
    shell
        .run("explain qqqqqq")
        .refuses(&["`vmadiff explain` lists them"]);
}

/// Every word that a summary begins a line with or counts by can be asked for.
#[cfg(feature = "engine")]
#[test]
fn what_a_summary_tells_can_be_asked() {
    let shell = Shell::new();
    let said = shell.run("fuzz --runs 3000 --seed 1");
    said.succeeds();
    let mut words = std::collections::BTreeSet::new();
    for line in said.text().lines() {
        match line.split_once(": ").filter(|_| !line.starts_with(' ')) {
            Some((heading @ ("gave up" | "racing"), counts)) => {
                words.insert(heading);
                words.extend(
                    counts
                        .trim()
                        .split(", ")
                        .filter_map(|one| one.split(' ').next()),
                );
            }
            Some((heading, _)) => {
                words.insert(heading);
            }
            // A kind of call, with what its failures came to.
            None if line.contains(" %") => {
                words.extend(line.split_whitespace().next());
                let errors = line.split_once(" %  ").map_or("", |(_, errors)| errors);
                words.extend(errors.split(", ").filter_map(|one| one.split(' ').next()));
            }
            None => {}
        }
    }
    words.remove("");
    for word in [
        "fuzzed",
        "not seen",
        "NoAnonVma",
        "store",
        "MAPERR",
        "ENOMEM",
    ] {
        assert!(words.contains(word), "{word}: {words:?}");
    }
    let asked: Vec<&str> = words.into_iter().collect();
    shell
        .run(&format!("explain {}", asked.join(" ")))
        .succeeds();
}

/// Every word of the state that a report shows, and every point and step that a race's report names.
#[test]
fn what_a_report_tells_can_be_asked() {
    let shell = Shell::new();
    shell.write(
        "a.vma",
        "mmap(NULL, 0x1000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, 3, 0)\n\
         store(0x20f000, 7)\n\
         mmap(NULL, 0x1000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, 3, 0)\n",
    );
    let said = shell.run("run --defect c2-offset-not-lowered a.vma");
    let report = said.text();
    let state = report.split_once("\nstate ").map_or("", |(_, rest)| rest);
    let state = state.split_once("\n\n").map_or(state, |(state, _)| state);
    let is_word =
        |word: &&str| word.len() > 2 && word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let mut words: Vec<&str> = state
        .lines()
        .skip(1)
        .flat_map(str::split_whitespace)
        .collect();
    words.retain(is_word);
    for word in ["account", "pgoff", "minor", "private"] {
        assert!(words.contains(&word), "{word}: {report}");
    }
    let corpus = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/corpus/races/recheck-under-lock.vma"
    );
    let traced = shell.run(&format!("run --trace {corpus}"));
    let is_name = |word: &&str| {
        let mut parts = word.split('.');
        let is_part = |part: &str| {
            !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        };
        parts.by_ref().take(2).filter(|part| is_part(part)).count() == 2 && parts.next().is_none()
    };
    let traced = traced.text();
    let named = traced.split(|c: char| c.is_whitespace() || "@#".contains(c));
    let named: Vec<&str> = named.filter(is_name).collect();
    assert!(named.len() > 10, "{traced}");
    words.extend(named);
    words.extend([
        "munmap.cut",
        "agrees",
        "never",
        "seen",
        "median",
        "harness",
        "failure",
    ]);
    shell
        .run(&format!("explain {}", words.join(" ")))
        .succeeds();
}

#[test]
fn shells_complete_defects_and_nothing_that_is_hidden() {
    let shell = Shell::new();
    for name in ["bash", "zsh", "fish"] {
        let said = shell.run(&format!("completions {name}"));
        let script = said.succeeds().text();
        assert!(script.contains("c2-offset-not-lowered"), "{name}");
        assert!(script.contains("keep-going"), "{name}");
        assert!(!script.contains("harness-fault"), "{name}");
        for hidden in ["subcmd__engine", "it talks to its parent"] {
            assert!(!script.contains(hidden), "{name}");
        }
    }
}

/// What bash offers after these words.
fn completed(words: &str, last: &str) -> Option<String> {
    let shell = Shell::new();
    shell.write("script", &shell.run("completions bash").succeeds().stdout);
    let script = format!(
        "source ./script; COMP_WORDS=(vmadiff {words} '{last}'); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
         _vmadiff vmadiff '{last}' \"${{COMP_WORDS[COMP_CWORD - 1]}}\"; echo \"${{COMPREPLY[*]}}\""
    );
    let mut bash = Command::new("bash");
    bash.args(["-c", &script]).current_dir(shell.folder());
    let Ok(output) = bash.output() else {
        eprintln!("skipped: no bash");
        return None;
    };
    Some(Said::from(output).succeeds().text().trim().to_owned())
}

#[test]
fn bash_completes_the_name_of_a_defect() {
    if let Some(offered) = completed("fuzz --defect", "c2-off") {
        assert_eq!(offered, "c2-offset-not-lowered");
    }
    if let Some(offered) = completed("fuzz", "--h") {
        assert_eq!(offered, "--help");
    }
}

/// The command with this on its standard input.
fn piped(arguments: &str, input: &[u8]) -> Said {
    let shell = Shell::new();
    let mut child = Command::new(env!("CARGO_BIN_EXE_vmadiff"))
        .args(arguments.split_whitespace())
        .current_dir(shell.folder())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may refuse before it has read all.
    let _ = child.stdin.take().unwrap().write_all(input);
    Said::from(child.wait_with_output().unwrap())
}

#[test]
fn standard_input_is_a_file_called_dash() {
    let program =
        b"mmap(0x1f0000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)\n\
        munmap(0x1f0000, 0x1000)\n";
    for (arguments, says) in [
        ("run -", "agree"),
        ("show -", "munmap(0x1f0000, 0x1000)"),
        ("convert --c -", "munmap"),
        ("convert --to text -", "munmap(0x1f0000, 0x1000)"),
        ("corpus reach -", "1 program, 2 calls"),
    ] {
        let said = piped(arguments, program);
        assert!(said.succeeds().text().contains(says), "{said:?}");
    }
    piped("run -", b"munmapp(\n").refuses(&["standard input:1:1", "expected"]);
    // And standard output is one to write to.
    let said = piped("convert -o - -", program);
    let bytes = said.succeeds().stdout.len();
    assert!(
        bytes > 16 && (bytes - 16).is_multiple_of(48),
        "header and records: {said:?}"
    );
    let said = piped("show -o - -", program);
    assert!(
        said.succeeds().text().contains("munmap(0x1f0000, 0x1000)"),
        "{said:?}"
    );
    let faulty = b"mmap(0x1f0000, 0x1000, PROT_NONE, MAP_PRIVATE|MAP_ANONYMOUS, 3, 0)\n";
    let said = piped("minimize --defect get-too-few -o - -", faulty);
    assert_eq!(said.status, 1, "{said:?}");
    assert!(
        said.text().starts_with("# vma-references/mapped/vma: "),
        "{said:?}"
    );
    assert!(
        said.stderr.contains("standard output: 1 call, 1 before"),
        "{said:?}"
    );
    let said = piped("run -", program);
    assert_eq!(said.succeeds().text(), "agree   standard input: 2 calls\n");
    let said = piped("linux -", program);
    assert!(said.text().starts_with("standard input: "), "{said:?}");
    let said = piped("run --junit -", program);
    assert!(said.succeeds().text().contains("name=\"standard input\""));
    let said = piped("show --html -", program);
    assert!(said.succeeds().text().contains("standard input"));
    let said = piped("run - -", program);
    assert_eq!(said.status, 2, "{said:?}");
    let once = "standard input: can be read only once";
    assert!(said.stderr.contains(once), "{said:?}");
    piped("run -", b"").refuses(&["standard input: is empty, expected a program"]);
    piped("minimize -", program).refuses(&["--output"]);
    let log = b"1 mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000000000\n";
    let said = piped("convert --strace -", log);
    assert!(said.succeeds().text().contains("mmap("), "{said:?}");
}

/// [`Said`] looks at all that any test has printed; here is one of each thing that is counted.
#[test]
fn one_is_no_plural() {
    let shell = Shell::new();
    std::fs::create_dir(shell.folder().join("one")).unwrap();
    shell.write("one/a.vma", "[2] load(0x1f0000)\n");
    for (command, says) in [
        ("run one/a.vma", "1 call\n"),
        ("run one", "1 program: "),
        ("corpus seeds one -o seeds", "1 seed written"),
        ("corpus reach seeds", "1 program, 1 call, "),
        ("corpus distill seeds -o texts", "1 program of 1, "),
        ("corpus rename texts", "1 file, "),
        ("corpus reduce seeds", "0 of 1 input deleted"),
        ("fuzz --runs 1 --seed 1", "1 execution in "),
    ] {
        let said = shell.run(command);
        assert!(said.text().contains(says), "{command}: {said:?}");
    }
}
