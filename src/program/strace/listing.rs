//! A listing of areas, as /proc/PID/maps and /proc/PID/smaps give it.

use crate::program::text::TextError;
use crate::program::text::cursor::Cursor;
use crate::program::text::error::Fault;

/// The areas of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    pub(super) areas: Vec<Area>,
}

/// One area.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Area {
    /// The line that lists it.
    pub line: usize,
    pub start: u64,
    pub end: u64,
    /// `r`, `w`, `x`.
    pub perms: [bool; 3],
    pub is_shared: bool,
    /// Where it begins in its file, bytes.
    pub off: u64,
    /// The file's device and number, as they are written; number 0: no file.
    pub dev: String,
    pub inode: u64,
    pub name: String,
    /// `VmFlags:` of smaps.
    pub flags: Option<Vec<String>>,
}

impl Listing {
    /// Reads a listing; the file's name is for errors only.
    ///
    /// # Errors
    ///
    /// Names the first line that is none of a listing's, and what was expected there.
    pub fn parse(file: &str, text: &str) -> Result<Self, TextError> {
        let mut areas: Vec<Area> = Vec::new();
        for (i, line) in text.lines().enumerate() {
            let line = line.trim_end();
            let number = i + 1;
            if line.is_empty() {
                continue;
            }
            // The rows of smaps are `Name:  value`.
            if let (Some(area), Some((row, value))) = (areas.last_mut(), row(line)) {
                if row == "VmFlags" {
                    area.flags = Some(value.split_whitespace().map(str::to_owned).collect());
                }
                continue;
            }
            let mut area = area(line).map_err(|fault| fault.at(file, number))?;
            area.line = number;
            if areas.last().is_some_and(|last| last.end > area.start) {
                let mut cursor = Cursor::new(line);
                let fault = cursor.fault("an area above the one before");
                return Err(fault.at(file, number));
            }
            areas.push(area);
        }
        if areas.is_empty() {
            let fault = Cursor::new("").fault("areas, as /proc/PID/maps lists them");
            return Err(fault.at(file, 1));
        }
        Ok(Self { areas })
    }
}

fn row(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(':')?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '(' || c == ')';
    let is_row = name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(is_name);
    is_row.then_some((name, value))
}

fn area(line: &str) -> Result<Area, Fault> {
    const EXPECTED: &str = "an area, as 7f0000000000-7f0000001000 rw-p 00000000 08:01 123 /file";
    let mut cursor = Cursor::new(line);
    let hex = |cursor: &mut Cursor<'_>| u64::from_str_radix(cursor.word(), 16).ok();
    let (start, end) = cursor.take(EXPECTED, |cursor| {
        let start = hex(cursor)?;
        cursor.eat("-").then_some(())?;
        let end = hex(cursor)?;
        (start < end).then_some((start, end))
    })?;
    let (perms, is_shared) = cursor.take("what may be done, as rw-p", |cursor| {
        let perms = cursor.run(|c| "rwxsp-".contains(c)).as_bytes();
        let [read, write, exec, sharing @ (b'p' | b's')] = perms else {
            return None;
        };
        let all = [(*read, b'r'), (*write, b'w'), (*exec, b'x')];
        let valid = all.iter().all(|(is, would)| [*would, b'-'].contains(is));
        valid.then_some((all.map(|(is, would)| is == would), *sharing == b's'))
    })?;
    let off = cursor.take("an offset in bytes, hexadecimal", hex)?;
    let dev = cursor.take("a device, as 08:01", |cursor| {
        let dev = cursor.run(|c| c.is_ascii_hexdigit() || c == ':');
        dev.contains(':').then_some(dev.to_owned())
    })?;
    let inode = cursor.take("a file's number", |cursor| cursor.word().parse().ok())?;
    Ok(Area {
        line: 0,
        start,
        end,
        perms,
        is_shared,
        off,
        dev,
        inode,
        name: cursor.take_rest().to_owned(),
        flags: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_read_with_the_rows_of_smaps() {
        let text = "\
00400000-00401000 r-xp 00002000 08:01 77      /srv/a: b, c (deleted)
Size:                  4 kB
VmFlags: rd ex mr mw me dw
7f0000000000-7f0000002000 ---s 00000000 00:00 0
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0   [vsyscall]
";
        let listing = Listing::parse("maps", text).expect("a listing");
        let [first, second, third] = &listing.areas[..] else {
            panic!()
        };
        assert_eq!(
            (first.start, first.end, first.off),
            (0x40_0000, 0x40_1000, 0x2000)
        );
        assert_eq!(first.perms, [true, false, true]);
        assert_eq!(first.name, "/srv/a: b, c (deleted)");
        assert_eq!(first.flags.as_ref().map(Vec::len), Some(6));
        assert!(second.is_shared && second.name.is_empty());
        assert_eq!((third.line, third.name.as_str()), (5, "[vsyscall]"));
    }

    #[test]
    fn errors_name_the_line() {
        let check = |text: &str, expected: &str| {
            let error = Listing::parse("maps", text).expect_err("an error");
            assert_eq!(error.to_string(), expected);
        };
        check(
            "",
            "maps:1:1: expected areas, as /proc/PID/maps lists them, found the end of the line",
        );
        check(
            "1000-2000 rw-p 0 0:0 0\n1800-2800 rw-p 0 0:0 0\n",
            "maps:2:1: expected an area above the one before, found `1800`",
        );
        check(
            "1000-2000 rwp 0 0:0 0\n",
            "maps:1:11: expected what may be done, as rw-p, found `rwp`",
        );
        check(
            "brk(NULL) = 0\n",
            "maps:1:1: expected an area, as 7f0000000000-7f0000001000 rw-p 00000000 08:01 123 \
             /file, found `brk`",
        );
    }
}
