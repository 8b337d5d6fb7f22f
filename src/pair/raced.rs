//! Races of managers of which not all is compared: the calls must answer, and leave, what they would
//! one after another in some order that keeps real time. The reference tries the orders.

use super::orders::Orders;
use super::{AT_BOOT, AT_DROP, Pair, Ran, TWICE_IN, nondeterminism, working};
use crate::compare::{Passed, narrow};
use crate::judge::{Divergence, Rule, Side, Signature, Verdict};
use crate::program::Program;
use crate::run::{Watch, Woven, caught};

impl Pair {
    /// Runs a race; none if all is well.
    pub(super) fn run_raced(
        &mut self,
        program: &Program,
        watch: &mut impl Watch,
    ) -> Option<Box<Ran>> {
        let mut first = self.observe_raced(program, watch);
        for passed in &first.known {
            self.tally.count(passed);
        }
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
        let program = &*self.terms.world.on_machine(program);
        let interleaved = self.interleaved();
        watch.begin(&program.config);
        let weaver = &mut interleaved.weaver;
        working::on_race();
        // Panics of calls are told of a race; what unwinds further is one of its boot, or of its end.
        let ran = caught(|| {
            let woven = weaver.weave(program, known, watch.pairs());
            watch.woven(program, woven);
            woven.clone()
        });
        let mut woven = match ran {
            Ok(woven) => woven,
            Err(message) => {
                let at = if weaver.was_closing() {
                    AT_DROP
                } else {
                    AT_BOOT
                };
                weaver.renew();
                working::on_nothing();
                return self.panicked_at(at, &message);
            }
        };
        working::on_drop();
        let dropped = caught(|| weaver.close()).err();
        working::on_nothing();
        if dropped.is_some() {
            weaver.renew();
        }
        let ended = interleaved.alone.judge_end(program, &woven);
        narrow(&view, &mut woven.state);
        narrow(&view, &mut woven.last);
        let (verdict, known) = match ended {
            Err(divergence) => (Verdict::Diverge(*divergence), None),
            Ok(()) => self.explain(program, &woven),
        };
        if let (Verdict::Agree, Some(message)) = (&verdict, &dropped) {
            return Ran {
                woven: Some(Box::new(woven)),
                ..self.panicked_at(AT_DROP, message)
            };
        }
        Ran {
            verdict,
            known: known.into_iter().collect(),
            woven: Some(Box::new(woven)),
            ..self.skipped(String::new())
        }
    }

    /// What is said of a candidate that panicked outside of all calls.
    pub(super) fn panicked_at(&self, call: &'static str, message: &str) -> Ran {
        let signature = Signature {
            rule: Rule::Panic,
            call,
            field: "panic",
        };
        let side = Side::Candidate;
        let what = format!("the {side} panicked: {message}");
        Ran {
            verdict: Verdict::Diverge(Divergence {
                side: Some(side),
                ..Divergence::of(signature, what)
            }),
            ..self.skipped(String::new())
        }
    }

    /// Looks for an order of the calls that explains a run. Where none does, and one on the way to it
    /// has a difference that is known, the comparison ends there as known.
    fn explain(&mut self, program: &Program, woven: &Woven) -> (Verdict, Option<Passed>) {
        let mut search = Orders::new(self, program, woven);
        if search.explains() {
            return (Verdict::Agree, None);
        }
        if search.known.is_some() {
            return (Verdict::Agree, search.known);
        }
        let verdict = if search.gave_up() {
            Verdict::Skip("its calls have more orders than are tried".to_owned())
        } else {
            Verdict::Diverge(search.divergence())
        };
        (verdict, None)
    }
}
