//! What of a long run is shown: both ends and the calls around a divergence, and of a large address
//! space the areas that change there. The rest is folded, and how much is said.

use std::collections::BTreeSet;
use std::ops::Range;

use vmadiff_contract::{MmId, VmaState};

use crate::counted::counted;
use crate::pair::Ran;
use crate::program::Program;

/// Calls of a program that is shown whole.
const WHOLE: usize = 200;
/// Calls that are shown at both ends of a longer one.
const ENDS: usize = 8;
/// Calls that are shown before a divergence.
const BEFORE: usize = 16;
/// Calls that are shown behind it.
const BEHIND: usize = 4;
/// Areas of a state that is shown whole, and areas that are shown of a larger one.
const AREAS: usize = 64;

/// The calls that are shown of so many, as ranges in order; `found` is where a divergence shows.
pub fn shown(calls: usize, found: Option<usize>) -> Vec<Range<usize>> {
    if calls <= WHOLE {
        return Vec::from_iter((calls > 0).then_some(0..calls));
    }
    let around = found.map(|at| at.saturating_sub(BEFORE)..(at + BEHIND).min(calls));
    let mut wanted: BTreeSet<usize> = (0..ENDS).chain(calls - ENDS..calls).collect();
    wanted.extend(around.into_iter().flatten());
    ranges(wanted)
}

/// Of [`shown`], the calls whose states were kept.
pub fn shown_with_states(program: &Program, ran: &Ran, found: Option<usize>) -> Vec<Range<usize>> {
    let all = shown(program.calls.len(), found).into_iter().flatten();
    let kept = |at: &usize| ran.reference.kept.has(*at) && ran.candidate.kept.has(*at);
    ranges(all.filter(kept).collect())
}

fn ranges(wanted: BTreeSet<usize>) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for at in wanted {
        match ranges.last_mut() {
            Some(range) if range.end == at => range.end += 1,
            _ => ranges.push(at..at + 1),
        }
    }
    ranges
}

/// What stands for calls that are not shown.
pub fn left_out(calls: usize) -> String {
    let are = if calls == 1 { "is" } else { "are" };
    format!("{} {are} left out", counted(calls, "call"))
}

/// The areas of states that follow one another which are shown: all, if they are few; otherwise those
/// that change from one state to the next, the last changes first, with their neighbours. Answers the
/// most that are left out of a state, too.
pub fn changing(states: &[&[VmaState]]) -> (Vec<Vec<VmaState>>, usize) {
    let whole = states.iter().all(|areas| areas.len() <= AREAS);
    if whole {
        return (states.iter().map(|areas| areas.to_vec()).collect(), 0);
    }
    let mut shown = BTreeSet::new();
    for pair in states.windows(2).rev() {
        if shown.len() >= AREAS {
            break;
        }
        changes(pair[0], pair[1], &mut shown);
    }
    let of = |areas: &[VmaState]| -> Vec<VmaState> {
        let areas = areas.iter().filter(|area| shown.contains(&key(area)));
        areas.copied().collect()
    };
    let parts: Vec<Vec<VmaState>> = states.iter().map(|areas| of(areas)).collect();
    let sizes = states.iter().zip(&parts);
    let hidden = sizes.map(|(all, part)| all.len() - part.len()).max();
    (parts, hidden.unwrap_or(0))
}

fn key(area: &VmaState) -> (MmId, u64) {
    (area.mm, area.start)
}

/// Adds the areas in which two states differ, and their neighbours.
fn changes(before: &[VmaState], after: &[VmaState], shown: &mut BTreeSet<(MmId, u64)>) {
    let (mut i, mut j) = (0, 0);
    let mut add = |areas: &[VmaState], at: usize| {
        for area in &areas[at.saturating_sub(1)..areas.len().min(at + 2)] {
            if shown.len() < 2 * AREAS {
                shown.insert(key(area));
            }
        }
    };
    while i < before.len() || j < after.len() {
        match (before.get(i), after.get(j)) {
            (Some(a), Some(b)) if key(a) == key(b) => {
                if a != b {
                    add(after, j);
                }
                (i, j) = (i + 1, j + 1);
            }
            (Some(a), Some(b)) if key(a) < key(b) => {
                add(before, i);
                i += 1;
            }
            (Some(_), None) => {
                add(before, i);
                i += 1;
            }
            _ => {
                add(after, j);
                j += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vmadiff_contract::{VmFlags, VmaId};

    fn areas(count: u64) -> Vec<VmaState> {
        let area = |at: u64| VmaState {
            mm: MmId(1),
            start: at * 0x2000,
            end: at * 0x2000 + 0x1000,
            vma: VmaId(at as u32),
            flags: VmFlags::READ,
            pgoff: 0,
            file: None,
            policy: None,
            anon: None,
            anon_chain: 0,
        };
        (0..count).map(area).collect()
    }

    #[test]
    fn a_short_run_is_shown_whole_and_a_long_one_around_its_divergence() {
        assert_eq!(shown(0, None), []);
        assert_eq!(shown(WHOLE, Some(7)), vec![0..WHOLE]);
        assert_eq!(shown(1000, None), [0..8, 992..1000]);
        assert_eq!(shown(1000, Some(500)), [0..8, 484..504, 992..1000]);
        assert_eq!(shown(1000, Some(20)), [0..24, 992..1000]);
        assert_eq!(shown(1000, Some(999)), [0..8, 983..1000]);
    }

    #[test]
    fn of_many_areas_those_that_change_are_shown() {
        let before = areas(1000);
        let mut after = before.clone();
        after[500].end += 0x800;
        after.remove(700);
        let (parts, hidden) = changing(&[&before, &after]);
        let starts: Vec<u64> = parts[0].iter().map(|area| area.start / 0x2000).collect();
        assert_eq!(starts, [499, 500, 501, 699, 700, 701]);
        assert_eq!(parts[1].len(), 5);
        assert_eq!(hidden, 994);
        let few = areas(10);
        assert_eq!(changing(&[&few]), (vec![few.clone()], 0));
    }
}
