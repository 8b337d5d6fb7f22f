//! Areas as a text has them, seen through a view.

use crate::compare::{Shown, View};
use vmadiff_contract::VmFlags;

/// What may be done in an area, by the place of its letter: shown by this flag, or as this letter.
const LETTERS: [(VmFlags, char); 4] = [
    (VmFlags::READ, '-'),
    (VmFlags::WRITE, '-'),
    (VmFlags::EXEC, '-'),
    (VmFlags::MAYSHARE, 'p'),
];

/// A line of `maps:`.
struct Area<'a> {
    start: u64,
    end: u64,
    may: String,
    offset: u64,
    name: &'a str,
}

impl<'a> Area<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let hex = |digits: &str| u64::from_str_radix(digits, 16).ok();
        let (start, end) = words.next()?.split_once('-')?;
        let (may, offset) = (words.next()?, words.next()?);
        Some(Self {
            start: hex(start)?,
            end: hex(end)?,
            may: may.to_owned(),
            offset: hex(offset)?,
            name: words.next()?,
        })
    }

    /// Takes out what is not shown, as it is taken out of a state.
    fn narrow(&mut self, view: &View) {
        let letters = self.may.chars().zip(LETTERS);
        let seen = letters.map(
            |(letter, (flag, hidden))| match view.area_flags().contains(flag) {
                true => letter,
                false => hidden,
            },
        );
        self.may = seen.collect();
        if !view.shows(Shown::FILES) {
            self.name = "anon";
        }
        if !view.shows(Shown::FILES.union(Shown::OFFSETS)) {
            self.offset = 0;
        }
    }

    /// Whether the next area looks like more of this one.
    fn goes_on(&self, next: &Self) -> bool {
        let follows = self.name == "anon" || self.offset + (self.end - self.start) == next.offset;
        let alike = self.may == next.may && self.name == next.name;
        let empty = self.start == self.end || next.start == next.end;
        self.end == next.start && alike && !empty && (follows || self.offset == next.offset)
    }

    fn line(&self) -> String {
        let Self {
            start,
            end,
            may,
            offset,
            name,
        } = self;
        format!("{start:08x}-{end:08x} {may} {offset:08x} {name}")
    }
}

/// Lines of areas, of a text or of a state, as a view has them.
pub fn seen_by(view: &View, lines: &[String]) -> Vec<String> {
    let read: Option<Vec<Area<'_>>> = lines.iter().map(|line| Area::read(line)).collect();
    let Some(mut areas) = read.filter(|_| !view.is_all()) else {
        return lines.to_vec();
    };
    for area in &mut areas {
        area.narrow(view);
    }
    if view.joins() {
        areas.dedup_by(|next, area| {
            let joins = area.goes_on(next);
            if joins {
                area.end = next.end;
            }
            joins
        });
    }
    areas.iter().map(Area::line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(view: View, lines: &[&str]) -> Vec<String> {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        seen_by(&view, &lines)
    }

    #[test]
    fn what_is_not_shown_is_taken_out_and_neighbours_are_one() {
        let lines = [
            "001f0000-001f1000 r--p 00000000 anon",
            "001f1000-001f2000 r--s 00003000 file2",
            "001f2000-001f3000 rw-p 00000000 anon",
            "001f4000-001f5000 rw-p 00000000 anon",
        ];
        assert_eq!(seen(View::all(), &lines), lines);
        let apart = seen(View::areas(), &lines);
        assert_eq!(apart[1], "001f1000-001f2000 r--p 00000000 anon");
        assert_eq!(apart.len(), 4);
        let joined = seen(View::areas().joined(), &lines);
        let expected = [
            "001f0000-001f2000 r--p 00000000 anon",
            "001f2000-001f3000 rw-p 00000000 anon",
            "001f4000-001f5000 rw-p 00000000 anon",
        ];
        assert_eq!(joined, expected);
    }

    #[test]
    fn an_area_without_a_byte_stays() {
        let lines = [
            "001f0000-001f1000 r--p 00000000 anon",
            "001f1000-001f1000 r--p 00000000 anon",
            "001f1000-001f2000 r--p 00000000 anon",
        ];
        assert_eq!(seen(View::areas().joined(), &lines), lines);
    }

    #[test]
    fn parts_of_a_file_are_one_where_they_follow() {
        let view = View::areas()
            .with(Shown::FILES)
            .with(Shown::OFFSETS)
            .joined();
        let lines = [
            "001f0000-001f1000 r--p 00000000 file1",
            "001f1000-001f2000 r--p 00001000 file1",
            "001f2000-001f3000 r--p 00007000 file1",
        ];
        assert_eq!(seen(view, &lines).len(), 2);
    }
}
