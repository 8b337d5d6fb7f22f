//! The coarse laws of serial runs hold of the driven reference, too: of all that it raises, and of its
//! state where calls that overlapped have all returned, and at the end.

use vmadiff_contract::{CallKind, Event, Outcome, Snapshot, Stepped};

use crate::judge::laws::Broken;
use crate::judge::{Divergence, Laws, Side};

/// Judges one race of the reference after another; keeps its memory.
pub(super) struct Quiet {
    laws: Laws,
    state: Snapshot,
    /// Calls have overlapped since the last quiet point.
    overlapped: bool,
    /// The law that was broken first, and the call at which.
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

    /// A call begins, beside others or alone.
    pub fn begin(&mut self, beside: bool) {
        self.overlapped |= beside;
    }

    /// A call has raised this.
    pub fn event(&mut self, call: usize, kind: CallKind, event: &Event) {
        if self.broken.is_none() {
            self.laws.begin(Some(kind));
            let obeyed = self.laws.event(event);
            self.keep(call, kind, obeyed.err());
        }
    }

    /// This call has returned, and none is under way. One that was alone is what serial runs are judged by.
    pub fn rest(&mut self, call: usize, kind: CallKind, reference: &dyn Stepped) {
        if std::mem::take(&mut self.overlapped) {
            let mut state = std::mem::take(&mut self.state);
            reference.see(&mut state);
            self.settle(call, kind, &state);
            self.state = state;
        }
    }

    /// No call is under way in this state, and this one has returned last.
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

    /// What was broken, if anything was.
    pub fn take_broken(&mut self) -> Option<Divergence> {
        let (call, kind, broken) = self.broken.take()?;
        Some(Divergence {
            at: Some(call),
            ..broken.diverges(Side::Reference, kind.name())
        })
    }
}
