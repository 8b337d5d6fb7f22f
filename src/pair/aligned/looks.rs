//! What is looked at of both managers, narrowed before anybody sees it.

use std::mem;

use vmadiff_contract::{Parts, Snapshot};

use super::run::Run;
use crate::compare::narrow;
use crate::judge::Side;
use crate::pair::{Pair, working};
use crate::program::Step;

impl Run<'_> {
    pub(super) fn look(&mut self, side: Side) {
        self.place.side = side;
        self.snapshot(side);
        self.narrow(side);
    }

    /// Looks at both, as far as what is shown has moved, and differs.
    pub(super) fn look_at_both(&mut self, shown: Parts, at: usize, step: &Step) {
        let Pair {
            reference,
            candidate,
            agreed,
            terms,
            ..
        } = &mut *self.pair;
        self.place.side = Side::Reference;
        reference.look_if_moved(shown);
        if !reference.left_out {
            narrow(&terms.view, &mut reference.state);
        }
        let ours = if reference.left_out {
            agreed
        } else {
            &reference.state
        };
        self.place.side = Side::Candidate;
        working::on_call(Side::Candidate, step.call.kind(), at);
        candidate.look_if_other(shown, &terms.view, ours);
        if !candidate.left_out {
            narrow(&terms.view, &mut candidate.state);
        }
    }

    pub(super) fn snapshot(&mut self, side: Side) {
        match side {
            Side::Reference => self.pair.reference.snapshot(),
            Side::Candidate => self.pair.candidate.snapshot(),
        }
    }

    pub(super) fn narrow(&mut self, side: Side) {
        let view = self.pair.terms.view;
        narrow(&view, self.state_of(side));
    }

    pub(super) fn state_of(&mut self, side: Side) -> &mut Snapshot {
        match side {
            Side::Reference => &mut self.pair.reference.state,
            Side::Candidate => &mut self.pair.candidate.state,
        }
    }

    /// Both managers are in the reference's state.
    pub(super) fn agree(&mut self) {
        if !self.pair.reference.left_out {
            mem::swap(&mut self.pair.agreed, &mut self.pair.reference.state);
        }
    }
}
