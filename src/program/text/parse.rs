//! Reads a case, line by line. Lines stand for themselves but for those of a block: below `maps:`,
//! below `status:`, and between `repeat` and `end`.

use vmadiff_contract::{Call, Outcome, TaskId};

use super::cursor::{Cursor, Names};
use super::error::{Fault, TextError, Warning};
use super::{checks, config, outcome, schedule, step};
use crate::program::sites::Sites;
use crate::program::{Answer, Case, Check, Expect, Moment, Wants};

/// What was read, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// What the text holds.
    pub case: Case,
    /// What in it does nothing, in the order of the lines.
    pub warnings: Vec<Warning>,
    /// Tasks that cannot exist, at the places that name them.
    pub impossible: Vec<TextError>,
    /// The line of each call, from 1.
    pub calls: Vec<u32>,
    /// The line of each check, from 1.
    pub checks: Vec<u32>,
}

impl Read {
    /// Of a text that somebody wrote. A program that a campaign has found may have calls and switches
    /// of tasks that cannot exist; a person who writes one means another task.
    ///
    /// # Errors
    ///
    /// Names each such task, but for those of calls that are expected to answer `NOTASK`.
    pub fn by_hand(mut self) -> Result<Self, TextError> {
        TextError::of(std::mem::take(&mut self.impossible)).map_or(Ok(self), Err)
    }
}

impl Case {
    /// Reads a program's text. The file's name is for errors only.
    ///
    /// # Errors
    ///
    /// Names each place that is no program text, and what was expected there: the first
    /// [`ERRORS_SHOWN`](super::error::ERRORS_SHOWN), and how many more. A site that the candidate does
    /// not have is one: its switch would never happen.
    pub fn parse(file: &str, text: &str) -> Result<Self, TextError> {
        Self::parse_with(file, text, &Sites::known())
    }

    /// As [`Case::parse`], with these sites.
    ///
    /// # Errors
    /// As [`Case::parse`].
    pub fn parse_with(file: &str, text: &str, sites: &Sites) -> Result<Self, TextError> {
        Ok(Self::read_with(file, text, sites)?.case)
    }

    /// As [`Case::parse`], with warnings, and the lines of calls and checks.
    ///
    /// # Errors
    /// As [`Case::parse`].
    pub fn read(file: &str, text: &str) -> Result<Read, TextError> {
        Self::read_with(file, text, &Sites::known())
    }

    fn read_with(file: &str, text: &str, sites: &Sites) -> Result<Read, TextError> {
        let lines: Vec<&str> = text.lines().collect();
        let mut parser = Parser {
            file,
            lines: &lines,
            sites,
            read: Read {
                case: Self::default(),
                warnings: Vec::new(),
                impossible: Vec::new(),
                calls: Vec::new(),
                checks: Vec::new(),
            },
            block: Block::None,
            pending: Vec::new(),
            files: Vec::new(),
            names: Vec::new(),
            repeated: 0,
            again: false,
            seen: Seen::default(),
            errors: Vec::new(),
        };
        if let Err(error) = parser.read_lines(0, lines.len()) {
            parser.errors.push(error);
        }
        match TextError::of(std::mem::take(&mut parser.errors)) {
            Some(errors) => Err(errors),
            None => parser.finish(),
        }
    }
}

/// Which block the lines are in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Block {
    None,
    Maps,
    Status,
}

/// What may come only once, or has to be looked at when all is known.
#[derive(Default)]
pub(super) struct Seen {
    pub settings: Vec<&'static str>,
    pub policy: bool,
    pub forks: u32,
    /// Calls by tasks that no fork before them can have made, with the place.
    pub strange: Vec<(usize, Place)>,
    /// Checks of tasks that cannot exist by then, with the place.
    pub unlooked: Vec<(TaskId, Place)>,
    /// Tasks that switches name, with the place.
    pub switched: Vec<(TaskId, Place)>,
}

/// Where something stands: the line from 0, the column from 1.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub line: usize,
    pub column: usize,
}

pub(super) struct Parser<'a> {
    pub file: &'a str,
    pub lines: &'a [&'a str],
    pub sites: &'a Sites,
    pub read: Read,
    pub block: Block,
    /// Comments that wait for the call or the check before which they stand.
    pub pending: Vec<String>,
    /// Files that lines of /proc have named.
    pub files: Vec<String>,
    pub names: Vec<(String, u64)>,
    /// Lines that repeats have come to.
    pub repeated: usize,
    /// A body is repeated, not for the first time: its comments have been kept.
    pub again: bool,
    pub seen: Seen,
    /// What is wrong with lines that the rest can be read without.
    pub errors: Vec<TextError>,
}

impl<'a> Parser<'a> {
    /// Reads the lines of this range.
    pub(super) fn read_lines(&mut self, from: usize, until: usize) -> Result<(), TextError> {
        let mut at = from;
        while at < until {
            if Cursor::new(self.lines[at]).eat_word("repeat") {
                self.block = Block::None;
                at = self.repeat(at, until)?;
                continue;
            }
            // Taken, so that what is read can be kept while numbers are looked up in it.
            let names = std::mem::take(&mut self.names);
            let line = self.line(at, &names);
            match self.named(line, names, at) {
                Ok(new) => self.names.extend(new),
                // Once for each line, however often it is repeated.
                Err(error) if self.errors.iter().all(|old| old.line != error.line) => {
                    self.errors.push(error);
                }
                Err(_) => {}
            }
            at += 1;
        }
        Ok(())
    }

    /// Puts the names back, and answers the one that a line has given.
    fn named(
        &mut self,
        line: Result<Option<(String, u64)>, Fault>,
        names: Vec<(String, u64)>,
        at: usize,
    ) -> Result<Option<(String, u64)>, TextError> {
        self.names = names;
        line.map_err(|fault| self.error(fault, at))
    }

    pub(super) fn error(&self, fault: Fault, at: usize) -> TextError {
        fault.in_line(self.file, at + 1, self.lines[at])
    }

    /// Reads a line that begins no repeat; answers what it gives a name to.
    fn line(&mut self, at: usize, names: &Names) -> Result<Option<(String, u64)>, Fault> {
        let mut cursor = Cursor::with_names(self.lines[at], names);
        let calls = self.read.case.program.calls.len();
        let mut new = None;
        if !cursor.is_at_end() && !cursor.rest().starts_with('#') {
            let goes_on = match self.block {
                Block::None => false,
                Block::Maps => checks::is_area(&cursor),
                Block::Status => checks::is_status(&cursor),
            };
            if !goes_on {
                self.block = Block::None;
            }
            new = self.item(&mut cursor, at)?;
        }
        if cursor.eat("#") {
            let text = cursor.take_rest().trim_end().to_owned();
            // A comment behind a call belongs to the call, any other stands by itself.
            match self.read.case.program.calls.len() {
                _ if self.again => {}
                after if after > calls => self.read.case.notes.push((calls, text)),
                _ => self.pending.push(text),
            }
        }
        if cursor.is_at_end() {
            return Ok(new);
        }
        Err(cursor.fault("the end of the line, or a comment"))
    }

    fn item(&mut self, cursor: &mut Cursor<'_>, at: usize) -> Result<Option<(String, u64)>, Fault> {
        match self.block {
            Block::Maps => return self.area(cursor).map(|()| None),
            Block::Status => return self.status(cursor).map(|()| None),
            Block::None => {}
        }
        let word = cursor.peek();
        let place = Place {
            line: at,
            column: cursor.column(),
        };
        match word {
            "config" => self.config(cursor)?,
            "design" => self.design(cursor)?,
            "policy" => self.policy(cursor)?,
            "switch" => self.switch(cursor, at)?,
            "let" => return Self::let_(cursor).map(Some),
            "end" => return Err(cursor.fault("a `repeat` above this `end`")),
            _ => self.of_task(cursor, place)?,
        }
        Ok(None)
    }

    /// A call or a check, perhaps of a task.
    fn of_task(&mut self, cursor: &mut Cursor<'_>, mut place: Place) -> Result<(), Fault> {
        let mut task = TaskId(1);
        if cursor.eat("[") {
            place.column = cursor.column();
            task = schedule::task(cursor)?;
            cursor.expect("]")?;
        }
        match cursor.peek() {
            "maps" | "status" => self.check(cursor, task, place),
            _ => self.call(cursor, task, place),
        }
    }

    fn call(&mut self, cursor: &mut Cursor<'_>, task: TaskId, place: Place) -> Result<(), Fault> {
        let step = step::parse(cursor, task)?;
        let expect = outcome::parse(cursor)?;
        let case = &mut self.read.case;
        let calls = case.program.calls.len();
        let pending = self.pending.drain(..);
        case.comments.extend(pending.map(|text| (calls, text)));
        let said = expect.outcome == Some(Answer::Is(Outcome::NoTask));
        if !said && !self.exists(task) {
            self.seen.strange.push((calls, place));
        }
        if step.call == Call::Fork {
            self.seen.forks += 1;
        }
        let case = &mut self.read.case;
        case.program.calls.push(step);
        case.expect.push(expect);
        self.read.calls.push(place.line as u32 + 1);
        Ok(())
    }

    /// Whether this task can exist by now.
    fn exists(&self, task: TaskId) -> bool {
        let first = u32::from(self.read.case.program.config.tasks);
        u32::from(task.0) <= first + self.seen.forks
    }

    fn check(&mut self, cursor: &mut Cursor<'_>, task: TaskId, place: Place) -> Result<(), Fault> {
        if self.read.calls.is_empty() && cursor.peek() == "status" {
            return Err(cursor.fault("a call before `status:`"));
        }
        if !self.exists(task) {
            self.seen.unlooked.push((task, place));
        }
        let is_maps = cursor.word() == "maps";
        cursor.expect(":")?;
        let after = self.read.case.program.calls.len();
        let wants = if is_maps {
            self.block = Block::Maps;
            Wants::Maps(Vec::new())
        } else {
            let mut counters = Vec::new();
            checks::parse_counters(cursor, &mut counters)?;
            self.block = Block::Status;
            Wants::Status(counters)
        };
        self.read.case.checks.push(Check {
            after,
            task,
            comments: self.pending.drain(..).collect(),
            wants,
        });
        self.read.checks.push(place.line as u32 + 1);
        Ok(())
    }

    fn area(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        let line = checks::parse_area(cursor, &mut self.files)?;
        if let Some(Wants::Maps(lines)) = self.last_check() {
            lines.push(line);
        }
        Ok(())
    }

    fn status(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        match self.last_check() {
            Some(Wants::Status(counters)) => checks::parse_status(cursor, counters),
            _ => Ok(()),
        }
    }

    fn last_check(&mut self) -> Option<&mut Wants> {
        let last = self.read.case.checks.last_mut();
        last.map(|check| &mut check.wants)
    }

    fn config(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        if !self.read.calls.is_empty() {
            let fault = cursor.fault("`config` before the first call");
            return Err(fault.help("settings hold from the start of the program"));
        }
        cursor.word();
        let Seen { settings, .. } = &mut self.seen;
        config::parse(cursor, &mut self.read.case.program.config, settings)
    }

    fn design(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        if self.read.case.design.is_some() {
            return Err(cursor.fault("only one line `design:`"));
        }
        cursor.word();
        cursor.expect(":")?;
        self.read.case.design = Some(schedule::parse_design(cursor)?);
        Ok(())
    }

    fn policy(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        if std::mem::replace(&mut self.seen.policy, true) {
            return Err(cursor.fault("only one line `policy:`"));
        }
        cursor.word();
        cursor.expect(":")?;
        schedule::parse_policy(cursor, &mut self.read.case.program.schedule)
    }

    fn switch(&mut self, cursor: &mut Cursor<'_>, line: usize) -> Result<(), Fault> {
        cursor.word();
        cursor.expect(":")?;
        let mut place = |cursor: &mut Cursor<'_>, task| {
            let column = cursor.column();
            self.seen.switched.push((task, Place { line, column }));
        };
        let mut from = cursor.clone();
        let switch = schedule::parse_switch(cursor, self.sites)?;
        if let Moment::Site { task, .. } = switch.at {
            place(&mut from, task);
        }
        from.run(|c| c != '>');
        from.expect(">")?;
        place(&mut from, switch.to);
        self.read.case.program.schedule.switches.push(switch);
        Ok(())
    }

    /// What can be said only when all is known.
    fn finish(mut self) -> Result<Read, TextError> {
        let calls = self.read.case.program.calls.len();
        let pending = self.pending.drain(..);
        self.read
            .case
            .comments
            .extend(pending.map(|text| (calls, text)));
        self.woven_checks()?;
        self.tasks();
        self.younger();
        let expect = &mut self.read.case.expect;
        while expect.last().is_some_and(|last| *last == Expect::default()) {
            expect.pop();
        }
        self.read.warnings.sort_by_key(|warning| warning.line);
        Ok(self.read)
    }
}
