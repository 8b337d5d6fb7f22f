//! What in a text does nothing: refused where it cannot be meant. A program that was found may have
//! some of it: then it is warned of.

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

    /// Warns of tasks that cannot exist, and keeps the places for those who refuse them.
    pub(super) fn tasks(&mut self) {
        let program = &self.read.case.program;
        let serial = program.schedule.is_serial();
        let ever = u32::from(program.config.tasks) + self.seen.forks;
        let born = |task: TaskId| u32::from(task.0) <= ever;
        let unlooked = self.seen.unlooked.iter();
        let mut found: Vec<_> = unlooked
            .map(|&(task, place)| (task, place, "nothing is looked at"))
            .collect();
        for &(call, place) in &self.seen.strange {
            let task = program.calls[call].task;
            if serial || !born(task) {
                found.push((task, place, NO_CALL));
            }
        }
        let warnings = found.iter().map(|&(task, place, so)| Warning {
            file: self.file.to_owned(),
            line: place.line + 1,
            column: place.column,
            what: format!("there is no task {task} ({MAKES_TASKS}): {so}"),
        });
        self.read.warnings.extend(warnings);
        // A run says which switches never came.
        let switched = self.seen.switched.iter();
        found.extend(
            switched
                .filter(|(task, _)| !born(*task))
                .map(|&(task, place)| (task, place, "this switch never comes")),
        );
        found.sort_by_key(|(_, place, _)| (place.line, place.column));
        let impossible = found.iter().map(|&(_, place, so)| {
            let mut cursor = Cursor::from_column(self.lines[place.line], place.column);
            let fault = cursor.fault(format!("a task of this program, 0 to {ever}"));
            let fault = fault.help(format!("{MAKES_TASKS}; {so}"));
            self.error(fault, place.line)
        });
        self.read.impossible = impossible.collect();
    }
}

const MAKES_TASKS: &str = "`config tasks=…` and forks before make tasks";
const NO_CALL: &str = "this call does nothing; write `= NOTASK` behind it if it is meant";
