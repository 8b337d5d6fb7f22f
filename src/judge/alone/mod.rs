//! What a woven run must obey by itself, whatever another manager does: how it ended, what calls
//! left behind, and the laws of free events over all that was raised, in the order it happened.

mod readers;

use vmadiff_contract::{CallKind, DesignInfo, Event, Frees, Outcome};
use vmadiff_interleave::sim::{End, Left, Leftover, What};

use self::readers::Readers;
use super::laws::Broken;
use super::{Divergence, Laws, Rule, Side};
use crate::program::Program;
use crate::run::{Panic, Raised, Woven};

type Judged = Result<(), Box<Divergence>>;

/// Judges woven runs by the rules that need no reference; keeps its memory from run to run.
pub struct Alone {
    laws: Laws,
    /// Where VMAs wait for readers.
    readers: Option<Readers>,
}

impl Alone {
    /// Of managers of this design.
    pub fn new(design: &'static DesignInfo) -> Self {
        Self {
            laws: Laws::new(Some(design)),
            readers: (design.frees == Frees::AfterReaders).then(Readers::default),
        }
    }

    /// Judges how a run ended and what its calls left behind, and no event or state.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn judge_end(&self, program: &Program, woven: &Woven) -> Result<(), Box<Divergence>> {
        let trial = Trial { program, woven };
        trial.returned()?;
        trial.panicked()?;
        trial.leftovers()?;
        trial.end()
    }

    /// Judges a run.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn judge(&mut self, program: &Program, woven: &Woven) -> Result<(), Box<Divergence>> {
        let Self { laws, readers } = self;
        let trial = Trial { program, woven };
        laws.reset();
        if let Some(readers) = readers {
            readers.reset();
        }
        trial.raised(laws, readers.as_mut())?;
        trial.returned()?;
        trial.panicked()?;
        trial.leftovers()?;
        trial.end()?;
        trial.rest(laws)
    }
}

/// A run on trial.
struct Trial<'a> {
    program: &'a Program,
    woven: &'a Woven,
}

/// Where in the run an objection arises.
#[derive(Clone, Copy)]
struct Place {
    at: Option<usize>,
    call: &'static str,
    step: Option<usize>,
    event: Option<usize>,
}

impl Trial<'_> {
    /// All that was raised while calls ran.
    fn raised(&self, laws: &mut Laws, mut readers: Option<&mut Readers>) -> Judged {
        for (index, raised) in self.woven.events.iter().enumerate() {
            let call = raised.call.map(|call| self.kind(call as usize));
            laws.begin(call);
            let mut obeyed = laws.event(&raised.event);
            if let (Ok(()), Some(readers)) = (&obeyed, &mut readers) {
                obeyed = readers.event(&self.woven.trace, raised);
            }
            obeyed.map_err(|broken| self.during(raised, index).broken(*broken))?;
        }
        Ok(())
    }

    /// Calls that got nowhere.
    fn returned(&self) -> Judged {
        for (at, outcome) in self.woven.outcomes.iter().enumerate() {
            if *outcome == Some(Outcome::Livelock) {
                let what = "the fault is served again and again".to_owned();
                return Err(self.place(Some(at)).breaks(Rule::Livelock, "fault", what));
            }
        }
        Ok(())
    }

    fn panicked(&self) -> Judged {
        match &self.woven.panicked {
            None => Ok(()),
            Some(Panic { at, message }) => {
                let what = format!("a task panicked: {message}");
                Err(self.place(*at).breaks(Rule::Panic, "panic", what))
            }
        }
    }

    /// What calls left behind.
    fn leftovers(&self) -> Judged {
        let Some(leftover) = self.woven.trace.leftovers().first() else {
            return Ok(());
        };
        let Leftover {
            step,
            task,
            call,
            what,
        } = *leftover;
        let (rule, field, left) = match what {
            Left::Lock { taken_at, .. } => {
                let site = taken_at.map_or("somewhere", |site| site.name);
                (Rule::LockLeft, site, format!("the lock taken at {site}"))
            }
            Left::ReadSection => {
                let left = "an RCU read section open".to_owned();
                (Rule::SectionLeft, "section", left)
            }
            Left::InterruptsOff => (Rule::InterruptsLeft, "interrupts", "interrupts off".into()),
        };
        let place = Place {
            step: Some(step),
            ..self.place(Some(call as usize))
        };
        let what = format!("task {task} returned and left {left}");
        Err(place.breaks(rule, field, what))
    }

    /// A run that did not finish.
    fn end(&self) -> Judged {
        let trace = &self.woven.trace;
        let step = Some(trace.steps().len().saturating_sub(1));
        match trace.end() {
            End::Finished => Ok(()),
            End::StepLimit => {
                let running = trace
                    .steps()
                    .last()
                    .and_then(|last| self.call_of(last.task));
                let what = format!("no end after {} scheduling points", trace.points());
                let place = Place {
                    step,
                    ..self.place(running)
                };
                Err(place.breaks(Rule::StepLimit, "points", what))
            }
            End::Deadlock(blocked) => {
                let first = blocked.first();
                let place = Place {
                    step,
                    ..self.place(
                        first
                            .and_then(|blocked| blocked.call)
                            .map(|call| call as usize),
                    )
                };
                let waits: Vec<_> = blocked.iter().map(ToString::to_string).collect();
                let field = first.map_or("nobody", |blocked| blocked.site.name);
                let what = format!("nobody can go on: {}", waits.join("; "));
                Err(place.breaks(Rule::Deadlock, field, what))
            }
        }
    }

    /// The state when all calls had returned, the exits, and quiescence.
    fn rest(&self, laws: &mut Laws) -> Judged {
        let woven = self.woven;
        let settled = laws.settle_woven(&woven.state);
        settled.map_err(|broken| self.place(None).at_rest().broken(*broken))?;
        for (number, exited) in woven.exits.iter().enumerate() {
            let place = self.place(Some(self.program.calls.len() + number));
            laws.begin(Some(CallKind::Exit));
            events(laws, place, &exited.seen.events)?;
            let settled = laws.settle(exited.seen.outcome, &exited.seen.state);
            settled.map_err(|broken| place.broken(*broken))?;
        }
        let place = self.place(None);
        laws.begin(None);
        events(laws, place, &woven.deferred)?;
        // Tasks that nobody was asked to end, since a manager knows no exit, leave things behind.
        if woven.exits.is_empty() && !woven.last.tasks.is_empty() {
            return Ok(());
        }
        let quiesced = laws.quiesced(&woven.last);
        quiesced.map_err(|broken| place.broken(*broken))
    }

    fn during(&self, raised: &Raised, index: usize) -> Place {
        let place = match raised.call {
            Some(call) => self.place(Some(call as usize)),
            None => Place {
                call: "softirq",
                ..self.place(None)
            },
        };
        Place {
            step: Some((raised.step as usize).saturating_sub(1)),
            event: Some(index),
            ..place
        }
    }

    fn place(&self, at: Option<usize>) -> Place {
        Place {
            at,
            call: at.map_or("quiescence", |at| self.kind(at).name()),
            step: None,
            event: None,
        }
    }

    /// Behind the program's calls come the exits that end every run.
    fn kind(&self, at: usize) -> CallKind {
        let step = self.program.calls.get(at);
        step.map_or(CallKind::Exit, |step| step.call.kind())
    }

    /// The call that a task was in when the run ended.
    fn call_of(&self, task: u8) -> Option<usize> {
        let steps = self.woven.trace.steps().iter().rev();
        let mut own = steps.filter(|step| step.task == task);
        own.find_map(|step| match step.what {
            What::Begin(call) => Some(call as usize),
            _ => None,
        })
    }
}

fn events(laws: &mut Laws, place: Place, events: &[Event]) -> Judged {
    for (index, event) in events.iter().enumerate() {
        let place = Place {
            event: Some(index),
            ..place
        };
        laws.event(event).map_err(|broken| place.broken(*broken))?;
    }
    Ok(())
}

impl Place {
    /// Between the last call and the first exit.
    fn at_rest(self) -> Self {
        Self {
            call: "rest",
            ..self
        }
    }

    #[cold]
    fn breaks(self, rule: Rule, field: &'static str, what: String) -> Box<Divergence> {
        self.broken(Broken {
            rule,
            object: None,
            after: None,
            field,
            what,
        })
    }

    fn broken(self, broken: Broken) -> Box<Divergence> {
        let Self {
            at,
            call,
            step,
            event,
        } = self;
        Box::new(Divergence {
            at,
            event,
            step,
            ..broken.diverges(Side::Candidate, call)
        })
    }
}
