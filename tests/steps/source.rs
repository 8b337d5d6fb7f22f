//! The reference as the candidate: it is driven by a random schedule, and marks its own steps.

use std::sync::Arc;

use crate::judge::steps::{Item, Race, What, must_be_marked};
use vmadiff::program::Program;
use vmadiff::run::Recorder;
use vmadiff_contract::{
    About, Choice, Event, Fail, Mark, Offer, Outcome, PAGE_SIZE, PageState, Snapshot, StepKind,
    Stepped, Taken, TaskId, Told,
};
use vmadiff_reference::Reference;

/// A small generator of numbers.
pub struct Rng(pub u64);

impl Rng {
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) as usize % n.max(1)
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// A race that the reference has made with itself.
#[derive(Clone)]
pub struct Recorded {
    pub program: Program,
    pub items: Vec<Item>,
    pub outcomes: Vec<Option<Outcome>>,
    pub life: Vec<(u32, Event)>,
    pub state: Snapshot,
}

impl Recorded {
    pub fn race(&self) -> Race<'_> {
        Race {
            program: &self.program,
            items: &self.items,
            outcomes: &self.outcomes,
            life: &self.life,
            state: &self.state,
        }
    }
}

pub fn reference(program: &Program) -> Reference {
    let mut reference = Reference::new(&program.config, Arc::new(Recorder));
    reference.drive(&program.config);
    Recorder::clear();
    reference
}

/// A run under way.
struct Source<'a> {
    reference: Reference,
    rng: Rng,
    made: Recorded,
    program: &'a Program,
    /// By call: whose it is while it is under way.
    under_way: Vec<(u32, TaskId)>,
    begun: Vec<bool>,
    about: Vec<About>,
    again: bool,
}

/// Drives a program by a schedule that is drawn; none if nobody can go on.
pub fn record(program: &Program, seed: u64) -> Option<Recorded> {
    record_with(program, seed, true)
}

/// The same; `again`: faults may begin again at any time.
pub fn record_with(program: &Program, seed: u64, again: bool) -> Option<Recorded> {
    let calls = program.calls.len();
    let mut source = Source {
        reference: reference(program),
        rng: Rng(seed.wrapping_mul(2) + 1),
        made: Recorded {
            program: program.clone(),
            items: Vec::new(),
            outcomes: vec![None; calls],
            life: Vec::new(),
            state: Snapshot::default(),
        },
        program,
        under_way: Vec::new(),
        begun: vec![false; calls],
        about: Vec::new(),
        again,
    };
    // Some schedules are almost serial, as most that find something are.
    let stickiness = 1 + source.rng.below(12);
    while source.made.outcomes.iter().any(Option::is_none) {
        if !source.go_on(stickiness) {
            return None;
        }
    }
    let Source {
        mut made,
        reference,
        ..
    } = source;
    made.life.sort_by_key(|&(call, _)| call);
    reference.see(&mut made.state);
    Recorder::clear();
    Some(made)
}

impl Source<'_> {
    fn push(&mut self, call: u32, what: What) {
        let at = self.made.items.len() as u32;
        self.made.items.push(Item { at, call, what });
    }

    /// Begins a call or takes a step.
    fn go_on(&mut self, stickiness: usize) -> bool {
        let next = self.beginnable();
        let begin = !next.is_empty() && (self.under_way.is_empty() || self.rng.one_in(6));
        if begin {
            let call = next[self.rng.below(next.len())];
            self.begin(call);
            return true;
        }
        let mut offers = Vec::new();
        self.reference.legal(&mut offers);
        // Where an allocation fails it is counted how many were made, and where a fault began again
        // is not told.
        let fails = self
            .program
            .calls
            .iter()
            .any(|step| step.fail != Fail::NONE);
        let again = self.again && !fails;
        offers.retain(|offer| offer.choice != Choice::Again || again && self.rng.one_in(8));
        if offers.is_empty() {
            return match next.first() {
                Some(&call) => {
                    self.begin(call);
                    true
                }
                None => false,
            };
        }
        let mut offer = offers[self.rng.below(offers.len())];
        let last = self.under_way.last().map(|(_, task)| *task);
        let own: Vec<Offer> = offers
            .iter()
            .filter(|offer| Some(offer.task) == last)
            .copied()
            .collect();
        if !own.is_empty() && !self.rng.one_in(stickiness) {
            offer = own[self.rng.below(own.len())];
        }
        self.take(offer);
        true
    }

    /// Calls that may begin: the next of each task, behind all forks before it.
    fn beginnable(&self) -> Vec<usize> {
        let calls = &self.program.calls;
        (0..calls.len())
            .filter(|&i| !self.begun[i])
            .filter(|&i| {
                (0..i).all(|before| {
                    let done = self.made.outcomes[before].is_some();
                    let same = calls[before].task == calls[i].task;
                    let makes = calls[before].call == vmadiff_contract::Call::Fork
                        && calls[i].task.0 > self.program.config.tasks.clamp(1, 8);
                    done || !same && !makes
                })
            })
            .collect()
    }

    fn begin(&mut self, call: usize) {
        let step = self.program.calls[call];
        self.begun[call] = true;
        self.push(call as u32, What::Begin);
        let kernel = step.task == TaskId(0) && step.call == vmadiff_contract::Call::Softirq;
        let begun = if kernel {
            Err(Outcome::Value(0))
        } else {
            self.reference.begin(step.task, &step.call, step.fail)
        };
        match begun {
            Ok(()) => self.under_way.push((call as u32, step.task)),
            Err(outcome) => {
                self.made.outcomes[call] = Some(outcome);
                self.push(call as u32, What::End);
            }
        }
    }

    fn take(&mut self, offer: Offer) {
        let at = self
            .under_way
            .iter()
            .position(|(_, task)| *task == offer.task);
        let (call, task) = self.under_way.remove(at.expect("it is under way"));
        let mut before = self.reference.fork();
        let taken = self
            .reference
            .take(offer.task, offer.choice)
            .expect("it is legal");
        self.keep_events(call);
        self.about.clear();
        self.reference.footprint(&mut self.about);
        if let Taken::Returned(outcome) = taken {
            self.made.outcomes[call as usize] = Some(outcome);
            self.push(call, What::End);
            return;
        }
        self.under_way.push((call, task));
        self.tell(call, &offer, &mut *before);
        Recorder::clear();
    }

    fn keep_events(&mut self, call: u32) {
        let Self { made, .. } = self;
        Recorder::drain(|events| {
            let kept = events
                .iter()
                .filter(|event| !matches!(event, Event::Note(_)));
            made.life.extend(kept.map(|event| (call, *event)));
        });
    }

    fn mark(&mut self, call: u32, kind: StepKind, about: About, told: Told) {
        self.push(call, What::Mark(Mark { kind, about, told }));
    }

    /// Marks the step that was taken, as a candidate does.
    fn tell(&mut self, call: u32, offer: &Offer, before: &mut dyn Stepped) {
        let refused = self.reference.refused();
        let decides = offer.list == "fault" && offer.row == 0;
        if refused {
            let first = self.about.first().copied();
            let about = first.unwrap_or(About::Committed);
            let fails = self.program.calls[call as usize].fail != Fail::NONE;
            let counts = matches!(offer.kind, StepKind::Decide | StepKind::Charge);
            let allocates =
                fails && !counts || offer.list == "fault" && matches!(offer.row, 6 | 7 | 15);
            let kind = if offer.choice == Choice::Fail || allocates {
                StepKind::Allocate
            } else {
                StepKind::Decide
            };
            self.mark(call, kind, about, Told::Refused);
            return;
        }
        if offer.choice == Choice::GiveUp && offer.list == "reclaim" && offer.row == 2 {
            // A walk that comes to no more entries tells nothing.
            return;
        }
        if offer.choice == Choice::GiveUp {
            let about = self.about.first().copied().unwrap_or(About::Committed);
            self.mark(call, offer.kind, about, Told::Refused);
            return;
        }
        if offer.choice == Choice::Again {
            return;
        }
        let free =
            !must_be_marked(offer) && offer.kind != StepKind::Decide || self.reference.left_alone();
        let optional = free && !decides && self.rng.one_in(2);
        if self.about.is_empty() || optional {
            return;
        }
        let mut abouts = self.about.clone();
        let all = abouts.clone();
        let mut at = 0;
        abouts.retain(|about| {
            at += 1;
            !all[..at - 1].contains(about)
        });
        for about in abouts {
            self.tell_of(call, offer, before, about);
        }
    }

    fn tell_of(&mut self, call: u32, offer: &Offer, before: &mut dyn Stepped, about: About) {
        let entry = |of: &mut dyn Stepped, about: About| match about {
            About::Entry { mm, addr } => of.entry(mm, addr),
            _ => None,
        };
        let was = entry(before, about);
        let told = match (offer.kind, about) {
            (StepKind::Pass, About::Range { .. }) if offer.list == "collapse" => {
                // Its entries are told one by one.
                let entry = |about: &About| matches!(about, About::Entry { .. });
                if self.about.iter().any(entry) {
                    return;
                }
                Told::Done
            }
            (_, About::Range { mm, start, end })
                if offer.kind == StepKind::Pass || offer.list == "msync, mincore" =>
            {
                let has = self.about.iter().find_map(|about| match about {
                    About::Entry { addr, .. } if (start..end).contains(addr) => Some(*addr),
                    _ => None,
                });
                let last = has.unwrap_or(end);
                if start >= last {
                    return;
                }
                let about = About::Range {
                    mm,
                    start,
                    end: last,
                };
                let told = Told::Entry {
                    before: None,
                    after: None,
                };
                self.mark(call, offer.kind, about, told);
                return;
            }
            (StepKind::Walk, About::Entry { addr, .. }) => {
                let by: Option<PageState> = match offer.choice {
                    Choice::Stale => before.held(offer.task, addr),
                    _ => was,
                };
                Told::Entry {
                    before: by,
                    after: by,
                }
            }
            (_, About::Entry { addr, .. }) => {
                assert_eq!(addr % PAGE_SIZE, 0, "{offer:?}");
                Told::Entry {
                    before: was,
                    after: entry(&mut self.reference, about),
                }
            }
            (kind, About::Area(vma))
                if kind == StepKind::Flags || offer.list == "fault" && offer.row == 0 =>
            {
                let mut seen = Snapshot::default();
                self.reference.observe(about, &mut seen);
                let area = seen.vmas.iter().find(|area| area.vma == vma);
                area.map_or(Told::Done, |area| Told::Flags(area.flags))
            }
            (StepKind::Charge | StepKind::Uncharge, About::Committed) => {
                let mut seen = Snapshot::default();
                let mut committed = |of: &mut dyn Stepped| {
                    of.observe(about, &mut seen);
                    seen.committed
                };
                let (was, is) = (committed(before), committed(&mut self.reference));
                Told::Number(is.abs_diff(was))
            }
            // What more the TLB holds it may forget at any time.
            (StepKind::Flush, About::Tlb(whose)) => {
                self.reference.forget(offer.task, whose, 0, u64::MAX);
                Told::Done
            }
            (StepKind::Size, About::File(_)) => {
                let mut seen = Snapshot::default();
                self.reference.observe(about, &mut seen);
                let size = seen.files.first().map(|file| file.size);
                size.map_or(Told::Done, Told::Number)
            }
            _ => Told::Done,
        };
        self.mark(call, offer.kind, about, told);
    }
}
