//! Puts a manager on trial: the same calls, and what differs from the running kernel.

use std::fmt;
use std::sync::Arc;

use vmadiff_contract::{Call, Config, Event, EventSink, Fail, Manager, Outcome, Snapshot, TaskId};

use crate::diff::{Areas, Field, difference};
use crate::differences::{Context, KnownDifference, explain};
use crate::run::{Linux, Look, Stopped};
use crate::view::{Answer, View};

/// What came of a trial.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Nothing differs.
    Agree,
    /// Nothing differs before this call, which the kernel had more room for than the program's
    /// world has: what follows is not comparable.
    AgreeUntil(usize),
    /// A difference that newer kernels are known to have.
    Known(&'static KnownDifference, Finding),
    /// A difference that nothing explains.
    Differs(Finding),
}

/// A difference, and where it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Index of the call after which it shows; none: at the end.
    pub call: Option<usize>,
    /// Of what.
    pub field: Field,
    /// What the manager says and what Linux says.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.what)
    }
}

/// How closely to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closeness {
    /// When the state is looked at.
    pub look: Look,
    /// How areas are compared.
    pub areas: Areas,
}

/// A manager and the running kernel.
pub struct Trial<M> {
    /// The kernel.
    pub linux: Linux,
    manager: M,
    snapshot: Snapshot,
}

struct Deaf;

impl EventSink for Deaf {
    fn event(&self, _: Event) {}
}

impl<M: Manager> Trial<M> {
    /// A manager of this type against the kernel.
    pub fn new(linux: Linux) -> Self {
        let manager = M::new(&Config::default(), Arc::new(Deaf));
        let snapshot = Snapshot::default();
        Self {
            linux,
            manager,
            snapshot,
        }
    }

    /// Runs a program on both and compares. Of a difference in the state at the end, the call that
    /// caused it is found by looking again after each.
    ///
    /// # Errors
    /// If the program can not be run here, or the harness fails.
    pub fn judge(
        &mut self,
        config: &Config,
        calls: &[(TaskId, Call)],
        how: Closeness,
    ) -> Result<Verdict, Stopped> {
        let verdict = self.once(config, calls, how)?;
        let unplaced = match &verdict {
            Verdict::Known(_, finding) | Verdict::Differs(finding) => finding.call.is_none(),
            Verdict::Agree | Verdict::AgreeUntil(_) => false,
        };
        if !unplaced {
            return Ok(verdict);
        }
        let look = Look::EachCall;
        match self.once(config, calls, Closeness { look, ..how })? {
            Verdict::Agree | Verdict::AgreeUntil(_) => Ok(verdict),
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
        let mut past = Past::default();
        for (index, &(task, call)) in calls.iter().enumerate() {
            let said = self.manager.call(task, &call, Fail::NONE);
            past.outcomes.push(said);
            let answer = &run.answers[index];
            if matches!(answer, Answer::Elsewhere(_)) {
                return Ok(Verdict::AgreeUntil(index));
            }
            let finding = if *answer != Answer::Known(said) {
                let what = format!("{}, Linux {answer}", Answer::Known(said));
                let field = Field::Answer;
                Some((field, what))
            } else if how.look == Look::EachCall {
                self.compare(&run.views[index], how.areas)
            } else {
                None
            };
            if let Some((field, what)) = finding {
                let call = Some(index);
                let finding = Finding { call, field, what };
                return Ok(self.weigh(config, &calls[..=index], &past, &run.answers, finding));
            }
        }
        if how.look == Look::AtEnd
            && let Some((field, what)) = self.compare(&run.views[0], how.areas)
        {
            let finding = Finding {
                call: None,
                field,
                what,
            };
            return Ok(self.weigh(config, calls, &past, &run.answers, finding));
        }
        Ok(Verdict::Agree)
    }

    fn compare(&mut self, linux: &View, areas: Areas) -> Option<(Field, String)> {
        self.manager.snapshot(&mut self.snapshot);
        let found = difference(&View::of(&self.snapshot), linux, areas)?;
        let (mm, addr) = found.at;
        Some((found.field, format!("mm{mm} at {addr:#x}: {}", found.what)))
    }

    fn weigh(
        &self,
        config: &Config,
        calls: &[(TaskId, Call)],
        past: &Past,
        answers: &[Answer],
        finding: Finding,
    ) -> Verdict {
        let context = Context {
            machine: self.linux.machine(),
            config,
            calls,
            said: &past.outcomes,
            answers,
            finding: &finding,
        };
        match explain(&context) {
            Some(known) => Verdict::Known(known, finding),
            None => Verdict::Differs(finding),
        }
    }
}

/// What the manager said so far.
#[derive(Default)]
struct Past {
    outcomes: Vec<Outcome>,
}
