//! What in a text does nothing: refused where it cannot be meant, warned of where a program that was
//! found may have it.

use vmadiff_contract::TaskId;

use super::cursor::Cursor;
use super::error::{TextError, Warning};
use super::parse::Parser;
use super::younger;
use crate::program::shape;

impl Parser<'_> {
    /// Where calls overlap, no state is that between two of them.
    pub(super) fn woven_checks(&self) -> Result<(), TextError> {
        let program = &self.read.case.program;
        if program.schedule.is_serial() {
            return Ok(());
        }
        let between = self.read.case.checks.iter().zip(&self.read.checks);
        let mut between = between.filter(|(check, _)| check.after < program.calls.len());
        let Some((_, line)) = between.next() else {
            return Ok(());
        };
        let at = *line as usize - 1;
        let mut cursor = Cursor::new(self.lines[at]);
        let fault = cursor.fault("checks behind the last call of a program with a schedule");
        Err(self.error(fault.help("its calls overlap"), at))
    }

    /// Warns, once for each, of names that Linux 5.1 does not know.
    pub(super) fn younger(&mut self) {
        let mut told: Vec<&str> = Vec::new();
        let calls = self.read.case.program.calls.iter().zip(&self.read.calls);
        for (step, &line) in calls {
            let (params, words) = (shape::params(step.call.kind()), shape::words(&step.call));
            for (&param, word) in params.iter().zip(words) {
                let Some(also) = younger::younger(param, word) else {
                    continue;
                };
                if told.contains(&also.name) {
                    continue;
                }
                told.push(also.name);
                let (name, since) = (also.name, also.since);
                self.read.warnings.push(Warning {
                    file: self.file.to_owned(),
                    line: line as usize,
                    column: 1,
                    what: format!(
                        "{name} came with Linux {since}: it means here what it means to 5.1"
                    ),
                });
            }
        }
    }

    /// Warns of tasks that cannot exist.
    pub(super) fn tasks(&mut self) {
        let program = &self.read.case.program;
        let serial = program.schedule.is_serial();
        let ever = u32::from(program.config.tasks) + self.seen.forks;
        let born = |task: TaskId| u32::from(task.0) <= ever;
        let unlooked = self.seen.unlooked.iter();
        let mut found: Vec<_> = unlooked
            .map(|&(task, place)| (place, no_task(task, "nothing is looked at")))
            .collect();
        for &(call, place) in &self.seen.strange {
            let task = program.calls[call].task;
            if serial || !born(task) {
                found.push((
                    place,
                    no_task(
                        task,
                        "this call does nothing; write `= NOTASK` behind it if it is meant",
                    ),
                ));
            }
        }
        let warnings = found.into_iter().map(|(place, what)| Warning {
            file: self.file.to_owned(),
            line: place.line + 1,
            column: place.column,
            what,
        });
        self.read.warnings.extend(warnings);
    }
}

fn no_task(task: TaskId, so: &str) -> String {
    format!("there is no task {task} (`config tasks=…` and forks before make tasks): {so}")
}
