//! What running programs leaves behind on the machine: nothing. docs/kernels.md says what may be touched.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use vmadiff_contract::{Access, Call, Config, Fd, FileKind, LockAllFlags, MapFlags, Prot, TaskId};
use vmadiff_linux::{Linux, Look};

/// All that a program could disturb, by name.
type Traces = BTreeMap<String, String>;

fn traces(files: &Path) -> Traces {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let mut traces = Traces::new();
    traces.insert("limits".into(), read("/proc/self/limits"));
    // Of this thread, which has the agents: the first one may just be starting this, its signals blocked.
    let status = read("/proc/thread-self/status");
    let kept = [
        "SigBlk",
        "SigIgn",
        "SigCgt",
        "CapEff",
        "CapPrm",
        "NoNewPrivs",
        "Seccomp",
        "VmLck",
    ];
    let lines = status
        .lines()
        .filter(|line| kept.iter().any(|name| line.starts_with(name)));
    traces.insert(
        "signals, capabilities, locks".into(),
        lines.collect::<Vec<_>>().join("\n"),
    );
    traces.insert("personality".into(), read("/proc/thread-self/personality"));
    for folder in [
        "/proc/self/fd",
        "/proc/sys/vm",
        "/proc/sys/kernel",
        &files.display().to_string(),
    ] {
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path().display().to_string())
            .collect();
        names.sort();
        for name in names
            .iter()
            .filter(|name| folder.starts_with("/proc/sys/vm") || name.contains("numa"))
        {
            traces.insert(name.clone(), read(name));
        }
        traces.insert(folder.into(), names.join(" "));
    }
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let children =
        tasks.map(|task| read(&task.unwrap().path().join("children").display().to_string()));
    traces.insert(
        "children".into(),
        children.collect::<Vec<_>>().join(" ").trim().to_owned(),
    );
    traces
}

/// A program that opens, maps, locks, forks, sets limits (by its configuration) and faults.
fn program() -> Vec<(TaskId, Call)> {
    let addr = Config::WINDOW;
    let map = |addr, flags, fd| Call::Mmap {
        addr,
        len: 0x2000,
        prot: Prot::READ | Prot::WRITE,
        flags,
        fd: Fd(fd),
        off: 0,
    };
    let private = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::ANONYMOUS;
    let open = Call::Open {
        kind: FileKind::Plain,
        access: Access::READ,
        size: 0x3000,
    };
    let first = [
        open,
        map(addr, private, -1),
        map(addr + 0x4000, MapFlags::PRIVATE | MapFlags::FIXED, 3),
        Call::Store { addr, value: 1 },
        Call::Store {
            addr: 0x1000_0000,
            value: 1,
        }, // nothing there
        Call::Mlockall {
            flags: LockAllFlags::CURRENT | LockAllFlags::FUTURE,
        },
        Call::Fork,
    ];
    let mut calls: Vec<_> = first.map(|call| (TaskId(1), call)).into();
    let child = TaskId(Config::default().tasks + 1);
    calls.push((child, Call::Store { addr, value: 2 }));
    calls.push((
        child,
        Call::Exec {
            addr: addr + 0x4000,
        },
    ));
    calls
}

#[test]
fn a_machine_is_left_as_it_was_found() {
    let files = std::env::current_dir().unwrap();
    let mut bystander = Command::new("sleep").arg("60").spawn().unwrap();
    let before = traces(&files);
    let ran = Linux::new().map(|mut linux| {
        let small = linux.machine().most_locked < 1 << 20;
        let config = Config {
            nodes: linux.machine().nodes,
            rlimit_nofile: 16,
            rlimit_as: 1 << 30,
            ..Config::default()
        };
        for look in [Look::AtEnd, Look::EachCall] {
            match linux.run(&config, &program(), look) {
                Ok(run) => assert_eq!(run.answers.len(), program().len()),
                Err(why) => assert!(small, "{why}"),
            }
        }
    });
    if let Err(why) = &ran {
        eprintln!("skipped: {why}");
    }
    let after = traces(&files);
    let bystander_lives = bystander.try_wait().unwrap().is_none();
    bystander.kill().unwrap();
    bystander.wait().unwrap();
    for (what, value) in &before {
        assert_eq!(Some(value), after.get(what), "{what}");
    }
    assert_eq!(before.len(), after.len());
    assert!(
        bystander_lives,
        "a process that is none of an agent's was ended"
    );
}
