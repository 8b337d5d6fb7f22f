//! What is expected of a call: `= result`, and the VMAs that it frees.

use std::fmt::{self, Write};

use vmadiff_contract::{CallKind, Errno, Outcome, SegvCode, VmaId};

use super::cursor::Cursor;
use super::error::Fault;
use super::value::print_hex;
use crate::program::Expect;

/// Outcomes that have a name and nothing more.
const NAMED: [(&str, Outcome); 7] = [
    ("SIGSEGV MAPERR", Outcome::Segv(SegvCode::MapErr)),
    ("SIGSEGV ACCERR", Outcome::Segv(SegvCode::AccErr)),
    ("SIGBUS", Outcome::Bus),
    ("OOM", Outcome::Oom),
    ("LIVELOCK", Outcome::Livelock),
    ("NOTASK", Outcome::NoTask),
    ("UNSUPPORTED", Outcome::Unsupported),
];

const EXPECTED: &str = "a result: a number, `-1` and an error's name, SIGSEGV MAPERR, \
                        SIGSEGV ACCERR, SIGBUS, OOM, LIVELOCK, NOTASK, UNSUPPORTED or ?";

/// An outcome in program text.
///
/// ```
/// use vmadiff::program::text::outcome_text;
/// use vmadiff_contract::{CallKind, Errno, Outcome};
///
/// assert_eq!(outcome_text(CallKind::Mmap, Outcome::Value(0x10000)), "0x10000");
/// assert_eq!(outcome_text(CallKind::Load, Outcome::Value(7)), "7");
/// assert_eq!(outcome_text(CallKind::Mmap, Outcome::Errno(Errno::ENOMEM)), "-1 ENOMEM");
/// ```
pub fn outcome_text(kind: CallKind, outcome: Outcome) -> String {
    let mut text = String::new();
    print_outcome(&mut text, kind, outcome).expect("a String takes all");
    text
}

fn print_outcome(f: &mut impl Write, kind: CallKind, outcome: Outcome) -> fmt::Result {
    match outcome {
        Outcome::Value(value) => match kind {
            CallKind::Mmap | CallKind::Mremap | CallKind::Brk | CallKind::Mincore => {
                print_hex(f, value)
            }
            _ => write!(f, "{value}"),
        },
        Outcome::Errno(errno) => write!(f, "-1 {errno}"),
        _ => {
            let named = NAMED.iter().find(|(_, named)| *named == outcome);
            f.write_str(named.map_or("?", |(name, _)| name))
        }
    }
}

/// Writes what is expected of a call, with a blank before it.
pub(super) fn print(f: &mut impl Write, kind: CallKind, expect: &Expect) -> fmt::Result {
    if let Some(outcome) = expect.outcome {
        f.write_str(" = ")?;
        print_outcome(f, kind, outcome)?;
    }
    let Some(frees) = &expect.frees else {
        return Ok(());
    };
    f.write_str(" frees ")?;
    for (i, vma) in frees.iter().enumerate() {
        write!(f, "{}{vma}", if i == 0 { "" } else { ", " })?;
    }
    if frees.is_empty() {
        f.write_str("none")
    } else {
        Ok(())
    }
}

/// Reads what is expected of a call, as far as anything is.
pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Expect, Fault> {
    let mut expect = Expect::default();
    if cursor.eat("=") {
        expect.outcome = parse_outcome(cursor)?;
    }
    if cursor.eat("frees") {
        expect.frees = Some(parse_frees(cursor)?);
    }
    Ok(expect)
}

fn parse_outcome(cursor: &mut Cursor<'_>) -> Result<Option<Outcome>, Fault> {
    if cursor.eat("?") {
        return Ok(None);
    }
    if cursor.eat("-1") {
        let errno = cursor.take("the name of an error that the rules know", |cursor| {
            let word = cursor.word();
            Errno::ALL
                .iter()
                .copied()
                .find(|errno| errno.name() == word)
        })?;
        // strace says in parentheses what the error means.
        if cursor.eat("(") {
            cursor.run(|c| c != ')');
            cursor.expect(")")?;
        }
        return Ok(Some(Outcome::Errno(errno)));
    }
    if cursor.eat("NULL") {
        return Ok(Some(Outcome::Value(0)));
    }
    for (name, outcome) in NAMED {
        if cursor.eat(name) {
            return Ok(Some(outcome));
        }
    }
    Ok(Some(Outcome::Value(cursor.number(EXPECTED)?)))
}

fn parse_frees(cursor: &mut Cursor<'_>) -> Result<Vec<VmaId>, Fault> {
    if cursor.eat("none") {
        return Ok(Vec::new());
    }
    let mut frees = Vec::new();
    loop {
        let vma = cursor.take("a VMA, as #4, or none", |cursor| {
            if !cursor.eat("#") {
                return None;
            }
            cursor.word().parse().ok()
        })?;
        frees.push(VmaId(vma));
        if !cursor.eat(",") {
            return Ok(frees);
        }
    }
}
