//! Addresses of all calls together: what lies far apart moves closer, and the rest stays put.

use std::collections::BTreeSet;

use vmadiff_contract::{Config, PAGE_SIZE};

use super::{Attempt, Shrinker};
use crate::program::Program;
use crate::program::shape::{Param, build, params, words};

impl<A: FnMut(&Program) -> Attempt> Shrinker<A> {
    /// Moves all addresses from some page on down, towards the page below that is used.
    pub(super) fn pages(&mut self) -> bool {
        let mut changed = false;
        let mut below = Config::WINDOW;
        for page in used_pages(&self.best) {
            // Pages that moved with an earlier one are met where they were; then this does nothing.
            for distance in distances(page.saturating_sub(below)) {
                if self.change(|program| move_down(program, page, distance)) {
                    changed = true;
                    break;
                }
            }
            below = page;
        }
        changed
    }
}

/// The pages above the window's start that calls name, in order.
fn used_pages(program: &Program) -> BTreeSet<u64> {
    let mut pages = BTreeSet::new();
    for step in &program.calls {
        let arguments = words(&step.call);
        for (argument, param) in arguments.iter().zip(params(step.call.kind())) {
            if *param == Param::Addr && *argument >= Config::WINDOW {
                pages.insert(argument & !(PAGE_SIZE - 1));
            }
        }
    }
    pages
}

/// All the way, all but a page, half the way, one page; in bytes.
fn distances(gap: u64) -> impl Iterator<Item = u64> {
    let half = (gap / 2) & !(PAGE_SIZE - 1);
    let steps = [gap, gap.saturating_sub(PAGE_SIZE), half, PAGE_SIZE.min(gap)];
    steps.into_iter().filter(|distance| *distance > 0)
}

fn move_down(program: &mut Program, from: u64, distance: u64) {
    for step in &mut program.calls {
        let kind = step.call.kind();
        let mut arguments = words(&step.call);
        for (argument, param) in arguments.iter_mut().zip(params(kind)) {
            if *param == Param::Addr && *argument >= from {
                *argument -= distance;
            }
        }
        step.call = build(kind, &arguments);
    }
}
