//! Reads a case, line by line. Each line stands for itself but for those of a `maps:` block.

use vmadiff_contract::{Call, CallKind, Config, Fail, TaskId};

use super::cursor::Cursor;
use super::error::{Fault, TextError};
use super::{maps, outcome, schedule, value};
use crate::program::settings::{Setting, Unit, fit_together};
use crate::program::shape::{self, MAX_PARAMS};
use crate::program::sites::Sites;
use crate::program::{Case, Expect, Step};

impl Case {
    /// Reads a program's text. The file's name is for errors only.
    ///
    /// # Errors
    ///
    /// Names the first place that is no program text, and what was expected there. A site that
    /// the candidate does not have is one: its switch would never happen.
    pub fn parse(file: &str, text: &str) -> Result<Self, TextError> {
        Self::parse_with(file, text, &Sites::known())
    }

    /// As [`Case::parse`], with these sites.
    pub fn parse_with(file: &str, text: &str, sites: &Sites) -> Result<Self, TextError> {
        let mut parser = Parser {
            case: Self::default(),
            sites,
            in_maps: false,
        };
        for (i, line) in text.lines().enumerate() {
            parser.line(line).map_err(|fault| fault.at(file, i + 1))?;
        }
        let expect = &mut parser.case.expect;
        while expect.last().is_some_and(|last| *last == Expect::default()) {
            expect.pop();
        }
        Ok(parser.case)
    }
}

struct Parser<'a> {
    case: Case,
    sites: &'a Sites,
    in_maps: bool,
}

impl Parser<'_> {
    fn line(&mut self, line: &str) -> Result<(), Fault> {
        let mut cursor = Cursor::new(line);
        let calls = self.case.program.calls.len();
        if !cursor.is_at_end() && !cursor.rest().starts_with('#') {
            self.in_maps &= maps::is_next(&mut cursor);
            self.item(&mut cursor)?;
        }
        if cursor.eat("#") {
            let text = cursor.take_rest().trim_end().to_owned();
            // A comment behind a call belongs to the call, any other stands by itself.
            match self.case.program.calls.len() {
                after if after > calls => self.case.notes.push((calls, text)),
                _ => self.case.comments.push((calls, text)),
            }
        }
        if cursor.is_at_end() {
            return Ok(());
        }
        Err(cursor.fault("the end of the line, or a comment"))
    }

    fn item(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        let program = &mut self.case.program;
        if self.in_maps {
            let line = maps::parse(cursor)?;
            self.case.maps.get_or_insert_default().push(line);
        } else if cursor.eat("config ") {
            config(cursor, &mut program.config)?;
        } else if cursor.rest().starts_with("maps:") {
            if self.case.maps.is_some() {
                return Err(cursor.fault("only one block `maps:`"));
            }
            cursor.eat("maps:");
            self.case.maps = Some(Vec::new());
            self.in_maps = true;
        } else if cursor.eat("design:") {
            self.case.design = Some(schedule::parse_design(cursor)?);
        } else if cursor.eat("policy:") {
            schedule::parse_policy(cursor, &mut program.schedule)?;
        } else if cursor.eat("switch:") {
            let switch = schedule::parse_switch(cursor, self.sites)?;
            program.schedule.switches.push(switch);
        } else {
            program.calls.push(step(cursor)?);
            self.case.expect.push(outcome::parse(cursor)?);
        }
        Ok(())
    }
}

fn step(cursor: &mut Cursor<'_>) -> Result<Step, Fault> {
    let mut task = TaskId(1);
    if cursor.eat("[") {
        task = schedule::task(cursor)?;
        cursor.expect("]")?;
    }
    let kind = cursor.take(
        "a call, as mmap(…), or one of config, maps:, design:, policy:, switch:, #",
        |cursor| {
            let name = cursor.word();
            CallKind::ALL
                .iter()
                .copied()
                .find(|kind| kind.name() == name)
        },
    )?;
    let call = arguments(cursor, kind)?;
    let mut fail = Fail::NONE;
    if cursor.eat("(") {
        cursor.expect("fail")?;
        fail = cursor.take("which allocation fails, 1 to 255", |cursor| {
            let nth = cursor.word().parse().ok()?;
            (nth > 0).then_some(Fail(nth))
        })?;
        cursor.expect(")")?;
    }
    Ok(Step { task, call, fail })
}

fn arguments(cursor: &mut Cursor<'_>, kind: CallKind) -> Result<Call, Fault> {
    let mut words = [0; MAX_PARAMS];
    cursor.expect("(")?;
    for (i, &param) in shape::params(kind).iter().enumerate() {
        if i > 0 {
            cursor.expect(",")?;
        }
        words[i] = value::parse(cursor, param)?;
    }
    cursor.expect(")")?;
    Ok(shape::build(kind, &words))
}

/// Reads `key=value` as often as it is there.
fn config(cursor: &mut Cursor<'_>, config: &mut Config) -> Result<(), Fault> {
    while !cursor.is_at_end() && !cursor.rest().starts_with('#') {
        let setting = cursor.take("a setting, as max_map_count", |cursor| {
            Setting::by_name(cursor.word())
        })?;
        cursor.expect("=")?;
        let value = cursor.take(&sane(setting), |cursor| {
            let value = setting_value(cursor, setting)?;
            (setting.fit(value) == value).then_some(value)
        })?;
        setting.set(config, value);
    }
    let mut fitted = config.clone();
    fit_together(&mut fitted);
    if fitted == *config {
        return Ok(());
    }
    Err(cursor.fault("mmap_base and start_brk at or below task_size, which comes first"))
}

fn setting_value(cursor: &mut Cursor<'_>, setting: &Setting) -> Option<u64> {
    if setting.unit == Unit::Truth {
        return match cursor.word() {
            "true" | "1" => Some(1),
            "false" | "0" => Some(0),
            _ => None,
        };
    }
    if setting.max == u64::MAX && cursor.eat("unlimited") {
        return Some(u64::MAX);
    }
    cursor.number("").ok()
}

fn sane(setting: &Setting) -> String {
    let Setting { min, max, .. } = setting;
    match setting.unit {
        Unit::Truth => "true or false".to_owned(),
        Unit::Address => format!("an address, a multiple of 0x1000 from {min:#x} to {max:#x}"),
        Unit::Count | Unit::Bytes if *max == u64::MAX => "a number or unlimited".to_owned(),
        Unit::Count | Unit::Bytes => format!("a number from {min} to {max}"),
    }
}
