//! What a text expects of the state at a point of the program: `maps:` with areas as /proc/PID/maps
//! shows them, and `status:` with counters.

use std::fmt::{self, Write};

use vmadiff_contract::{MmId, PAGE_SIZE, Snapshot, TaskId, VmFlags, VmaState};

use super::cursor::{Cursor, Range};
use super::error::Fault;
use crate::program::{Check, Counter, Wants};

/// The areas of an address space, a line each, as a `maps:` block has them.
pub fn maps_lines(snapshot: &Snapshot, mm: MmId) -> Vec<String> {
    snapshot
        .vmas
        .iter()
        .filter(|vma| vma.mm == mm)
        .map(maps_line)
        .collect()
}

/// An area: `start-end rwxp offset anon|fileN`. Anonymous private memory has offset 0, as in
/// Linux.
pub fn maps_line(vma: &VmaState) -> String {
    let bit = |flag, letter, none| {
        if vma.flags.contains(flag) {
            letter
        } else {
            none
        }
    };
    let perms: String = [
        bit(VmFlags::READ, 'r', '-'),
        bit(VmFlags::WRITE, 'w', '-'),
        bit(VmFlags::EXEC, 'x', '-'),
        bit(VmFlags::MAYSHARE, 's', 'p'),
    ]
    .into_iter()
    .collect();
    let (offset, name) = match vma.file {
        Some(file) => (vma.pgoff * PAGE_SIZE, file.to_string()),
        None => (0, "anon".to_owned()),
    };
    line(vma.start, vma.end, &perms, offset, &name)
}

fn line(start: u64, end: u64, perms: &str, offset: u64, name: &str) -> String {
    format!("{start:08x}-{end:08x} {perms} {offset:08x} {name}")
}

/// Writes a check without its comments.
pub(super) fn print(f: &mut impl Write, check: &Check) -> fmt::Result {
    if check.task != TaskId(1) {
        write!(f, "[{}] ", check.task)?;
    }
    match &check.wants {
        Wants::Maps(lines) => {
            writeln!(f, "maps:")?;
            lines.iter().try_for_each(|line| writeln!(f, "  {line}"))
        }
        Wants::Status(counters) => {
            f.write_str("status:")?;
            for (counter, value) in counters {
                write!(f, " {}={value}", counter.name())?;
            }
            writeln!(f)
        }
    }
}

/// Whether a line of a block `maps:` begins here, rather than the block ends.
pub(super) fn is_area(cursor: &Cursor<'_>) -> bool {
    let mut cursor = cursor.clone();
    let word = cursor.word();
    let is_hex = !word.is_empty() && word.bytes().all(|b| b.is_ascii_hexdigit());
    is_hex && !cursor.rest().starts_with('(')
}

/// Whether a line as /proc/PID/status has it begins here.
pub(super) fn is_status(cursor: &Cursor<'_>) -> bool {
    let mut cursor = cursor.clone();
    let word = cursor.word();
    word.starts_with(|c: char| c.is_ascii_uppercase()) && cursor.rest().starts_with(':')
}

/// Reads a line of a block `maps:` and gives it in the one form. `files` are those that lines with
/// device and inode have named, in the order in which they came.
pub(super) fn parse_area(
    cursor: &mut Cursor<'_>,
    files: &mut Vec<String>,
) -> Result<String, Fault> {
    let start = hex(cursor, "a start in hexadecimal, without 0x")?;
    cursor.expect("-")?;
    let end = hex(cursor, "an end in hexadecimal, without 0x")?;
    let perms = cursor.take("permissions, as rw-p", |cursor| {
        let perms = cursor.run(|c| "rwxsp-".contains(c));
        let fits = perms.len() == 4
            && perms
                .chars()
                .zip(["r-", "w-", "x-", "sp"])
                .all(|(c, set)| set.contains(c));
        fits.then_some(perms)
    })?;
    let offset = hex(cursor, "an offset in hexadecimal, without 0x")?;
    if let Some(name) = proc_name(cursor, files)? {
        return Ok(line(start, end, perms, offset, &name));
    }
    let word = cursor.peek();
    let expected = "anon, a file as file1, or device, inode and path as /proc/PID/maps has them";
    let name = cursor.take(expected, |cursor| {
        let name = cursor.word();
        let number = name.strip_prefix("file").unwrap_or("0");
        let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        (name == "anon" || name.starts_with("file") && is_number).then_some(name)
    });
    let name = name.map_err(|fault| fault.near(word, ["anon", "file1"]))?;
    Ok(line(start, end, perms, offset, name))
}

/// Reads `08:01 4718777 /srv/data`, if a device comes next. A path may hold anything, so it goes to
/// the end of the line.
fn proc_name(cursor: &mut Cursor<'_>, files: &mut Vec<String>) -> Result<Option<String>, Fault> {
    let mut ahead = cursor.clone();
    let major = ahead.run(|c| c.is_ascii_hexdigit());
    if major.is_empty() || !ahead.rest().starts_with(':') {
        return Ok(None);
    }
    *cursor = ahead;
    cursor.expect(":")?;
    let minor = hex(cursor, "a device's minor number, in hexadecimal")?;
    let inode = cursor.number("an inode")?;
    let path = cursor.take_rest().trim_end();
    if inode == 0 {
        return Ok(Some("anon".to_owned()));
    }
    let key = format!("{major}:{minor:x} {inode} {path}");
    let place = files.iter().position(|file| *file == key);
    let place = place.unwrap_or_else(|| {
        files.push(key);
        files.len() - 1
    });
    Ok(Some(format!("file{}", place + 1)))
}

fn hex(cursor: &mut Cursor<'_>, expected: &str) -> Result<u64, Fault> {
    let found = cursor.take(expected, |cursor| {
        u64::from_str_radix(cursor.run(|c| c.is_ascii_hexdigit()), 16).ok()
    })?;
    if cursor.rest().starts_with('x') && found == 0 {
        return Err(cursor.fault("a number as /proc/PID/maps has them, in hexadecimal without 0x"));
    }
    Ok(found)
}

/// Reads what follows `status:`, `locked=2 resident=3`; there may be nothing.
pub(super) fn parse_counters(
    cursor: &mut Cursor<'_>,
    counters: &mut Vec<(Counter, u64)>,
) -> Result<(), Fault> {
    while !cursor.is_at_end() && !cursor.rest().starts_with('#') {
        let names = || Counter::ALL.iter().map(|counter| counter.name());
        let word = cursor.peek();
        let all: Vec<&str> = names().collect();
        let expected = format!("a counter: {}", all.join(", "));
        let counter = cursor
            .take(&expected, |cursor| Counter::by_name(cursor.word()))
            .map_err(|fault| fault.near(word, names()))?;
        cursor.expect("=")?;
        let expected = match counter {
            Counter::Areas => "a number of areas",
            Counter::Minor | Counter::Major => "a number of faults",
            _ => "a number of pages",
        };
        push(cursor, counters, counter, expected, |cursor| {
            cursor.sum(expected, Range::to(u64::MAX))
        })?;
    }
    Ok(())
}

/// Reads a line as /proc/PID/status and /proc/meminfo have it: `VmLck:   8 kB`.
pub(super) fn parse_status(
    cursor: &mut Cursor<'_>,
    counters: &mut Vec<(Counter, u64)>,
) -> Result<(), Fault> {
    let names = || {
        Counter::ALL
            .iter()
            .filter_map(|counter| counter.proc_name())
    };
    let word = cursor.peek();
    let all: Vec<&str> = names().collect();
    let expected = format!("a line of /proc that the model has: {}", all.join(", "));
    let counter = cursor
        .take(&expected, |cursor| Counter::by_proc_name(cursor.word()))
        .map_err(|fault| fault.near(word, names()))?;
    cursor.expect(":")?;
    let expected = "a number of kB, a multiple of 4";
    push(cursor, counters, counter, expected, |cursor| {
        cursor.take(expected, |cursor| {
            let kilobytes = cursor.number(expected).ok()?;
            (kilobytes % 4 == 0).then_some(kilobytes / 4)
        })
    })?;
    cursor.expect("kB")
}

fn push(
    cursor: &mut Cursor<'_>,
    counters: &mut Vec<(Counter, u64)>,
    counter: Counter,
    expected: &str,
    read: impl FnOnce(&mut Cursor<'_>) -> Result<u64, Fault>,
) -> Result<(), Fault> {
    if counters.iter().any(|(named, _)| *named == counter) {
        let fault = cursor.fault(expected.to_owned());
        return Err(fault.help(format!("`{}` was given already", counter.name())));
    }
    let value = read(cursor)?;
    counters.push((counter, value));
    Ok(())
}
