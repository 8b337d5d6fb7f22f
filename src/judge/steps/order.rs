//! Whether any order of the reference's steps explains what calls answered and what was left,
//! whatever was marked: then the marks are wrong, and not the manager.
//!
//! A search in depth over the steps that are legal, each state once, by the hash of the machine
//! with its pending calls. What is known of the order is real time: a call's steps lie between its
//! begin and its return. It is off the hot path, bounded, and counted.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};

use vmadiff_contract::{Call, Choice, Offer, Outcome, Snapshot, StepKind, Stepped, Taken, TaskId};

use super::path::{Item, Race, What};
use crate::judge::names::Names;
use crate::judge::state;
use crate::run::Recorder;

/// States that a search may visit where something is wrong in any case.
pub const STATES_MAX: usize = 300;
/// The same where nothing but the marks speaks against the manager: what it comes to decides what the
/// finding is called. Small programs that leave a step out take up to some 2,000.
pub const STATES_MAX_OF_MARKS: usize = 3000;

/// What a search came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Searched {
    /// An order explains the race.
    Explained,
    /// None does: all were tried in which no fault begins again.
    Refuted,
    /// None was found, and not all were tried.
    Unknown,
}

/// Searches one race after another; keeps its memory.
#[derive(Default)]
pub struct Orders {
    /// Hashed without a random key: the same race takes the same steps.
    seen: HashSet<u64, BuildHasherDefault<DefaultHasher>>,
    stack: Vec<Node>,
    offers: Vec<Offer>,
    ours: Snapshot,
    theirs: Snapshot,
}

/// A machine on the way, and how far the race has come.
struct Node {
    machine: Box<dyn Stepped>,
    /// The begin or return that comes next.
    at: usize,
    names: Names,
    /// Calls that are under way, and who makes them in the reference.
    running: Vec<(u32, TaskId)>,
    /// What calls without steps answer.
    answered: Vec<(u32, Outcome)>,
    /// The mark that would come next, if marks were right.
    guide: usize,
}

impl Orders {
    /// Looks for an order, in as many states at most; the reference may be in any.
    pub fn explain(
        &mut self,
        race: &Race<'_>,
        reference: &mut dyn Stepped,
        states_max: usize,
    ) -> Searched {
        let bounds = race.items.iter();
        let bounds: Vec<Item> = bounds
            .filter(|item| !matches!(item.what, What::Mark(_)))
            .copied()
            .collect();
        reference.drive(&race.program.config);
        let mut names = Names::default();
        names.clear(race.threads());
        self.seen.clear();
        self.stack.clear();
        self.stack.push(Node {
            machine: reference.fork(),
            at: 0,
            names,
            running: Vec::new(),
            answered: Vec::new(),
            guide: 0,
        });
        let mut states = 0;
        let mut searched = Searched::Refuted;
        while let Some(node) = self.stack.pop() {
            states += 1;
            if states > states_max {
                searched = Searched::Unknown;
                break;
            }
            if self.visit(race, &bounds, node) {
                searched = Searched::Explained;
                break;
            }
        }
        self.stack.clear();
        Recorder::clear();
        searched
    }

    /// Goes on as long as there is one way; whether it came to the end.
    fn visit(&mut self, race: &Race<'_>, bounds: &[Item], mut node: Node) -> bool {
        loop {
            let Some(item) = bounds.get(node.at) else {
                return self.is_the_end(race, &mut node);
            };
            match item.what {
                What::Begin => node.begin(race, item.call),
                _ => match node.end(race, item.call) {
                    Ended::Yes => {}
                    Ended::Otherwise => return false,
                    Ended::NotYet => {
                        if !self.branch(race, &mut node, item.call) {
                            return false;
                        }
                    }
                },
            }
        }
    }

    /// Takes the only step there is; false: there is none, or more, which are left for later.
    fn branch(&mut self, race: &Race<'_>, node: &mut Node, ends: u32) -> bool {
        self.offers.clear();
        node.machine.legal(&mut self.offers);
        let flushes: Vec<TaskId> = self
            .offers
            .iter()
            .filter(|offer| matches!(offer.choice, Choice::Of(_)))
            .map(|offer| offer.task)
            .collect();
        self.offers.retain(|offer| {
            let first = offer.choice == Choice::Go && flushes.contains(&offer.task);
            offer.kind != StepKind::Return && offer.choice != Choice::Again && !first
        });
        let guided = node.guided(race);
        if let [offer] = self.offers[..] {
            node.guide = node.guide_after(race, &offer);
            return node.machine.take(offer.task, offer.choice).is_ok();
        }
        if self.offers.is_empty() {
            return false;
        }
        let mut hasher = DefaultHasher::new();
        (node.machine.digest(), node.at).hash(&mut hasher);
        if !self.seen.insert(hasher.finish()) {
            return false;
        }
        let ending = node.running.iter().find(|(call, _)| *call == ends);
        let ending = ending.map(|(_, task)| *task);
        // What is pushed last is tried first: the call of the next mark, or the one that returns
        // next, as the rule says.
        self.offers.sort_by_key(|offer| {
            let task = Some(offer.task);
            (task == guided, task == ending, offer.choice == Choice::Go)
        });
        for offer in &self.offers {
            let mut machine = node.machine.fork();
            if machine.take(offer.task, offer.choice).is_ok() {
                self.stack.push(Node {
                    machine,
                    at: node.at,
                    names: node.names.clone(),
                    running: node.running.clone(),
                    answered: node.answered.clone(),
                    guide: node.guide_after(race, offer),
                });
            }
        }
        false
    }

    fn is_the_end(&mut self, race: &Race<'_>, node: &mut Node) -> bool {
        node.machine.see(&mut self.ours);
        node.names
            .translate(&self.ours, race.state, &mut self.theirs);
        node.names.pair_areas(&self.ours, race.state);
        node.names
            .translate(&self.ours, race.state, &mut self.theirs);
        state::same(&self.ours, &self.theirs)
    }
}

/// Whether a call could return.
enum Ended {
    Yes,
    /// It answers otherwise.
    Otherwise,
    NotYet,
}

impl Node {
    /// Whose mark would come next.
    fn guided(&self, race: &Race<'_>) -> Option<TaskId> {
        let mut marks = race.items[self.guide..].iter();
        let mark = marks.find(|item| matches!(item.what, What::Mark(_)))?;
        self.task_of(mark.call)
    }

    fn task_of(&self, call: u32) -> Option<TaskId> {
        let mut running = self.running.iter();
        running.find_map(|&(other, task)| (other == call).then_some(task))
    }

    /// The guide behind the marks that tell of this step.
    fn guide_after(&self, race: &Race<'_>, offer: &Offer) -> usize {
        let tells = |item: &Item| match item.what {
            What::Mark(mark) => {
                mark.kind == offer.kind && self.task_of(item.call) == Some(offer.task)
            }
            What::Begin | What::End => false,
        };
        let mut next = self.guide;
        while next < race.items.len() && !matches!(race.items[next].what, What::Mark(_)) {
            next += 1;
        }
        let told = race.items[next..].iter().take_while(|item| tells(item));
        let told = told.count();
        // A pass and a walk are told one by one.
        let one = matches!(
            offer.kind,
            StepKind::Pass | StepKind::Walk | StepKind::Flush
        );
        match told {
            0 => self.guide,
            _ if one => next + 1,
            told => next + told,
        }
    }

    fn begin(&mut self, race: &Race<'_>, call: u32) {
        self.at += 1;
        let step = &race.program.calls[call as usize];
        if race.outcomes[call as usize] == Some(Outcome::Unsupported) {
            self.answered.push((call, Outcome::Unsupported));
            return;
        }
        if step.task == TaskId(0) && step.call == Call::Softirq {
            self.answered.push((call, Outcome::Value(0)));
            return;
        }
        match self.names.task(step.task) {
            Some(task) => match self.machine.begin(task, &step.call, step.fail) {
                Ok(()) => self.running.push((call, task)),
                Err(outcome) => self.answered.push((call, outcome)),
            },
            None => self.answered.push((call, Outcome::NoTask)),
        }
    }

    fn end(&mut self, race: &Race<'_>, call: u32) -> Ended {
        let theirs = race.outcomes[call as usize].unwrap_or(Outcome::NoTask);
        let Some(at) = self.running.iter().position(|(other, _)| *other == call) else {
            let mut answered = self.answered.iter();
            let ours = answered.find(|(other, _)| *other == call);
            self.at += 1;
            return match ours {
                Some((_, ours)) if *ours == theirs => Ended::Yes,
                _ => Ended::Otherwise,
            };
        };
        let task = self.running[at].1;
        let returns = self.machine.next(task);
        if returns.is_none_or(|offer| offer.kind != StepKind::Return) {
            return Ended::NotYet;
        }
        self.running.remove(at);
        self.at += 1;
        let Ok(Taken::Returned(ours)) = self.machine.take(task, Choice::Go) else {
            return Ended::Otherwise;
        };
        let forks = race.program.calls[call as usize].call == Call::Fork;
        let same = match (ours, theirs) {
            (Outcome::Value(ours), Outcome::Value(theirs)) if forks => {
                self.names.tasks.pair(theirs as u32, ours as u32)
            }
            _ => ours == theirs,
        };
        if same { Ended::Yes } else { Ended::Otherwise }
    }
}
