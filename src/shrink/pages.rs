//! Addresses of all calls together: what lies far apart moves closer, and the rest stays put.

use std::collections::BTreeSet;

use vmadiff_contract::{Config, PAGE_SIZE};

use super::{Attempt, Shrinker, halving};
use crate::program::Program;
use crate::program::shape::{Param, build, params, words};

impl<A: FnMut(&Program) -> Attempt> Shrinker<A> {
    /// Moves all addresses from some page on down, towards the page below that is used.
    pub(super) fn pages(&mut self) -> bool {
        let mut changed = false;
        let mut below = Config::WINDOW;
        for page in used_pages(&self.best) {
            // Pages that moved with an earlier one are met where they were; then this does nothing.
            let mut page = page;
            while let Some(distance) = self.move_closer(page, below) {
                page -= distance;
                changed = true;
            }
            below = page;
        }
        changed
    }

    /// Moves all addresses from a page on down towards one below it; answers how far.
    fn move_closer(&mut self, page: u64, below: u64) -> Option<u64> {
        let gap = page.saturating_sub(below);
        let all_but_one = gap.checked_sub(PAGE_SIZE).filter(|way| *way > 0);
        halving(gap)
            .take(1)
            .chain(all_but_one)
            .chain(halving(gap).skip(1))
            .find(|distance| self.change(|program| move_down(program, page, *distance)))
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
