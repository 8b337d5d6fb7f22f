//! A program as C: small, for itself, readable, with the same calls, so that one who knows the
//! kernel can try it without this project.
//!
//! It prints each call with its result in the notation of program text, so what it prints is a
//! program again, with what this kernel answered as expectations. What it needs beside the calls is
//! in the `.c` files next to this one, taken in where it is used.

use std::fmt::{self, Write};

use vmadiff_contract::{
    Access, Call, CallKind, Config, Fail, FileKind, MapFlags, MoveFlags, Outcome, TaskId,
};

use super::settings::SETTINGS;
use super::text::outcome_text;
use super::{Case, Program, Schedule, Step};

/// The program as C. `answers` are what a manager answers to its calls: they say where the kernel
/// places what has no address of its own, and which child a fork makes.
pub fn to_c(case: &Case, answers: &[Outcome]) -> String {
    let mut text = String::new();
    write(&mut text, case, answers).expect("a String takes all");
    text
}

fn write(out: &mut String, case: &Case, answers: &[Outcome]) -> fmt::Result {
    let program = &case.program;
    for (_, comment) in case.comments.iter().filter(|(at, _)| *at == 0) {
        writeln!(out, "/* {} */", comment.trim().replace("*/", "* /"))?;
    }
    writeln!(
        out,
        "/* Made by vmadiff. Build: cc -o program program.c. It prints each call and its result. */"
    )?;
    write_world(out, program)?;
    out.push_str(include_str!("start.c"));
    let uses = |kinds: &[CallKind]| {
        let mut calls = program.calls.iter();
        calls.any(|step| kinds.contains(&step.call.kind()))
    };
    let touches = uses(&[CallKind::Load, CallKind::Store, CallKind::Exec]);
    let forks = uses(&[CallKind::Fork, CallKind::Exit]);
    let pieces = [
        (touches, include_str!("access.c")),
        (uses(&[CallKind::Open]), include_str!("file.c")),
        (uses(&[CallKind::Mincore]), include_str!("resident.c")),
        (
            uses(&[
                CallKind::Mbind,
                CallKind::SetMempolicy,
                CallKind::GetMempolicy,
            ]),
            include_str!("policy.c"),
        ),
        (true, include_str!("limits.c")),
        (uses(&[CallKind::Brk]), include_str!("heap.c")),
        (forks, include_str!("processes.c")),
        (!forks, include_str!("alone.c")),
        (true, include_str!("calls.c")),
    ];
    out.extend(
        pieces
            .iter()
            .filter(|(used, _)| *used)
            .map(|(_, piece)| *piece),
    );
    writeln!(out, "int main(void)\n{{")?;
    write_start(out, program, touches, forks)?;
    for (index, step) in program.calls.iter().enumerate() {
        let answer = answers.get(index).copied().unwrap_or(Outcome::Unsupported);
        write_step(out, step, answer)?;
    }
    writeln!(
        out,
        "    {}\n}}",
        if forks { "leave();" } else { "return 0;" }
    )
}

/// Says what of the program's world a process can not give itself.
fn write_world(out: &mut String, program: &Program) -> fmt::Result {
    const OWN: [&str; 7] = [
        "tasks",
        "rlimit_as",
        "rlimit_data",
        "rlimit_stack",
        "rlimit_memlock",
        "rlimit_nofile",
        "reuse_slots",
    ];
    let usual = Config::default();
    let asked = SETTINGS.iter().filter(|setting| {
        let differs = setting.get(&program.config) != setting.get(&usual);
        differs && !OWN.contains(&setting.name)
    });
    let asked: Vec<String> = asked
        .map(|setting| format!("{}={:#x}", setting.name, setting.get(&program.config)))
        .collect();
    if !asked.is_empty() {
        writeln!(out, "/* It is about a machine with {}. */", asked.join(" "))?;
    }
    if program.schedule != Schedule::default() {
        writeln!(
            out,
            "/* Its calls run one after another here; its schedule is left out. */"
        )?;
    }
    Ok(())
}

/// What comes before the calls.
fn write_start(out: &mut String, program: &Program, touches: bool, forks: bool) -> fmt::Result {
    let (config, usual) = (&program.config, Config::default());
    writeln!(out, "    static char line[1 << 12];\n")?;
    writeln!(out, "    setvbuf(stdout, line, _IOLBF, sizeof line);")?;
    writeln!(out, "    alarm(10);")?;
    writeln!(out, "    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);")?;
    if touches {
        writeln!(out, "    catch_signals();")?;
    }
    if forks {
        let tasks = (1..=config.tasks).fold(0_u64, |mask, task| mask | 1 << task);
        writeln!(out, "    share_turns({tasks:#x});")?;
    }
    let makes = |kind| program.calls.iter().any(|step| step.call.kind() == kind);
    if makes(CallKind::SetRlimit) {
        writeln!(out, "    own = has(\"VmSize:\");")?;
    }
    if makes(CallKind::Brk) {
        writeln!(out, "    set_heap({:#x});", config.start_brk)?;
    }
    for (name, field, most, default) in [
        ("AS", Some("VmSize:"), config.rlimit_as, usual.rlimit_as),
        (
            "DATA",
            Some("VmData:"),
            config.rlimit_data,
            usual.rlimit_data,
        ),
        ("STACK", None, config.rlimit_stack, usual.rlimit_stack),
        (
            "NOFILE",
            None,
            config.rlimit_nofile.into(),
            usual.rlimit_nofile.into(),
        ),
    ] {
        match field {
            _ if most == default => {}
            Some(field) => writeln!(
                out,
                "    limit(RLIMIT_{name}, {most:#x} + has(\"{field}\"));"
            )?,
            None => writeln!(out, "    limit(RLIMIT_{name}, {most:#x});")?,
        }
    }
    writeln!(
        out,
        "    limit(RLIMIT_MEMLOCK, {:#x});",
        config.rlimit_memlock
    )?;
    if !config.cap_ipc_lock {
        writeln!(out, "    give_up_capabilities();")?;
    }
    writeln!(out)
}

/// A call, with what a manager answers behind it.
fn write_step(out: &mut String, step: &Step, answer: Outcome) -> fmt::Result {
    let Step { task, call, .. } = *step;
    let alone = |call| Step {
        task: TaskId(1),
        call,
        fail: Fail::NONE,
    };
    let kind = call.kind();
    if let Some(why) = left_out(&call, answer) {
        return writeln!(out, "    /* {step}: {why}. */");
    }
    let answered = outcome_text(kind, answer);
    let mut remarks = vec![format!("= {answered}")];
    if step.fail != Fail::NONE {
        remarks.push(format!("allocation {} was made to fail", step.fail.0));
    }
    let placed = placed(call, answer);
    if placed != call {
        remarks.push(format!("was {}", alone(call)));
    }
    let statement = match (call, answer) {
        (Call::Fork, Outcome::Value(child)) => format!("FORK({task}, {child})"),
        (Call::Exit, _) => format!("EXIT({task})"),
        _ => format!("CALL({task}, {});", alone(placed)),
    };
    writeln!(out, "    {statement} /* {} */", remarks.join("; "))
}

/// Why a call is none of C's.
fn left_out(call: &Call, answer: Outcome) -> Option<&'static str> {
    match *call {
        _ if answer == Outcome::NoTask => Some("there is no such task"),
        Call::Fork if !answer.is_success() => Some("the child would not be known"),
        Call::Reclaim { .. }
        | Call::Softirq
        | Call::Collapse { .. }
        | Call::NumaScan { .. }
        | Call::Evict { .. } => Some("a step of the kernel, left out"),
        Call::UffdRegister { .. } | Call::UffdUnregister { .. } => Some("userfaultfd, left out"),
        Call::Open { kind, access, .. } if kind != FileKind::Plain || access == Access::empty() => {
            Some("no file that a process can make, left out")
        }
        _ => None,
    }
}

/// The call with an address where it leaves that to the kernel, which would choose another one than
/// in the program's world: as a hint where it can be one.
fn placed(call: Call, answer: Outcome) -> Call {
    let Outcome::Value(place) = answer else {
        return call;
    };
    match call {
        Call::Mmap {
            addr,
            len,
            prot,
            flags,
            fd,
            off,
        } if !flags.intersects(MapFlags::FIXED | MapFlags::FIXED_NOREPLACE) && addr != place => {
            Call::Mmap {
                addr: place,
                len,
                prot,
                flags,
                fd,
                off,
            }
        }
        Call::Mremap {
            addr,
            old_len,
            new_len,
            flags,
            ..
        } if !flags.contains(MoveFlags::FIXED) && addr != place => {
            let flags = flags | MoveFlags::FIXED;
            Call::Mremap {
                addr,
                old_len,
                new_len,
                flags,
                new_addr: place,
            }
        }
        _ => call,
    }
}
