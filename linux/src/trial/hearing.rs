//! One trial: what both sides said and show, and what it comes to.

use vmadiff_contract::{Call, Config, MmId, Outcome, Snapshot, TaskId, View};

use super::{Finding, Settled, Verdict};
use crate::diff::{Difference, Field, differences};
use crate::fit::{Unfit, leaves_room};
use crate::known::{Context, Known, Merges, explain};
use crate::machine::Machine;
use crate::run::Stopped;
use crate::seen::{Answer, Seen};

/// What a difference, or none, means for the rest of the trial.
pub(super) enum Ruling {
    GoOn,
    End,
    Differs(Finding),
}

/// A trial under way.
pub(super) struct Hearing<'a> {
    pub machine: &'a Machine,
    pub config: &'a Config,
    pub calls: &'a [(TaskId, Call)],
    pub answers: &'a [Answer],
    pub said: Vec<Outcome>,
    pub known: Vec<&'static Known>,
    pub settled: Settled,
    /// What only Linux merged, in the states so far.
    pub merges: Merges,
    /// Boundaries are compared: they remember every state that was different once.
    pub strict: bool,
}

impl Hearing<'_> {
    /// Compares the answers to a call.
    pub fn answer(&mut self, index: usize, before: Option<(&Seen, &Seen)>) -> Ruling {
        let (said, answer) = (Answer::Known(self.said[index]), &self.answers[index]);
        if *answer == said {
            return Ruling::GoOn;
        }
        let what = format!("{said}, Linux {answer}");
        let difference = Difference::new(Field::Answer, (0, 0), what);
        let ruling = self.weigh(Some(index), None, before, difference);
        match ruling {
            Ruling::Differs(_) if matches!(answer, Answer::Elsewhere(_)) => Ruling::End,
            ruling => ruling,
        }
    }

    /// An error if Linux refused the last call for want of room that the agent's own pages take.
    pub fn room(&self, own_pages: u64, after: &Snapshot) -> Result<(), Stopped> {
        let index = self.said.len() - 1;
        let (calls, both) = (
            &self.calls[..=index],
            (self.said[index], &self.answers[index]),
        );
        let mm = space_of(after, calls[index].0);
        let locked = after.mms.iter().find(|state| Some(state.mm) == mm);
        let locked = locked.map_or(0, |state| state.locked_pages);
        let call = Some(index);
        leaves_room(self.machine, own_pages, calls, both, locked)
            .map_err(|why| Stopped::Unfit { call, why })
    }

    /// An error if the last call asked for a step of the kernel, and what came of it is not what reclaim
    /// of its own accord would do: MADV_PAGEOUT passes over some pages that reclaim takes, and of pages
    /// that several processes map it takes one entry away even where another process has locked them.
    pub fn declined(&self) -> Result<(), Stopped> {
        let index = self.said.len() - 1;
        let is_step = matches!(self.calls[index].1, Call::Reclaim { .. });
        let may_be_shared = self.calls[..index]
            .iter()
            .any(|(_, call)| matches!(call, Call::Fork));
        let why = match (self.said[index], &self.answers[index]) {
            (Outcome::Value(1), Answer::Known(Outcome::Value(0))) => {
                "the kernel was asked to swap this page out, and kept it"
            }
            (Outcome::Value(0), Answer::Known(Outcome::Value(1))) if may_be_shared => {
                "the kernel swaps this page out on request, though not of its own accord"
            }
            _ => return Ok(()),
        };
        if !is_step {
            return Ok(());
        }
        Err(Stopped::Unfit {
            call: Some(index),
            why: Unfit(why.into()),
        })
    }

    /// Whether the last call is an mincore that sees what is known of pages, and nothing else.
    pub fn sees_known(&mut self, before: Option<(&Seen, &Seen)>, after: &Snapshot) -> bool {
        let index = self.said.len() - 1;
        let (task, call) = self.calls[index];
        let answers = (self.said[index], &self.answers[index]);
        match (call, answers, before, space_of(after, task)) {
            (
                Call::Mincore { addr, len },
                (Outcome::Value(said), &Answer::Known(Outcome::Value(is))),
                Some(seen),
                Some(mm),
            ) => {
                let range = addr..addr.saturating_add(len);
                self.settled.asked(index, (mm.0, range), seen, (said, is))
            }
            _ => false,
        }
    }

    /// What is known of pages goes along when the last call moved them.
    pub fn follow(&mut self, after: &Snapshot) {
        let index = self.said.len() - 1;
        let (task, call) = self.calls[index];
        let (Call::Mremap { addr, old_len, .. }, Outcome::Value(to)) = (call, self.said[index])
        else {
            return;
        };
        let Some(mm) = space_of(after, task) else {
            return;
        };
        let from = addr..addr.saturating_add(old_len);
        self.settled.moved(mm.0, &from, to);
        self.merges.moved(mm.0, &from, to);
    }

    /// Compares states.
    pub fn state(&mut self, call: Option<usize>, ours: &Seen, theirs: &Seen, view: View) -> Ruling {
        let mut worst = Ruling::GoOn;
        for difference in differences(ours, theirs, view) {
            let over = self.strict && !self.known.is_empty();
            if over && difference.field == Field::Boundary {
                break; // boundaries come last, and follow from what differs already
            }
            match self.weigh(call, Some((ours, theirs)), None, difference) {
                Ruling::GoOn => {}
                Ruling::End => worst = Ruling::End,
                differs @ Ruling::Differs(_) => return differs,
            }
        }
        self.merges.note(ours, theirs);
        worst
    }

    fn weigh(
        &mut self,
        call: Option<usize>,
        seen: Option<(&Seen, &Seen)>,
        before: Option<(&Seen, &Seen)>,
        difference: Difference,
    ) -> Ruling {
        let is_page = difference.field == Field::Page;
        if is_page && self.settled.has(difference.at) {
            return Ruling::GoOn;
        }
        let context = Context {
            machine: self.machine,
            config: self.config,
            calls: &self.calls[..self.said.len()],
            said: &self.said,
            answers: &self.answers[..self.said.len()],
            placed: call.is_some(),
            seen,
            before,
            merges: &self.merges,
            difference: &difference,
        };
        let Some(known) = explain(&context) else {
            return Ruling::Differs(Finding { call, difference });
        };
        if !self.known.iter().any(|other| other.name == known.name) {
            self.known.push(known);
        }
        let over = seen.is_some() && self.strict && call.is_some();
        if known.goes_on && !over {
            if is_page {
                self.settled.page(difference.at);
            }
            Ruling::GoOn
        } else {
            Ruling::End
        }
    }

    pub fn agrees(self, until: Option<usize>) -> Verdict {
        Verdict::Agrees {
            known: self.known,
            until,
            said: self.said,
            settled: self.settled,
        }
    }
}

/// The address space of a task that lives.
fn space_of(snapshot: &Snapshot, task: TaskId) -> Option<MmId> {
    let mut tasks = snapshot.tasks.iter();
    tasks.find(|state| state.task == task).map(|state| state.mm)
}
