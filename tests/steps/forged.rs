//! Races that the reference has made with itself, forged: each forgery is objected to.

use vmadiff_contract::{About, Call, Outcome, StepKind, Told};

use crate::judge::Rule;
use crate::judge::steps::{Follower, Item, StepJudge, What};
use crate::source::{Recorded, Rng, record, record_with, reference};
use crate::tests::{number, program, told};

/// A kind of forgery: changes a race in one place; none if there is no place for it.
type Forge = fn(&mut Recorded, &mut Rng) -> Option<usize>;

/// What the follower says where a mark is wrong: that it is, or that the reference does otherwise.
const WRONG_MARK: &[Rule] = &[
    Rule::CommitPoint,
    Rule::State,
    Rule::StaleEntry,
    Rule::FaultUnexplained,
    Rule::Outcome,
];

/// Forges many races, each of which must be objected to by one of these rules.
fn judged(forge: Forge, rules: &[Rule]) {
    let count = number("STEPS_FORGED", 800);
    let mut follower = Follower::default();
    let (mut forged, mut missed) = (0, Vec::new());
    for seed in 0..count {
        let program = program(seed);
        let Some(mut made) = record(&program, seed) else {
            continue;
        };
        let mut rng = Rng(seed * 2 + 1);
        let Some(at) = forge(&mut made, &mut rng) else {
            continue;
        };
        forged += 1;
        let objection = follower
            .follow(&made.race(), &mut reference(&program))
            .err();
        let right = objection.as_ref().is_some_and(|o| rules.contains(&o.rule));
        if !right {
            let said = objection.map(|o| format!("{:?}/{}: {}", o.rule, o.field, o.what));
            missed.push(format!(
                "seed {seed}, item {at}: {said:?}\n{}",
                told(&made.program, &made.items, at + 1, &[])
            ));
        }
    }
    assert!(forged > 20, "{forged} races have a place for it");
    let few = &missed[..missed.len().min(number("STEPS_SHOW", 2) as usize)];
    assert!(
        missed.is_empty(),
        "{} of {forged}:\n{}",
        missed.len(),
        few.join("\n")
    );
}

/// The place of a mark that is like this, drawn.
fn a_mark(
    made: &Recorded,
    rng: &mut Rng,
    is: impl Fn(StepKind, About, Told) -> bool,
) -> Option<usize> {
    let places: Vec<usize> = (0..made.items.len())
        .filter(|&at| match made.items[at].what {
            What::Mark(mark) => is(mark.kind, mark.about, mark.told),
            What::Begin | What::End => false,
        })
        .collect();
    (!places.is_empty()).then(|| places[rng.below(places.len())])
}

fn changes(told: Told) -> bool {
    matches!(told, Told::Entry { before, after } if before != after)
}

/// Whether the race without a mark is a legal one with the same steps: another mark beside it tells of
/// the same step, or it is of a walk that no access went by, since the next mark of the call is of
/// another walk at that entry.
fn goes_without(made: &Recorded, at: usize) -> bool {
    let item = made.items[at];
    let What::Mark(mark) = item.what else {
        return false;
    };
    let own = |other: &&Item| other.call == item.call;
    let call = made.program.calls[item.call as usize].call;
    let collapses = matches!(call, Call::Collapse { .. });
    let same = |other: Option<&Item>| {
        other.filter(own).is_some_and(|other| match other.what {
            What::Mark(other) => {
                let entries = |about| matches!(about, About::Entry { .. } | About::Range { .. });
                // All entries of a collapse are one step.
                let one = collapses || !entries(mark.about) && !entries(other.about);
                other.kind == mark.kind && one
            }
            What::Begin | What::End => false,
        })
    };
    let next = made.items[at + 1..].iter().find(own);
    let walks = next.is_some_and(|next| match next.what {
        What::Mark(next) => (next.kind, next.about) == (StepKind::Walk, mark.about),
        What::Begin | What::End => false,
    });
    let before = at.checked_sub(1).and_then(|before| made.items.get(before));
    mark.kind == StepKind::Walk && walks
        || mark.kind != StepKind::Flush && (same(before) || same(made.items.get(at + 1)))
}

#[test]
fn a_mark_that_is_missing() {
    judged(
        |made, rng| {
            let at = a_mark(made, rng, |kind, about, told| match kind {
                StepKind::Entry | StepKind::Pass => changes(told),
                StepKind::Walk | StepKind::Flush | StepKind::Charge => true,
                StepKind::Flags => matches!(about, About::Area(_)),
                _ => false,
            })?;
            if goes_without(made, at) {
                return None;
            }
            made.items.remove(at);
            Some(at)
        },
        WRONG_MARK,
    );
}

#[test]
fn a_mark_that_is_told_twice() {
    judged(
        |made, rng| {
            let at = a_mark(made, rng, |kind, _, told| match kind {
                StepKind::Entry | StepKind::Pass => changes(told),
                StepKind::Walk | StepKind::Charge => true,
                _ => false,
            })?;
            made.items.insert(at, made.items[at]);
            Some(at)
        },
        WRONG_MARK,
    );
}

#[test]
fn an_entry_that_is_told_otherwise() {
    judged(
        |made, rng| {
            let at = a_mark(made, rng, |kind, _, told| {
                matches!(kind, StepKind::Entry | StepKind::Pass) && changes(told)
            })?;
            if let What::Mark(mark) = &mut made.items[at].what
                && let Told::Entry { before, after } = &mut mark.told
            {
                for page in [before, after].into_iter().flatten() {
                    page.writable = !page.writable;
                }
            }
            Some(at)
        },
        WRONG_MARK,
    );
}

#[test]
fn a_number_that_is_told_otherwise() {
    judged(
        |made, rng| {
            let at = a_mark(made, rng, |_, _, told| matches!(told, Told::Number(_)))?;
            if let What::Mark(mark) = &mut made.items[at].what
                && let Told::Number(number) = &mut mark.told
            {
                *number += 1;
            }
            Some(at)
        },
        WRONG_MARK,
    );
}

#[test]
fn an_access_by_an_entry_that_was_never_there() {
    judged(
        |made, rng| {
            let at = a_mark(made, rng, |kind, _, told| {
                kind == StepKind::Walk
                    && matches!(
                        told,
                        Told::Entry {
                            before: Some(_),
                            ..
                        }
                    )
            })?;
            if let What::Mark(mark) = &mut made.items[at].what
                && let Told::Entry {
                    before: Some(page), ..
                } = &mut mark.told
            {
                page.zero = !page.zero;
                page.present = true;
            }
            Some(at)
        },
        &[Rule::StaleEntry],
    );
}

#[test]
fn a_mark_of_another_page() {
    judged(
        |made, rng| {
            let at = a_mark(made, rng, |kind, _, told| {
                kind == StepKind::Entry && changes(told)
            })?;
            if let What::Mark(mark) = &mut made.items[at].what
                && let About::Entry { addr, .. } = &mut mark.about
            {
                *addr += 0x20_0000;
            }
            Some(at)
        },
        WRONG_MARK,
    );
}

#[test]
fn a_mark_that_stands_past_a_conflicting_one() {
    judged(
        |made, rng| {
            let entry = |item: &Item| match item.what {
                What::Mark(mark) => match (mark.about, mark.kind) {
                    (About::Entry { mm, addr }, StepKind::Entry | StepKind::Pass) => {
                        Some((mm, addr, changes(mark.told)))
                    }
                    // One that found an entry may go by what the TLB holds, until that is flushed.
                    (About::Entry { mm, addr }, StepKind::Walk) => match mark.told {
                        Told::Entry { before: None, .. } => Some((mm, addr, false)),
                        _ => None,
                    },
                    _ => None,
                },
                What::Begin | What::End => None,
            };
            let places: Vec<(usize, usize)> = (0..made.items.len())
                .filter_map(|at| {
                    let (m, addr, changes) = entry(&made.items[at])?;
                    let later = at + 1..made.items.len().min(at + 12);
                    let past = later.clone().find(|&past| {
                        let other = entry(&made.items[past]);
                        let conflict = |(n, b, too)| (m, addr) == (n, b) && (changes || too);
                        made.items[past].call != made.items[at].call && other.is_some_and(conflict)
                    })?;
                    let own = |item: &Item| item.call == made.items[at].call;
                    let alone = !made.items[at + 1..past].iter().any(own);
                    alone.then_some((at, past))
                })
                .collect();
            let (at, past) = *places.get(rng.below(places.len()))?;
            let moved = made.items.remove(at);
            made.items.insert(past, moved);
            Some(at)
        },
        WRONG_MARK,
    );
}

#[test]
fn a_call_that_answers_otherwise() {
    judged(
        |made, rng| {
            let places: Vec<usize> = (0..made.outcomes.len())
                .filter(|&call| matches!(made.outcomes[call], Some(Outcome::Value(0))))
                .collect();
            let call = *places.get(rng.below(places.len()))?;
            made.outcomes[call] = Some(Outcome::Value(77));
            made.items
                .iter()
                .position(|item| item.call as usize == call)
        },
        &[Rule::Outcome],
    );
}

#[test]
fn a_page_that_is_otherwise_at_the_end() {
    judged(
        |made, rng| {
            let pages = made.state.pages.len();
            let at = rng.below(pages);
            let page = made.state.pages.get_mut(at)?;
            page.executable = !page.executable;
            Some(made.items.len())
        },
        &[Rule::State],
    );
}

#[test]
fn a_byte_that_is_lost() {
    judged(
        |made, rng| {
            let bytes = made.state.bytes.len();
            let at = rng.below(bytes);
            made.state.bytes.get_mut(at)?.value ^= 0x80;
            Some(made.items.len())
        },
        &[Rule::LostStore],
    );
}

/// Whose marks are forged and nothing else has another order of steps that explains it: where the
/// search comes to an end it says so.
#[test]
fn wrong_marks_are_told_from_a_wrong_manager() {
    let mut judge = StepJudge::default();
    let (mut decided, mut wrong) = (0, Vec::new());
    for seed in 0..number("STEPS_FORGED", 400) {
        let mut program = program(seed);
        program.calls.truncate(7);
        let Some(mut made) = record_with(&program, seed, false) else {
            continue;
        };
        let mut rng = Rng(seed * 2 + 1);
        let Some(at) = a_mark(&made, &mut rng, |kind, _, told| {
            kind == StepKind::Entry && changes(told)
        }) else {
            continue;
        };
        made.items.remove(at);
        let before = judge.undecided;
        let objection = judge.judge(&made.race(), &mut reference(&program));
        let rule = objection.map(|objection| objection.rule);
        if judge.undecided > before {
            continue;
        }
        decided += 1;
        if rule != Some(Rule::CommitPoint) {
            wrong.push(format!("seed {seed}: {rule:?}"));
        }
    }
    assert!(decided > 20, "{decided} searches came to their end");
    assert!(wrong.is_empty(), "{} of {decided}: {wrong:?}", wrong.len());
}

/// A call that answers what no order of steps gives is not the marks' fault.
#[test]
fn a_wrong_manager_is_not_called_wrong_marks() {
    let mut judge = StepJudge::default();
    let mut forged = 0;
    for seed in 0..number("STEPS_FORGED", 200) {
        let mut program = program(seed);
        program.calls.truncate(5);
        let Some(mut made) = record(&program, seed) else {
            continue;
        };
        let mut outcomes = made.outcomes.iter();
        let Some(call) = outcomes.position(|outcome| *outcome == Some(Outcome::Value(0))) else {
            continue;
        };
        made.outcomes[call] = Some(Outcome::Value(77));
        forged += 1;
        let objection = judge.judge(&made.race(), &mut reference(&program));
        let rule = objection.map(|objection| objection.rule);
        assert_eq!(rule, Some(Rule::Outcome), "seed {seed}");
    }
    assert!(forged > 20);
}
