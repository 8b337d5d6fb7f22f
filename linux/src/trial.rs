//! Puts a manager on trial: the same calls, and what differs from the running kernel.

mod hearing;
mod settled;

use std::fmt;
use std::sync::Arc;

use hearing::{Hearing, Ruling};
pub use settled::Settled;
use vmadiff_contract::{
    Call, Capabilities, Config, Event, EventSink, Fail, Manager, Outcome, Snapshot, TaskId, View,
};

use crate::diff::Difference;
use crate::known::{Known, Merges};
use crate::run::{Linux, Look, Stopped};
use crate::seen::Seen;

/// What came of a trial.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Nothing differs that is not known.
    Agrees {
        /// The known differences that showed.
        known: Vec<&'static Known>,
        /// Index of the call with which the comparison ended before the program did: after a known
        /// difference, or because the kernel had more room for it than the program's world has.
        until: Option<usize>,
        /// What the manager said to the calls that were compared.
        said: Vec<Outcome>,
        /// Known differences that stay.
        settled: Settled,
    },
    /// A difference that nothing explains.
    Differs(Finding),
}

/// A difference, and where it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Index of the call after which it shows; none: at the end.
    pub call: Option<usize>,
    /// What differs.
    pub difference: Difference,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.call {
            Some(index) => write!(f, "call {}: {}", index + 1, self.difference),
            None => write!(f, "at the end: {}", self.difference),
        }
    }
}

/// How closely to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closeness {
    /// When the state is looked at.
    pub look: Look,
    /// What is compared.
    pub view: View,
}

/// A manager and the running kernel.
pub struct Trial {
    /// The kernel.
    pub linux: Linux,
    manager: Box<dyn Manager>,
    snapshot: Snapshot,
}

/// Boots the manager that is on trial, as [`Manager::boot`] does.
pub type Boot = fn(&Config, Arc<dyn EventSink>) -> Box<dyn Manager>;

struct Deaf;

impl EventSink for Deaf {
    fn event(&self, _: Event) {}
}

impl Trial {
    /// A manager that is booted so against the kernel.
    pub fn new(linux: Linux, boot: Boot) -> Self {
        let manager = boot(&Config::default(), Arc::new(Deaf));
        let snapshot = Snapshot::default();
        Self {
            linux,
            manager,
            snapshot,
        }
    }

    /// The calls that the manager knows: others are no matter of a trial.
    pub fn supports(&self) -> Capabilities {
        self.manager.supports()
    }

    /// Runs a program on both and compares. If something differs without a look after each call,
    /// it runs again with one: the first difference in the state comes before its consequences.
    ///
    /// # Errors
    /// If the program can not be run here, or the harness fails.
    pub fn judge(
        &mut self,
        config: &Config,
        calls: &[(TaskId, Call)],
        how: Closeness,
    ) -> Result<Verdict, Stopped> {
        let look = Look::EachCall;
        let finding = match self.once(config, calls, how)? {
            Verdict::Differs(finding) if how.look != look => finding,
            verdict => return Ok(verdict),
        };
        match self.once(config, calls, Closeness { look, ..how })? {
            Verdict::Agrees {
                until: None,
                settled,
                ..
            } if !settled.holds(&finding) => Ok(Verdict::Differs(finding)),
            placed => Ok(placed),
        }
    }

    fn once(
        &mut self,
        config: &Config,
        calls: &[(TaskId, Call)],
        how: Closeness,
    ) -> Result<Verdict, Stopped> {
        let run = self.linux.run(config, calls, how.look)?;
        self.manager.reset(config);
        let mut hearing = Hearing {
            machine: self.linux.machine(),
            config,
            calls,
            answers: &run.answers,
            said: Vec::with_capacity(calls.len()),
            known: Vec::new(),
            settled: Settled::default(),
            merges: Merges::default(),
            strict: !how.view.joins(),
        };
        let nothing = Seen::default();
        let mut before = None;
        if how.look == Look::EachCall {
            self.manager.snapshot(&mut self.snapshot);
            before = Some(Seen::of(&self.snapshot));
        }
        for (index, &(task, call)) in calls.iter().enumerate() {
            hearing
                .said
                .push(self.manager.call(task, &call, Fail::NONE));
            let last = index.checked_sub(1);
            let theirs = last.and_then(|last| run.seen.get(last));
            let earlier = before
                .as_ref()
                .map(|ours| (ours, theirs.unwrap_or(&nothing)));
            let mut ruling = hearing.answer(index, earlier);
            if matches!(ruling, Ruling::Differs(_)) {
                hearing.declined()?;
                self.manager.snapshot(&mut self.snapshot);
                hearing.room(self.linux.own_pages(), &self.snapshot)?;
                if hearing.sees_known(earlier, &self.snapshot) {
                    ruling = Ruling::GoOn;
                }
            }
            if how.look == Look::EachCall && matches!(ruling, Ruling::GoOn) {
                self.manager.snapshot(&mut self.snapshot);
                let (ours, theirs) = (Seen::of(&self.snapshot), &run.seen[index]);
                hearing.follow(&self.snapshot);
                ruling = hearing.state(Some(index), &ours, theirs, how.view);
                before = Some(ours);
            }
            match ruling {
                Ruling::GoOn => {}
                Ruling::End => return Ok(hearing.agrees(Some(index))),
                Ruling::Differs(finding) => return Ok(Verdict::Differs(finding)),
            }
        }
        if how.look == Look::AtEnd {
            self.manager.snapshot(&mut self.snapshot);
            let ours = Seen::of(&self.snapshot);
            if let Ruling::Differs(finding) = hearing.state(None, &ours, &run.seen[0], how.view) {
                return Ok(Verdict::Differs(finding));
            }
        }
        Ok(hearing.agrees(None))
    }
}
