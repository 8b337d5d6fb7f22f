//! The command in a guest: does its task and says what comes of it, a line of JSON a message.

use std::fs::File;
use std::io::{self, BufRead, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use vmadiff::linux::{Campaign, court, fuzz};
use vmadiff::program::Case;
use vmadiff_contract::Manager;
use vmadiff_linux::boot::MARK;
use vmadiff_linux::{Closeness, Linux, Look};
use vmadiff_reference::Reference;

use super::super::output::stdout;
use super::line::{Line, one};
use super::wire::{Message, TASK, Task};
use crate::status::Status;

/// The user asked to stop.
static STOP: AtomicBool = AtomicBool::new(false);
/// The kernel's log.
static LOG: OnceLock<File> = OnceLock::new();
/// How often the tally is told.
const TALLY_EVERY: Duration = Duration::from_secs(1);

pub fn run() -> Result<Status> {
    if let Err(error) = work() {
        say(&Message::Failed(format!("{error:#}")))?;
    }
    Ok(Status::Agreed)
}

fn work() -> Result<()> {
    let task = std::fs::read(TASK).context(TASK)?;
    let task: Task = serde_json::from_slice(&task).context(TASK)?;
    let log = File::options()
        .write(true)
        .open("/dev/kmsg")
        .context("/dev/kmsg")?;
    LOG.get_or_init(|| log);
    // Whatever is said to a guest means that it is to stop.
    std::thread::spawn(|| {
        let mut line = String::new();
        if matches!(io::stdin().lock().read_line(&mut line), Ok(1..)) {
            STOP.store(true, Ordering::Relaxed);
        }
    });
    vmadiff_linux::stay_on_one_processor(0);
    let linux = Linux::new().context("programs can not be run on this kernel")?;
    say(&Message::Up(Box::new(linux.machine().clone())))?;
    match task {
        Task::Run {
            programs,
            boundaries,
        } => run_all(linux, &programs, boundaries)?,
        Task::Fuzz {
            runs,
            seconds,
            seed,
            jobs,
            boundaries,
        } => {
            drop(linux);
            let view = vmadiff_linux::view(boundaries);
            let time = seconds.map(Duration::from_secs);
            campaign(&Campaign {
                runs,
                time,
                seed,
                jobs,
                view,
                mark: Some(mark_job),
            })?;
        }
    }
    say(&Message::Done)
}

/// A line for the host. It goes out as a whole.
fn say(message: &Message) -> Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    let mut out = stdout();
    out.write_all(&line)?;
    Ok(out.flush()?)
}

/// Says in the kernel's own log what is about to run: what the log then says is about that.
fn mark(what: &str) {
    if let Some(mut log) = LOG.get() {
        // A notice. If it does not arrive, a report is named after the program before.
        let _ = log.write_all(format!("<5>{MARK}{what}").as_bytes());
    }
}

/// A kernel that breaks down on request, to see that it is noticed: `vmadiff.plant=panic:3` on its
/// command line, at the program of that number; `warning` and `hang` are the other two.
fn plant(number: u64) {
    static PLANTED: OnceLock<Option<(String, u64)>> = OnceLock::new();
    let planted = PLANTED.get_or_init(|| {
        let words = std::fs::read_to_string("/proc/cmdline").ok()?;
        let mut words = words.split_ascii_whitespace();
        let (what, at) = words
            .find_map(|word| word.strip_prefix("vmadiff.plant="))?
            .split_once(':')?;
        Some((what.to_owned(), at.parse().ok()?))
    });
    let Some((what, _)) = planted.as_ref().filter(|(_, at)| *at == number) else {
        return;
    };
    match what.as_str() {
        "panic" => {
            let _ = std::fs::write("/proc/sysrq-trigger", "c");
        }
        "warning" => {
            if let Some(mut log) = LOG.get() {
                let _ = log.write_all(b"<4>WARNING: CPU: 0 PID: 1 at planted.c:1 planted+0x1/0x2");
                let _ = log.write_all(b"<4>---[ end trace 0000000000000000 ]---");
            }
        }
        "hang" => loop {
            std::thread::park();
        },
        _ => {}
    }
}

fn mark_job(job: u32, number: u64) {
    mark(&format!("{job} {number}"));
    plant(number);
}

fn run_all(linux: Linux, programs: &[(String, String)], boundaries: bool) -> Result<()> {
    let mut court = court(linux);
    let how = Closeness {
        look: Look::EachCall,
        view: vmadiff_linux::view(boundaries),
    };
    for (number, (name, text)) in programs.iter().enumerate() {
        if STOP.load(Ordering::Relaxed) {
            break;
        }
        mark(&number.to_string());
        plant(number as u64);
        let line = match Case::parse(name, text) {
            Ok(case) => one(&mut court, name, &case, how),
            Err(error) => Line::failed(name, error.to_string()),
        };
        say(&Message::Ran { number, line })?;
    }
    Ok(())
}

fn campaign(campaign: &Campaign) -> Result<()> {
    let mut told = Instant::now();
    let mut trouble = None;
    let tally = fuzz(campaign, Reference::boot, &STOP, |tally, found| {
        let mut messages = Vec::new();
        if let Some(found) = found {
            let (signature, what) = (found.signature(), found.finding.to_string());
            let program = found.program.clone();
            let case = Case {
                program,
                ..Case::default()
            };
            let text = case.to_string();
            messages.push(Message::Found {
                signature,
                what,
                text,
            });
        }
        if told.elapsed() >= TALLY_EVERY {
            told = Instant::now();
            messages.push(Message::Tally(Box::new(tally.clone())));
        }
        if let Some(error) = messages.iter().find_map(|message| say(message).err()) {
            trouble = Some(error);
            STOP.store(true, Ordering::Relaxed);
        }
    })?;
    trouble.map_or(Ok(()), Err)?;
    say(&Message::Tally(Box::new(tally)))
}
