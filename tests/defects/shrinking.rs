//! Shrinks what shows a defect, and checks that nothing more can be left out.

use vmadiff::designs::Planted;
use vmadiff::judge::{Signature, Verdict};
use vmadiff::pair::Ran;
use vmadiff::pair::{Pair, pair};
use vmadiff::program::{Program, Switch};
use vmadiff::shrink::{Attempt, Passes, Shrunk, shrink};

use super::figures::{Figures, processor_time};

pub fn signature(verdict: &Verdict) -> Option<&Signature> {
    match verdict {
        Verdict::Diverge(found) => Some(&found.signature),
        Verdict::Agree | Verdict::Skip(_) => None,
    }
}

/// Shrinks a program; what is wrong with what it came to.
pub fn check(
    runner: &mut Pair,
    program: &Program,
    wanted: &Signature,
    figures: &mut Figures,
) -> Result<Program, String> {
    let start = processor_time();
    let small = shrunk(runner, program, wanted);
    figures.add(program, &small, processor_time() - start);
    let small = small.program;
    let again = runner.observe(&small).verdict;
    if signature(&again) != Some(wanted) {
        return Err(format!("not {wanted} any more but {again:#?}\n{small}"));
    }
    if let Some(what) = can_go(runner, &small, wanted) {
        return Err(format!("{what} can be left out of\n{small}"));
    }
    let without = pair(&Planted::default()).observe_twice(&small).verdict;
    if without != Verdict::Agree {
        return Err(format!("without the defect {without:#?}\n{small}"));
    }
    Ok(small)
}

pub fn shrunk(runner: &mut Pair, program: &Program, wanted: &Signature) -> Shrunk {
    let shrunk = shrink(program, |smaller| {
        let ran = runner.observe(smaller);
        if signature(&ran.verdict) != Some(wanted) {
            return Attempt::Other;
        }
        passes(&ran).map_or(Attempt::Same, Attempt::Woven)
    });
    assert!(shrunk.finished);
    shrunk
}

fn passes(ran: &Ran) -> Option<Passes> {
    ran.woven.as_deref().map(Passes::of)
}

/// A call or a switch without which the program still diverges as wanted; without a call, switches
/// are tried by the names that they had with it, and by those that they have without.
pub fn can_go(runner: &mut Pair, program: &Program, wanted: &Signature) -> Option<String> {
    let passes = passes(&runner.observe(program));
    let with_switches = |index: usize, switches: Vec<Switch>| {
        let mut less = program.clone();
        less.calls.remove(index);
        less.schedule.switches = switches;
        (format!("call {}", index + 1), less)
    };
    let switches = &program.schedule.switches;
    let without_call = (0..program.calls.len()).flat_map(|index| {
        let renamed = passes
            .iter()
            .map(move |passes| passes.without(switches, &(index..index + 1)));
        let all = renamed.chain([switches.clone()]);
        all.map(move |switches| with_switches(index, switches))
    });
    let without_switch = (0..switches.len()).map(|index| {
        let mut less = program.clone();
        less.schedule.switches.remove(index);
        (format!("switch {}", index + 1), less)
    });
    let mut fewer = without_call.chain(without_switch);
    fewer
        .find(|(_, less)| signature(&runner.observe(less).verdict) == Some(wanted))
        .map(|(what, _)| what)
}
