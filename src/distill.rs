//! Makes a small corpus of a large one: few short programs that together reach all that the many
//! do.

use crate::program::Program;
use crate::shrink::{Attempt, shrink};

/// What a program reaches: a set of features, by their places in an engine's counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach(Vec<u64>);

impl Reach {
    /// The counters that were moved.
    pub fn of(counters: &[u8]) -> Self {
        let word = |counters: &[u8]| {
            let bits = counters.iter().enumerate();
            bits.fold(0, |word, (bit, &count)| word | u64::from(count != 0) << bit)
        };
        Self(counters.chunks(64).map(word).collect())
    }

    /// How many features.
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Those that `other` does not have.
    pub fn without(&self, other: &Self) -> Self {
        let theirs = other.0.iter().copied().chain(std::iter::repeat(0));
        Self(self.0.iter().zip(theirs).map(|(a, b)| a & !b).collect())
    }

    /// Takes in those of `other`.
    pub fn add(&mut self, other: &Self) {
        self.0.resize(self.0.len().max(other.0.len()), 0);
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine |= theirs;
        }
    }

    /// Whether it has all of `other`.
    pub fn has(&self, other: &Self) -> bool {
        other.without(self).is_empty()
    }
}

/// A program that was kept, and what it reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// As short as it gets.
    pub program: Program,
    /// All that it reaches.
    pub reach: Reach,
}

/// Chooses programs one after another, the one that adds most first, and shrinks each as far as
/// it still reaches what it was chosen for. What is reached already is not asked for. `reach` says
/// what a program reaches; `None` leaves it out. `go_on` is asked before each attempt: once it says
/// no, what is left is kept unshrunk.
pub fn distill(
    programs: Vec<Program>,
    already: &Reach,
    mut reach: impl FnMut(&Program) -> Option<Reach>,
    mut go_on: impl FnMut() -> bool,
) -> Vec<Kept> {
    let with_reach = |program| reach(&program).map(|reach| Kept { program, reach });
    let mut left: Vec<Kept> = programs.into_iter().filter_map(with_reach).collect();
    let mut kept: Vec<Kept> = Vec::new();
    let mut covered = already.clone();
    loop {
        left.retain(|one| !covered.has(&one.reach));
        let Some(next) = best(&left, &covered) else {
            break;
        };
        let Kept {
            program,
            reach: all,
        } = left.swap_remove(next);
        let own = all.without(&covered);
        let small = shrink(&program, |smaller| match go_on() {
            false => Attempt::Stop,
            true if reach(smaller).is_some_and(|reach| reach.has(&own)) => Attempt::Same,
            true => Attempt::Other,
        });
        let reach = reach(&small.program).unwrap_or(all);
        covered.add(&reach);
        kept.push(Kept {
            program: small.program,
            reach,
        });
    }
    drop_needless(&mut kept, already);
    kept
}

/// The one that adds most; of equals the one with fewest calls, then the first.
fn best(left: &[Kept], covered: &Reach) -> Option<usize> {
    let worth = |one: &Kept| {
        let length = one.program.calls.len() + one.program.schedule.switches.len();
        (one.reach.without(covered).len(), std::cmp::Reverse(length))
    };
    let indices = (0..left.len()).rev();
    indices.max_by_key(|&index| worth(&left[index]))
}

/// Leaves out what the others reach, too: a later choice may have brought it along.
fn drop_needless(kept: &mut Vec<Kept>, already: &Reach) {
    let mut index = 0;
    while index < kept.len() {
        let mut others = already.clone();
        let rest = kept.iter().enumerate().filter(|&(other, _)| other != index);
        rest.for_each(|(_, other)| others.add(&other.reach));
        if others.has(&kept[index].reach) {
            kept.remove(index);
        } else {
            index += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::mutate::{Profile, generate};

    /// Stands for a run: a feature for each kind of call that a program makes.
    fn kinds(program: &Program) -> Reach {
        let mut counters = [0; 40];
        for step in &program.calls {
            counters[step.call.kind() as usize] = 1;
        }
        Reach::of(&counters)
    }

    fn union<'a>(reaches: impl IntoIterator<Item = &'a Reach>) -> Reach {
        let mut all = Reach::default();
        reaches.into_iter().for_each(|reach| all.add(reach));
        all
    }

    #[test]
    fn few_short_programs_reach_all_that_many_did() {
        let programs: Vec<Program> = (1..200)
            .map(|seed| generate(seed, &Profile::default()))
            .collect();
        let reaches: Vec<Reach> = programs.iter().map(kinds).collect();
        let all = union(&reaches);
        let calls = |programs: &[Program]| programs.iter().map(|p| p.calls.len()).sum::<usize>();
        let before = calls(&programs);
        let none = Reach::default();
        let kept = distill(
            programs.clone(),
            &none,
            |program| Some(kinds(program)),
            || true,
        );
        assert_eq!(union(kept.iter().map(|one| &one.reach)), all);
        assert!(kept.len() < 20, "{} programs", kept.len());
        let small: Vec<Program> = kept.iter().map(|one| one.program.clone()).collect();
        assert_eq!(
            calls(&small),
            all.len(),
            "a call for each kind, of {before}"
        );
        for one in &kept {
            let mut others = kept.iter().filter(|other| *other != one);
            assert!(!union(others.by_ref().map(|one| &one.reach)).has(&one.reach));
        }
        // What one of them reaches is not kept for again.
        let beyond = distill(
            programs.clone(),
            &kept[0].reach,
            |p| Some(kinds(p)),
            || true,
        );
        let mut reached = union(beyond.iter().map(|one| &one.reach));
        assert!(beyond.iter().all(|one| !kept[0].reach.has(&one.reach)));
        reached.add(&kept[0].reach);
        assert_eq!(reached, all);
        assert_eq!(
            distill(programs, &all, |program| Some(kinds(program)), || true),
            []
        );
    }

    #[test]
    fn what_is_left_out_is_not_kept_and_a_stop_keeps_the_rest() {
        let programs: Vec<Program> = (1..20)
            .map(|seed| generate(seed, &Profile::default()))
            .collect();
        let none = Reach::default();
        assert_eq!(distill(programs.clone(), &none, |_| None, || true), []);
        let all = union(&programs.iter().map(kinds).collect::<Vec<_>>());
        let kept = distill(programs, &none, |program| Some(kinds(program)), || false);
        assert_eq!(union(kept.iter().map(|one| &one.reach)), all);
    }

    #[test]
    fn sets_are_sets() {
        let (a, b) = (Reach::of(&[1, 0, 9]), Reach::of(&[0; 70]));
        assert_eq!((a.len(), b.len()), (2, 0));
        assert!(a.has(&b) && !b.has(&a) && b.is_empty());
        assert_eq!(a.without(&Reach::of(&[0, 5, 1])), Reach::of(&[1, 0, 0]));
    }
}
