//! A campaign on a kernel that is booted for it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::ProgressBar;
use vmadiff::linux::{Programs, Tally};
use vmadiff::program::{Case, Program};
use vmadiff_linux::Machine;
use vmadiff_linux::boot::{Machinery, Report};

use super::super::super::interrupt::Interrupt;
use super::super::boot::{Attended, Event, Over};
use super::super::wire::{Message, Task};
use super::{Ended, Finding, Plan, line, spinner};
use crate::artifacts::{self, Kept, kept_before};

/// A campaign as it is told.
struct Desk<'a> {
    plan: &'a Plan,
    machine: Option<Machine>,
    processor: &'static str,
    boot: Option<Duration>,
    start: Instant,
    bar: ProgressBar,
    tally: Tally,
    kept: Vec<Finding>,
    /// What the folder had at first.
    before: BTreeMap<String, u64>,
    /// Reports of the kernel about itself: signatures, once each time.
    reports: Vec<String>,
}

pub fn campaign(plan: &Plan, machinery: &Machinery, interrupt: &Interrupt) -> Result<Ended> {
    let campaign = &plan.campaign;
    let task = Task::Fuzz {
        runs: campaign.runs,
        seconds: campaign.time.map(|time| time.as_secs()),
        seed: campaign.seed,
        jobs: campaign.jobs,
        boundaries: !campaign.view.joins(),
    };
    let bar = spinner()?;
    bar.set_message(format!("booting {}", machinery.image.path.display()));
    bar.enable_steady_tick(Duration::from_millis(200));
    let mut desk = Desk {
        plan,
        machine: None,
        processor: "",
        boot: None,
        start: Instant::now(),
        bar,
        tally: Tally::default(),
        kept: Vec::new(),
        before: kept_before(&plan.artifacts, None),
        reports: Vec::new(),
    };
    let mut guest = Attended::boot(machinery, &task, interrupt)?;
    let over = guest.listen(|event, guest| {
        let is_news = desk.note(event)?;
        if is_news && !plan.keep_going {
            guest.stop();
        }
        Ok(())
    })?;
    if let Over::Died(report) = over {
        desk.reported(&report)?;
    }
    desk.kept.iter_mut().for_each(Finding::retry);
    desk.bar.finish_and_clear();
    for signature in desk.reports {
        *desk.tally.findings.entry(signature).or_default() += 1;
    }
    let release = desk
        .machine
        .map(|machine| machine.release)
        .unwrap_or_default();
    Ok(Ended {
        kernel: format!("{release} (booted, {})", desk.processor),
        tally: desk.tally,
        kept: desk.kept,
        elapsed: desk.start.elapsed(),
        boot: desk.boot,
    })
}

impl Desk<'_> {
    /// Notes what happened in the guest; says whether it is a finding that is news.
    fn note(&mut self, event: Event) -> Result<bool> {
        match event {
            Event::Up(machine, processor, time) => {
                self.machine = Some(machine);
                self.processor = processor.name();
                self.boot = Some(time);
                self.start = Instant::now();
            }
            Event::Said(Message::Tally(tally)) => {
                self.tally = *tally;
                self.bar
                    .set_message(line(self.plan, &self.tally, self.start.elapsed()));
            }
            Event::Said(Message::Found {
                signature,
                what,
                text,
            }) => {
                let program = Case::parse("a finding", &text)?.program;
                let case = artifacts::case(&signature, &what, &program, None);
                return Ok(self.found(signature, what, case));
            }
            Event::Report(report) => return self.reported(&report),
            Event::Said(_) | Event::Mark(_) | Event::Nothing => {}
        }
        Ok(false)
    }

    fn found(&mut self, signature: String, what: String, case: Case) -> bool {
        if self.plan.known.contains(&signature) {
            return false;
        }
        let kept = Kept::new(&self.plan.artifacts, &signature, case);
        self.kept.push(Finding {
            before: self.before.get(&signature).copied().unwrap_or_default(),
            signature,
            what,
            kept,
        });
        true
    }

    /// The kernel says that something is wrong with it: a finding about the program that ran, with what
    /// it said. It is not made smaller: each try would be a boot.
    fn reported(&mut self, report: &Report) -> Result<bool> {
        let signature = format!("linux/kernel/{}", report.name);
        let is_new = !self.reports.contains(&signature);
        self.reports.push(signature.clone());
        if !is_new {
            return Ok(false);
        }
        let program = self.program(report).unwrap_or_default();
        let mut case = artifacts::case(&signature, &report.headline, &program, None);
        let log = report.lines.iter().map(|line| (0, format!("| {line}")));
        case.comments.extend(log);
        Ok(self.found(signature, report.headline.clone(), case))
    }

    /// The program that ran when the kernel reported something, made again by its number.
    fn program(&self, report: &Report) -> Option<Program> {
        let (_, number) = report.during.as_deref()?.split_once(' ')?;
        let number = number.parse().ok()?;
        let campaign = &self.plan.campaign;
        Some(Programs::of_number(
            campaign.seed,
            self.machine.as_ref()?,
            campaign.jobs,
            number,
        ))
    }
}
