//! Races of managers of which not all is compared: the calls must answer, and leave, what they would
//! one after another in some order that keeps real time. The reference tries the orders.

use vmadiff_contract::{Outcome, Snapshot};
use vmadiff_interleave::sim::What;

use super::{Pair, Ran, TWICE_IN, nondeterminism};
use crate::compare::{Shown, narrow};
use crate::judge::{Divergence, Rule, Side, Signature, Verdict, same_state, states_differ};
use crate::program::Program;
use crate::run::{Recorder, Watch, Woven};

/// Calls that the reference may make on the way to an order, over all attempts. A race of eight
/// calls that all overlap has fewer.
const TRIED_MAX: u32 = 1 << 20;

impl Pair {
    /// Runs a race; none if all is well.
    pub(super) fn run_raced(
        &mut self,
        program: &Program,
        watch: &mut impl Watch,
    ) -> Option<Box<Ran>> {
        let mut first = self.observe_raced(program, watch);
        if first.verdict == Verdict::Agree && !program.is_one_in(TWICE_IN) {
            return None;
        }
        if self.observe_raced(program, &mut ()) != first {
            let what = "the candidate does otherwise when the program runs again";
            first.verdict = Verdict::Diverge(nondeterminism(Some(Side::Candidate), what));
        }
        (first.verdict != Verdict::Agree).then(|| Box::new(first))
    }

    /// Runs a race once and judges it.
    pub(super) fn observe_raced(&mut self, program: &Program, watch: &mut impl Watch) -> Ran {
        let mut calls = program.calls.iter();
        if let Some(at) = calls.position(|step| !self.terms.world.has(step)) {
            return self.skipped(format!(
                "call {} is not had, and a race is run whole",
                at + 1
            ));
        }
        let (known, view) = (self.known, self.terms.view);
        let interleaved = self.interleaved();
        watch.begin(&program.config);
        let woven = interleaved.weaver.weave(program, known, watch.pairs());
        watch.woven(program, woven);
        let mut woven = woven.clone();
        let ended = interleaved.alone.judge_end(program, &woven);
        narrow(&view, &mut woven.state);
        narrow(&view, &mut woven.last);
        let verdict = match ended {
            Err(divergence) => Verdict::Diverge(*divergence),
            Ok(()) => self.explain(program, &woven),
        };
        Ran {
            verdict,
            woven: Some(Box::new(woven)),
            ..self.skipped(String::new())
        }
    }

    /// Looks for an order of the calls that explains a run.
    fn explain(&mut self, program: &Program, woven: &Woven) -> Verdict {
        // Of a race without calls the only order is the empty one, which leaves what there is at boot.
        self.reference.reset(&program.config);
        Recorder::clear();
        let mut search = Orders {
            before: before(program.calls.len(), woven),
            program,
            woven,
            order: Vec::new(),
            tried: 0,
            furthest: Vec::new(),
            state: None,
            pair: self,
        };
        if search.explains() {
            return Verdict::Agree;
        }
        if search.tried >= TRIED_MAX {
            return Verdict::Skip("its calls have more orders than are tried".to_owned());
        }
        Verdict::Diverge(search.divergence())
    }
}

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
struct Orders<'a> {
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
}

impl Orders<'_> {
    fn explains(&mut self) -> bool {
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
            if self.tried >= TRIED_MAX {
                return false;
            }
        }
        false
    }

    /// Has the reference make the calls of the order. Whether the last one answers what it did in
    /// the race.
    fn answers_so_far(&mut self) -> bool {
        let errors = self.pair.terms.view.shows(Shown::ERRORS);
        self.pair.reference.reset(&self.program.config);
        let mut same = true;
        for &call in &self.order {
            self.tried += 1;
            let step = &self.program.calls[call];
            let Some(theirs) = self.woven.outcomes[call] else {
                return false;
            };
            let told = self.pair.terms.second(step, theirs);
            let ours = if self.pair.known.makes(&step.call) {
                self.pair.reference.instance.call(&told)
            } else {
                Outcome::Unsupported
            };
            let both_fail = matches!((ours, theirs), (Outcome::Errno(_), Outcome::Errno(_)));
            same = ours == theirs || (!errors && both_fail);
        }
        Recorder::clear();
        same
    }

    /// Whether the reference was left in the same state.
    fn leaves(&mut self) -> bool {
        let view = self.pair.terms.view;
        self.pair.reference.snapshot();
        narrow(&view, &mut self.pair.reference.state);
        let same = same_state(&self.pair.reference.state, &self.woven.state);
        if self.state.is_none() {
            self.state = Some(Snapshot::clone(&self.pair.reference.state));
        }
        same
    }

    /// What is said if no order explains the run: of the first order that gives the answers the
    /// state that differs; otherwise the call that no order gives the answer of.
    fn divergence(&self) -> Divergence {
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
