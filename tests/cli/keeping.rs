//! What is kept, where, and what is said when it cannot be: full disks, wrong folders, findings
//! that come again.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::shell::{Said, Shell};

const FAULTY: &str = "--defect get-too-few";

/// Runs a script in the shell's folder, where `small` is a file system with this much room. `None`
/// where nobody may mount one.
fn with_little_room(shell: &Shell, kib: u32, script: &str) -> Option<Said> {
    fs::create_dir(shell.folder().join("small")).unwrap();
    let mount = format!("mount -t tmpfs -o size={kib}k none small");
    let unshared = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
        command.current_dir(shell.folder());
        command.env("VMADIFF", env!("CARGO_BIN_EXE_vmadiff"));
        command.output()
    };
    let possible = unshared(&mount).is_ok_and(|output| output.status.success());
    if !possible {
        eprintln!("skipped: no file system can be mounted here");
        return None;
    }
    Some(Said::from(unshared(&format!("{mount}; {script}")).unwrap()))
}

#[test]
fn a_corpus_without_room_is_no_clean_end_and_leaves_no_torn_input() {
    let shell = Shell::new();
    let script = "$VMADIFF fuzz serial --runs 4000 --seed 3 --corpus small/c --json >summary; \
                  status=$?; find small/c -name '.*' -type f; find small/c -size 0; \
                  ls small/c | wc -l; exit $status";
    let Some(said) = with_little_room(&shell, 64, script) else {
        return;
    };
    assert_eq!(said.status, 3, "{said:?}");
    let words = "No space left on device (os error 28); new inputs are held in memory";
    assert!(said.stderr.contains(words), "{said:?}");
    assert!(
        said.stderr.contains(" new inputs of the corpus"),
        "{said:?}"
    );
    let whole: u64 = said
        .text()
        .trim()
        .parse()
        .expect("nothing is empty or unfinished");
    let summary: Value = serde_json::from_slice(&shell.read("summary")).unwrap();
    let unsaved = summary["unsaved_inputs"].as_u64().unwrap();
    // But for the first, which is libFuzzer's own. A longer input stays until the shorter one in its
    // place is written.
    assert!(
        whole + unsaved < summary["corpus"].as_u64().unwrap() + 10,
        "{summary}"
    );
    assert!(
        whole + unsaved + 1 >= summary["corpus"].as_u64().unwrap(),
        "{summary}"
    );
}

#[test]
fn a_disk_that_was_full_for_a_while_costs_nothing() {
    after_a_full_disk(3);
}

#[test]
#[ignore = "an hour: .ci/weekly"]
fn a_disk_that_was_full_for_an_hour_costs_nothing() {
    let minutes = std::env::var("VMADIFF_FULL_MINUTES");
    let minutes: u32 = minutes.map_or(60, |minutes| minutes.parse().unwrap());
    after_a_full_disk(60 * minutes);
}

/// A campaign whose disk has no room for so many seconds from its start on, and then has.
fn after_a_full_disk(seconds: u32) {
    let shell = Shell::new();
    let script = format!(
        "mkdir small/c; head -c 65536 /dev/zero >small/ballast; \
         (sleep {seconds}; rm small/ballast; mount -o remount,size=1g small) & \
         $VMADIFF fuzz --seconds {} --seed 3 --corpus small/c --artifacts found \
         --json >summary; status=$?; ls small/c | wc -l; exit $status",
        seconds + 5
    );
    // Little enough for the probe to find room, and the campaign none.
    let Some(said) = with_little_room(&shell, 84, &script) else {
        return;
    };
    assert_eq!(said.status, 0, "{said:?}");
    assert!(
        said.stderr.contains("held in memory until there is room"),
        "{said:?}"
    );
    assert!(
        said.stderr.contains("new inputs are written again"),
        "{said:?}"
    );
    let summary: Value = serde_json::from_slice(&shell.read("summary")).unwrap();
    assert_eq!(summary["unsaved_inputs"], 0);
    let whole: u64 = said.text().trim().parse().unwrap();
    assert!(
        whole + 1 >= summary["corpus"].as_u64().unwrap(),
        "{summary}"
    );
    let executions = &summary["executions"];
    println!("full for {seconds} s: {whole} inputs written of {executions} programs");
}

#[test]
fn artifacts_without_room_are_refused_before_anything_runs() {
    let shell = Shell::new();
    let full = format!(
        "cat /dev/zero >small/ballast 2>/dev/null; \
         $VMADIFF fuzz serial --runs 300 --seed 1 {FAULTY} --artifacts small"
    );
    let Some(said) = with_little_room(&shell, 64, &full) else {
        return;
    };
    assert_eq!(said.status, 3, "{said:?}");
    let words = "small: cannot be written to: No space left on device";
    assert!(said.stderr.contains(words), "{said:?}");
    assert_eq!(said.text(), "", "nothing ran");
}

#[test]
fn texts_are_no_corpus_of_bytes() {
    let shell = Shell::new();
    fs::create_dir_all(shell.folder().join("corpus/deeper")).unwrap();
    shell.write("corpus/deeper/one.vma", "load(0x1000)\n");
    shell.run("fuzz --runs 100 --corpus corpus").refuses(&[
        "corpus/deeper/one.vma: found a program as text",
        "vmadiff corpus seeds corpus -o DIR",
    ]);
    let there = fs::read_dir(shell.folder().join("corpus")).unwrap();
    assert_eq!(there.count(), 1, "nothing was written");
    // The command that it names.
    shell.run("corpus seeds corpus -o seeds").succeeds();
    shell.run("fuzz --runs 100 --corpus seeds").succeeds();
}

/// What would be waited for without end, walked for ever or take all memory is named before anything runs.
#[test]
fn what_is_no_input_is_named() {
    let shell = Shell::new();
    for (name, make, why) in [
        ("pipe", "mkfifo pipe/a", "pipe/a: is no file and no folder"),
        ("loop", "ln -s .. loop/a", "loop/a: is a link to "),
        (
            "large",
            "truncate -s 3G large/a",
            "large/a: has 3221225472 bytes, expected at most 16777216",
        ),
        (
            "text",
            "echo 'brk(0)' > text/a.vma",
            "text/a.vma: found a program as text",
        ),
        (
            "looks",
            "echo 'brk(0)' > looks/a",
            "looks/a: found a program as text",
        ),
    ] {
        fs::create_dir(shell.folder().join(name)).unwrap();
        let made = std::process::Command::new("sh")
            .args(["-c", make])
            .current_dir(shell.folder())
            .status();
        assert!(made.unwrap().success(), "{make}");
        for command in ["corpus reduce", "fuzz --runs 100 --corpus"] {
            shell.run(&format!("{command} {name}")).refuses(&[why]);
        }
    }
    shell
        .run("run large/a")
        .refuses(&["large/a: has 3221225472 bytes"]);
    shell
        .run("convert --strace large/a")
        .refuses(&["large/a: has 3221225472 bytes"]);
    fs::write(shell.folder().join("list"), b"state/mmap/value\n\xff\n").unwrap();
    shell
        .run("fuzz --runs 100 --known list")
        .refuses(&["list:2: found the byte 0xff, expected UTF-8"]);
}

/// A file in a folder's place stands for all that cannot be written to.
#[test]
fn folders_are_tried_before_anything_runs() {
    let shell = Shell::new();
    shell.write("file", "in the way");
    shell.write("a.vma", "brk(0)\n");
    let is_file = "file: is a file, expected a folder";
    for (command, why) in [
        ("fuzz --runs 100 --corpus file", is_file),
        ("fuzz --runs 100 --artifacts file", is_file),
        (
            "fuzz --runs 100 --artifacts file/deeper",
            "file/deeper: cannot be written to",
        ),
        ("corpus seeds a.vma -o file", is_file),
        ("corpus distill a.vma -o file", is_file),
        ("corpus reduce file", is_file),
    ] {
        shell.run(command).refuses(&[why]);
    }
    assert_eq!(shell.read("file"), b"in the way");
}

/// And the other way round.
#[test]
fn a_folder_is_no_file() {
    let shell = Shell::new();
    shell.write("a.vma", "brk(0)\n");
    fs::create_dir(shell.folder().join("folder")).unwrap();
    for command in [
        "show folder",
        "minimize folder",
        "convert folder",
        "convert --strace folder",
        "fuzz --runs 100 --known folder",
        "convert a.vma -o folder",
        "convert a.vma -o folder --force",
        "show --html a.vma -o folder",
    ] {
        shell
            .run(command)
            .refuses(&["folder: is a folder, expected a file"]);
    }
}

/// What is written to replaces nothing, and needs no --force.
#[test]
fn devices_and_pipes_are_written_to() {
    let shell = Shell::new();
    shell.write("a.vma", "brk(0)\n");
    shell.run("convert a.vma -o /dev/null").succeeds();
    std::os::unix::fs::symlink("/proc/self/fd/1", shell.folder().join("link")).unwrap();
    for force in ["", " --force"] {
        let said = shell.run(&format!("convert --c a.vma -o link{force}"));
        assert!(said.succeeds().text().contains("int main"), "{said:?}");
        let link = shell.folder().join("link");
        assert!(link.is_symlink(), "another stands in its place");
    }
    let said = shell.run("show a.vma -o /dev/full");
    assert_eq!(said.status, 3, "{said:?}");
    assert!(said.stderr.contains("/dev/full: No space left"), "{said:?}");
}

/// What takes long says at once that its result could not be written.
#[test]
fn files_are_tried_before_long_work() {
    let shell = Shell::new();
    shell.write("file", "in the way");
    shell.write(
        "p.vma",
        "mmap(0x1f0000, 0x1000, PROT_NONE, MAP_PRIVATE|MAP_ANONYMOUS, 3, 0)\n",
    );
    let hunt = "hunt --seeds 1 --defect get-too-few --plot";
    let minimize = format!("minimize {FAULTY} p.vma -o");
    for (command, why) in [
        (
            format!("{hunt} file/out.svg"),
            "file/out.svg: cannot be written: ",
        ),
        (format!("{hunt} file"), "file: exists already"),
        (
            format!("{hunt} . --force"),
            ".: is a folder, expected a file",
        ),
        (format!("{hunt} -"), "standard output has the table"),
        (
            format!("{minimize} file/small.vma"),
            "file/small.vma: cannot be written: ",
        ),
        (format!("{minimize} file"), "file: exists already"),
    ] {
        let said = shell.run(&command);
        said.refuses(&[why]);
        assert_eq!(said.text(), "", "{command}: nothing ran");
        assert!(!said.stderr.contains("not saved"), "{said:?}");
    }
    assert_eq!(shell.read("file"), b"in the way");
}

/// The artifacts in a folder, with their counts.
fn counts(folder: &Path) -> Vec<(String, String)> {
    let told = fs::read_to_string(folder.join("counts.txt")).unwrap();
    let mut counts: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "counts.txt")
        .map(|name| {
            let line = |line: &str| {
                line.strip_suffix(&name)
                    .map(|count| count.trim().to_owned())
            };
            let count = told.lines().find_map(line);
            (name, count.unwrap_or_default())
        })
        .collect();
    counts.sort();
    counts
}

#[test]
fn findings_that_come_again_are_counted_and_others_get_files_of_their_own() {
    let shell = Shell::new();
    let fuzz = |seed: u32, defects: &str| {
        let said = shell.run(&format!("fuzz serial --runs 3000 --seed {seed} {defects}"));
        assert_eq!(said.status, 1, "{said:?}");
        said
    };
    let folder = shell.folder().join("artifacts");
    for (seed, times) in [
        (1, "(once)"),
        (2, "(once, and 1 before)"),
        (3, "(once, and 2 before)"),
    ] {
        let said = fuzz(seed, FAULTY);
        assert!(said.text().contains(times), "{times}: {said:?}");
    }
    let first = counts(&folder);
    let three = "3".to_owned();
    assert_eq!(first.len(), 2, "{first:?}");
    assert!(first.iter().all(|(_, count)| *count == three), "{first:?}");
    let small = fs::read(folder.join(&first[0].0)).unwrap();
    let said = fuzz(1, &format!("{FAULTY} --defect c2-offset-not-lowered"));
    assert!(
        said.text().contains("(once)"),
        "news of other defects: {said:?}"
    );
    let second = counts(&folder);
    assert_eq!(second.len(), 4, "{second:?}");
    assert_eq!(
        second.iter().filter(|(_, count)| *count == three).count(),
        2
    );
    assert_eq!(fs::read(folder.join(&first[0].0)).unwrap(), small);
}
