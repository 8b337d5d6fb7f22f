//! `--kernel`: boots an image, listens to it, and says what became of it. What is run on it, its callers
//! know.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use vmadiff_linux::Machine;
use vmadiff_linux::boot::{
    CannotBoot, Console, Guest, Image, Line, Machinery, Processor, Report, find_qemu,
};

use super::super::interrupt::Interrupt;
use super::wire::{Message, STOP, TASK, Task};
use crate::status::HarnessFailed;

/// Which kernel, and on what machine.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Args {
    /// Boots this kernel in qemu and runs there: a bzImage, or the tree that one was built in.
    #[arg(long, value_name = "IMAGE")]
    pub kernel: Option<PathBuf>,
    /// With --kernel: processors of the guest.
    #[arg(long, value_name = "N", default_value_t = 2, requires = "kernel",
          value_parser = clap::value_parser!(u32).range(1..=64))]
    pub cpus: u32,
    /// With --kernel: an emulated processor has five-level page tables.
    #[arg(long, requires = "kernel")]
    pub five_levels: bool,
    /// With --kernel: words for the kernel's command line; can be given again.
    #[arg(
        long,
        value_name = "WORDS",
        requires = "kernel",
        allow_hyphen_values = true
    )]
    pub append: Vec<String>,
}

/// Memory of a guest, MiB, if nothing is said.
pub const MEMORY: u32 = 2048;

impl Args {
    /// The machine that they ask for, if a kernel is to be booted.
    ///
    /// # Errors
    /// If there is no such image, it is none, or qemu is missing.
    pub fn machinery(&self, memory: u32) -> Result<Option<Machinery>> {
        self.kernel
            .as_deref()
            .map(|path| self.of_image(path, memory))
            .transpose()
    }

    fn of_image(&self, path: &Path, memory: u32) -> Result<Machinery> {
        let image = Image::open(path)?;
        if find_qemu().is_none() {
            return Err(CannotBoot::NoQemu.into());
        }
        Ok(Machinery {
            image,
            cpus: self.cpus,
            memory,
            nodes: 1,
            five_levels: self.five_levels,
            append: self.append.clone(),
            files: Vec::new(),
        })
    }
}

/// How a guest came to its end.
pub enum Over {
    /// It did what it was asked to.
    Done,
    /// The kernel panicked, or hung.
    Died(Report),
    /// The user asked to stop, and the guest did not in time.
    Stopped,
}

/// What happens in a guest that runs.
pub enum Event<'a> {
    /// It is up, after so long.
    Up(Machine, Processor, Duration),
    /// The command in it says something.
    Said(Message),
    /// The kernel reports something of itself, and goes on.
    Report(Report),
    /// A program is about to run.
    Mark(&'a str),
    /// Nothing, for half a second.
    Nothing,
}

/// A guest that is listened to.
pub struct Attended<'a> {
    guest: Guest,
    console: Console,
    interrupt: &'a Interrupt,
    started: Instant,
    last_sign: Instant,
    /// Since when the guest knows that it is to stop.
    stopping: Option<Instant>,
    up: bool,
}

/// How long a guest may take to stop.
const TO_STOP: Duration = Duration::from_secs(10);
/// How long a kernel that has broken down is listened to.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// Lines of the log that an error shows.
const SHOWN: usize = 12;

impl<'a> Attended<'a> {
    /// Boots, and gives the guest its task.
    pub fn boot(machinery: &Machinery, task: &Task, interrupt: &'a Interrupt) -> Result<Self> {
        let mut machinery = machinery.clone();
        machinery
            .files
            .push((TASK.to_owned(), serde_json::to_vec(task)?));
        let started = Instant::now();
        Ok(Self {
            guest: Guest::start(&machinery)?,
            console: Console::default(),
            interrupt,
            started,
            last_sign: Instant::now(),
            stopping: None,
            up: false,
        })
    }

    /// Asks the guest to stop where it is.
    pub fn stop(&mut self) {
        if self.stopping.is_none() {
            self.stopping = Some(Instant::now());
            self.guest.say(STOP);
        }
    }

    /// Listens until the guest is over.
    ///
    /// # Errors
    /// If the kernel did not come up, or the command failed in the guest.
    pub fn listen(&mut self, mut on: impl FnMut(Event, &mut Self) -> Result<()>) -> Result<Over> {
        loop {
            if let Some(over) = self.is_over()? {
                return Ok(over);
            }
            match self.guest.next(Duration::from_millis(500)) {
                None => on(Event::Nothing, self)?,
                Some(Line::Ended) => return self.ended(),
                Some(Line::Log(line)) => {
                    self.last_sign = Instant::now();
                    if let Some(report) = self.console.line(&line)
                        && self.up
                    {
                        on(Event::Report(report), self)?;
                    }
                    if line.contains(vmadiff_linux::boot::MARK) {
                        let mark = self.console.during().unwrap_or_default().to_owned();
                        on(Event::Mark(&mark), self)?;
                    }
                }
                Some(Line::Said(line)) => {
                    self.last_sign = Instant::now();
                    match serde_json::from_str(&line) {
                        Ok(Message::Up(machine)) => {
                            self.up = true;
                            let event =
                                Event::Up(*machine, self.guest.processor, self.started.elapsed());
                            on(event, self)?;
                        }
                        Ok(Message::Done) => return self.done(on),
                        Ok(Message::Failed(what)) => {
                            return Err(HarnessFailed(format!("in the guest: {what}")).into());
                        }
                        Ok(Message::Gone(how)) => return self.gone(&how),
                        Ok(message) => on(Event::Said(message), self)?,
                        // Half a line, of a guest that went down in the middle of it.
                        Err(_) => {}
                    }
                }
            }
        }
    }

    /// The kernel broke down, hangs, or was asked to stop and does not.
    fn is_over(&mut self) -> Result<Option<Over>> {
        if self.interrupt.came() {
            self.stop();
        }
        if self.stopping.is_some_and(|since| since.elapsed() > TO_STOP) {
            return Ok(Some(Over::Stopped));
        }
        let silent = self.last_sign.elapsed();
        if self.console.is_broken() && silent > LAST_WORDS {
            return self.ended().map(Some);
        }
        if silent <= self.guest.processor.patience() {
            return Ok(None);
        }
        let why = format!("no sign of life for {} s", silent.as_secs());
        if !self.up {
            return Err(self.never_came_up(&why));
        }
        let hang = Report {
            name: "hang".into(),
            headline: why,
            lines: self.console.last_words(),
            during: self.console.during().map(str::to_owned),
            fatal: true,
        };
        Ok(Some(Over::Died(self.console.finish().unwrap_or(hang))))
    }

    /// The guest has done all: what the kernel still says is listened to.
    fn done(&mut self, mut on: impl FnMut(Event, &mut Self) -> Result<()>) -> Result<Over> {
        let mut left = None;
        while let Some(Line::Log(line)) = self.guest.next(Duration::from_millis(200)) {
            left = self.console.line(&line).or(left);
        }
        for report in left.into_iter().chain(self.console.finish()) {
            on(Event::Report(report), self)?;
        }
        Ok(Over::Done)
    }

    /// qemu is gone: the kernel rebooted, or qemu itself failed.
    fn ended(&mut self) -> Result<Over> {
        if !self.up {
            let why = self
                .console
                .headline()
                .unwrap_or("the guest ended")
                .to_owned();
            return Err(self.never_came_up(&why));
        }
        let report = self.console.finish();
        let quiet = || Report {
            name: "reboot".into(),
            headline: "the guest ended without a word".into(),
            lines: self.console.last_words(),
            during: self.console.during().map(str::to_owned),
            fatal: true,
        };
        Ok(Over::Died(report.unwrap_or_else(quiet)))
    }

    /// The command in the guest is gone, for a reason of the kernel's or of its own.
    fn gone(&mut self, how: &str) -> Result<Over> {
        while let Some(Line::Log(line)) = self.guest.next(Duration::from_millis(200)) {
            if let Some(report) = self.console.line(&line) {
                return Ok(Over::Died(report));
            }
        }
        if let Some(report) = self.console.finish() {
            return Ok(Over::Died(report));
        }
        let words = shown(&self.console.last_words());
        Err(HarnessFailed(format!("the command in the guest ended ({how})\n{words}")).into())
    }

    fn never_came_up(&mut self, why: &str) -> anyhow::Error {
        let words = self.console.last_words();
        let status = self.guest.end();
        let complaints = self.guest.complaints();
        if words.is_empty() && !complaints.is_empty() {
            let status = status.map_or("no status".into(), |status| status.to_string());
            let said = complaints;
            return HarnessFailed(CannotBoot::Qemu { status, said }.to_string()).into();
        }
        let hint = hint(&words);
        HarnessFailed(format!(
            "the kernel did not come up: {why}{hint}\n{}",
            shown(&words)
        ))
        .into()
    }
}

/// What may help a kernel that did not come up, by its log.
fn hint(words: &[String]) -> &'static str {
    let says = |what: &str| words.iter().any(|line| line.contains(what));
    if words.is_empty() {
        ", and nothing was printed: it needs CONFIG_SERIAL_8250_CONSOLE, and enough --memory"
    } else if says("Out of memory")
        || says("out of memory")
        || says("deadlocked on memory")
        || says("Initramfs unpacking failed")
    {
        "; more --memory may help"
    } else if says("No working init found") || says("Unable to mount root fs") {
        "; it needs CONFIG_BLK_DEV_INITRD, CONFIG_BINFMT_ELF and enough --memory"
    } else {
        ""
    }
}

/// The last lines of a log, as an error shows them.
fn shown(lines: &[String]) -> String {
    let from = lines.len().saturating_sub(SHOWN);
    let lines = lines[from..].iter().map(|line| format!("  | {line}"));
    lines.collect::<Vec<_>>().join("\n")
}
