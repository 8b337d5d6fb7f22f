//! Switches of a schedule that never came: what is said of each, and whether that is wrong.
//!
//! A switch whose moment never comes changes nothing, so a program whose race was lost still agrees,
//! and says nothing. That is told. It is wrong where the program names the design that it ran on:
//! then its switches are meant for this very code.

use std::fmt;

use vmadiff_contract::{DesignInfo, TaskId};
use vmadiff_interleave::policy::Missed;
use vmadiff_interleave::sim::What;

use crate::pair::Ran;
use crate::program::sites::Sites;
use crate::program::{Case, Moment, Program, Switch};
use crate::run::Woven;

/// A switch that never came, and why, as far as the run tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeverCame {
    /// Its index in the schedule.
    pub switch: usize,
    /// The switch, as text.
    pub text: String,
    /// What came instead.
    pub why: String,
}

impl fmt::Display for NeverCame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, why, .. } = self;
        write!(f, "switch: {text} never came: {why}")
    }
}

/// The switches that never came in a run of a program, in their order.
pub fn never_came(program: &Program, ran: &Ran) -> Vec<NeverCame> {
    let Some(woven) = &ran.woven else {
        return Vec::new();
    };
    let switches = program.schedule.switches.iter().enumerate();
    let found = switches.filter_map(|(index, switch)| {
        let missed = woven.missed.iter().find(|missed| missed.switch == index);
        let why = match missed {
            _ if leads_nowhere(program, switch) => beyond(program, switch.to),
            Some(missed) => why(program, ran.design, woven, switch, missed),
            None => return None,
        };
        Some(NeverCame {
            switch: index,
            text: switch.to_string(),
            why,
        })
    });
    found.collect()
}

/// Whether a switch that never came is an expectation that was not met.
pub fn is_expected(case: &Case, ran: &Ran) -> bool {
    case.design == Some(ran.design)
}

fn why(
    program: &Program,
    design: &'static DesignInfo,
    woven: &Woven,
    switch: &Switch,
    missed: &Missed,
) -> String {
    let passed = missed.passed;
    match switch.at {
        Moment::Gap(_) => {
            let points = woven.trace.points();
            let counted = times(passed, "point");
            format!("{counted} since the switch before it, {points} in the whole run")
        }
        Moment::Callback { .. } => format!("{} chosen", times(passed, "callback was")),
        Moment::Site { task, .. } if task > most(program) => beyond(program, task),
        Moment::Site { task, nth, .. } if passed >= nth => {
            format!(
                "task {task} stands there when the run starts; 0@run.start#1 chooses who begins"
            )
        }
        Moment::Site { task, site, .. } if passed > 0 => {
            let name = Sites::known().name(site).unwrap_or("it");
            format!("task {task} passed {name} {}", times(passed, "time"))
        }
        Moment::Site { task, site, .. } => {
            let others = others(woven, task, site);
            if Sites::of_design(design).name(site).is_none() {
                format!("the design {} has no such point", design.name)
            } else if others.is_empty() {
                "no task passed that point".to_owned()
            } else {
                format!("task {task} did not pass that point, {}", others.join(", "))
            }
        }
    }
}

/// Whether the task that is to go on cannot exist.
fn leads_nowhere(program: &Program, switch: &Switch) -> bool {
    match switch.at {
        Moment::Gap(_) | Moment::Site { .. } => switch.to > most(program),
        // It names a callback.
        Moment::Callback { .. } => false,
    }
}

fn beyond(program: &Program, task: TaskId) -> String {
    format!(
        "there is no task {task}, a task of this program is 0 to {}",
        most(program)
    )
}

/// The highest number that a task of the program can have.
fn most(program: &Program) -> TaskId {
    let forks = program
        .calls
        .iter()
        .filter(|step| step.call == vmadiff_contract::Call::Fork);
    let most = usize::from(program.config.tasks) + forks.count();
    TaskId(most.min(usize::from(vmadiff_contract::MAX_TASKS)) as u8)
}

/// Which other tasks passed a site, and how often.
fn others(woven: &Woven, task: TaskId, site: u32) -> Vec<String> {
    let mut counts = [0_u32; u8::MAX as usize + 1];
    for step in woven.trace.steps() {
        let passes = matches!(step.what, What::Access { .. } | What::Begin(_));
        if passes && step.site.number() == site {
            counts[usize::from(step.task)] += 1;
        }
    }
    counts[usize::from(task.0)] = 0;
    let passed = counts.iter().enumerate().filter(|(_, count)| **count > 0);
    passed
        .map(|(other, &count)| format!("task {other} did {}", times(count, "time")))
        .collect()
}

fn times(count: u32, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => {
            let (noun, rest) = what.split_once(' ').unwrap_or((what, ""));
            let rest = if rest == "was" { " were" } else { "" };
            format!("{count} {noun}s{rest}")
        }
    }
}
