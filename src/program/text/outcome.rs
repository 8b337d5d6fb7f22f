//! What is expected of a call: `= result`, and the VMAs that it frees.

use std::fmt::{self, Write};

use vmadiff_contract::{CallKind, Errno, Outcome, SegvCode, VmaId};

use super::cursor::{Cursor, Range};
use super::error::Fault;
use super::value::print_hex;
use crate::program::{Answer, Expect};

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

const EXPECTED: &str = "a result: a number, -1 and an error's name, SIGSEGV MAPERR, \
                        SIGSEGV ACCERR, SIGSEGV, SIGBUS, OOM, LIVELOCK, NOTASK, UNSUPPORTED or ?";

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

/// What is expected of a call's outcome, in program text.
pub fn answer_text(kind: CallKind, answer: Answer) -> String {
    match answer {
        Answer::Is(outcome) => outcome_text(kind, outcome),
        Answer::Segv => "SIGSEGV".to_owned(),
        Answer::Error => "-1".to_owned(),
    }
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
    if let Some(answer) = expect.outcome {
        write!(f, " = {}", answer_text(kind, answer))?;
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
    if cursor.eat_word("frees") {
        expect.frees = Some(parse_frees(cursor)?);
    }
    Ok(expect)
}

fn parse_outcome(cursor: &mut Cursor<'_>) -> Result<Option<Answer>, Fault> {
    if cursor.eat("?") {
        return Ok(None);
    }
    if cursor.rest().starts_with('-') {
        return parse_error(cursor).map(Some);
    }
    if cursor.eat_word("NULL") {
        return Ok(Some(Answer::Is(Outcome::Value(0))));
    }
    if cursor.eat_word("SIGSEGV") {
        let codes = [
            ("MAPERR", SegvCode::MapErr),
            ("SEGV_MAPERR", SegvCode::MapErr),
            ("ACCERR", SegvCode::AccErr),
            ("SEGV_ACCERR", SegvCode::AccErr),
        ];
        let code = codes.iter().find(|(name, _)| cursor.eat_word(name));
        let segv = code.map_or(Answer::Segv, |(_, code)| Answer::Is(Outcome::Segv(*code)));
        return Ok(Some(segv));
    }
    for (name, outcome) in NAMED {
        if cursor.eat_word(name) {
            return Ok(Some(Answer::Is(outcome)));
        }
    }
    let word = cursor.peek();
    let value = cursor.sum(EXPECTED, Range::to(u64::MAX)).map_err(|fault| {
        let named = NAMED.map(|(name, _)| name);
        if errno(word).is_some() {
            fault.help(format!("an error is written `-1 {word}` or `-{word}`"))
        } else {
            let named = named.into_iter().filter(|name| !name.contains(' '));
            fault.near(word, named.chain(["SIGSEGV"]))
        }
    })?;
    Ok(Some(Answer::Is(Outcome::Value(value))))
}

/// Reads `-1 ENOMEM`, `-ENOMEM`, or `-1` for any error.
fn parse_error(cursor: &mut Cursor<'_>) -> Result<Answer, Fault> {
    cursor.expect("-")?;
    let one = cursor.eat_word("1");
    let word = cursor.peek();
    if one && (word.is_empty() || word == "frees") {
        return Ok(Answer::Error);
    }
    let expected = if one {
        "the name of an error that the rules know"
    } else {
        "1 or the name of an error that the rules know"
    };
    let names = || Errno::ALL.iter().map(|errno| errno.name());
    let found = cursor.take(expected, |cursor| errno(cursor.word()));
    let errno = found.map_err(|fault| {
        let all: Vec<&str> = names().collect();
        fault
            .near(word, names())
            .help(format!("the rules know {}", all.join(", ")))
    })?;
    // strace says in parentheses what the error means.
    if cursor.eat("(") {
        cursor.run(|c| c != ')');
        cursor.expect(")")?;
    }
    Ok(Answer::Is(Outcome::Errno(errno)))
}

fn errno(name: &str) -> Option<Errno> {
    let mut all = Errno::ALL.iter().copied();
    all.find(|errno| errno.name() == name)
}

fn parse_frees(cursor: &mut Cursor<'_>) -> Result<Vec<VmaId>, Fault> {
    if cursor.eat_word("none") {
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
