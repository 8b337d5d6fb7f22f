//! The lines of a schedule: `design: spf`, `policy: pct seed=7`, `switch: 1@munmap.unlink#1 -> 2`,
//! `switch: +12 -> 2`, `switch: callback#1 -> 2`.

use std::fmt::{self, Display, Write};

use vmadiff_contract::{DesignInfo, MAX_TASKS, TaskId};

use super::cursor::Cursor;
use super::error::Fault;
use crate::designs;
use crate::program::sites::Sites;
use crate::program::{Moment, Policy, Schedule, Switch};

/// Writes a schedule; a serial one is nothing.
pub(super) fn print(f: &mut impl Write, schedule: &Schedule, sites: &Sites) -> fmt::Result {
    let Schedule {
        policy,
        seed,
        switches,
    } = schedule;
    if *policy != Policy::default() || *seed != 0 {
        let name = policy.name();
        writeln!(f, "policy: {name} seed={seed}")?;
    }
    for switch in switches {
        writeln!(f, "switch: {}", Named(switch, sites))?;
    }
    Ok(())
}

/// A switch as text, with the names of these sites.
pub struct Named<'a>(pub &'a Switch, pub &'a Sites);

impl Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(Switch { at, to }, sites) = self;
        match *at {
            Moment::Gap(gap) => write!(f, "+{gap}")?,
            Moment::Site { task, site, nth } => {
                write!(f, "{task}@")?;
                match sites.name(site) {
                    Some(name) => f.write_str(name)?,
                    None => write!(f, "site:{site:#010x}")?,
                }
                write!(f, "#{nth}")?;
            }
            Moment::Callback { nth } => write!(f, "callback#{nth}")?,
        }
        write!(f, " -> {to}")
    }
}

/// A text with the names of today of sites that had others once; none: there is none of those. All
/// else stays as it is, comments and blanks too.
pub fn renamed(text: &str, sites: &Sites) -> Option<String> {
    let lines = text
        .split_inclusive('\n')
        .map(|line| renamed_line(line, sites));
    let new: String = lines.collect();
    (new != text).then_some(new)
}

fn renamed_line(line: &str, sites: &Sites) -> String {
    let is_switch = line.trim_start().starts_with("switch:");
    let parts = || {
        let (task, rest) = line.split_once('@')?;
        let (name, nth) = rest.split_once('#')?;
        Some((task, name, nth))
    };
    match parts().filter(|_| is_switch) {
        Some((task, name, nth)) => format!("{task}@{}#{nth}", sites.today(name)),
        None => line.to_owned(),
    }
}

/// Reads what follows `design:`.
pub(super) fn parse_design(cursor: &mut Cursor<'_>) -> Result<&'static DesignInfo, Fault> {
    let expected = format!("the name of a design: {}", designs::listed());
    cursor.take(&expected, |cursor| {
        designs::from_name(cursor.run(designs::is_of_name))
    })
}

/// Reads what follows `policy:`.
pub(super) fn parse_policy(cursor: &mut Cursor<'_>, schedule: &mut Schedule) -> Result<(), Fault> {
    let named = cursor.peek();
    let found = cursor.take("preemptions, random, pct, pos or surw", |cursor| {
        Policy::from_name(cursor.word())
    });
    let names = Policy::ALL.map(|(name, _)| name);
    schedule.policy = found.map_err(|fault| fault.near(named, names))?;
    if cursor.eat_word("seed") {
        cursor.expect("=")?;
        schedule.seed = cursor.number("a seed, a 64-bit number")?;
    }
    Ok(())
}

/// Reads what follows `switch:`.
pub(super) fn parse_switch(cursor: &mut Cursor<'_>, sites: &Sites) -> Result<Switch, Fault> {
    let at = if cursor.eat("+") {
        Moment::Gap(number(cursor, "a number of points, 32 bits", 0)?)
    } else if cursor.eat_word("callback") {
        cursor.expect("#")?;
        let nth = number(cursor, "which time, a number from 1", 1)?;
        Moment::Callback { nth }
    } else {
        let task = task(cursor)?;
        cursor.expect("@")?;
        let site = parse_site(cursor, sites)?;
        cursor.expect("#")?;
        let nth = number(cursor, "which time, a number from 1", 1)?;
        Moment::Site { task, site, nth }
    };
    cursor.expect("->")?;
    let to = task(cursor)?;
    Ok(Switch { at, to })
}

/// Reads a task's number.
pub(super) fn task(cursor: &mut Cursor<'_>) -> Result<TaskId, Fault> {
    let expected = format!("a task, 0 to {MAX_TASKS}");
    cursor.take(&expected, |cursor| {
        let task = cursor.word().parse().ok()?;
        (task <= MAX_TASKS).then_some(TaskId(task))
    })
}

fn parse_site(cursor: &mut Cursor<'_>, sites: &Sites) -> Result<u32, Fault> {
    let is_site = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
    let word = cursor.clone().run(is_site);
    let like = sites.like();
    let expected = format!("a site, as {like}, or its number, as site:0x12345678");
    let found = cursor.take(&expected, |cursor| {
        let name = cursor.run(is_site);
        match name.strip_prefix("site:0x") {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => sites.number(name),
        }
    });
    found.map_err(|mut fault| {
        fault.width = word.chars().count().max(1);
        fault.near(word, sites.each().map(|site| site.name))
    })
}

fn number(cursor: &mut Cursor<'_>, expected: &str, least: u32) -> Result<u32, Fault> {
    cursor.take(expected, |cursor| {
        let number = u32::try_from(cursor.number(expected).ok()?).ok()?;
        (number >= least).then_some(number)
    })
}
