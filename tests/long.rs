//! Long programs: memory goes with calls and areas, not with their product, and a divergence is found
//! at the very call, wherever it is.

use vmadiff::designs::Planted;
use vmadiff::judge::Verdict;
use vmadiff::pair::pair;
use vmadiff::program::{Case, Program};

/// Areas side by side, none of which can join its neighbour; `more` comes in the middle.
fn side_by_side(areas: u64, more: &str) -> Program {
    let mut text = String::from("config start_brk=0x1000000\n");
    for area in 0..areas {
        if area == areas / 2 {
            text += more;
        }
        let at = 0x1000_0000 + area * 0x3000;
        text += &format!(
            "mmap({at:#x}, 0x1000, PROT_READ, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n"
        );
    }
    Case::parse("long.vma", &text).expect("a text").program
}

/// The most bytes that a run has at once.
fn peak(areas: u64) -> u64 {
    let program = side_by_side(areas, "");
    let measured = allocation_counter::measure(|| {
        let ran = pair(&Planted::default()).observe_twice(&program);
        assert_eq!(ran.verdict, Verdict::Agree);
    });
    measured.bytes_max
}

#[test]
fn twice_the_calls_and_areas_take_twice_the_memory() {
    let (once, twice) = (peak(3000), peak(6000));
    assert!(once > 1 << 20, "the counter counts: {once}");
    assert!(twice < once * 5 / 2, "{once} bytes, then {twice}");
}

/// States this large are looked at every few calls only.
#[test]
fn a_divergence_is_found_at_its_call() {
    // Grows down over a gap: the defect leaves the offset as it was.
    let more = "mmap(0x9001000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                mmap(0x9000000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n";
    let areas = 6000;
    let program = side_by_side(areas, more);
    let ran = pair(&Planted::defect("c2-offset-not-lowered")).observe_twice(&program);
    let Verdict::Diverge(found) = &ran.verdict else {
        panic!("{:?}", ran.verdict)
    };
    let at = areas as usize / 2 + 1;
    assert_eq!(found.signature.to_string(), "state/mmap/vmas.pgoff");
    assert_eq!(found.at, Some(at));
    // What a report needs, and nothing of the middle of nowhere.
    for kept in [at - 1, at] {
        let state = ran
            .reference
            .state(kept)
            .expect("a state around the divergence");
        assert!(state.vmas.len() > 3000);
    }
    assert_eq!(ran.reference.state(at / 2), None);
    assert_eq!(ran.reference.calls.len(), program.calls.len() + 2);
}

#[test]
fn states_that_are_asked_for_are_kept() {
    let program = side_by_side(6000, "");
    let ran = pair(&Planted::default()).observe_twice_at(&program, &[1234]);
    let state = ran.candidate.state(1233).expect("what was asked for");
    assert_eq!(state.vmas.len(), 1234);
    assert_eq!(ran.candidate.state(2000), None);
}
