//! Targets of fuzzing engines for somebody else's manager.

use vmadiff::program::Program;
use vmadiff::target::afl::Mutator;
use vmadiff::{Compare, Placement, View, compare};

use super::divergence;
use super::space::{self, Space};

fn compared() -> Compare {
    compare::<Space<{ space::LEAVES_LAST }>>("space")
        .view(View::areas().joined())
        .placement(Placement::FollowReference)
}

/// From a seed that is no program, as afl-fuzz begins; and nothing is made that the manager lacks.
#[test]
fn the_mutator_for_afl_makes_programs_that_meet_a_bug() {
    let mut pair = compared().pair();
    let mut mutator = Mutator::new(1, compared());
    let mut input = b"seed".to_vec();
    for _ in 0..1000 {
        input = mutator.fuzz(&input, &[], 1 << 14).to_vec();
        let program = Program::decode(&input);
        for step in &program.calls {
            let kind = step.call.kind();
            assert!(pair.known().knows(kind), "{}", kind.name());
        }
        let ran = pair.run(&program, &mut ());
        if ran.is_some_and(|ran| divergence(&ran).is_some()) {
            return;
        }
    }
    panic!("1,000 programs, and none of them meets the bug");
}
