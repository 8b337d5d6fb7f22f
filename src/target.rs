//! What a fuzz target does with its input, whatever the engine: runs it, and panics if the
//! managers diverge.

use std::cell::RefCell;
use std::hint::black_box;

use vmadiff_contract::CallKind;

use crate::coverage::{Coverage, Stats};
use crate::designs::{self, Planted};
use crate::judge::{Divergence, RULES, Rule, Verdict};
use crate::pair::{Pair, pair};
use crate::program::mutate::{Flavour, Profile};
use crate::program::{Case, Program};

thread_local! {
    static SUBJECT: RefCell<(Pair, Stats)> = RefCell::new((pair(&planted()), Stats::default()));
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
/// engine's.
///
/// # Panics
///
/// If the managers diverge. The message starts with the signature, and the innermost frames
/// differ by its rule and its call: services that tell bugs apart by their stacks tell these
/// apart.
pub fn serial(program: &Program, counters: &mut [u8]) {
    run(program, counters);
}

/// The same for a program with a schedule, whose calls are woven.
///
/// # Panics
///
/// As [`serial`] does.
pub fn interleaved(program: &Program, counters: &mut [u8]) {
    run(program, counters);
}

fn run(program: &Program, counters: &mut [u8]) {
    let ran = SUBJECT
        .with_borrow_mut(|(pair, stats)| pair.run(program, &mut Coverage::new(counters, stats)));
    if let Some(Verdict::Diverge(divergence)) = ran.map(|ran| ran.verdict) {
        let case = Case {
            program: program.clone(),
            ..Case::default()
        };
        let Divergence {
            signature, what, ..
        } = &divergence;
        let message = format!("{signature}: {what}\n{case}");
        at_rule(&divergence, &message);
    }
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
    SUBJECT.with_borrow(|(pair, _)| pair.profile(flavour))
}

type Site = fn(&Divergence, &str) -> !;

macro_rules! sites {
    ($function:ident: $($number:literal)*) => { [$($function::<$number> as Site),*] };
}

/// A frame for each rule; those of designs come behind the common ones.
static RULE_SITES: [Site; 64] = sites! { in_rule:
    0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
    32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63
};

/// A frame for each call, and one for what is no call.
static CALL_SITES: [Site; 33] = sites! { in_call:
    0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32
};

const _: () = assert!(RULES.len() <= RULE_SITES.len());
const _: () = assert!(CallKind::ALL.len() < CALL_SITES.len());

fn at_rule(divergence: &Divergence, message: &str) -> ! {
    let rule: Rule = divergence.signature.rule;
    let site = Rule::all().position(|other| other == rule).unwrap_or(0);
    RULE_SITES[site % RULE_SITES.len()](divergence, message)
}

#[inline(never)]
fn in_rule<const RULE: usize>(divergence: &Divergence, message: &str) -> ! {
    // The compiler would merge functions that do not differ.
    black_box(RULE);
    let call = divergence.signature.call;
    let place = CallKind::ALL.iter().position(|kind| kind.name() == call);
    CALL_SITES[place.unwrap_or(CALL_SITES.len() - 1)](divergence, message)
}

#[inline(never)]
fn in_call<const CALL: usize>(_divergence: &Divergence, message: &str) -> ! {
    black_box(CALL);
    panic!("{message}")
}
