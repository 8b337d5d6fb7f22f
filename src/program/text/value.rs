//! Arguments as text: strace's notation, with symbolic flags and a numeric remainder.

use std::fmt::{self, Write};

use bitflags::Flags;
use vmadiff_contract::{
    Advice, FallocFlags, FileKind, LockAllFlags, LockFlags, MapFlags, Mode, MoveFlags, PolicyFlags,
    Prot, SyncFlags,
};

use super::cursor::Cursor;
use super::error::Fault;
use crate::program::shape::Param;

/// Writes an argument.
pub(in crate::program) fn print(f: &mut impl Write, param: Param, word: u64) -> fmt::Result {
    match param {
        Param::Addr if word == 0 => f.write_str("NULL"),
        Param::Addr | Param::Len | Param::Off | Param::Nodes => print_hex(f, word),
        Param::Value => write!(f, "{word}"),
        Param::Fd => write!(f, "{}", word as i32),
        Param::Advice => {
            let advice = Advice::from_number(word as u32);
            print_named(f, advice.name(), word)
        }
        Param::Mode => print_named(f, Mode::from_number(word as u32).name(), word),
        Param::FileKind => {
            let kind = FileKind::ALL[word as usize % FileKind::ALL.len()];
            write!(f, "\"{}\"", kind.name())
        }
        Param::Access => f.write_str(ACCESS[word as usize % ACCESS.len()]),
        Param::Prot if word == 0 => f.write_str("PROT_NONE"),
        Param::Prot => print_flags::<Prot>(f, &["PROT_"], word),
        Param::MapFlags => print_flags::<MapFlags>(f, &["MAP_"], word),
        Param::MoveFlags => print_flags::<MoveFlags>(f, &["MREMAP_"], word),
        Param::LockFlags => print_flags::<LockFlags>(f, &["MLOCK_"], word),
        Param::LockAllFlags => print_flags::<LockAllFlags>(f, &["MCL_"], word),
        Param::SyncFlags => print_flags::<SyncFlags>(f, &["MS_"], word),
        Param::PolicyFlags => print_flags::<PolicyFlags>(f, &["MPOL_MF_", "MPOL_F_"], word),
        Param::FallocFlags => print_flags::<FallocFlags>(f, &["FALLOC_FL_"], word),
    }
}

/// Reads an argument.
pub(in crate::program) fn parse(cursor: &mut Cursor<'_>, param: Param) -> Result<u64, Fault> {
    match param {
        Param::Addr if cursor.eat("NULL") => Ok(0),
        Param::Addr => cursor.number("an address"),
        Param::Len => cursor.number("a length in bytes"),
        Param::Off => cursor.number("an offset in bytes"),
        Param::Nodes => cursor.number("a mask of nodes"),
        Param::Value => below(cursor, "a byte, 0 to 255", 1 << 8),
        Param::Fd => parse_fd(cursor),
        Param::Advice => parse_named(cursor, "MADV_ advice or its number", |name| {
            let all = Advice::ALL.iter();
            all.copied()
                .find(|a| a.name() == Some(name))
                .map(Advice::number)
        }),
        Param::Mode => parse_named(cursor, "an MPOL_ mode or its number", |name| {
            let all = Mode::ALL.iter();
            all.copied()
                .find(|m| m.name() == Some(name))
                .map(Mode::number)
        }),
        Param::FileKind => parse_kind(cursor),
        Param::Access => cursor.take("O_RDONLY, O_WRONLY, O_RDWR or 0", |cursor| {
            let word = cursor.word();
            ACCESS
                .iter()
                .position(|&name| name == word)
                .map(|i| i as u64)
        }),
        Param::Prot => parse_flags::<Prot>(cursor, &["PROT_"]),
        Param::MapFlags => parse_flags::<MapFlags>(cursor, &["MAP_"]),
        Param::MoveFlags => parse_flags::<MoveFlags>(cursor, &["MREMAP_"]),
        Param::LockFlags => parse_flags::<LockFlags>(cursor, &["MLOCK_"]),
        Param::LockAllFlags => parse_flags::<LockAllFlags>(cursor, &["MCL_"]),
        Param::SyncFlags => parse_flags::<SyncFlags>(cursor, &["MS_"]),
        Param::PolicyFlags => parse_flags::<PolicyFlags>(cursor, &["MPOL_MF_", "MPOL_F_"]),
        Param::FallocFlags => parse_flags::<FallocFlags>(cursor, &["FALLOC_FL_"]),
    }
}

/// Hexadecimal, but for 0.
pub(super) fn print_hex(f: &mut impl Write, word: u64) -> fmt::Result {
    if word == 0 {
        f.write_str("0")
    } else {
        write!(f, "{word:#x}")
    }
}

/// By what may be done with the file, as bits of [`vmadiff_contract::Access`].
const ACCESS: [&str; 4] = ["0", "O_RDONLY", "O_WRONLY", "O_RDWR"];

fn print_named(f: &mut impl Write, name: Option<&str>, word: u64) -> fmt::Result {
    match name {
        Some(name) => f.write_str(name),
        None => write!(f, "{word:#x}"),
    }
}

fn parse_named(
    cursor: &mut Cursor<'_>,
    expected: &str,
    find: impl Fn(&str) -> Option<u32>,
) -> Result<u64, Fault> {
    if let Some(number) = find(cursor.clone().word()) {
        cursor.word();
        return Ok(number.into());
    }
    below(cursor, expected, 1 << 32)
}

fn below(cursor: &mut Cursor<'_>, expected: &str, limit: u64) -> Result<u64, Fault> {
    cursor.take(expected, |cursor| {
        let number = cursor.number(expected).ok()?;
        (number < limit).then_some(number)
    })
}

fn parse_fd(cursor: &mut Cursor<'_>) -> Result<u64, Fault> {
    cursor.take("a file descriptor, a signed 32-bit number", |cursor| {
        let sign = cursor.run(|c| c == '-');
        let digits = cursor.word();
        let fd: i32 = format!("{sign}{digits}").parse().ok()?;
        Some(i64::from(fd) as u64)
    })
}

fn parse_kind(cursor: &mut Cursor<'_>) -> Result<u64, Fault> {
    cursor.take(
        "a kind of file, \"plain\", \"close\" or \"nofault\"",
        |cursor| {
            if !cursor.eat("\"") {
                return None;
            }
            let name = cursor.word();
            let kind = FileKind::ALL.iter().position(|kind| kind.name() == name)?;
            cursor.eat("\"").then_some(kind as u64)
        },
    )
}

/// A flag's name with the first prefix that fits: with two, bits below 14 have the first.
fn prefix<'a>(prefixes: &[&'a str], bits: u32) -> &'a str {
    prefixes[usize::from(prefixes.len() > 1 && bits >= 1 << 14)]
}

/// Names of more than one bit come before those of one: MAP_SHARED_VALIDATE is both types at once.
fn print_flags<F: Flags<Bits = u32>>(
    f: &mut impl Write,
    prefixes: &[&str],
    word: u64,
) -> fmt::Result {
    let mut left = word as u32;
    let mut separator = "";
    for several in [true, false] {
        for flag in F::FLAGS.iter().filter(|flag| flag.is_named()) {
            let bits = flag.value().bits();
            if (bits.count_ones() > 1) == several && left & bits == bits {
                write!(f, "{separator}{}{}", prefix(prefixes, bits), flag.name())?;
                left &= !bits;
                separator = "|";
            }
        }
    }
    if left != 0 || separator.is_empty() {
        f.write_str(separator)?;
        print_hex(f, left.into())?;
    }
    Ok(())
}

fn parse_flags<F: Flags<Bits = u32>>(
    cursor: &mut Cursor<'_>,
    prefixes: &[&str],
) -> Result<u64, Fault> {
    let expected = format!("a flag {}… or its number", prefixes.join("… or "));
    let mut all = 0;
    loop {
        all |= cursor.take(&expected, |cursor| {
            let mut number = cursor.clone();
            let word = cursor.word();
            if word == "PROT_NONE" && prefixes == ["PROT_"] {
                return Some(0);
            }
            if let Some(bits) = flag::<F>(prefixes, word) {
                return Some(u64::from(bits));
            }
            let number = number.number("").ok()?;
            (number < 1 << 32).then_some(number)
        })?;
        if !cursor.eat("|") {
            return Ok(all);
        }
    }
}

fn flag<F: Flags<Bits = u32>>(prefixes: &[&str], word: &str) -> Option<u32> {
    F::FLAGS
        .iter()
        .filter(|flag| flag.is_named())
        .find_map(|flag| {
            let bits = flag.value().bits();
            (word.strip_prefix(prefix(prefixes, bits)) == Some(flag.name())).then_some(bits)
        })
}
