//! The areas that /proc/PID/smaps shows.

use std::io;

use memchr::memmem;
use vmadiff_contract::VmFlags;

use crate::seen::{Area, Object};
use crate::zone::Zones;
use crate::{agent_range, ballast_range};

/// The two-letter names of smaps' VmFlags that the contract has flags for.
const LETTERS: &[(&str, VmFlags)] = &[
    ("rd", VmFlags::READ),
    ("wr", VmFlags::WRITE),
    ("ex", VmFlags::EXEC),
    ("sh", VmFlags::SHARED),
    ("mr", VmFlags::MAYREAD),
    ("mw", VmFlags::MAYWRITE),
    ("me", VmFlags::MAYEXEC),
    ("ms", VmFlags::MAYSHARE),
    ("gd", VmFlags::GROWSDOWN),
    ("um", VmFlags::UFFD_MISSING),
    ("lo", VmFlags::LOCKED),
    ("sr", VmFlags::SEQ_READ),
    ("rr", VmFlags::RAND_READ),
    ("dc", VmFlags::DONTCOPY),
    ("ac", VmFlags::ACCOUNT),
    ("nr", VmFlags::NORESERVE),
    ("wf", VmFlags::WIPEONFORK),
    ("dd", VmFlags::DONTDUMP),
    ("mg", VmFlags::MERGEABLE),
    ("hg", VmFlags::HUGEPAGE),
    ("nh", VmFlags::NOHUGEPAGE),
];

/// The areas of a text of smaps but for the agent's own, by address.
///
/// Each has a line that says where it is, lines that count its pages, and behind them its flags;
/// those that count are passed over unread, for they are nearly all of the text.
///
/// # Errors
/// If the text is not understood.
pub fn areas(text: &str, zones: &Zones) -> io::Result<Vec<Area>> {
    let mut areas = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (first, next) = line(rest);
        let counts = &rest[first.len()..];
        rest = next;
        if !first.starts_with(|c: char| matches!(c, '0'..='9' | 'a'..='f')) {
            continue; // more is told of an area than its flags
        }
        let flags = memmem::find(counts.as_bytes(), FLAGS.as_bytes());
        let flags = flags.ok_or_else(|| strange(first))?;
        let (flags, next) = line(&counts[flags + FLAGS.len()..]);
        rest = next;
        if let Some(area) = area(first, vm_flags(flags), zones)? {
            areas.push(area);
        }
    }
    areas.sort_by_key(|area| area.start);
    Ok(areas)
}

/// How the line of an area's flags begins.
const FLAGS: &str = "\nVmFlags:";

/// The first line, and what follows it.
fn line(text: &str) -> (&str, &str) {
    match memchr::memchr(b'\n', text.as_bytes()) {
        Some(end) => (&text[..end], &text[end + 1..]),
        None => (text, ""),
    }
}

fn strange(line: &str) -> io::Error {
    io::Error::other(format!("/proc/PID/smaps: {line}"))
}

/// The area that a first line is about; none if it is the agent's own.
fn area(line: &str, flags: VmFlags, zones: &Zones) -> io::Result<Option<Area>> {
    let strange = || strange(line);
    let mut words = line.split_ascii_whitespace();
    let mut word = || words.next().ok_or_else(strange);
    let (range, _rights, offset, _device, inode) = (word()?, word()?, word()?, word()?, word()?);
    let name = words.next().unwrap_or("");
    let (start, end) = range.split_once('-').ok_or_else(strange)?;
    let number = |text| u64::from_str_radix(text, 16).map_err(|_| strange());
    let (start, end, offset) = (number(start)?, number(end)?, number(offset)?);
    let is_own = agent_range().contains(&start) || ballast_range().contains(&start);
    if is_own || name == "[vsyscall]" {
        return Ok(None);
    }
    let key: u64 = inode.parse().map_err(|_| strange())?;
    let moved = zones.to_program(start).zip(zones.to_program(end - 1));
    let Some((start, last)) = moved else {
        return Err(strange());
    };
    Ok(Some(Area {
        start,
        end: last + 1,
        flags,
        object: (key != 0).then_some(Object {
            key,
            named: name.starts_with("/memfd:"),
        }),
        pgoff: if key == 0 { 0 } else { offset / 4096 },
    }))
}

fn vm_flags(letters: &str) -> VmFlags {
    letters
        .split_ascii_whitespace()
        .filter_map(|word| LETTERS.iter().find(|(letters, _)| *letters == word))
        .fold(VmFlags::empty(), |flags, (_, flag)| flags | *flag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_letters_of_smaps_are_flags() {
        let flags = vm_flags(" rd wr mr mw me lo ac ?? ");
        let named = VmFlags::READ | VmFlags::WRITE | VmFlags::LOCKED | VmFlags::ACCOUNT;
        let may = VmFlags::MAYREAD | VmFlags::MAYWRITE | VmFlags::MAYEXEC;
        assert_eq!(flags, named | may);
    }

    #[test]
    fn counts_between_an_area_and_its_flags_are_passed_over() {
        let config = vmadiff_contract::Config::default();
        let zones = Zones::new(&config, &crate::Machine::ideal()).expect("the default fits");
        let start = zones.to_linux(config.mmap_base - 0x3000).expect("inside");
        let text = format!(
            "{start:x}-{:x} rw-p 00000000 00:00 0 \nSize: 4 kB\nVmFlags: rd wr \n\
             {:x}-{:x} r--s 00002000 00:01 77 /memfd:1 (deleted)\nSize: 4 kB\nVmFlags: rd sh \n\
             New: 1\n{:x}-{:x} r-xp 00000000 00:00 0 \nVmFlags: ex\n",
            start + 0x1000,
            start + 0x1000,
            start + 0x2000,
            agent_range().start,
            agent_range().start + 0x1000,
        );
        let found = areas(&text, &zones).expect("smaps");
        let flags: Vec<VmFlags> = found.iter().map(|area| area.flags).collect();
        let (read, shared) = (VmFlags::READ, VmFlags::READ | VmFlags::SHARED);
        assert_eq!(flags, [read | VmFlags::WRITE, shared]);
        assert_eq!(found[1].pgoff, 2);
        let cut = text.find("\nVmFlags: rd sh").expect("there");
        assert!(areas(&text[..cut], &zones).is_err());
    }
}
