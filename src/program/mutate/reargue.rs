//! Changes to one argument of one call.

use vmadiff_contract::{CallKind, PAGE_SIZE, Prot};

use super::dice::Dice;
use super::{Profile, argument, place};
use crate::program::Program;
use crate::program::shape::{self, Param};
use crate::program::world::World;

/// Changes one argument: a fresh one, one seen elsewhere, the edge of an area, a step aside.
pub(super) fn change(dice: &mut Dice<'_>, program: &mut Program, _: &Profile) {
    let at = dice.index(program.calls.len());
    let step = program.calls[at];
    let kind = step.call.kind();
    let params = shape::params(kind);
    if params.is_empty() {
        return;
    }
    let which = dice.index(params.len());
    let mut words = shape::words(&step.call);
    let world = World::after(program, at);
    let space = world.space(step.task);
    let (param, word) = (params[which], words[which]);
    words[which] = match dice.below(12) {
        0 => argument::absurd(dice, param, word),
        1..4 => seen(dice, program, param).unwrap_or(word),
        4..7 => match param {
            Param::Addr if !space.areas.is_empty() => {
                let area = dice.pick(&space.areas);
                let aside = dice.weighted(&[(4, 0), (1, PAGE_SIZE), (1, PAGE_SIZE.wrapping_neg())]);
                dice.pick(&[area.start, area.end]).wrapping_add(aside)
            }
            Param::Len => match space.area_at(words[0]) {
                Some(area) => area.end - words[0],
                None => argument::value(dice, space, param),
            },
            _ => argument::value(dice, space, param),
        },
        7..9 => match param {
            Param::Addr | Param::Len | Param::Off => {
                word.wrapping_add(dice.pick(&[PAGE_SIZE, PAGE_SIZE.wrapping_neg()]))
            }
            _ => argument::value(dice, space, param),
        },
        9 if param == Param::Addr => place::page(dice),
        _ if kind == CallKind::Store && which == 0 => place::access(dice, space, Prot::WRITE),
        _ if kind == CallKind::Load => place::access(dice, space, Prot::READ),
        _ => argument::value(dice, space, param),
    };
    program.calls[at].call = shape::build(kind, &words);
}

/// An argument of the same meaning in another call; the end of a range is an address too.
fn seen(dice: &mut Dice<'_>, program: &Program, param: Param) -> Option<u64> {
    let call = dice.pick(&program.calls).call;
    let words = shape::words(&call);
    let params = shape::params(call.kind());
    let at = params.iter().position(|&other| other == param)?;
    if param == Param::Addr && params.get(at + 1) == Some(&Param::Len) && dice.one_in(2) {
        return Some(words[at].wrapping_add(words[at + 1]));
    }
    Some(words[at])
}

/// Halves a length or a value, in whole pages where it has any.
pub(super) fn plainer(dice: &mut Dice<'_>, program: &mut Program, _: &Profile) {
    let at = dice.index(program.calls.len());
    let call = &mut program.calls[at].call;
    let mut words = shape::words(call);
    for (word, param) in words.iter_mut().zip(shape::params(call.kind())) {
        if matches!(param, Param::Len | Param::Off | Param::Value) && dice.one_in(2) {
            let half = *word / 2;
            *word = if *word > PAGE_SIZE {
                half.next_multiple_of(PAGE_SIZE)
            } else {
                half
            };
        }
    }
    *call = shape::build(call.kind(), &words);
}
