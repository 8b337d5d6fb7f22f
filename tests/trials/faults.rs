//! Trial by fault: each system call of the command and of its children that can fail does so once,
//! at each place where it is made. strace makes them fail.

use std::fmt::Display;
use std::fs;
use std::panic::catch_unwind;
use std::path::Path;
use std::process::{Command, Output};

use crate::scene::{Files, SCENES, Scene, VMADIFF, files, trouble};

/// System calls, and how each is made to fail.
const FAULTS: [(&str, &str); 33] = [
    ("openat", "ENOSPC"),
    ("openat", "EMFILE"),
    ("openat", "EIO"),
    ("write", "ENOSPC"),
    ("write", "EIO"),
    ("read", "EIO"),
    ("fsync", "EIO"),
    ("fsync", "ENOSPC"),
    ("mkdir", "ENOSPC"),
    ("mkdir", "EROFS"),
    ("rename", "EIO"),
    ("renameat2", "ENOSPC"),
    ("linkat", "ENOSPC"),
    ("unlink", "EIO"),
    ("fchmod", "EPERM"),
    ("flock", "ENOLCK"),
    ("getdents64", "EIO"),
    ("statx", "EIO"),
    ("memfd_create", "EMFILE"),
    ("pipe2", "EMFILE"),
    ("clone3", "EAGAIN"),
    ("execve", "ENOMEM"),
    ("wait4", "EINTR"),
    ("lseek", "EIO"),
    ("readlink", "EIO"),
    ("getcwd", "ENOENT"),
    ("unlinkat", "EIO"),
    ("dup2", "EMFILE"),
    ("setpgid", "EPERM"),
    ("fcntl", "EINVAL"),
    ("poll", "ENOMEM"),
    ("ioctl", "EIO"),
    ("prlimit64", "EPERM"),
];

/// System calls for memory, which fail for lack of it. Rust ends a process that can get none by a signal, and
/// so does the loader: nothing is to be torn or lost then, as after a kill.
const OUT_OF_MEMORY: [(&str, &str); 2] = [("mmap", "ENOMEM"), ("mremap", "ENOMEM")];

/// The calls by which programs on the running kernel map memory, open files and set limits: what these answer
/// is what is compared.
const OF_PROGRAMS: [&str; 4] = ["mmap", "mremap", "memfd_create", "prlimit64"];

/// The faults that a scene is to get over.
fn faults(scene: &Scene) -> impl Iterator<Item = (&'static str, &'static str)> {
    let is_on_kernel = scene.arguments.contains("linux");
    let all = FAULTS.into_iter().chain(OUT_OF_MEMORY);
    all.filter(move |(call, _)| !is_on_kernel || !OF_PROGRAMS.contains(call))
}

/// Places of one system call in one command, above which the trial does not come to its end.
const PLACES: u32 = 2000;

/// Places of which each is tried.
const ALL: u32 = 40;

/// What came of one fault.
enum Came {
    /// The call is not made so often.
    ToNothing,
    /// To an end, good or bad, after which all is as it should be.
    ToAnEnd,
}

/// Runs a scene with the nth call of this name failing in every thread that gets so far; `3+`: with
/// the third and all after it.
fn with_fault(
    scene: &Scene,
    call: &str,
    error: &str,
    nth: impl Display,
    folder: &Path,
) -> (Output, bool) {
    let log = folder.with_extension("log");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "--seccomp-bpf", "-o"]).arg(&log);
    command.args(["-e", &format!("trace={call}")]);
    command.args(["-e", &format!("inject={call}:error={error}:when={nth}")]);
    command.arg(VMADIFF);
    scene.arrange(&mut command, folder);
    let output = command.output().expect("strace");
    let text = fs::read_to_string(&log).unwrap_or_default();
    let _ = fs::remove_file(&log);
    (output, text.contains("(INJECTED)"))
}

fn is_possible() -> bool {
    let mut strace = Command::new("strace");
    let works = strace
        .args(["-f", "-qq", "-o", "/dev/null", "true"])
        .status();
    let works = works.is_ok_and(|status| status.success());
    if !works {
        eprintln!("skipped: no strace here, or it may not trace");
    }
    works
}

fn at_place(
    scene: &Scene,
    (status, wanted): &(i32, Files),
    (call, error): (&str, &str),
    nth: u32,
) -> Came {
    let folder = scene.set();
    let (output, was_injected) = with_fault(scene, call, error, nth, folder.path());
    if !was_injected {
        return Came::ToNothing;
    }
    let left = files(folder.path());
    let told = String::from_utf8_lossy(&output.stderr);
    let place = format!("{}: {call} {nth} fails with {error}", scene.name);
    let what = || format!("{place}\n{:?}\n{told}", output.status);
    if let Some(trouble) = trouble(scene, wanted, &left) {
        panic!("{trouble}\n{}", what());
    }
    match output.status.code() {
        // It got over it: then nothing is missing.
        Some(code) if code == *status => {
            // Beside a program that was saved late, the shrunk one may bear another number.
            let missing = wanted.iter().find(|(name, content)| {
                !left.contains_key(*name) && !left.values().any(|now| now == *content)
            });
            assert!(
                missing.is_none(),
                "{:?} is missing\n{}",
                missing.unwrap().0,
                what()
            );
        }
        Some(0) => panic!("it ended as if all were well\n{}", what()),
        Some(code) => {
            assert!(code != 101, "a panic\n{}", what());
            // What cannot be said on standard error cannot be said; what a program came to is said where
            // that of others is.
            let came_to = String::from_utf8_lossy(&output.stdout).contains(": failed: ");
            let is_told = !told.is_empty() || came_to || call == "write";
            assert!(is_told, "it says nothing\n{}", what());
        }
        None => {
            let may_abort = OUT_OF_MEMORY.iter().any(|(memory, _)| *memory == call);
            assert!(may_abort, "ended by a signal\n{}", what());
        }
    }
    Came::ToAnEnd
}

/// Goes through places of a fault in a scene; answers how many there were.
fn through(
    scene: &Scene,
    good: &(i32, Files),
    fault: (&str, &str),
    places_to_try: impl Iterator<Item = u32>,
) -> u32 {
    let mut places = 0;
    for nth in places_to_try {
        match at_place(scene, good, fault, nth) {
            Came::ToNothing => break,
            Came::ToAnEnd => places += 1,
        }
    }
    places
}

/// Findings wait for the disk, and no write of theirs ever comes to an end.
#[test]
fn a_finding_that_is_never_saved_is_printed() {
    if !is_possible() {
        return;
    }
    for scene in &SCENES[1..3] {
        let (_, wanted) = scene.untroubled();
        let folder = scene.set();
        let (output, _) = with_fault(scene, "fsync", "ENOSPC", "1+", folder.path());
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{told}");
        let found = wanted.iter().filter(|(name, _)| {
            let is_before = scene
                .before
                .iter()
                .any(|(before, _)| Path::new(before) == *name);
            name.starts_with("a") && !is_before
        });
        let mut programs = 0;
        for (name, content) in found {
            let text = String::from_utf8_lossy(content);
            assert!(
                told.contains(&*text),
                "{}:\n{text}\nin\n{told}",
                name.display()
            );
            assert!(!folder.path().join(name).exists(), "{}", name.display());
            programs += 1;
        }
        assert!(programs >= 2, "as it was found, and shrunk");
        assert!(told.contains("No space left on device"), "{told}");
    }
}

/// One place in each scene for some of the faults.
#[test]
fn some_faults_at_some_places() {
    if !is_possible() {
        return;
    }
    let mut places = 0;
    for (index, scene) in SCENES.iter().enumerate() {
        let good = scene.untroubled();
        for (number, fault) in faults(scene).enumerate().skip(index % 4).step_by(4) {
            // Past what the loader and the runtime do before `main`.
            let loader = if matches!(fault.0, "openat" | "mmap") {
                12
            } else {
                0
            };
            let nth = 1 + (index + number) as u32 % 3 + loader;
            places += through(scene, &good, fault, std::iter::once(nth));
        }
    }
    assert!(places >= 12, "{places} places");
}

/// Every fault at every place of every command, or of those whose names `FAULT_SCENES` lists, with
/// commas between them. After a place where something is wrong the next fault's turn comes, so that one
/// run tells all.
#[test]
#[ignore = "an hour or more: .ci/weekly"]
fn every_fault_at_every_place() {
    assert!(is_possible(), "strace is needed");
    let names = std::env::var("FAULT_SCENES").unwrap_or_default();
    let names: Vec<_> = names.split(',').filter(|name| !name.is_empty()).collect();
    for name in &names {
        let is_there = SCENES.iter().any(|scene| scene.name == *name);
        assert!(is_there, "FAULT_SCENES: {name:?} is no scene");
    }
    let is_asked = |scene: &&Scene| names.is_empty() || names.contains(&scene.name);
    let (mut places, mut wrong) = (0, Vec::new());
    for scene in SCENES.iter().filter(is_asked) {
        let good = scene.untroubled();
        for fault @ (call, error) in faults(scene) {
            // The first ones each; those of a long loop are all alike.
            let tried = (1..=ALL).chain((ALL..PLACES).step_by(31));
            let place = format!("{}: {call} {error}", scene.name);
            match catch_unwind(|| through(scene, &good, fault, tried)) {
                Ok(there) => {
                    println!("{place}: {there} places");
                    places += there;
                }
                Err(_) => wrong.push(place),
            }
        }
    }
    println!("{places} places");
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(!names.is_empty() || places > 300, "{places} places");
}
