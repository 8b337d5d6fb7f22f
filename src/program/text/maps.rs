//! Areas as /proc/PID/maps shows them, without device and inode.

use vmadiff_contract::{MmId, PAGE_SIZE, Snapshot, VmFlags, VmaState};

use super::cursor::Cursor;
use super::error::Fault;

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

/// Whether a line of a block `maps:` begins here, rather than the block ends.
pub(super) fn is_next(cursor: &mut Cursor<'_>) -> bool {
    let mut cursor = cursor.clone();
    cursor.run(|c| c.is_ascii_hexdigit());
    cursor.rest().starts_with('-')
}

/// Reads a line of a block `maps:` and gives it in the one form.
pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<String, Fault> {
    let start = hex(cursor, "a start in hexadecimal")?;
    cursor.expect("-")?;
    let end = hex(cursor, "an end in hexadecimal")?;
    let perms = cursor.take("permissions, as rw-p", |cursor| {
        let perms = cursor.run(|c| "rwxsp-".contains(c));
        let fits = perms.len() == 4
            && perms
                .chars()
                .zip(["r-", "w-", "x-", "sp"])
                .all(|(c, set)| set.contains(c));
        fits.then_some(perms)
    })?;
    let offset = hex(cursor, "an offset in hexadecimal")?;
    let name = cursor.take("anon, or a file as file1", |cursor| {
        let name = cursor.word();
        let number = name.strip_prefix("file").unwrap_or("0");
        let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        (name == "anon" || name.starts_with("file") && is_number).then_some(name)
    })?;
    Ok(line(start, end, perms, offset, name))
}

fn hex(cursor: &mut Cursor<'_>, expected: &str) -> Result<u64, Fault> {
    cursor.take(expected, |cursor| {
        u64::from_str_radix(cursor.run(|c| c.is_ascii_hexdigit()), 16).ok()
    })
}
