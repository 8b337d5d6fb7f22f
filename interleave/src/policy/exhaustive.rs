//! All schedules, up to the order of accesses that do not depend on each other.

use super::dependence::{depends, of_machine, reversible};
use super::{Choice, Explored, Pending, Policy, Search};
use crate::Kind;
use crate::sim::TASKS;

/// How many steps of each task have happened before.
type Clock = [u32; TASKS + 1];

/// Runs every schedule that can make a difference, once or little more often: dynamic partial-order
/// reduction (Flanagan, Godefroid, POPL 2005) with sleep sets (Godefroid, 1996). Each run shows
/// races; where one was, the other order is run too.
///
/// That a call returned before another one began is a difference as well: a judge may allow to
/// calls that overlap what it does not to calls in sequence.
///
/// Callbacks run to their end after the last call: a callback that has not run could not be seen
/// to race.
#[derive(Clone, Debug, Default)]
pub struct Exhaustive {
    /// The schedule of this run.
    nodes: Vec<Node>,
    /// How many of them have been passed.
    depth: usize,
    /// The first that is not as it was in an earlier run.
    fresh: usize,
    /// The last step of this run.
    last: Option<usize>,
    /// What has happened before each task's next step.
    clocks: [Clock; TASKS + 1],
    /// What had happened before the last step's task made it.
    before: Clock,
    /// The steps on each object; on the machine, for RCU and interrupts, at 0.
    accesses: Vec<Vec<usize>>,
    /// The steps that began and that ended a call.
    begins: Vec<usize>,
    ends: Vec<usize>,
    /// The rest of this run is known from others.
    redundant: bool,
    limit: Option<u64>,
    explored: Explored,
}

/// A choice that was made: of a task, or of a callback.
#[derive(Clone, Debug)]
struct Node {
    task: u8,
    object: u32,
    kind: Kind,
    /// A call ended with this step.
    ended: bool,
    /// Sets of tasks, a bit each: that could go on; that have to; that did, in earlier runs; that
    /// need not, since what they would do has been seen.
    runnable: u32,
    wanted: u32,
    done: u32,
    asleep: u32,
    /// How many steps of the task these are, and what happened before it, itself included.
    nth: u32,
    clock: Clock,
    /// Of so many callbacks this one was taken; none: it is a step.
    callback: Option<(usize, usize)>,
}

impl Node {
    fn of_callback(count: usize) -> Self {
        Self {
            task: 0,
            object: 0,
            kind: Kind::Exit,
            ended: false,
            runnable: 0,
            wanted: 0,
            done: 0,
            asleep: 0,
            nth: 0,
            clock: Clock::default(),
            callback: Some((0, count)),
        }
    }

    fn happened_before(&self, clock: &Clock) -> bool {
        self.nth <= clock[usize::from(self.task)]
    }

    fn depends(&self, at: &Pending) -> bool {
        depends((self.object, self.kind), (at.object, at.kind))
            || (self.ended && at.kind == Kind::Begin)
    }

    /// Whether the pending access could have come instead.
    fn races(&self, at: &Pending) -> bool {
        self.task != at.task && self.depends(at) && reversible(self.kind, at.kind)
    }
}

impl Exhaustive {
    /// No run yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives up after so many runs.
    pub fn with_limit(runs: u64) -> Self {
        Self {
            limit: Some(runs),
            ..Self::default()
        }
    }

    /// The steps that the access may depend on.
    fn made_on(&self, at: &Pending) -> &[usize] {
        match at.kind {
            Kind::Begin => &self.ends,
            kind => self
                .accesses
                .get(list_of(at.object, kind))
                .map_or(&[], Vec::as_slice),
        }
    }

    /// Now it is known whether the last step ended a call: then its order with the begin of each
    /// other call matters.
    fn settle(&mut self, returned: bool) {
        let Some(last) = self.last.filter(|_| returned) else {
            return;
        };
        let task = self.nodes[last].task;
        if last >= self.fresh {
            let before = self.before;
            let race = self.begins.iter().rev().copied().find(|&begin| {
                self.nodes[begin].task != task && !self.nodes[begin].happened_before(&before)
            });
            if let Some(begin) = race {
                self.want(begin, task, &before);
            }
        }
        let mut clock = self.nodes[last].clock;
        for &begin in &self.begins {
            join(&mut clock, &self.nodes[begin].clock);
        }
        self.nodes[last].ended = true;
        self.nodes[last].clock = clock;
        self.clocks[usize::from(task)] = clock;
        self.ends.push(last);
    }

    /// Looks for steps that pending accesses race with, after the last step.
    fn find_races(&mut self, pending: &[Pending]) {
        let Some(last) = self.last.filter(|&last| last >= self.fresh) else {
            return;
        };
        for at in pending {
            let clock = self.clocks[usize::from(at.task)];
            let race = if at.task != self.nodes[last].task {
                self.nodes[last].races(at).then_some(last)
            } else {
                self.latest_race(at, &clock)
            };
            if let Some(made) = race {
                self.want(made, at.task, &clock);
            }
        }
    }

    /// The last step that the access races with and that did not happen before it.
    fn latest_race(&self, at: &Pending, clock: &Clock) -> Option<usize> {
        let mut latest = self.made_on(at).iter().rev().copied();
        let races = |made: &usize| {
            let made = &self.nodes[*made];
            made.races(at) && !made.happened_before(clock)
        };
        latest.find(races)
    }

    /// Where the step `made` was made, `task` shall be tried instead; if it cannot move there, a
    /// task that it has waited for.
    fn want(&mut self, made: usize, task: u8, clock: &Clock) {
        let runnable = self.nodes[made].runnable;
        let waited_for = self.nodes[made + 1..]
            .iter()
            .filter(|node| node.callback.is_none() && node.happened_before(clock))
            .fold(1 << task, |mask, node| mask | 1 << node.task);
        let candidates = waited_for & runnable;
        let node = &mut self.nodes[made];
        if candidates == 0 {
            node.wanted |= runnable;
        } else if candidates & 1 << task != 0 {
            node.wanted |= 1 << task;
        } else if candidates & node.wanted == 0 {
            node.wanted |= candidates & candidates.wrapping_neg();
        }
    }

    /// A choice that no earlier run came to. None: all that can move is asleep.
    fn open(&mut self, choice: &Choice<'_>) -> Option<()> {
        let mut asleep = 0;
        let mut runnable = 0;
        for at in choice.pending {
            runnable |= u32::from(at.runnable) << at.task;
            asleep |= u32::from(self.sleeps(at)) << at.task;
        }
        let awake = runnable & !asleep;
        let default = choice.pending[choice.default].task;
        let task = if awake & 1 << default != 0 {
            default
        } else if awake != 0 {
            awake.trailing_zeros() as u8
        } else {
            return None;
        };
        self.nodes.push(Node {
            task,
            runnable,
            wanted: 1 << task,
            asleep,
            callback: None,
            ..Node::of_callback(0)
        });
        Some(())
    }

    /// Whether what the task is about to do was tried before the last step, and would be the same.
    fn sleeps(&self, at: &Pending) -> bool {
        let Some(last) = self.last.map(|last| &self.nodes[last]) else {
            return false;
        };
        // It is not known whether the sleeper's access ends a call, so a begin wakes it.
        (last.asleep | last.done) & !(1 << last.task) & 1 << at.task != 0
            && !last.depends(at)
            && last.kind != Kind::Begin
    }

    /// Makes the access: what it depends on happened before it.
    fn make(&mut self, index: usize, at: &Pending) {
        self.before = self.clocks[usize::from(at.task)];
        let mut clock = self.before;
        for made in self.made_on(at).iter().map(|&made| &self.nodes[made]) {
            if made.depends(at) {
                join(&mut clock, &made.clock);
            }
        }
        clock[usize::from(at.task)] += 1;
        let node = &mut self.nodes[index];
        node.object = at.object;
        node.kind = at.kind;
        node.ended = false;
        node.nth = clock[usize::from(at.task)];
        node.clock = clock;
        self.clocks[usize::from(at.task)] = clock;
        self.last = Some(index);
        if at.kind == Kind::Begin {
            self.begins.push(index);
            return;
        }
        let list = list_of(at.object, at.kind);
        if self.accesses.len() <= list {
            self.accesses.resize_with(list + 1, Vec::new);
        }
        self.accesses[list].push(index);
    }
}

/// Where the steps on an object are listed.
fn list_of(object: u32, kind: Kind) -> usize {
    if of_machine(kind) { 0 } else { object as usize }
}

/// What happened before either.
fn join(clock: &mut Clock, other: &Clock) {
    for (mine, theirs) in clock.iter_mut().zip(other) {
        *mine = (*mine).max(*theirs);
    }
}

impl Policy for Exhaustive {
    fn begin(&mut self) {
        self.depth = 0;
        self.last = None;
        self.clocks = [Clock::default(); TASKS + 1];
        self.accesses.iter_mut().for_each(Vec::clear);
        self.begins.clear();
        self.ends.clear();
        self.redundant = false;
        self.explored.schedules += 1;
    }

    fn pick(&mut self, choice: &Choice<'_>) -> usize {
        if self.redundant {
            return choice.default;
        }
        self.settle(choice.returned);
        self.find_races(choice.pending);
        if self.depth == self.nodes.len() && self.open(choice).is_none() {
            self.redundant = true;
            self.explored.redundant += 1;
            return choice.default;
        }
        let task = self.nodes[self.depth].task;
        let chosen = choice
            .pending
            .iter()
            .position(|at| at.task == task && at.runnable);
        let Some(chosen) = chosen else {
            self.redundant = true;
            self.explored.diverged += 1;
            self.nodes.truncate(self.depth);
            return choice.default;
        };
        self.make(self.depth, &choice.pending[chosen]);
        self.depth += 1;
        chosen
    }

    fn pick_callback(&mut self, ready: usize) -> usize {
        if self.redundant {
            return 0;
        }
        if self.depth == self.nodes.len() {
            self.nodes.push(Node::of_callback(ready));
        }
        let node = &self.nodes[self.depth];
        self.depth += 1;
        node.callback.map_or(0, |(taken, _)| taken)
    }

    fn drains(&self) -> bool {
        true
    }

    fn end(&mut self, pending: &[Pending], returned: bool) {
        if !self.redundant {
            self.settle(returned);
            self.find_races(pending);
        }
    }
}

impl Search for Exhaustive {
    fn advance(&mut self) -> bool {
        if self.explored.schedules == 0 {
            return true;
        }
        if self
            .limit
            .is_some_and(|limit| self.explored.schedules >= limit)
        {
            return false;
        }
        while let Some(node) = self.nodes.last_mut() {
            if let Some((taken, count)) = &mut node.callback {
                *taken += 1;
                if taken < count {
                    break;
                }
            } else {
                node.done |= 1 << node.task;
                let left = node.wanted & !node.done & !node.asleep;
                if left != 0 {
                    node.task = left.trailing_zeros() as u8;
                    break;
                }
            }
            self.nodes.pop();
        }
        self.fresh = self.nodes.len().saturating_sub(1);
        self.explored.complete = self.nodes.is_empty() && self.explored.diverged == 0;
        !self.nodes.is_empty()
    }

    fn explored(&self) -> Explored {
        self.explored
    }
}
