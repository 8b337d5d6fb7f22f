//! Which manager is at work, and on what: for a watch on another thread, which says what does not come back.
//!
//! Of this process's last run that was begun; whoever watches runs one program at a time.

use std::sync::atomic::{AtomicU64, Ordering};

use vmadiff_contract::CallKind;

use super::{AT_BOOT, AT_DROP};
use crate::judge::Side;

/// Stands for a call where several tasks make theirs at once.
const AT_RACE: &str = "race";

/// A manager at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// Whose.
    pub side: Side,
    /// On what: the name of a call, `boot`, `drop` or `race`.
    pub call: &'static str,
    /// The index of the call.
    pub at: Option<usize>,
}

/// Nobody.
const NOBODY: u64 = 0;
/// Kinds of work that are no calls, in the place of a call's kind.
const BOOT: u64 = 0xfd;
const DROP: u64 = 0xfe;
const RACE: u64 = 0xff;

const CALL_SHIFT: u32 = 32;
const REFERENCE: u64 = 1 << 40;
const SOMEBODY: u64 = 1 << 41;

/// The work, in one word: the index of the call, its kind, the side.
static WORK: AtomicU64 = AtomicU64::new(NOBODY);

#[inline]
fn of_call(side: Side, kind: CallKind, at: usize) -> u64 {
    let of = match side {
        Side::Reference => SOMEBODY | REFERENCE,
        Side::Candidate => SOMEBODY,
    };
    of | (kind as u64) << CALL_SHIFT | at as u64 & u64::from(u32::MAX)
}

const fn of_candidate(kind: u64) -> u64 {
    SOMEBODY | kind << CALL_SHIFT
}

/// A manager makes a call of the program.
#[inline]
pub(super) fn on_call(side: Side, kind: CallKind, at: usize) {
    WORK.store(of_call(side, kind, at), Ordering::Relaxed);
}

/// The candidate boots.
pub(super) fn on_boot() {
    WORK.store(of_candidate(BOOT), Ordering::Relaxed);
}

/// The candidate is thrown away.
pub(super) fn on_drop() {
    WORK.store(of_candidate(DROP), Ordering::Relaxed);
}

/// The candidate's tasks race.
pub(super) fn on_race() {
    WORK.store(of_candidate(RACE), Ordering::Relaxed);
}

/// Nobody is at work any more.
pub(super) fn on_nothing() {
    WORK.store(NOBODY, Ordering::Relaxed);
}

/// Who is at work, of managers that are not compared whole.
pub fn working() -> Option<Work> {
    told(WORK.load(Ordering::Relaxed))
}

fn told(word: u64) -> Option<Work> {
    if word == NOBODY {
        return None;
    }
    let side = match word & REFERENCE {
        0 => Side::Candidate,
        _ => Side::Reference,
    };
    let of = |call, at| Work { side, call, at };
    Some(match word >> CALL_SHIFT & 0xff {
        BOOT => of(AT_BOOT, None),
        DROP => of(AT_DROP, None),
        RACE => of(AT_RACE, None),
        kind => {
            let mut kinds = CallKind::ALL.iter();
            let call = kinds.find(|known| **known as u64 == kind);
            let at = (word & u64::from(u32::MAX)) as usize;
            of(call.map_or("call", |call| call.name()), Some(at))
        }
    })
}

impl Work {
    /// What is said of a candidate that does not come back: its signature, and a sentence; of the
    /// reference nothing, which is no finding.
    pub fn hangs(&self, seconds: u64) -> Option<(String, String)> {
        let Self { side, call, at } = *self;
        if side == Side::Reference {
            return None;
        }
        let what = match (call, at) {
            (_, Some(at)) => format!("{call}, call {},", at + 1),
            (AT_BOOT, None) => "its boot".to_owned(),
            (AT_DROP, None) => "being thrown away".to_owned(),
            (_, None) => "a race".to_owned(),
        };
        Some((
            format!("hang/{call}/{side}"),
            format!("the {side} does not come back from {what} within {seconds} s"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_says_who_is_at_work() {
        assert!(CallKind::ALL.iter().all(|kind| (*kind as u64) < BOOT));
        for kind in CallKind::ALL {
            for side in [Side::Reference, Side::Candidate] {
                let (call, at) = (kind.name(), Some(7));
                let work = Work { side, call, at };
                assert_eq!(told(of_call(side, *kind, 7)), Some(work));
                let finding = work.hangs(3).map(|(signature, _)| signature);
                let expected = format!("hang/{call}/candidate");
                assert_eq!(finding, (side == Side::Candidate).then_some(expected));
            }
        }
        let work = told(of_candidate(DROP)).expect("somebody");
        let (signature, what) = work.hangs(3).expect("the candidate");
        assert_eq!(signature, "hang/drop/candidate");
        let expected = "the candidate does not come back from being thrown away within 3 s";
        assert_eq!(what, expected);
        assert_eq!(told(NOBODY), None);
    }
}
