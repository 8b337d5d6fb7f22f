//! Trial by load: campaigns with more jobs than cores on one folder, one of them killed again and
//! again. Nothing is lost, nothing is there twice, and those that were not killed end well.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use sha1_smol::Sha1;
use tempfile::TempDir;

use crate::scene::VMADIFF;

/// Starts a campaign in a folder. It finds something, and goes on.
fn campaign(folder: &Path, jobs: u32, seconds: u64, seed: u32) -> Child {
    Command::new(VMADIFF)
        .args([
            "fuzz",
            "--keep-going",
            "--json",
            "--corpus",
            "c",
            "--artifacts",
            "a",
        ])
        .args(["--defect", "c2-offset-not-lowered"])
        .args(["--jobs", &jobs.to_string(), "--seed", &seed.to_string()])
        .args(["--seconds", &seconds.to_string()])
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn summary(campaign: Child) -> Value {
    let output = campaign.wait_with_output().unwrap();
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["failures"], Value::Array(Vec::new()), "{summary}");
    assert_eq!(summary["unsaved_inputs"], 0, "{summary}");
    assert!(
        output.status.code().is_some_and(|code| code <= 1),
        "{:?}",
        output.status
    );
    summary
}

/// Runs two campaigns for so long, and kills a third again and again.
fn under_load(jobs: u32, time: Duration, between_kills: Duration) {
    let folder = TempDir::new().unwrap();
    let seconds = time.as_secs();
    let [one, other] = [1, 1000].map(|seed| campaign(folder.path(), jobs, seconds, seed));
    let (start, mut kills) = (Instant::now(), 0);
    while start.elapsed() + between_kills < time {
        let mut victim = campaign(folder.path(), 1, seconds, 2000 + kills);
        std::thread::sleep(between_kills);
        victim.kill().unwrap();
        victim.wait().unwrap();
        kills += 1;
    }
    assert!(kills > 1, "{kills} kills");
    let summaries = [summary(one), summary(other)];

    let mut inputs = 0;
    for entry in fs::read_dir(folder.path().join("c")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if !name.starts_with('.') {
            let content = fs::read(entry.path()).unwrap();
            // So nothing is there twice, either.
            assert_eq!(name, Sha1::from(&content).digest().to_string());
            inputs += 1;
        }
    }
    // What was reached is reached again by what was kept.
    let again = Command::new(VMADIFF)
        .args([
            "fuzz",
            "--json",
            "--corpus",
            "c",
            "--artifacts",
            "again",
            "--seed",
            "1",
        ])
        .args(["--runs", &(inputs + 2).to_string(), "--keep-going"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let again: Value = serde_json::from_slice(&again.stdout).unwrap();
    let coverage = |summary: &Value| summary["coverage"].as_u64().unwrap();
    for summary in &summaries {
        assert!(
            coverage(&again) >= coverage(summary) * 98 / 100,
            "{inputs} inputs: {again}"
        );
    }
    let found: BTreeSet<&str> = summaries.iter().flat_map(signatures).collect();
    for signature in found {
        let first = format!("# {signature}: ");
        for end in [".min.vma", ".vma"] {
            let kept = fs::read_dir(folder.path().join("a")).unwrap();
            let kept = kept.map(|entry| entry.unwrap().path()).filter(|path| {
                let name = path.file_name().unwrap().to_str().unwrap();
                let is_small = name.ends_with(".min.vma");
                !name.starts_with('.')
                    && is_small == (end == ".min.vma")
                    && fs::read_to_string(path).unwrap().starts_with(&first)
            });
            assert_eq!(kept.count(), 1, "{signature}{end}");
        }
    }
    println!(
        "{inputs} inputs, {kills} kills, {}",
        summaries[0]["executions"]
    );
}

fn signatures(summary: &Value) -> impl Iterator<Item = &str> {
    let findings = summary["findings"].as_array().unwrap();
    findings
        .iter()
        .map(|finding| finding["signature"].as_str().unwrap())
}

#[test]
fn a_few_seconds_of_load() {
    under_load(2, Duration::from_secs(8), Duration::from_secs(2));
}

#[test]
#[ignore = "ten minutes: .ci/weekly"]
fn ten_minutes_of_load() {
    under_load(8, Duration::from_secs(600), Duration::from_secs(10));
}
