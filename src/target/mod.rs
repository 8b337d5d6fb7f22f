//! What a fuzz target does with its input, whatever the engine: runs it, and panics if the
//! managers diverge.

pub mod known;
pub mod signature;

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::coverage::{Coverage, Stats};
use crate::designs::{self, Planted};
use crate::judge::{Divergence, Verdict};
use crate::pair::{Pair, pair};
use crate::program::mutate::{Flavour, Profile};
use crate::program::{Case, Program};

thread_local! {
    static SUBJECT: RefCell<Subject> = RefCell::new(Subject {
        pair: pair(&planted()),
        stats: Stats::default(),
        known: known::of_this_process(),
    });
}

/// What is kept from input to input.
struct Subject {
    pair: Pair,
    stats: Stats,
    /// Signatures to pass over.
    known: BTreeSet<String>,
}

/// Names a defect, to see that an engine finds it and makes it small.
pub const DEFECT: &str = "VMADIFF_DEFECT";

/// Names a design to run instead of the first.
pub const DESIGN: &str = "VMADIFF_DESIGN";

/// The design and the defect that the environment names.
fn planted() -> Planted {
    let nothing = match std::env::var(DESIGN) {
        Err(_) => Planted::default(),
        Ok(name) => Planted::nothing(
            designs::from_name(&name).unwrap_or_else(|| panic!("{DESIGN}: no design `{name}`")),
        ),
    };
    match std::env::var(DEFECT) {
        Err(_) => nothing,
        Ok(name) => Planted::new(nothing.design(), &[name])
            .unwrap_or_else(|error| panic!("{DEFECT}: {error}")),
    }
}

/// Runs a serial program on a pair of managers that is kept for the next; `counters` are the
/// engine's. Answers whether the input is worth keeping: one that shows a known divergence is not,
/// since its offspring would mostly show the same.
///
/// # Panics
///
/// If the managers diverge in a way that is not known. The message starts with the signature, and
/// so do the innermost frames: see [`signature`].
pub fn serial(program: &Program, counters: &mut [u8]) -> bool {
    run(program, counters)
}

/// The same for a program with a schedule, whose calls are woven.
///
/// # Panics
///
/// As [`serial`] does.
pub fn interleaved(program: &Program, counters: &mut [u8]) -> bool {
    run(program, counters)
}

fn run(program: &Program, counters: &mut [u8]) -> bool {
    let (verdict, is_known) = SUBJECT.with_borrow_mut(|subject| {
        let mut coverage = Coverage::new(counters, &mut subject.stats);
        let ran = subject.pair.run(program, &mut coverage);
        let verdict = ran.map(|ran| ran.verdict);
        let is_known = match &verdict {
            Some(Verdict::Diverge(divergence)) => {
                subject.known.contains(&divergence.signature.to_string())
            }
            _ => false,
        };
        (verdict, is_known)
    });
    match verdict {
        Some(Verdict::Diverge(divergence)) if !is_known => report(program, &divergence),
        Some(Verdict::Diverge(_) | Verdict::Skip(_)) => false,
        Some(Verdict::Agree) | None => true,
    }
}

fn report(program: &Program, divergence: &Divergence) -> ! {
    let case = Case {
        program: program.clone(),
        ..Case::default()
    };
    let Divergence {
        signature, what, ..
    } = divergence;
    let message = format!("{signature}: {what}\n{case}");
    signature::panic(signature, &message)
}

/// What programs of a serial target are made of.
pub fn serial_profile() -> Profile {
    profile(Flavour::Serial)
}

/// What programs of an interleaved target are made of.
pub fn interleaved_profile() -> Profile {
    profile(Flavour::Interleaved)
}

fn profile(flavour: Flavour) -> Profile {
    SUBJECT.with_borrow(|subject| subject.pair.profile(flavour))
}
