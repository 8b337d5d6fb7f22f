//! A manager on the fast path: its laws are fed as events come, and nothing else is kept.

use vmadiff_contract::{Config, DesignInfo, Event, Manager, Outcome, Snapshot};

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
    pub state: Snapshot,
    pub laws: Laws,
    pub digest: Digest,
}

impl<M: Manager + ?Sized> Checked<M> {
    /// By the laws of a design; none: by the reference's.
    pub fn new(make: Make<M>, design: Option<&'static DesignInfo>) -> Self {
        Self {
            instance: Instance::new(make),
            state: Snapshot::default(),
            laws: Laws::new(design),
            digest: Digest::default(),
        }
    }

    /// Boots for the next program.
    pub fn reset(&mut self, config: &Config) {
        self.instance.reset(config);
        self.laws.reset();
        self.digest = Digest::default();
    }

    /// Looks at the state.
    pub fn snapshot(&mut self) {
        self.instance.manager.snapshot(&mut self.state);
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
            self.snapshot();
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
        Ok(self.laws.settle(outcome, &self.state)?)
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
