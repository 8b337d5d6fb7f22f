//! Campaigns that nobody watches: they resume, go on after what they find, and lose nothing when
//! the harness itself fails.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::fuzz::{children, send, started, summary};
use crate::shell::{Said, Shell};

/// Names of the files in a folder.
fn files(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

#[test]
fn a_campaign_resumes_on_its_corpus() {
    let shell = Shell::new();
    let first = summary(&shell.run("fuzz --runs 5000 --seed 1 --corpus kept --json"));
    let kept = files(&shell.folder().join("kept"));
    assert!(kept.len() > 100, "{} inputs", kept.len());
    // Enough to read the corpus again, and nothing more.
    let runs = kept.len() + 2;
    let fuzz = format!("fuzz --runs {runs} --seed 2 --json");
    let again = summary(&shell.run(&format!("{fuzz} --corpus kept")));
    let afresh = summary(&shell.run(&fuzz));
    let coverage = |summary: &Value| summary["coverage"].as_u64().unwrap();
    assert!(coverage(&again) >= coverage(&first) * 95 / 100, "{again}");
    assert!(coverage(&afresh) < coverage(&first) * 3 / 4, "{afresh}");
    let still = files(&shell.folder().join("kept"));
    assert!(kept.is_subset(&still), "inputs are never taken away");
}

#[test]
fn findings_are_grouped_by_signature_and_the_campaign_goes_on() {
    for jobs in [1, 2] {
        grouped(jobs);
    }
}

fn grouped(jobs: u32) {
    let shell = Shell::new();
    let said = shell.run(&format!(
        "fuzz --runs 4000 --seed 1 --keep-going --json --jobs {jobs} \
         --defect merge-forgets-advice --defect c2-offset-not-lowered"
    ));
    assert_eq!(said.status, 1, "{said:?}");
    let summary = summary(&said);
    assert_eq!(summary["executions"], 4000);
    let findings = summary["findings"].as_array().unwrap();
    let signatures: BTreeSet<&str> = findings
        .iter()
        .map(|finding| finding["signature"].as_str().unwrap())
        .collect();
    assert!(findings.len() >= 2, "{summary}");
    assert_eq!(findings.len(), signatures.len());
    assert!(
        findings
            .iter()
            .any(|finding| finding["count"].as_u64() > Some(1))
    );
    let names = files(&shell.folder().join("artifacts"));
    let programs = names.iter().filter(|name| name.ends_with(".vma"));
    let as_found = programs.filter(|name| !name.ends_with(".min.vma"));
    assert_eq!(as_found.count(), findings.len(), "{names:?}");
    for signature in signatures {
        assert!(said.stderr.contains(&format!("found: {signature} ")));
    }
}

/// As campaigns of months end, by a signal or a power cut: nothing may be left for the end.
#[test]
fn findings_are_shrunk_before_the_campaign_ends() {
    let shell = Shell::new();
    let mut campaign = started(
        &shell,
        &["--keep-going", "--defect", "c2-offset-not-lowered"],
    );
    send("-KILL", campaign.id());
    campaign.wait().unwrap();
    let calls = |name: &str| {
        let text = String::from_utf8(shell.read(&format!("artifacts/{name}"))).unwrap();
        text.lines().filter(|line| line.contains('(')).count()
    };
    let names = files(&shell.folder().join("artifacts"));
    let small = names.iter().find(|name| name.ends_with(".min.vma"));
    let small = small.unwrap_or_else(|| panic!("nothing is shrunk: {names:?}"));
    let as_found = small.replace(".min", "");
    assert!(calls(small) < calls(&as_found), "{small}");
}

/// Copies of inputs, as engines name them, and a file of the user's.
#[test]
fn a_campaign_makes_a_large_corpus_small_as_it_starts() {
    let shell = Shell::new();
    let fuzz = "fuzz --seed 1 --corpus kept --json";
    let first = summary(&shell.run(&format!("{fuzz} --runs 4000")));
    let kept = shell.folder().join("kept");
    let inputs = files(&kept);
    for (at, name) in inputs.iter().enumerate() {
        // What decoding drops makes it another input of the same program.
        let mut bytes = shell.read(&format!("kept/{name}"));
        bytes.push(0);
        std::fs::write(kept.join(format!("{at:040x}")), &bytes).unwrap();
        std::fs::write(kept.join(format!("mine-{at}")), &bytes).unwrap();
    }
    let runs = 3 * inputs.len();
    let limit = inputs.len();
    let again = shell.run(&format!("{fuzz} --runs {runs} --corpus-limit {limit}"));
    let now = files(&kept);
    assert!(
        now.iter().all(|name| !name.starts_with("000000000000")),
        "{now:?}"
    );
    let mine = now.iter().filter(|name| name.starts_with("mine-"));
    assert_eq!(mine.count(), inputs.len(), "what no engine wrote stays");
    let deleted = format!("of {} inputs deleted", 3 * inputs.len());
    assert!(again.stderr.contains(&deleted), "{again:?}");
    // Only now does nothing else hold what was reached.
    for name in now.iter().filter(|name| name.starts_with("mine-")) {
        std::fs::remove_file(kept.join(name)).unwrap();
    }
    let runs = now.len() - inputs.len() + 2;
    let last = shell.run(&format!("{fuzz} --runs {runs} --corpus-limit 0"));
    assert!(!last.stderr.contains("inputs deleted"), "{last:?}");
    let coverage = |summary: &Value| summary["coverage"].as_u64().unwrap();
    let last = summary(&last);
    assert!(coverage(&last) >= coverage(&first) * 95 / 100, "{last}");
}

/// Each job reads the whole corpus before it makes anything; one that is stopped before says how far it came.
#[test]
fn a_start_that_is_too_short_to_read_its_corpus_says_so() {
    let shell = Shell::new();
    shell
        .run("fuzz serial --seed 1 --runs 4000 --corpus kept")
        .succeeds();
    let all = files(&shell.folder().join("kept")).len();
    assert!(all > 100, "{all} inputs");
    let short = "fuzz serial --seed 2 --runs 50 --corpus kept";
    let said = shell.run(short);
    let told = format!(" of {all} inputs that were there were read");
    assert!(said.text().contains(&told), "{said:?}");
    let left = summary(&shell.run(&format!("{short} --json")))["unread_inputs"].as_u64();
    assert!(
        left.is_some_and(|left| left >= all as u64 - 60),
        "{left:?} of {all}"
    );
    let said = shell.run(&format!(
        "fuzz serial --seed 2 --runs {} --corpus kept",
        2 * all + 50
    ));
    assert!(
        !said.text().contains("that were there were read"),
        "{said:?}"
    );
}

/// A campaign whose harness fails like this; what is said and kept.
fn failing(fault: &str, seconds: u32, words: &str, artifact: &str) {
    let shell = Shell::new();
    let said = shell.run(&format!(
        "fuzz --seed 1 --corpus kept --json --timeout {seconds} --memory 300 --harness-fault {fault}"
    ));
    assert_eq!(said.status, 3, "{said:?}");
    assert!(said.stderr.contains(words), "{said:?}");
    let failure = &summary(&said)["failures"][0];
    let input = failure["input"].as_str().expect("the input is kept");
    assert!(input.starts_with(artifact), "{input}");
    // The input is not to blame here, and is a program like others.
    shell.run(&format!("run {input}")).succeeds();
    let kept = files(&shell.folder().join("kept"));
    assert!(kept.len() > 50, "the corpus is kept: {} inputs", kept.len());
}

#[test]
fn a_panic_of_the_harness_keeps_input_and_corpus() {
    failing("panic", 60, "a job panicked or crashed", "artifacts/crash-");
}

#[test]
fn a_hang_of_the_harness_keeps_input_and_corpus() {
    failing("hang", 1, "a program took too long", "artifacts/timeout-");
}

/// Whoever is killed takes its jobs along, whatever they do.
#[test]
#[cfg(target_os = "linux")]
fn a_job_that_hangs_ends_with_its_parent() {
    let shell = Shell::new();
    let mut campaign = started(&shell, &["--timeout", "100", "--harness-fault", "hang"]);
    let job = children(campaign.id())[0];
    let lives = || {
        let stat = std::fs::read_to_string(format!("/proc/{job}/stat"));
        stat.is_ok_and(|stat| !stat.contains(") Z "))
    };
    std::thread::sleep(Duration::from_secs(3));
    assert!(lives());
    send("-KILL", campaign.id());
    campaign.wait().unwrap();
    for _ in 0..50 {
        if !lives() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("job {job} lives on");
}

/// As a machine that is busy, or a container that is frozen, does to a job for a while.
#[test]
fn a_program_that_only_waited_is_no_hang() {
    let shell = Shell::new();
    let campaign = started(&shell, &["--timeout", "1"]);
    let job = children(campaign.id())[0];
    for _ in 0..3 {
        send("-STOP", job);
        std::thread::sleep(Duration::from_secs(3));
        send("-CONT", job);
        std::thread::sleep(Duration::from_millis(700));
    }
    send("-INT", campaign.id());
    let said = Said::from(campaign.wait_with_output().unwrap());
    let failures = &summary(said.succeeds())["failures"];
    assert_eq!(failures.as_array().map(Vec::len), Some(0), "{failures}");
}

#[test]
fn running_out_of_memory_keeps_input_and_corpus() {
    failing("memory", 60, "a job used too much memory", "artifacts/oom-");
}

#[test]
fn another_job_takes_the_place_of_one_that_died() {
    let shell = Shell::new();
    let said = shell.run(
        "fuzz --runs 5000 --seed 1 --keep-going --json --defect get-too-few --harness-fault panic",
    );
    assert_eq!(said.status, 3, "{said:?}");
    let summary = summary(&said);
    assert_eq!(summary["executions"], 5000);
    assert_eq!(summary["failures"].as_array().map(Vec::len), Some(1));
    assert!(!summary["findings"].as_array().unwrap().is_empty());
    let told = "harness failure: a job panicked or crashed; another takes its place";
    assert!(said.stderr.contains(told), "{said:?}");
}

#[test]
fn a_harness_that_keeps_dying_ends_the_campaign() {
    let shell = Shell::new();
    let mut campaign = started(&shell, &["--keep-going"]);
    let mut killed = BTreeSet::new();
    let start = Instant::now();
    while campaign.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < Duration::from_secs(120), "it goes on");
        for job in children(campaign.id()) {
            if killed.insert(job) {
                send("-KILL", job);
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let said = Said::from(campaign.wait_with_output().unwrap());
    assert_eq!(said.status, 3, "{said:?}");
    let failures = summary(&said)["failures"].as_array().map(Vec::len);
    assert_eq!(failures, Some(killed.len()));
    assert_eq!(killed.len(), 17, "the first and those that took its place");
}

#[test]
fn jobs_do_not_outlive_a_campaign_that_is_killed() {
    let shell = Shell::new();
    let mut campaign = started(&shell, &[]);
    let jobs = children(campaign.id());
    assert!(!jobs.is_empty());
    send("-KILL", campaign.id());
    campaign.wait().unwrap();
    let killed = Instant::now();
    let lives = |job: &u32| {
        let state = std::fs::read_to_string(format!("/proc/{job}/stat")).unwrap_or_default();
        // A zombie is gone; who takes it away is not ours to say.
        !state.is_empty() && !state.contains(") Z ")
    };
    while jobs.iter().any(lives) {
        assert!(killed.elapsed() < Duration::from_secs(20), "jobs live on");
        std::thread::sleep(Duration::from_millis(50));
    }
}
