//! A manager on the fast path: its laws are fed as events come, and nothing else is kept.

use vmadiff_contract::{Config, DesignInfo, Event, Manager, Moves, Outcome, Parts, Snapshot};

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
            whole: Snapshot::default(),
        }
    }

    /// Boots for the next program.
    pub fn reset(&mut self, config: &Config) {
        self.instance.reset(config);
        self.laws.reset();
        self.digest = Digest::default();
        self.moves = None;
    }

    /// Looks at the whole state.
    pub fn snapshot(&mut self) {
        self.instance.manager.snapshot(&mut self.state);
        (self.moves, self.moved) = (None, Parts::ALL);
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

    /// Whether what the looks left out is as it was; a look has come after the last call.
    pub fn left_out_nothing(&mut self) -> bool {
        if self.moves.is_none() {
            return true;
        }
        self.instance.manager.snapshot(&mut self.whole);
        self.whole == *self.state
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
