//! `vmadiff fuzz`: campaigns that are healthy, that find, that are stopped, that fail.

use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::shell::{Said, Shell};

const DEFECT: &str = "get-too-few";

pub fn summary(said: &Said) -> Value {
    serde_json::from_slice(&said.stdout).unwrap_or_else(|_| panic!("{said:?}"))
}

/// The floors that a campaign must hold: what always fails, or never speculates, tests little.
#[test]
fn a_campaign_is_healthy() {
    let shell = Shell::new();
    let said = shell.run("fuzz --runs 10000 --seed 1 --json");
    let summary = summary(said.succeeds());
    assert_eq!(said.stderr, "", "quiet on a pipe");
    assert_eq!(summary["executions"], 10_000);
    assert!(
        summary["succeeded_share"].as_f64() >= Some(0.6),
        "{summary}"
    );
    assert!(
        summary["speculative_share"].as_f64() >= Some(0.2),
        "{summary}"
    );
    assert!(summary["coverage"].as_u64() >= Some(1000), "{summary}");
    assert_eq!(summary["findings"].as_array().map(Vec::len), Some(0));
}

/// libFuzzer tries nothing first, which is no run.
#[test]
fn a_single_run_is_of_a_program() {
    let shell = Shell::new();
    for kind in ["serial", "interleaved"] {
        let said = shell.run(&format!("fuzz {kind} --runs 1 --seed 1 --json"));
        let summary = summary(said.succeeds());
        assert_eq!(summary["executions"], 1, "{kind}");
        assert!(summary["calls"].as_u64() > Some(0), "{kind}: {summary}");
    }
}

#[test]
fn the_same_seed_does_the_same() {
    let shell = Shell::new();
    let run = || {
        let mut summary = summary(&shell.run("fuzz --runs 2000 --seed 7 --json"));
        for measured in ["seconds", "executions_per_second", "rss_kib"] {
            summary[measured] = Value::Null;
        }
        summary
    };
    assert_eq!(run(), run());
}

#[test]
fn a_finding_is_kept_shrunk_and_can_be_replayed() {
    let shell = Shell::new();
    let fuzz = format!("fuzz --runs 100000 --seed 1 --defect {DEFECT}");
    let said = shell.run(&fuzz);
    assert_eq!(said.status, 1, "{said:?}");
    let replay = said
        .text()
        .lines()
        .rev()
        .find_map(|line| line.rsplit_once(" run "))
        .unwrap()
        .1;
    assert!(replay.ends_with(".min.vma"), "{replay}");
    let replayed = shell.run(&format!("run {replay}"));
    assert_eq!(replayed.status, 1, "{replayed:?}");
    let summary = summary(&shell.run(&format!("{fuzz} --json")));
    let finding = &summary["findings"][0];
    assert!(
        replayed
            .text()
            .contains(finding["signature"].as_str().unwrap())
    );
    let program = finding["program"].as_str().unwrap();
    assert!(!program.ends_with("-2.vma"), "the same finding, counted");
    let counts = String::from_utf8(shell.read("artifacts/counts.txt")).unwrap();
    let name = program.strip_prefix("artifacts/").unwrap();
    assert!(counts.contains(&format!("2 {name}\n")), "{counts}");
    assert_eq!(summary["exit_status"], 1);
}

#[test]
fn known_findings_are_no_news() {
    let shell = Shell::new();
    let fuzz = format!("fuzz --runs 3000 --seed 1 --keep-going --json --defect {DEFECT}");
    let first = summary(&shell.run(&fuzz));
    let findings = first["findings"].as_array().unwrap();
    assert!(!findings.is_empty());
    let known: Vec<&str> = findings
        .iter()
        .map(|f| f["signature"].as_str().unwrap())
        .collect();
    shell.write(
        "known",
        format!("# all of them\n{}\n", known.join(" # known\n")),
    );
    let said = shell.run(&format!("{fuzz} --known known --artifacts none"));
    let again = summary(said.succeeds());
    assert_eq!(again["findings"].as_array().unwrap().len(), known.len());
    assert_eq!(again["findings"][0]["known"], true);
    assert_eq!(
        std::fs::read_dir(shell.folder().join("none"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn a_known_file_that_is_wrong_is_refused() {
    let shell = Shell::new();
    shell.write("known", "outcome/munmap/value\nnonsense\n");
    let said = shell.run("fuzz --runs 1 --known known");
    said.refuses(&["known:2: found `nonsense`", "expected a signature"]);
    shell.run("fuzz --runs 0").refuses(&["0 is not in 1.."]);
}

#[test]
fn jobs_share_the_runs_and_the_corpus() {
    let shell = Shell::new();
    let fuzz = "fuzz --runs 3001 --seed 1 --jobs 2 --corpus kept --json";
    let first = summary(shell.run(fuzz).succeeds());
    assert_eq!(first["executions"], 3001);
    let kept = std::fs::read_dir(shell.folder().join("kept"))
        .unwrap()
        .count();
    assert!(kept > 100, "{kept} inputs");
}

/// Others may leave anything in a folder that campaigns share.
#[test]
fn what_comes_into_a_corpus_and_is_no_input_is_told() {
    let shell = Shell::new();
    let campaign = started(
        &shell,
        &["--corpus", "kept", "--jobs", "2", "--seconds", "12"],
    );
    let large = std::fs::File::create(shell.folder().join("kept/large")).unwrap();
    large.set_len((16 << 20) + 1).unwrap();
    std::os::unix::fs::symlink("nothing", shell.folder().join("kept/link")).unwrap();
    let said = Said::from(campaign.wait_with_output().unwrap());
    let told = "warning: kept/large: has 16777217 bytes, expected at most 16777216 in an input (and 1 more): \
                passed over";
    assert!(said.stderr.contains(told), "{said:?}");
    assert_eq!(summary(&said)["passed_over"]["files"], 2, "{said:?}");
}

/// A campaign that was started with these options and runs.
pub fn started(shell: &Shell, options: &[&str]) -> std::process::Child {
    let child = Command::new(env!("CARGO_BIN_EXE_vmadiff"))
        .args(["fuzz", "--seed", "1", "--json"])
        .args(options)
        .current_dir(shell.folder())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    sleep(Duration::from_secs(3));
    child
}

pub fn send(signal: &str, process: u32) {
    let status = Command::new("kill")
        .args([signal, &process.to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

/// The processes that a process started (Linux).
pub fn children(process: u32) -> Vec<u32> {
    let path = format!("/proc/{process}/task/{process}/children");
    let list = std::fs::read_to_string(path).unwrap();
    list.split_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect()
}

#[test]
fn ctrl_c_ends_with_a_summary() {
    let shell = Shell::new();
    let campaign = started(&shell, &[]);
    let jobs = children(campaign.id());
    let asked = Instant::now();
    send("-INT", campaign.id());
    let said = Said::from(campaign.wait_with_output().unwrap());
    assert!(asked.elapsed() < Duration::from_secs(10));
    let summary = summary(said.succeeds());
    assert_eq!(summary["interrupted"], true);
    assert!(summary["executions"].as_u64() > Some(0));
    assert!(
        jobs.iter()
            .all(|job| !std::fs::exists(format!("/proc/{job}")).unwrap())
    );
}

#[test]
fn a_job_that_dies_is_a_failure_of_the_harness() {
    let shell = Shell::new();
    let campaign = started(&shell, &[]);
    send("-KILL", children(campaign.id())[0]);
    let said = Said::from(campaign.wait_with_output().unwrap());
    assert_eq!(said.status, 3, "{said:?}");
    assert!(said.stderr.contains("harness failure"), "{said:?}");
    assert_eq!(summary(&said)["failures"].as_array().map(Vec::len), Some(1));
}

/// Where programs can not be run on the kernel, that is said.
#[test]
fn the_running_kernel_is_fuzzed() {
    let shell = Shell::new();
    let run = || shell.run("fuzz linux --runs 300 --seed 3 --json --boundaries");
    let said = run();
    if said.status == 2 && said.stderr.contains("can not be run on") {
        return eprintln!("skipped: {}", said.stderr);
    }
    let first = summary(said.succeeds());
    assert_eq!(said.stderr, "", "quiet on a pipe");
    assert!(first["programs"].as_u64() >= Some(290), "{first}");
    assert!(first["succeeded_share"].as_f64() >= Some(0.6), "{first}");
    assert_eq!(first["findings"].as_array().map(Vec::len), Some(0));
    assert_eq!(first["by_call"], summary(&run())["by_call"], "by the seed");
    for (wrong, says) in [
        ("fuzz linux --corpus x", "--corpus is for libFuzzer"),
        (
            "fuzz linux --defect get-too-few",
            "--defect is for the candidate",
        ),
        ("fuzz linux --design spf", "--design is for the candidate"),
        ("linux --list --design spf", "--design is for the candidate"),
        (
            "linux --list --defect get-too-few",
            "--defect is for the candidate, which `linux` does not run",
        ),
        ("fuzz --boundaries", "--boundaries is for `fuzz linux`"),
    ] {
        shell.run(wrong).refuses(&[says]);
    }
}
