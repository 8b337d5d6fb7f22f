//! Where a call can be left in the middle: the design says where that is worth it. A switch at a
//! place that its task never comes to changes nothing.

use std::cell::RefCell;
use std::collections::HashMap;

use vmadiff_contract::{Aim, Call, CallKind, DesignInfo};
use vmadiff_interleave::{Site, SiteInfo};

use super::super::dice::Dice;
use crate::program::sites::{BEGIN, Sites};
use crate::program::world::Space;
use crate::program::{Moment, Step, shape};

/// One call in so many is left where any writer is half way, or any fault has looked.
const TELLING: u64 = 4;

/// How the names of the sites begin that a design has for an aim.
fn begins(design: &'static DesignInfo, aim: Aim) -> impl Iterator<Item = &'static str> + Clone {
    let points = design.aims.iter().copied().flatten();
    let wanted = points.filter(move |point| point.aim == aim);
    wanted.flat_map(|point| point.begins).copied()
}

/// The sites of a design for an aim.
fn sites(design: &'static DesignInfo, aim: Aim) -> impl Iterator<Item = Site> {
    let all = Sites::of_design(design).all().iter().copied();
    all.filter(move |site| begins(design, aim).any(|start| site.name.starts_with(start)))
}

fn has(design: &'static DesignInfo, aim: Aim) -> bool {
    begins(design, aim).next().is_some()
}

/// What a call of this kind is left in the middle of, the more telling one first, and what it
/// passes besides.
fn aims(design: &'static DesignInfo, kind: CallKind) -> (Aim, Option<Aim>) {
    let (own, beside) = (Aim::Call(kind), Aim::Beside(kind));
    if has(design, own) {
        (own, has(design, beside).then_some(beside))
    } else {
        (Aim::Adjusts, None)
    }
}

/// Whether calls of both kinds pass the same sites.
fn alike(design: &'static DesignInfo, one: CallKind, other: CallKind) -> bool {
    let passed = |kind| {
        let (own, beside) = aims(design, kind);
        let more = beside.into_iter().flat_map(move |aim| begins(design, aim));
        begins(design, own).chain(more)
    };
    passed(one).eq(passed(other))
}

/// A place in the middle of a call. Places are counted from the start of the run, and what the task
/// has done before, on the `setup`, may have passed them.
pub(super) fn within(
    dice: &mut Dice<'_>,
    design: &'static DesignInfo,
    setup: &[Step],
    step: &Step,
    space: &Space,
) -> Moment {
    let (call, task) = (&step.call, step.task);
    let like = |other: &&Step| other.task == task && alike(design, other.call.kind(), call.kind());
    // No stack has grown before.
    let earlier = match grows(call, space) {
        true => 0,
        false => setup.iter().filter(like).count() as u64,
    };
    let later = dice.weighted(&[(8, 0), (2, 1), (1, 2)]);
    Moment::Site {
        task,
        site: site(dice, design, call, space),
        nth: 1 + later + dice.below(earlier.min(4) + 1) as u32,
    }
}

fn is_access(call: &Call) -> bool {
    matches!(
        call,
        Call::Store { .. } | Call::Load { .. } | Call::Exec { .. }
    )
}

/// Whether the call is an access where no area is: below a stack, which grows, if any.
fn grows(call: &Call, space: &Space) -> bool {
    is_access(call) && space.area_at(shape::words(call)[0]).is_none()
}

/// A site that the call may pass, by number.
fn site(dice: &mut Dice<'_>, design: &'static DesignInfo, call: &Call, space: &Space) -> u32 {
    let there = match *call {
        Call::Store { addr, .. } => space.ready.contains(addr),
        Call::Load { addr } | Call::Exec { addr } => space.present.contains(addr),
        _ => false,
    };
    let grows = grows(call, space);
    let telling = match is_access(call) && !grows && !dice.one_in(6) {
        true => Aim::Looked,
        false => Aim::HalfWay,
    };
    let telling = (grows || dice.one_in(TELLING)).then_some(telling);
    let aim = match (telling, aims(design, call.kind())) {
        (Some(telling), _) if has(design, telling) => telling,
        (_, (_, Some(beside))) if there != dice.one_in(6) => beside,
        (_, (own, _)) => own,
    };
    one_of(dice, design, aim)
}

thread_local! {
    /// The numbers of a design's sites for an aim, as far as they were asked for: to find them, the
    /// names of all sites are gone through, which cost more than all else of a fresh race.
    static NUMBERS: RefCell<HashMap<(&'static str, Aim), Vec<u32>>> = RefCell::default();
}

/// A site for this aim, by number; of a design that has none, where a call begins.
fn one_of(dice: &mut Dice<'_>, design: &'static DesignInfo, aim: Aim) -> u32 {
    NUMBERS.with_borrow_mut(|known| {
        let numbers = || sites(design, aim).map(SiteInfo::number).collect();
        let numbers: &mut Vec<u32> = known.entry((design.name, aim)).or_insert_with(numbers);
        let nth = dice.index(numbers.len().max(1));
        numbers.get(nth).copied().unwrap_or(BEGIN.number())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::designs::DESIGNS;

    /// A name that no site begins with would draw nothing.
    #[test]
    fn every_point_has_sites() {
        for design in DESIGNS {
            for point in design.aims.iter().copied().flatten() {
                for start in point.begins {
                    let mut all = Sites::of_design(design).all().iter();
                    let some = all.any(|site| site.name.starts_with(start));
                    assert!(some, "{}: no site of {start}", design.name);
                }
            }
            assert!(has(design, Aim::Adjusts), "{}", design.name);
        }
    }
}
