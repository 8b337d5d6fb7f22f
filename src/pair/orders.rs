//! Orders of the whole calls of a race, which the reference tries one after another.

use vmadiff_contract::{Outcome, Snapshot};
use vmadiff_interleave::sim::What;

use super::Pair;
use crate::compare::{Difference, Passed, Shown, narrow};
use crate::judge::{Divergence, Rule, Signature, answers_differ, same_state, states_differ};
use crate::program::Program;
use crate::run::{Recorder, Woven};

/// Calls that the reference may make on the way to an order, over all attempts. A race of eight
/// calls that all overlap has fewer.
const TRIED_MAX: u32 = 1 << 20;

/// For each call, those that had ended when it began.
fn before(calls: usize, woven: &Woven) -> Vec<Vec<usize>> {
    let mut ended = Vec::new();
    let mut before = vec![Vec::new(); calls];
    for step in woven.trace.steps() {
        match step.what {
            What::Begin(call) => before[call as usize].clone_from(&ended),
            What::End(call) => ended.push(call as usize),
            _ => {}
        }
    }
    before
}

/// A search for an order, depth first.
pub(super) struct Orders<'a> {
    pair: &'a mut Pair,
    program: &'a Program,
    woven: &'a Woven,
    before: Vec<Vec<usize>>,
    /// Calls that the reference has made, in order.
    order: Vec<usize>,
    tried: u32,
    /// The longest order whose answers are all right.
    furthest: Vec<usize>,
    /// What the reference was left in by an order of all calls, with the right answers.
    state: Option<Snapshot>,
    /// The first known difference that an order met.
    pub(super) known: Option<Passed>,
}

impl<'a> Orders<'a> {
    /// Of a race that was run.
    pub(super) fn new(pair: &'a mut Pair, program: &'a Program, woven: &'a Woven) -> Self {
        // Of a race without calls the only order is the empty one, which leaves what there is at boot.
        pair.reference.reset(&program.config);
        Recorder::clear();
        Self {
            before: before(program.calls.len(), woven),
            program,
            woven,
            order: Vec::new(),
            tried: 0,
            furthest: Vec::new(),
            state: None,
            known: None,
            pair,
        }
    }

    /// Whether the search ended before all orders were tried.
    pub(super) fn gave_up(&self) -> bool {
        self.tried >= TRIED_MAX
    }

    /// Whether some order explains the race.
    pub(super) fn explains(&mut self) -> bool {
        if self.order.len() > self.furthest.len() {
            self.furthest.clone_from(&self.order);
        }
        if self.order.len() == self.program.calls.len() {
            return self.leaves();
        }
        for next in 0..self.program.calls.len() {
            let placed = |call: &usize| self.order.contains(call);
            if placed(&next) || !self.before[next].iter().all(placed) {
                continue;
            }
            self.order.push(next);
            let fits = self.answers_so_far();
            if fits && self.explains() {
                return true;
            }
            self.order.pop();
            if self.gave_up() {
                return false;
            }
        }
        false
    }

    /// Has the reference make the calls of the order. Whether the last one answers what it did in
    /// the race; those before it did.
    fn answers_so_far(&mut self) -> bool {
        let errors = self.pair.terms.view.shows(Shown::ERRORS);
        let answers = self.replay(self.order.len());
        let same = match answers {
            None => false,
            Some([ours, theirs]) if ours == theirs => true,
            Some([Outcome::Errno(_), Outcome::Errno(_)]) if !errors => true,
            Some(answers) => {
                self.look_for_known(answers);
                false
            }
        };
        Recorder::clear();
        same
    }

    /// Has the reference, from its start, make so many calls of the order. What it and the candidate
    /// answer to the last one; none: it never answered in the race, or there is none.
    fn replay(&mut self, calls: usize) -> Option<[Outcome; 2]> {
        self.pair.reference.reset(&self.program.config);
        let mut answers = None;
        for &call in &self.order[..calls] {
            self.tried += 1;
            let step = &self.program.calls[call];
            let theirs = self.woven.outcomes[call]?;
            let told = self.pair.terms.second(step, theirs);
            let ours = if self.pair.known.makes(&step.call) {
                self.pair
                    .reference_makes(step, told.as_ref().unwrap_or(step))
            } else {
                Outcome::Unsupported
            };
            answers = Some([ours, theirs]);
        }
        answers
    }

    /// Asks whether the answers of the order's last call differ in a way that is known. What the candidate
    /// was left in between two calls of a race nobody has seen: the reference's states stand for it.
    fn look_for_known(&mut self, [reference, candidate]: [Outcome; 2]) {
        let Some(&call) = self.order.last() else {
            return;
        };
        let program = self.program;
        let step = &program.calls[call];
        let differ = answers_differ(step.call.kind(), reference, candidate);
        let Some((field, what)) = differ.filter(|_| self.wants_known()) else {
            return;
        };
        let after = self.left();
        self.replay(self.order.len() - 1);
        let before = self.left();
        self.ask_known(
            call,
            &Difference {
                rule: Rule::Outcome,
                field,
                what: &what,
                step,
                reference,
                candidate,
                before: &before,
                ours: &after,
                theirs: &after,
                kept_apart: false,
            },
        );
    }

    /// Asks of each call of an order with the right answers whether it is known to leave the state
    /// otherwise: nobody has seen which of them did.
    fn look_for_known_of(&mut self, state: &Snapshot) {
        let (program, woven) = (self.program, self.woven);
        let Some((field, what)) = states_differ(state, &woven.state) else {
            return;
        };
        for made in 0..self.order.len() {
            let at = self.order[made];
            let Some(answer) = woven.outcomes[at].filter(|_| self.wants_known()) else {
                return;
            };
            self.replay(made);
            let before = self.left();
            self.ask_known(
                at,
                &Difference {
                    rule: Rule::State,
                    field,
                    what: &what,
                    step: &program.calls[at],
                    reference: answer,
                    candidate: answer,
                    before: &before,
                    ours: state,
                    theirs: &woven.state,
                    kept_apart: false,
                },
            );
        }
        Recorder::clear();
    }

    fn wants_known(&self) -> bool {
        self.known.is_none() && !self.pair.terms.known.is_empty()
    }

    fn ask_known(&mut self, at: usize, difference: &Difference<'_>) {
        let known = self.pair.terms.explain(difference.step, difference);
        self.known = known.map(|known| Passed {
            at,
            name: known.name,
            went_on: false,
        });
    }

    /// What the reference was left in, as the view has it.
    fn left(&mut self) -> Snapshot {
        self.pair.reference.snapshot();
        let mut state = Snapshot::clone(&self.pair.reference.state);
        narrow(&self.pair.terms.view, &mut state);
        state
    }

    /// Whether the reference was left in the same state.
    fn leaves(&mut self) -> bool {
        let state = self.left();
        let same = same_state(&state, &self.woven.state);
        if !same && self.wants_known() {
            self.look_for_known_of(&state);
        }
        self.state.get_or_insert(state);
        same
    }

    /// What is said if no order explains the run: of the first order that gives the answers the
    /// state that differs; otherwise the call that no order gives the answer of.
    pub(super) fn divergence(&self) -> Divergence {
        let calls = &self.program.calls;
        let differ = self.state.as_ref();
        let differ = differ.and_then(|state| states_differ(state, &self.woven.state));
        let (rule, call, at, what) = match differ {
            Some((_, what)) => {
                let what = format!("no order of the calls leaves this: of the first one, {what}");
                (Rule::State, "race", None, what)
            }
            None => {
                let left = (0..calls.len()).find(|call| !self.furthest.contains(call));
                let name = left.map_or("race", |call| calls[call].call.kind().name());
                let what = "no order of the calls gives the answers that they gave".to_owned();
                (Rule::Outcome, name, left, what)
            }
        };
        let field = "order";
        Divergence {
            at,
            ..Divergence::of(Signature { rule, call, field }, what)
        }
    }
}
