//! The script that keeps a fleet's corpora: fuzz/nightly.sh.

use std::process::Command;

use crate::shell::Shell;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/nightly.sh");

fn nightly(shell: &Shell, folders: &[&str]) -> (i32, String) {
    night(shell, folders, env!("CARGO_BIN_EXE_vmadiff"))
}

fn night(shell: &Shell, folders: &[&str], command: &str) -> (i32, String) {
    script(shell, folders, command, "exec bash \"$@\"")
}

/// Starts the script by these words of the shell.
fn script(shell: &Shell, folders: &[&str], command: &str, start: &str) -> (i32, String) {
    let output = Command::new("bash")
        .args(["-c", start, "bash", SCRIPT])
        .args(folders)
        .env("VMADIFF", command)
        .current_dir(shell.folder())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let status = output.status.code().unwrap();
    (status, String::from_utf8_lossy(&said).into_owned())
}

fn count(shell: &Shell, folder: &str) -> usize {
    std::fs::read_dir(shell.folder().join(folder))
        .unwrap()
        .count()
}

#[test]
fn machines_share_a_small_corpus_and_a_list_of_findings() {
    let shell = Shell::new();
    std::fs::create_dir(shell.folder().join("shared")).unwrap();
    for machine in [1, 2] {
        std::fs::create_dir(shell.folder().join(format!("m{machine}"))).unwrap();
        shell.run(&format!(
            "fuzz serial --runs 3000 --seed {machine} --keep-going --corpus m{machine}/corpus \
             --artifacts m{machine}/artifacts --defect c2-offset-not-lowered"
        ));
    }
    let had = [count(&shell, "m1/corpus"), count(&shell, "m2/corpus")];
    let (status, said) = nightly(&shell, &["shared", "m1", "m2"]);
    assert_eq!(status, 1, "there are findings: {said}");
    let shared = count(&shell, "shared/corpus");
    assert!(shared < had[0] + had[1], "{shared} of {had:?}");
    assert!(count(&shell, "m1/corpus") > had[0], "it gets the other's");
    let findings = String::from_utf8(shell.read("shared/findings.txt")).unwrap();
    let lines: Vec<&str> = findings.lines().collect();
    let first = lines
        .iter()
        .find(|line| line.starts_with("state/mmap/vmas.pgoff "));
    let (signature, program) = first.unwrap().split_once(' ').unwrap();
    assert!(program.ends_with(".vma") && shell.folder().join(program).exists());
    // Once all are known, the night is quiet; and nothing comes twice.
    let programs = count(&shell, "shared/artifacts");
    let known: String = lines
        .iter()
        .map(|line| format!("{} # seen\n", line.split_once(' ').unwrap().0))
        .collect();
    assert!(known.contains(signature));
    shell.write("shared/known.txt", known);
    let (status, said) = nightly(&shell, &["shared", "m1", "m2"]);
    assert_eq!(status, 0, "{said}");
    assert_eq!(count(&shell, "shared/artifacts"), programs);
    // Nor does it where a campaign finds the same again, which is counted in the program's file.
    shell.run(
        "fuzz serial --runs 3000 --seed 1 --keep-going --corpus again \
         --artifacts m1/artifacts --defect c2-offset-not-lowered",
    );
    let (status, said) = nightly(&shell, &["shared", "m1", "m2"]);
    assert_eq!(status, 0, "{said}");
    assert_eq!(count(&shell, "shared/artifacts"), programs);
}

/// What a copy leaves that is cut off is a file without a name of its own, or empty.
#[test]
fn a_night_hands_on_no_rest_of_another_one() {
    let shell = Shell::new();
    shell.run("fuzz serial --runs 300 --seed 1 --corpus m1/corpus --artifacts m1/artifacts");
    std::fs::create_dir_all(shell.folder().join("shared/corpus")).unwrap();
    std::fs::create_dir(shell.folder().join("m2")).unwrap();
    shell.write("m1/corpus/.vmadiff-rest", "half");
    let inputs = std::fs::read_dir(shell.folder().join("m1/corpus")).unwrap();
    let names = inputs.map(|input| input.unwrap().file_name().into_string().unwrap());
    let name = names.into_iter().find(|name| !name.starts_with('.'));
    let name = name.expect("an input");
    shell.write(&format!("shared/corpus/{name}"), "");
    let (status, said) = nightly(&shell, &["shared", "m1", "m2"]);
    assert_eq!(status, 0, "{said}");
    assert!(!shell.folder().join("m2/corpus/.vmadiff-rest").exists());
    assert!(!shell.folder().join("shared/corpus/.vmadiff-rest").exists());
    let inputs = std::fs::read_dir(shell.folder().join("shared/corpus")).unwrap();
    let mut sizes = inputs.map(|input| input.unwrap().metadata().unwrap().len());
    assert!(sizes.all(|size| size != 0), "whole files only");
    // A harness that failed on a machine is not passed over.
    shell.write("m2/artifacts/crash-1", "x");
    let (status, said) = nightly(&shell, &["shared", "m1", "m2"]);
    assert_eq!(status, 3, "{said}");
    assert!(
        said.contains("m2/artifacts/crash-1: the harness failed"),
        "{said}"
    );
}

/// What a night that is killed has not put in its place yet goes at the next one's start; not while it is
/// still at work.
#[test]
fn a_night_tidies_up_after_one_that_was_killed() {
    let shell = Shell::new();
    shell.run("fuzz serial --runs 300 --seed 1 --corpus m1/corpus --artifacts m1/artifacts");
    let rests = ["shared/corpus", "shared/artifacts", "m1/corpus"].map(|folder| {
        let rest = format!("{folder}/.nightly-Ab12cD");
        std::fs::create_dir_all(shell.folder().join(&rest)).unwrap();
        shell.write(&format!("{rest}/half"), "x");
        shell.folder().join(rest)
    });
    let file = shell
        .folder()
        .join("shared/artifacts/.nightly-0123456789ab");
    std::fs::write(&file, "half").unwrap();
    for at_work in ["shared", "m1"] {
        let lock = shell.folder().join(at_work).join(".nightly.lock");
        let lock = std::fs::File::create(lock).unwrap();
        lock.lock().unwrap();
        let (status, said) = nightly(&shell, &["shared", "m1"]);
        let named = format!("{at_work}: another night is at work there");
        assert!(status == 2 && said.contains(&named), "{said}");
    }
    assert!(rests[2].exists(), "of one that may be at work");
    let (status, said) = nightly(&shell, &["shared", "m1"]);
    assert_eq!(status, 0, "{said}");
    assert!(rests.iter().chain([&file]).all(|rest| !rest.exists()));
}

#[test]
fn what_is_no_folder_is_named() {
    let shell = Shell::new();
    let (status, said) = nightly(&shell, &["shared", "m1"]);
    assert_eq!(status, 2);
    assert!(
        said.contains("shared: not found, expected a folder"),
        "{said}"
    );
    let (status, said) = nightly(&shell, &["shared"]);
    assert!(
        status == 2 && said.contains("fuzz/nightly.sh SHARED MACHINE..."),
        "{said}"
    );
}

/// What an operator takes for something else is named before anything is done.
#[test]
fn mistakes_are_named_before_the_night_begins() {
    let shell = Shell::new();
    shell.run("fuzz serial --runs 300 --seed 1 --corpus m1/corpus --artifacts m1/artifacts");
    std::fs::create_dir(shell.folder().join("shared")).unwrap();
    let (status, said) = nightly(&shell, &["shared", "m1/corpus"]);
    let wanted = "m1/corpus: holds inputs, expected a folder with `corpus/`";
    assert!(status == 2 && said.contains(wanted), "{said}");
    assert!(!shell.folder().join("m1/corpus/corpus").exists());
    shell.write(
        "shared/known.txt",
        "# open\nstate/mmap/vmas.pgoff\r\nstate mmap",
    );
    let (status, said) = nightly(&shell, &["shared", "m1"]);
    let wanted = "shared/known.txt:3: found `state mmap`, expected a signature";
    assert!(status == 2 && said.contains(wanted), "{said}");
    shell.write("shared/known.txt", "");
    let (status, said) = night(&shell, &["shared", "m1"], "./vmadif");
    let wanted = "VMADIFF: ./vmadif: not found, expected the command";
    assert!(status == 2 && said.contains(wanted), "{said}");
    assert!(
        !shell.folder().join("shared/corpus").exists(),
        "nothing was done"
    );
    let (status, said) = nightly(&shell, &["shared", "m1"]);
    assert_eq!(status, 0, "{said}");
}

/// 1 says that there are findings, and nothing else.
#[test]
fn a_night_that_fails_is_not_one_with_findings() {
    let shell = Shell::new();
    shell.run("fuzz serial --runs 300 --seed 1 --corpus m1/corpus --artifacts m1/artifacts");
    std::fs::create_dir(shell.folder().join("shared")).unwrap();
    let none_of_it = "export SECONDS_MOST=1h; exec bash \"$@\"";
    let (status, said) = script(&shell, &["shared", "m1"], "true", none_of_it);
    let wanted = "SECONDS_MOST: found `1h`, expected a number of seconds";
    assert!(status == 2 && said.contains(wanted), "{said}");
    assert!(!shell.folder().join("shared/corpus").exists());
    shell.write("shared/artifacts", "a file");
    let (status, said) = nightly(&shell, &["shared", "m1"]);
    assert!(status == 3 && said.contains("shared/artifacts"), "{said}");
    std::fs::remove_file(shell.folder().join("shared/artifacts")).unwrap();
    // What was found is listed nevertheless.
    std::fs::create_dir(shell.folder().join("m2")).unwrap();
    let (status, said) = night(&shell, &["shared", "m1", "m2"], "false");
    let wanted = "shared/corpus: could not be made small";
    assert!(status == 3 && said.contains(wanted), "{said}");
    assert!(count(&shell, "m2/corpus") > 0, "it is given out as it is");
    assert_eq!(shell.read("shared/findings.txt"), b"");
}

/// The machine had inputs; that none was copied is not that there are none.
#[test]
fn a_night_without_room_is_told_as_one() {
    let shell = Shell::new();
    shell.run("fuzz serial --runs 300 --seed 1 --corpus m1/corpus --artifacts m1/artifacts");
    std::fs::create_dir(shell.folder().join("shared")).unwrap();
    let command = env!("CARGO_BIN_EXE_vmadiff");
    let no_room = "trap '' XFSZ; ulimit -f 0; exec bash \"$@\"";
    let (status, said) = script(&shell, &["shared", "m1"], command, no_room);
    assert!(said.contains("could be copied"), "{said}");
    assert_eq!(status, 3, "{said}");
    assert_eq!(shell.read("shared/findings.txt"), b"");
    let (status, said) = nightly(&shell, &["shared", "m1"]);
    assert_eq!(status, 0, "it comes another night: {said}");
}

/// A target for check.sh that is told to be slow by the clock, and takes some 20 ms of a processor a unit.
const SLOW: &str = r#"#!/bin/bash
for argument in "$@"; do
    case $argument in
        -artifact_prefix=*) prefix=${argument#*=} ;;
        -runs=*) runs=${argument#*=} ;;
        -*) ;;
        *) unit=$argument ;;
    esac
done
if [ "$#" -gt 8 ]; then
    for argument in "$@"; do [ ! -f "$argument" ] || echo "Executed $argument in 700 ms"; done
elif [ -f "$unit" ]; then
    for ((run = 0; run < runs; run++)); do for ((n = 0; n < 20000; n++)); do :; done; done
else
    echo x > "${prefix}slow-unit-1"
    echo "stat::peak_rss_mb: 10"
    echo "stat::slowest_unit_time_sec: 12"
fi
"#;

/// Without objdump every target would seem to be built without AddressSanitizer.
#[test]
fn a_check_names_the_programs_that_are_missing() {
    const CHECK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/oss-fuzz/check.sh");
    let shell = Shell::new();
    let only_these = "for name in bash dirname mktemp rm unzip; do ln -sf \"$(command -v $name || echo /bin/true)\" . ; done; \
                      PATH=$PWD exec bash \"$@\"";
    for (arguments, missing) in [
        (&["--only", "."][..], "objdump"),
        (&[], "cargo-fuzz c++ objdump zip"),
    ] {
        let mut command = Command::new("bash");
        command.args(["-c", only_these, "bash", CHECK]);
        let output = command.args(arguments).current_dir(shell.folder()).output();
        let output = output.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert_eq!(
            said.trim_end(),
            format!("not found, expected in PATH: {missing}")
        );
    }
}

/// A machine that is busy makes every unit slow by the clock.
#[test]
fn a_unit_is_blamed_for_its_own_time_only() {
    const CHECK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/oss-fuzz/check.sh");
    let shell = Shell::new();
    shell.write("target", SLOW);
    shell.write("target.options", "");
    for input in ["bad/timeout-1", "crashed/crash-1"] {
        std::fs::create_dir(shell.folder().join(input).parent().unwrap()).unwrap();
        shell.write(input, "x");
    }
    let check = |slowest: u32, what: &str| -> String {
        let script = format!(
            ". {CHECK}; chmod +x target; SLOWEST={slowest}; {what} 2>&1; echo broken=$broken"
        );
        let mut command = Command::new("bash");
        let output = command.args(["-c", &script]).current_dir(shell.folder());
        String::from_utf8(output.output().unwrap().stdout).unwrap()
    };
    for what in ["hold ./target races", "check_blamed ./target bad"] {
        let said = check(5, what);
        assert!(
            said.ends_with("broken=0\n") && said.contains("ms on the processor"),
            "{said}"
        );
        let said = check(0, what);
        assert!(
            said.ends_with("broken=1\n") && said.contains("BAD BUILD"),
            "{said}"
        );
    }
    // Of units that all waited, the slow one may be any.
    std::fs::create_dir(shell.folder().join("units")).unwrap();
    for unit in 0..9 {
        shell.write(&format!("units/{unit}"), "x");
    }
    for (unit, broken) in [(1000, 0), (0, 1)] {
        let said = check(5, &format!("UNIT={unit}; hold_units ./target races units"));
        assert!(said.ends_with(&format!("broken={broken}\n")), "{said}");
        let blamed = said.matches("BAD BUILD").count();
        assert_eq!(blamed, 9 * broken, "{said}");
    }
    let said = check(5, "check_blamed ./target crashed");
    assert!(said.ends_with("broken=1\n"), "{said}");
}

/// As ClusterFuzz prunes: its arguments and variables, with what a target's options may change of them.
#[test]
fn pruning_is_that_of_the_service() {
    const SERVICE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/oss-fuzz/service.sh");
    let shell = Shell::new();
    shell.write(
        "target",
        "#!/bin/sh\nprintf '%s\\n' \"$@\"\necho \"$ASAN_OPTIONS\" | tr : '\\n'\n",
    );
    let prune = |options: &str| -> Vec<String> {
        shell.write("target.options", options);
        let script = format!("chmod +x target; . {SERVICE}; prune ./target kept all");
        let mut command = Command::new("bash");
        let output = command.args(["-euc", &script]).current_dir(shell.folder());
        let said = String::from_utf8(output.output().unwrap().stdout).unwrap();
        said.lines().map(str::to_owned).collect()
    };
    let plain = prune("");
    let common = "-use_value_profile=1 -merge=1 -artifact_prefix=kept-bad/ kept all";
    let expected = "-timeout=5 -rss_limit_mb=2560 -max_len=5242880 -detect_leaks=1";
    assert_eq!(plain[..9].join(" "), format!("{expected} {common}"));
    for option in [
        "detect_stack_use_after_return=1",
        "quarantine_size_mb=64",
        "redzone=16",
        "exitcode=77",
    ] {
        assert!(plain.iter().any(|own| own == option), "{option}: {plain:?}");
    }
    // It leaves the size of fake stacks to AddressSanitizer, whose own is larger.
    assert!(!plain.iter().any(|own| own.starts_with("max_uar_stack")));
    let own = "[libfuzzer]\nmax_len = 4096\nrss_limit_mb = 3000\ndetect_leaks = 0\nlen_control = 0\n\
               [asan]\nquarantine_size_mb = 1\n";
    let own = prune(own);
    let expected = "-timeout=5 -rss_limit_mb=3000 -max_len=4096 -detect_leaks=0";
    assert_eq!(own[..9].join(" "), format!("{expected} {common}"));
    let last = own.iter().rfind(|one| one.starts_with("quarantine"));
    assert_eq!(
        last.unwrap(),
        "quarantine_size_mb=1",
        "the later one counts"
    );
    assert_eq!(prune("[libfuzzer]\nmax_len = 9000000\n")[2], plain[2]);
}
