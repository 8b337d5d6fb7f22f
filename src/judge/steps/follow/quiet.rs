//! Laws of serial runs on the driven reference: over every event that it raises, and over its state
//! whenever calls that overlapped have all returned, and at the end.

use vmadiff_contract::{CallKind, Event, Outcome, Snapshot, Stepped};

use crate::judge::laws::Broken;
use crate::judge::{Divergence, Laws, Side};

/// The reference's laws, with memory that is kept from race to race.
pub(super) struct Quiet {
    laws: Laws,
    state: Snapshot,
    /// Whether calls have overlapped since the last quiet point.
    overlapped: bool,
    /// The first broken law, with the call at which it was noticed.
    broken: Option<(usize, CallKind, Box<Broken>)>,
}

impl Default for Quiet {
    fn default() -> Self {
        Self {
            laws: Laws::new(None),
            state: Snapshot::default(),
            overlapped: false,
            broken: None,
        }
    }
}

impl Quiet {
    pub fn reset(&mut self) {
        self.laws.reset();
        (self.overlapped, self.broken) = (false, None);
    }

    /// Notes the begin of a call; `beside`: others are under way.
    pub fn begin(&mut self, beside: bool) {
        self.overlapped |= beside;
    }

    /// Takes an event that a call raised.
    pub fn event(&mut self, call: usize, kind: CallKind, event: &Event) {
        if self.broken.is_none() {
            self.laws.begin(Some(kind));
            let obeyed = self.laws.event(event);
            self.keep(call, kind, obeyed.err());
        }
    }

    /// Checks the state at a quiet point: `call` has returned, none is under way. A call that was alone is
    /// left to serial runs.
    pub fn rest(&mut self, call: usize, kind: CallKind, reference: &dyn Stepped) {
        if std::mem::take(&mut self.overlapped) {
            let mut state = std::mem::take(&mut self.state);
            reference.see(&mut state);
            self.settle(call, kind, &state);
            self.state = state;
        }
    }

    /// Checks a state in which no call is under way; `call` returned last.
    pub fn settle(&mut self, call: usize, kind: CallKind, state: &Snapshot) {
        if self.broken.is_none() {
            self.laws.begin(Some(kind));
            let obeyed = self.laws.settle(Outcome::NoTask, state);
            self.keep(call, kind, obeyed.err());
        }
    }

    fn keep(&mut self, call: usize, kind: CallKind, broken: Option<Box<Broken>>) {
        self.broken = broken.map(|broken| (call, kind, broken));
    }

    /// The first broken law, as a divergence.
    pub fn take_broken(&mut self) -> Option<Divergence> {
        let (call, kind, broken) = self.broken.take()?;
        Some(Divergence {
            at: Some(call),
            ..broken.diverges(Side::Reference, kind.name())
        })
    }
}
