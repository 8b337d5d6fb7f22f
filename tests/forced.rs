//! Two tasks that are made to meet in another order do so, in every design, whatever its sites are.

use vmadiff::designs::{DESIGNS, Planted};
use vmadiff::pair::{Pair, pair};
use vmadiff::program::mutate::forced::{Chain, Met};
use vmadiff::program::mutate::{Flavour, generate};
use vmadiff::program::{Moment, Program, Switch};
use vmadiff_contract::TaskId;
use vmadiff_interleave::sim::{Step, What};

/// Fresh programs, each with one pair of accesses forced.
const PROGRAMS: u64 = 300;

/// What a program did, step by step, if every switch of it came.
fn steps(pair: &mut Pair, program: &Program) -> Option<Vec<Step>> {
    let woven = pair.observe(program).woven?;
    woven
        .missed
        .is_empty()
        .then(|| woven.trace.steps().to_vec())
}

/// The step before which a switch by site comes.
fn place(steps: &[Step], switch: &Switch) -> Option<usize> {
    let Moment::Site { task, site, nth } = switch.at else {
        return None;
    };
    let passes =
        |step: &Step| step.task == task.0 && step.site.number() == site && step.passes_site();
    let mut all = (0..steps.len()).filter(|&at| passes(&steps[at]));
    all.nth(nth as usize - 1)
}

/// As a switch: before this step.
fn before(steps: &[Step], at: usize) -> Switch {
    let step = &steps[at];
    let task = TaskId(step.task);
    Switch {
        at: Moment::Site {
            task,
            site: step.site.number(),
            nth: step.passes_in(&steps[..=at]),
        },
        to: task,
    }
}

/// The two accesses whose order the last switches change, by these steps: the earlier one first.
fn forced(steps: &[Step], added: &[Switch]) -> Option<(usize, usize)> {
    let first = place(steps, &added[0])?;
    let other = added[0].to.0;
    let until = place(steps, &added[1])?;
    let then = (first + 1..until)
        .rev()
        .find(|&at| steps[at].task == other && matches!(steps[at].what, What::Access { .. }))?;
    Some((first, then))
}

#[test]
fn what_was_first_comes_second() {
    for design in DESIGNS.iter().filter(|design| !design.as_posted) {
        let mut pair = pair(&Planted::nothing(design));
        let profile = pair.profile(Flavour::Interleaved);
        let (mut met, mut tried, mut turned) = (Met::default(), 0, 0);
        for seed in 0..PROGRAMS {
            let mut program = generate(seed, &profile);
            program.schedule = vmadiff::program::Schedule::default();
            let mut woven = program.clone();
            if pair.force(&mut woven, seed as u32, Chain::ONE, &mut met) == 0 {
                continue;
            }
            // Without switches a program is not woven: one that never comes makes no difference.
            program.schedule.policy = vmadiff::program::Policy::Preemptions;
            program.schedule.switches = vec![Switch {
                at: Moment::Callback { nth: u32::MAX },
                to: TaskId(0),
            }];
            let as_it_was = pair.observe(&program).woven.expect("a woven run");
            let as_it_was = as_it_was.trace.steps().to_vec();
            let added = &woven.schedule.switches;
            // Which access was let in first is told by where its task is left again.
            if added.len() < 2 {
                continue;
            }
            let Some((first, then)) = forced(&as_it_was, added) else {
                continue;
            };
            let Some(now) = steps(&mut pair, &woven) else {
                continue;
            };
            let [first, then] = [first, then].map(|at| place(&now, &before(&as_it_was, at)));
            if let (Some(first), Some(then)) = (first, then) {
                tried += 1;
                turned += u32::from(then < first);
            }
        }
        assert!(tried > 100, "{design:?}: only {tried}");
        // The others take another way, and wait for what the first one holds.
        assert!(turned * 10 >= tried * 7, "{design:?}: {turned} of {tried}");
        assert!(
            met.pairs() > 80,
            "{design:?}: {} pairs of sites",
            met.pairs()
        );
    }
}

/// Whether each switch of these leaves the task that the one before it let in.
fn alternate(switches: &[Switch]) -> bool {
    switches.windows(2).all(
        |two| matches!(two[1].at, Moment::Site { task, .. } if task == two[0].to && task != two[1].to),
    )
}

/// A chain of turns leaves each time who was let in last, if a turn comes that is wanted, and what it ordered
/// before stays so: all its switches come.
#[test]
fn turns_leave_who_was_let_in() {
    const TURNS: u32 = 3;
    for design in DESIGNS.iter().filter(|design| !design.as_posted) {
        let mut pair = pair(&Planted::nothing(design));
        let profile = pair.profile(Flavour::Interleaved);
        let (mut met, mut tried, mut came, mut turned) = (Met::default(), 0, 0, 0);
        for seed in 0..PROGRAMS {
            let mut program = generate(seed, &profile);
            program.schedule = vmadiff::program::Schedule::default();
            if pair.force(&mut program, seed as u32, Chain::turns(TURNS), &mut met) < TURNS {
                continue;
            }
            let turns = &program.schedule.switches[..TURNS as usize];
            turned += u32::from(alternate(turns));
            program.schedule.switches.truncate(TURNS as usize);
            tried += 1;
            came += u32::from(steps(&mut pair, &program).is_some());
        }
        assert!(tried > 50, "{design:?}: only {tried}");
        assert!(turned * 10 >= tried * 8, "{design:?}: {turned} of {tried}");
        assert!(came * 10 >= tried * 9, "{design:?}: {came} of {tried}");
    }
}

/// Each run of a chain that has switches is a race, and is judged: a chain goes on behind none that diverges.
#[test]
fn a_chain_ends_where_it_diverges() {
    const TURNS: u32 = 4;
    let planted = Planted::defect("put-without-grace-period");
    let mut pair = pair(&planted);
    let profile = pair.profile(Flavour::Interleaved);
    let (mut met, mut ended) = (Met::default(), 0);
    for seed in 0..PROGRAMS {
        let mut program = generate(seed, &profile);
        program.schedule = vmadiff::program::Schedule::default();
        let forced = pair.force(&mut program, seed as u32, Chain::turns(TURNS), &mut met);
        for links in 1..forced {
            let mut shorter = program.clone();
            shorter.schedule.switches.truncate(links as usize);
            let ran = pair.run(&shorter, &mut ());
            assert!(ran.is_none(), "seed {seed}, {links} of {forced} links");
        }
        ended += u32::from((1..TURNS).contains(&forced) && pair.run(&program, &mut ()).is_some());
    }
    assert!(ended > 0);
}
