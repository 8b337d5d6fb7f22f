//! Runs the programs that the command names on a kernel that it boots.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use vmadiff::linux::with_nodes;
use vmadiff::program::{Case, Program};
use vmadiff_contract::Config;
use vmadiff_linux::boot::{Machinery, Report};

use super::super::input::name;
use super::super::interrupt::Interrupt;
use super::Args;
use super::boot::{Attended, Event, Over};
use super::line::{Line, print_count};
use super::wire::{Message, Task};
use crate::counted::counted;
use crate::status::{HarnessFailed, Status};

/// A program's name and text, what it wants of the kernel, and what it came to.
struct Entry {
    name: String,
    text: String,
    wants: Wants,
    line: Option<Line>,
    /// What the kernel said of itself meanwhile.
    reports: Vec<Report>,
    /// Nothing more can come about it.
    is_settled: bool,
}

/// What can only be had when a kernel boots. Programs that want the same run in one guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wants {
    nodes: u8,
    stack_guard_gap: u64,
    /// vm.mmap_min_addr is to be 0.
    no_minimum: bool,
}

/// How often a kernel may die before the rest is left.
const DEATHS: usize = 16;
/// Memory nodes that a guest may have.
const NODES: u8 = 8;

impl Wants {
    fn of(program: &Program) -> Self {
        let config = with_nodes(program, 1);
        Self {
            nodes: config.nodes.clamp(1, NODES),
            stack_guard_gap: config.stack_guard_gap,
            no_minimum: config.mmap_min_addr == 0,
        }
    }

    /// The machine that has it. What the user appended comes last.
    fn machinery(self, usual: &Machinery) -> Machinery {
        let mut machinery = usual.clone();
        machinery.nodes = self.nodes;
        let mut words = Vec::new();
        if self.stack_guard_gap != Config::default().stack_guard_gap {
            words.push(format!("stack_guard_gap={}", self.stack_guard_gap));
        }
        if self.no_minimum {
            words.push("sysctl.vm.mmap_min_addr=0".into());
        }
        machinery.append.splice(0..0, words);
        machinery
    }
}

pub fn run(
    args: &Args,
    machinery: &Machinery,
    read: Vec<(PathBuf, Result<Case>)>,
) -> Result<Status> {
    let mut entries = Vec::new();
    for (path, case) in read {
        let case = case?;
        entries.push(Entry {
            name: name(&path),
            text: case.to_string(),
            wants: Wants::of(&case.program),
            line: None,
            reports: Vec::new(),
            is_settled: false,
        });
    }
    let interrupt = Interrupt::catch()?;
    let mut desk = Desk {
        entries,
        printed: 0,
        json: args.json,
        deaths: 0,
    };
    let mut done: Vec<Wants> = Vec::new();
    while let Some(entry) = desk
        .entries
        .iter()
        .find(|entry| !done.contains(&entry.wants))
    {
        let wants = entry.wants;
        done.push(wants);
        if !desk.group(wants, args, machinery, &interrupt)? {
            break;
        }
    }
    desk.end()
}

/// The programs, and how far their lines are printed.
struct Desk {
    entries: Vec<Entry>,
    printed: usize,
    json: bool,
    /// How often the kernel died.
    deaths: usize,
}

impl Desk {
    /// Runs the programs that want the same; boots again where the kernel dies. False: it is enough.
    fn group(
        &mut self,
        wants: Wants,
        args: &Args,
        usual: &Machinery,
        interrupt: &Interrupt,
    ) -> Result<bool> {
        let entries = self.entries.iter().enumerate();
        let members = entries.filter(|(_, entry)| entry.wants == wants);
        let mut group: Vec<usize> = members.map(|(index, _)| index).collect();
        while !group.is_empty() {
            let programs = group.iter().map(|&index| &self.entries[index]);
            let programs = programs
                .map(|entry| (entry.name.clone(), entry.text.clone()))
                .collect();
            let boundaries = args.boundaries;
            let task = Task::Run {
                programs,
                boundaries,
            };
            let mut guest = Attended::boot(&wants.machinery(usual), &task, interrupt)?;
            let over = guest.listen(|event, _| self.note(&group, event))?;
            let Over::Died(report) = over else {
                self.settle(&group)?;
                return Ok(!interrupt.came());
            };
            let number = program_number(&report).ok_or_else(|| {
                HarnessFailed(format!(
                    "the kernel died before it ran anything: {}",
                    report.headline
                ))
            })?;
            self.entries[group[number]].reports.push(report);
            let left = group.split_off(number + 1);
            self.settle(&group)?;
            group = left;
            self.deaths += 1;
            if self.deaths == DEATHS {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Something happened in a guest that runs these programs.
    fn note(&mut self, group: &[usize], event: Event) -> Result<()> {
        match event {
            Event::Up(machine, processor, time) => {
                tell_boot(&machine.release, processor.name(), time.as_secs_f64());
            }
            Event::Said(Message::Ran { number, line }) => {
                self.entries[group[number]].line = Some(line);
            }
            Event::Report(report) => {
                if let Some(number) = program_number(&report) {
                    self.entries[group[number]].reports.push(report);
                }
            }
            // What the kernel says of the programs before comes before the mark.
            Event::Mark(mark) => {
                let before = mark.parse().unwrap_or(0).min(group.len());
                self.settle(&group[..before])?;
            }
            Event::Said(_) | Event::Nothing => {}
        }
        Ok(())
    }

    /// Nothing more can come about these programs: prints what is next in order.
    fn settle(&mut self, group: &[usize]) -> Result<()> {
        for &index in group {
            let entry = &mut self.entries[index];
            entry.is_settled = true;
            if !entry.reports.is_empty() {
                let reports = std::mem::take(&mut entry.reports);
                entry.line = Some(blamed(&entry.name, entry.line.take(), &reports));
            }
        }
        while let Some(entry) = self.entries.get(self.printed) {
            match &entry.line {
                Some(line) if entry.is_settled => line.print(self.json)?,
                _ => break,
            }
            self.printed += 1;
        }
        Ok(())
    }

    fn end(&self) -> Result<Status> {
        let mut counts = BTreeMap::new();
        let mut status = Status::Agreed;
        // Those behind one that was not run have not been printed yet.
        for (index, entry) in self.entries.iter().enumerate() {
            let Some(line) = &entry.line else { continue };
            *counts.entry(line.verdict.clone()).or_default() += 1;
            status = status.max(line.status());
            if index >= self.printed {
                line.print(self.json)?;
            }
        }
        if self.entries.len() > 1 && !self.json {
            print_count(&counts)?;
        }
        let left = self
            .entries
            .iter()
            .filter(|entry| entry.line.is_none())
            .count();
        if left > 0 {
            return Err(HarnessFailed(format!("{} not run", counted(left, "program"))).into());
        }
        Ok(status)
    }
}

/// The number, in its guest, of the program that a report is about.
fn program_number(report: &Report) -> Option<usize> {
    report.during.as_deref()?.parse().ok()
}

/// A line about a program during which the kernel reported something of itself.
fn blamed(name: &str, line: Option<Line>, reports: &[Report]) -> Line {
    let kernel: Vec<&str> = reports
        .iter()
        .map(|report| report.headline.as_str())
        .collect();
    let kernel = format!("the kernel: {}", kernel.join("; "));
    let own = line.as_ref().filter(|line| &*line.verdict == "differs");
    let (call, what) = match own.map(|line| (line.call, line.what.clone())) {
        Some((call, Some(what))) => (call, format!("{what}; {kernel}")),
        _ => (None, kernel),
    };
    let log = reports
        .iter()
        .flat_map(|report| report.lines.clone())
        .collect();
    Line {
        log,
        ..Line::differs(name, call, what)
    }
}

/// Says on standard error, if that is a terminal, that the guest is up.
fn tell_boot(release: &str, processor: &str, seconds: f64) {
    use std::io::IsTerminal;
    if std::io::stderr().is_terminal() {
        crate::tell!("booted Linux {release} in {seconds:.1} s ({processor})");
    }
}

#[cfg(test)]
mod tests {
    use vmadiff::program::Case;

    use super::*;

    fn wants(text: &str) -> Wants {
        Wants::of(&Case::parse("test", text).unwrap().program)
    }

    #[test]
    fn a_program_gets_the_machine_that_it_asks_for() {
        let usual = wants("load(0x1000)\n");
        assert_eq!((usual.nodes, usual.no_minimum), (1, false));
        // Only what can tell how many nodes there are asks for as many.
        assert_eq!(wants("config nodes=2\nload(0x1000)\n"), usual);
        let two = wants("config nodes=2\nset_mempolicy(MPOL_BIND, 0x2, 0)\n");
        assert_eq!(two.nodes, 2);
        let gap = wants("config stack_guard_gap=1\nload(0x1000)\n");
        let machinery = Machinery {
            image: vmadiff_linux::boot::Image {
                path: "bzImage".into(),
                release: None,
            },
            cpus: 1,
            memory: 512,
            nodes: 1,
            five_levels: false,
            append: vec!["mine".into()],
            files: Vec::new(),
        };
        assert_eq!(
            gap.machinery(&machinery).append,
            ["stack_guard_gap=1", "mine"]
        );
        assert_eq!(usual.machinery(&machinery).append, ["mine"]);
    }
}
