//! Arguments as text: strace's notation, with symbolic flags and a numeric remainder.

use std::fmt::{self, Write};

use bitflags::Flags;
use vmadiff_contract::{
    Advice, CallKind, FallocFlags, FileKind, LockAllFlags, LockFlags, MapFlags, Mode, MoveFlags,
    PolicyFlags, Prot, QueryFlags, Resource, SyncFlags,
};

use super::cursor::{Cursor, Range};
use super::error::Fault;
use super::younger;
use crate::program::shape::{self, Param, Words};

/// Writes an argument.
pub(in crate::program) fn print(f: &mut impl Write, param: Param, word: u64) -> fmt::Result {
    match param {
        Param::Addr if word == 0 => f.write_str("NULL"),
        Param::Addr | Param::Len | Param::Off | Param::Nodes => print_hex(f, word),
        Param::Limit if word == u64::MAX => f.write_str(INFINITY),
        Param::Limit => print_hex(f, word),
        Param::Value => write!(f, "{word}"),
        Param::Fd => write!(f, "{}", word as i32),
        Param::Advice => {
            let advice = Advice::from_number(word as u32);
            print_named(f, param, advice.name(), word)
        }
        Param::Mode => print_named(f, param, Mode::from_number(word as u32).name(), word),
        Param::Resource => {
            let resource = Resource::from_number(word as u32);
            print_named(f, param, resource.name(), word)
        }
        Param::FileKind => {
            let kind = FileKind::ALL[word as usize % FileKind::ALL.len()];
            write!(f, "\"{}\"", kind.name())
        }
        Param::Access => f.write_str(ACCESS[word as usize % ACCESS.len()]),
        Param::Prot if word == 0 => f.write_str("PROT_NONE"),
        Param::Prot => print_flags::<Prot>(f, param, &["PROT_"], word),
        Param::MapFlags => print_flags::<MapFlags>(f, param, &["MAP_"], word),
        Param::MoveFlags => print_flags::<MoveFlags>(f, param, &["MREMAP_"], word),
        Param::LockFlags => print_flags::<LockFlags>(f, param, &["MLOCK_"], word),
        Param::LockAllFlags => print_flags::<LockAllFlags>(f, param, &["MCL_"], word),
        Param::SyncFlags => print_flags::<SyncFlags>(f, param, &["MS_"], word),
        Param::PolicyFlags => print_flags::<PolicyFlags>(f, param, &["MPOL_MF_", "MPOL_F_"], word),
        Param::QueryFlags => print_flags::<QueryFlags>(f, param, &["MPOL_F_"], word),
        Param::FallocFlags => print_flags::<FallocFlags>(f, param, &["FALLOC_FL_"], word),
    }
}

/// Reads an argument.
pub(in crate::program) fn parse(cursor: &mut Cursor<'_>, param: Param) -> Result<u64, Fault> {
    match param {
        Param::Addr if cursor.eat_word("NULL") => Ok(0),
        Param::Addr => cursor.sum("an address", Range::bits(64)),
        Param::Len => cursor.sum("a length in bytes", Range::bits(64)),
        Param::Off => cursor.sum("an offset in bytes", Range::bits(64)),
        Param::Limit if cursor.eat_word(INFINITY) || cursor.eat_word("RLIM64_INFINITY") => {
            Ok(u64::MAX)
        }
        Param::Limit => cursor.sum("a limit, or RLIM_INFINITY", Range::bits(64)),
        Param::Nodes => cursor.sum("a mask of nodes", Range::bits(64)),
        Param::Value => cursor.sum("a byte, 0 to 255", Range::to(255)),
        Param::Fd => cursor.sum("a file descriptor, a signed 32-bit number", Range::INT),
        Param::Advice => {
            let named = |advice: &Advice| Some((advice.name()?, advice.number()));
            let all: Vec<_> = Advice::ALL.iter().filter_map(named).collect();
            parse_named(cursor, param, "MADV_ advice or its number", &all)
        }
        Param::Resource => {
            let named = |it: &Resource| Some((it.name()?, it.number()));
            let all: Vec<_> = Resource::ALL.iter().filter_map(named).collect();
            parse_named(cursor, param, "an RLIMIT_ resource or its number", &all)
        }
        Param::Mode => parse_mode(cursor),
        Param::FileKind => parse_kind(cursor),
        Param::Access => {
            let word = cursor.peek();
            let found = cursor.take("O_RDONLY, O_WRONLY, O_RDWR or 0", |cursor| {
                let word = cursor.word();
                ACCESS
                    .iter()
                    .position(|&name| name == word)
                    .map(|i| i as u64)
            });
            found.map_err(|fault| fault.near(word, ACCESS))
        }
        Param::Prot => parse_flags::<Prot>(cursor, param, &["PROT_"]),
        Param::MapFlags => parse_flags::<MapFlags>(cursor, param, &["MAP_"]),
        Param::MoveFlags => parse_flags::<MoveFlags>(cursor, param, &["MREMAP_"]),
        Param::LockFlags => parse_flags::<LockFlags>(cursor, param, &["MLOCK_"]),
        Param::LockAllFlags => parse_flags::<LockAllFlags>(cursor, param, &["MCL_"]),
        Param::SyncFlags => parse_flags::<SyncFlags>(cursor, param, &["MS_"]),
        Param::PolicyFlags => parse_flags::<PolicyFlags>(cursor, param, &["MPOL_MF_", "MPOL_F_"]),
        Param::QueryFlags => parse_flags::<QueryFlags>(cursor, param, &["MPOL_F_"]),
        Param::FallocFlags => parse_flags::<FallocFlags>(cursor, param, &["FALLOC_FL_"]),
    }
}

/// No limit.
const INFINITY: &str = "RLIM_INFINITY";

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

fn print_named(f: &mut impl Write, param: Param, name: Option<&str>, word: u64) -> fmt::Result {
    let also = || younger::of(param).find(|also| also.bits == word);
    match name.or_else(|| also().map(|also| also.name)) {
        Some(name) => f.write_str(name),
        None => write!(f, "{word:#x}"),
    }
}

fn parse_named(
    cursor: &mut Cursor<'_>,
    param: Param,
    expected: &str,
    names: &[(&str, u32)],
) -> Result<u64, Fault> {
    let word = cursor.peek();
    let own = names
        .iter()
        .map(|(name, number)| (*name, u64::from(*number)));
    let also = younger::of(param).map(|also| (also.name, also.bits));
    let mut all = own.clone().chain(also);
    if let Some((name, number)) = all.find(|(name, _)| *name == word) {
        cursor.skip_word(name);
        return Ok(number);
    }
    let number = cursor.sum(expected, Range::bits(32));
    let number = number.map_err(|fault| fault.near(word, own.map(|(name, _)| name)))?;
    Ok(number & u64::from(u32::MAX))
}

/// Where the flags of a mode stand in a word until [`move_mode_flags`] moves them.
const MODE_FLAGS: u32 = 32;

/// Reads a mode, perhaps with flags as the system call and strace have them:
/// `MPOL_BIND|MPOL_F_STATIC_NODES`.
fn parse_mode(cursor: &mut Cursor<'_>) -> Result<u64, Fault> {
    let named = |mode: &Mode| Some((mode.name()?, mode.number()));
    let all: Vec<_> = Mode::ALL.iter().filter_map(named).collect();
    let mut mode = parse_named(cursor, Param::Mode, "an MPOL_ mode or its number", &all)?;
    while cursor.eat("|") {
        let flags = [PolicyFlags::STATIC_NODES, PolicyFlags::RELATIVE_NODES];
        let names = ["MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES"];
        let word = cursor.peek();
        let flag = cursor.take(&names.join(" or "), |cursor| {
            let word = cursor.word();
            let place = names.iter().position(|name| *name == word)?;
            Some(flags[place])
        });
        let flag = flag.map_err(|fault| fault.near(word, names))?;
        mode |= u64::from(flag.bits()) << MODE_FLAGS;
    }
    Ok(mode)
}

/// Moves the flags that were written behind a mode to the call's last argument, where the contract has
/// them.
pub(in crate::program) fn move_mode_flags(kind: CallKind, words: &mut Words) {
    let params = shape::params(kind);
    let place = |wanted| params.iter().position(|param| *param == wanted);
    if let (Some(mode), Some(flags)) = (place(Param::Mode), place(Param::PolicyFlags)) {
        words[flags] |= words[mode] >> MODE_FLAGS;
        words[mode] &= u64::from(u32::MAX);
    }
}

fn parse_kind(cursor: &mut Cursor<'_>) -> Result<u64, Fault> {
    let names = || FileKind::ALL.iter().map(|kind| kind.name());
    let mut inside = cursor.clone();
    inside.eat("\"");
    let found = cursor.take(
        "a kind of file, \"plain\", \"close\" or \"nofault\"",
        |cursor| {
            if !cursor.eat("\"") {
                return None;
            }
            let name = cursor.word();
            let kind = names().position(|kind| kind == name)?;
            cursor.eat("\"").then_some(kind as u64)
        },
    );
    found.map_err(|fault| fault.near(inside.peek(), names()))
}

/// A flag's name with the first prefix that fits: with two, bits below 14 have the first.
fn prefix<'a>(prefixes: &[&'a str], bits: u64) -> &'a str {
    prefixes[usize::from(prefixes.len() > 1 && bits >= 1 << 14)]
}

/// Names of more than one bit come before those of one: MAP_SHARED_VALIDATE is both types at once.
/// What is left is named as younger kernels do, where they name it.
fn print_flags<F: Flags<Bits: Into<u64>>>(
    f: &mut impl Write,
    param: Param,
    prefixes: &[&str],
    word: u64,
) -> fmt::Result {
    let mut left = word;
    let mut separator = "";
    for several in [true, false] {
        for (name, bits) in named::<F>() {
            if (bits.count_ones() > 1) == several && left & bits == bits {
                write!(f, "{separator}{}{name}", prefix(prefixes, bits))?;
                left &= !bits;
                separator = "|";
            }
        }
    }
    if left != 0 || separator.is_empty() {
        f.write_str(separator)?;
        let also = younger::of(param).find(|also| also.bits == left && left != 0);
        match also {
            Some(also) => f.write_str(also.name)?,
            None => print_hex(f, left)?,
        }
    }
    Ok(())
}

fn parse_flags<F: Flags<Bits: Into<u64>>>(
    cursor: &mut Cursor<'_>,
    param: Param,
    prefixes: &[&str],
) -> Result<u64, Fault> {
    let expected = format!("a flag {}… or its number", prefixes.join("… or "));
    let bits = if param == Param::MapFlags { 64 } else { 32 };
    let mut all = 0;
    loop {
        let word = cursor.peek();
        if let Some(bits) = flag::<F>(param, prefixes, word) {
            cursor.skip_word(word);
            all |= bits;
        } else {
            let number = cursor.sum(&expected, Range::bits(bits));
            let number = number.map_err(|fault| {
                let names = names::<F>(prefixes);
                fault.near(word, names.iter().map(String::as_str))
            })?;
            all |= number & (u64::MAX >> (64 - bits));
        }
        if !cursor.eat("|") {
            return Ok(all);
        }
    }
}

fn named<F: Flags<Bits: Into<u64>>>() -> impl Iterator<Item = (&'static str, u64)> {
    let named = F::FLAGS.iter().filter(|flag| flag.is_named());
    named.map(|flag| (flag.name(), flag.value().bits().into()))
}

fn names<F: Flags<Bits: Into<u64>>>(prefixes: &[&str]) -> Vec<String> {
    let all = named::<F>().map(|(name, bits)| format!("{}{name}", prefix(prefixes, bits)));
    all.collect()
}

fn flag<F: Flags<Bits: Into<u64>>>(param: Param, prefixes: &[&str], word: &str) -> Option<u64> {
    if word == "PROT_NONE" && param == Param::Prot {
        return Some(0);
    }
    let also = younger::of(param).find(|also| also.name == word);
    let mut own = named::<F>();
    let own = own.find(|(name, bits)| word.strip_prefix(prefix(prefixes, *bits)) == Some(*name));
    own.map(|(_, bits)| bits).or(also.map(|also| also.bits))
}
