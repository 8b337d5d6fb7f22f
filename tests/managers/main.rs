//! Managers of somebody else's beside the reference: what they have is compared, what they lack is
//! not asked, and what is wrong with them is found.

mod checked;
mod honest;
mod known;
mod layers;
mod moves;
mod panics;
mod places;
mod races;
mod space;
mod targets;

use vmadiff::compare::Compare;
use vmadiff::judge::{Divergence, Verdict};
use vmadiff::pair::{Pair, Ran};
use vmadiff::program::mutate::{Flavour, generate};
use vmadiff::program::{Case, Program};
use vmadiff::shrink::{Attempt, shrink};

/// Fresh programs for a pair.
fn programs(pair: &Pair, count: u64) -> impl Iterator<Item = Program> + use<> {
    let profile = pair.profile(Flavour::Serial);
    (0..count).map(move |seed| generate(seed, &profile))
}

fn divergence(ran: &Ran) -> Option<&Divergence> {
    match &ran.verdict {
        Verdict::Diverge(divergence) => Some(divergence),
        Verdict::Agree | Verdict::Skip(_) => None,
    }
}

/// Runs so many programs; the first that does not agree, and what is said of it.
fn first(pair: &mut Pair, count: u64) -> Option<(Program, Ran)> {
    programs(pair, count).find_map(|program| {
        let ran = pair.run(&program, &mut ())?;
        Some((program, *ran))
    })
}

/// Every one of so many programs agrees, and their calls mostly succeed.
#[track_caller]
fn agrees(compared: Compare, count: u64) {
    let mut pair = compared.pair();
    if let Some((program, ran)) = first(&mut pair, count) {
        panic!("{program}{:?}", ran.verdict);
    }
    let (mut made, mut succeeded) = (0, 0);
    for program in programs(&pair, 200) {
        for call in pair.observe(&program).candidate.calls {
            made += 1;
            succeeded += u32::from(call.outcome.is_success());
        }
    }
    assert!(succeeded * 2 > made, "{succeeded} of {made} succeed");
}

/// A program that diverges is found, with this signature, and shrinks to so many calls.
#[track_caller]
fn finds(compared: Compare, signature: &str, calls: usize) {
    let mut pair = compared.pair();
    let (program, ran) = first(&mut pair, 3000).expect("a program that diverges");
    let found = divergence(&ran).expect("it diverges").signature.clone();
    let small = shrink(&program, |smaller| {
        match pair.run(smaller, &mut ()).as_deref().and_then(divergence) {
            Some(again) if again.signature == found => Attempt::Same,
            _ => Attempt::Other,
        }
    });
    assert_eq!(found.to_string(), signature, "{}", small.program);
    assert!(small.program.calls.len() <= calls, "{}", small.program);
}

fn case(text: &str) -> Case {
    Case::parse("test.vma", text).expect("a program")
}
