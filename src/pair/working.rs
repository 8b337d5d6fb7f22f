//! Which manager is at work, and on what: for a watch on another thread, which says what does not come back, and
//! what the process dies of.
//!
//! Of this process's last run that was begun; whoever watches runs one program at a time.

use std::sync::atomic::{AtomicU64, Ordering};

use vmadiff_contract::CallKind;

use super::{AT_BOOT, AT_DROP};
use crate::judge::Side;
use crate::run::Stage;

/// Stands for a call at the end of a run.
const AT_QUIESCENCE: &str = "quiescence";

/// Stands for a call where several tasks make theirs at once.
const AT_RACE: &str = "race";

/// A manager at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// Whose.
    pub side: Side,
    /// On what: the name of a call, `boot`, `drop`, `quiescence` or `race`.
    pub call: &'static str,
    /// The index of the call.
    pub at: Option<usize>,
    /// In which run of this process: the same program may be run again and again.
    pub run: u64,
}

/// Nobody.
const NOBODY: u64 = 0;
/// Kinds of work that are no calls, in the place of a call's kind.
const QUIESCENCE: u64 = 0xfc;
const BOOT: u64 = 0xfd;
const DROP: u64 = 0xfe;
const RACE: u64 = 0xff;

const CALL_SHIFT: u32 = 32;
const REFERENCE: u64 = 1 << 40;
const SOMEBODY: u64 = 1 << 41;
const RUN_SHIFT: u32 = 42;

/// The work, in one word: the index of the call, its kind, the side, and above them the lower bits of
/// the run's number.
static WORK: AtomicU64 = AtomicU64::new(NOBODY);
/// The run's number, at its place in the word.
static RUN: AtomicU64 = AtomicU64::new(0);

#[inline]
fn is_on(work: u64) {
    WORK.store(RUN.load(Ordering::Relaxed) | work, Ordering::Relaxed);
}

fn next_run() {
    RUN.fetch_add(1 << RUN_SHIFT, Ordering::Relaxed);
}

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
    is_on(of_call(side, kind, at));
}

/// A manager begins this; as the reference boots, or ends, nobody is watched.
pub(super) fn on_stage(side: Side, stage: Stage) {
    match (side, stage) {
        (_, Stage::Call(kind, at)) => on_call(side, kind, at),
        (Side::Reference, Stage::Boot | Stage::Quiesce) => on_nothing(),
        (Side::Candidate, Stage::Boot) => on_boot(),
        (Side::Candidate, Stage::Quiesce) => is_on(of_candidate(QUIESCENCE)),
    }
}

/// The candidate boots.
pub(super) fn on_boot() {
    next_run();
    is_on(of_candidate(BOOT));
}

/// The candidate is thrown away.
pub(super) fn on_drop() {
    is_on(of_candidate(DROP));
}

/// The candidate's tasks race.
pub(super) fn on_race() {
    next_run();
    is_on(of_candidate(RACE));
}

/// Nobody is at work any more.
pub(super) fn on_nothing() {
    WORK.store(NOBODY, Ordering::Relaxed);
}

/// Whether the candidate is at work; for a signal's handler, too.
pub fn candidate_works() -> bool {
    let word = WORK.load(Ordering::Relaxed);
    word != NOBODY && word & REFERENCE == 0
}

/// Who is at work.
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
    let run = word >> RUN_SHIFT;
    let of = |call, at| Work {
        side,
        call,
        at,
        run,
    };
    Some(match word >> CALL_SHIFT & 0xff {
        QUIESCENCE => of(AT_QUIESCENCE, None),
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
        let Self { side, call, at, .. } = *self;
        if side == Side::Reference {
            return None;
        }
        let comma = if at.is_some() { "," } else { "" };
        let place = self.place();
        Some((
            format!("hang/{call}/{side}"),
            format!("the {side} does not come back from {place}{comma} within {seconds} s"),
        ))
    }

    /// What is said of a candidate of which the process dies: of this signal.
    pub fn dies(&self, signal: &str) -> (String, String) {
        let Self { side, call, .. } = *self;
        let why = match signal {
            "SIGSEGV" | "SIGBUS" => ": its stack overflows, or it uses memory that is not there",
            "SIGABRT" => ": it aborts, as a panic does that cannot unwind",
            _ => "",
        };
        let place = self.place();
        (
            format!("crash/{call}/{signal}"),
            format!("the {side} dies of {signal} in {place}{why}"),
        )
    }

    /// Where it is, in words.
    fn place(&self) -> String {
        let Self { call, at, .. } = *self;
        match (call, at) {
            (_, Some(at)) => format!("{call}, call {}", at + 1),
            (AT_BOOT, None) => "its boot".to_owned(),
            (AT_DROP, None) => "being thrown away".to_owned(),
            (AT_QUIESCENCE, None) => "the end of all grace periods".to_owned(),
            (_, None) => "a race".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_says_who_is_at_work() {
        assert!(CallKind::ALL.iter().all(|kind| (*kind as u64) < QUIESCENCE));
        for kind in CallKind::ALL {
            for side in [Side::Reference, Side::Candidate] {
                let (call, at) = (kind.name(), Some(7));
                let work = Work {
                    side,
                    call,
                    at,
                    run: 3,
                };
                assert_eq!(told(3 << RUN_SHIFT | of_call(side, *kind, 7)), Some(work));
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
        let (signature, what) = work.dies("SIGSEGV");
        assert_eq!(signature, "crash/drop/SIGSEGV");
        assert!(what.starts_with("the candidate dies of SIGSEGV in being thrown away:"));
        assert_eq!(told(NOBODY), None);
    }

    /// A watch that looks now and then does not take many races of one program for one that does not end.
    #[test]
    fn one_race_after_another_is_not_one_that_hangs() {
        // Other tests race meanwhile.
        let run = || told(SOMEBODY | RUN.load(Ordering::Relaxed)).map(|work| work.run);
        let first = run();
        on_race();
        assert_ne!(run(), first);
    }
}
