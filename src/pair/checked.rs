//! A manager on the fast path: its laws are fed as events come, and nothing else is kept.

use vmadiff_contract::{
    Config, DesignInfo, Event, Manager, Moves, Outcome, Parts, Shown, Snapshot, View,
};

use crate::judge::{Broken, Digest, Laws};
use crate::program::Step;
use crate::run::{Instance, Make, Recorder, Seen, Watch};

/// The fast path found a mismatch; the caller runs again with full observations, which tell what
/// it is.
pub struct Mismatch;

impl From<Box<Broken>> for Mismatch {
    fn from(_: Box<Broken>) -> Self {
        Self
    }
}

/// A manager, and what is kept of it during a fast run.
pub struct Checked<M: ?Sized> {
    pub instance: Instance<M>,
    /// Boxed: states change places.
    pub state: Box<Snapshot>,
    pub laws: Laws,
    pub digest: Digest,
    /// The manager's numbers when it was looked at last.
    moves: Option<Moves>,
    /// What of the state may have moved between the last two looks.
    pub moved: Parts,
    /// Whether the last look was left out: what is shown is the state that both agreed on, or the
    /// other one's.
    pub left_out: bool,
    /// Room for a state that is looked at as a whole.
    whole: Snapshot,
}

impl<M: Manager + ?Sized> Checked<M> {
    /// By the laws of a design; none: by the reference's.
    pub fn new(make: Make<M>, design: Option<&'static DesignInfo>) -> Self {
        Self {
            instance: Instance::new(make),
            state: Box::default(),
            laws: Laws::new(design),
            digest: Digest::default(),
            moves: None,
            moved: Parts::ALL,
            left_out: false,
            whole: Snapshot::default(),
        }
    }

    /// Boots for the next program.
    pub fn reset(&mut self, config: &Config) {
        self.instance.reset(config);
        self.laws.reset();
        self.digest = Digest::default();
        (self.moves, self.left_out) = (None, false);
    }

    /// Looks at the whole state.
    pub fn snapshot(&mut self) {
        self.instance.manager.snapshot(&mut self.state);
        (self.moves, self.moved, self.left_out) = (None, Parts::ALL, false);
    }

    /// Looks at what may have moved of the state since the last look.
    pub fn look(&mut self) {
        let manager = &self.instance.manager;
        let now = manager.moves();
        self.moved = match (now, self.moves) {
            (Some(now), Some(before)) => now.since(before),
            _ => Parts::ALL,
        };
        manager.look_again(self.moved, &mut self.state);
        self.moves = now;
    }

    /// Looks at the parts that are shown, unless none of them has moved since the last look.
    pub fn look_if_moved(&mut self, shown: Parts) {
        let manager = &self.instance.manager;
        let now = manager.moves();
        self.left_out = match (now, self.moves) {
            (Some(now), Some(before)) => !now.since(before).meet(shown),
            _ => false,
        };
        self.moves = now;
        if !self.left_out {
            manager.look_again(shown, &mut self.state);
        }
    }

    /// Looks at the parts that are shown, unless they can be seen to be this state's.
    pub fn look_if_other(&mut self, shown: Parts, view: &View, other: &Snapshot) {
        let manager = &self.instance.manager;
        let areas_alone = Shown::AREAS.union(Shown::ERRORS).contains(view.shown()) && shown.areas;
        self.left_out = areas_alone && manager.is_seen_as(view, other) == Some(true);
        if !self.left_out {
            manager.look_again(shown, &mut self.state);
        }
    }

    /// Whether what the looks left out is as it was; a look has come after the last call.
    pub fn left_out_nothing(&mut self) -> bool {
        if self.moves.is_none() {
            return true;
        }
        self.instance.manager.snapshot(&mut self.whole);
        self.whole == *self.state
    }

    /// The whole state, whatever was looked at last, which stays as it is.
    pub fn look_at_all(&mut self) -> &Snapshot {
        self.instance.manager.snapshot(&mut self.whole);
        &self.whole
    }

    /// Makes a call, keeping its state, if that is looked at, and nothing else.
    pub fn call(
        &mut self,
        step: &Step,
        look: bool,
        watch: &mut impl Watch,
    ) -> Result<Outcome, Mismatch> {
        self.laws.begin(Some(step.call.kind()));
        let outcome = self.instance.call(step);
        if look {
            self.look();
        }
        let Self {
            state,
            laws,
            digest,
            ..
        } = self;
        Recorder::drain(|events| {
            watch.call(&Seen {
                step,
                outcome,
                events,
                state,
            });
            feed(events, laws, digest)
        })?;
        Ok(outcome)
    }

    /// Asks the laws about the state after a call.
    pub fn settle(&mut self, outcome: Outcome) -> Result<(), Mismatch> {
        Ok(self.laws.settle_moved(outcome, &self.state, self.moved)?)
    }

    /// Ends the run; `gone` says that all tasks were to have ended.
    pub fn quiesce(&mut self, gone: bool) -> Result<(), Mismatch> {
        self.laws.begin(None);
        self.instance.manager.quiesce();
        self.snapshot();
        Recorder::drain(|events| feed(events, &mut self.laws, &mut self.digest))?;
        if gone {
            self.laws.quiesced(&self.state)?;
        }
        Ok(())
    }
}

fn feed(events: &[Event], laws: &mut Laws, digest: &mut Digest) -> Result<(), Mismatch> {
    for event in events {
        laws.event(event)?;
        digest.event(event);
    }
    Ok(())
}
