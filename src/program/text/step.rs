//! Reads a call of a task: its arguments, and which of its allocations fails.

use vmadiff_contract::{Call, CallKind, Fail, MoveFlags, TaskId};

use super::cursor::Cursor;
use super::error::Fault;
use super::{checks, value};
use crate::program::Step;
use crate::program::shape::{self, MAX_PARAMS};

/// What lines begin with that are no calls.
const WORDS: [&str; 9] = [
    "config", "maps", "status", "design", "policy", "switch", "let", "repeat", "end",
];

pub(super) fn parse(cursor: &mut Cursor<'_>, task: TaskId) -> Result<Step, Fault> {
    let word = cursor.peek();
    let kind = cursor
        .take(
            "a call, as mmap(…), or one of config, maps:, status:, design:, policy:, switch:, let, repeat, #",
            |cursor| {
                let name = cursor.word();
                let mut all = CallKind::ALL.iter().copied();
                all.find(|kind| kind.name() == name)
            },
        )
        .map_err(|fault| unknown(fault, word, &mut cursor.clone()))?;
    let call = arguments(cursor, kind).map_err(|fault| fault.help(signature(kind)))?;
    let mut fail = Fail::NONE;
    if cursor.eat("(") {
        cursor.expect("fail")?;
        fail = cursor.take("which allocation fails, 1 to 255", |cursor| {
            let nth = cursor.word().parse().ok()?;
            (nth > 0).then_some(Fail(nth))
        })?;
        cursor.expect(")")?;
    }
    Ok(Step { task, call, fail })
}

/// What a line may have been meant to be.
fn unknown(fault: Fault, word: &str, cursor: &mut Cursor<'_>) -> Fault {
    let is_number = !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    let rest = cursor.rest();
    let of_log = ["execve(", "+++ ", "--- "]
        .iter()
        .any(|part| rest.contains(part));
    if of_log || is_number && rest.contains('(') {
        return fault.help("a log of strace becomes a program by `vmadiff convert --strace`");
    }
    let is_area = checks::is_area(cursor) && rest.contains('-');
    if is_area {
        return fault.help("areas stand below a line `maps:`");
    }
    if checks::is_status(cursor) {
        return fault.help("lines of /proc/PID/status stand below a line `status:`");
    }
    let calls = CallKind::ALL.iter().map(|kind| kind.name());
    fault.near(word, calls.chain(WORDS))
}

/// A call's parameters by name.
fn signature(kind: CallKind) -> String {
    format!("{}({})", kind.name(), shape::names(kind).join(", "))
}

fn arguments(cursor: &mut Cursor<'_>, kind: CallKind) -> Result<Call, Fault> {
    let mut words = [0; MAX_PARAMS];
    cursor.expect("(")?;
    for (i, &param) in shape::params(kind).iter().enumerate() {
        if i > 0 {
            if may_end(cursor, kind, &words, i) {
                break;
            }
            cursor.expect(",")?;
        }
        words[i] = value::parse(cursor, param)?;
    }
    cursor.expect(")")?;
    value::move_mode_flags(kind, &mut words);
    Ok(shape::build(kind, &words))
}

/// Whether the last argument is left out where it is not looked at: strace writes the new address of
/// mremap only with MREMAP_FIXED.
fn may_end(cursor: &mut Cursor<'_>, kind: CallKind, words: &shape::Words, next: usize) -> bool {
    let fixed = u64::from(MoveFlags::FIXED.bits());
    let last = kind == CallKind::Mremap && next == 4 && words[3] & fixed == 0;
    last && cursor.rest().starts_with(')')
}
