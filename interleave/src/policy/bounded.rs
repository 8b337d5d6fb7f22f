//! All schedules with few preemptions.

use super::{Choice, Explored, Policy, Search};

/// Runs every schedule with at most so many preemptions, without any reduction: a switch away from
/// a task that could go on inside its call counts, one between calls or from a task that waits
/// does not (Musuvathi, Qadeer, PLDI 2007).
#[derive(Clone, Debug, Default)]
pub struct Bounded {
    preemptions: u32,
    /// The schedule of this run, and how much of it has been passed.
    nodes: Vec<Node>,
    depth: usize,
    /// Preemptions in what has been passed.
    spent: u32,
    lost: bool,
    limit: Option<u64>,
    explored: Explored,
}

/// A choice that was made: of a task, or of a callback.
#[derive(Clone, Copy, Debug)]
struct Node {
    chosen: u8,
    default: u8,
    /// Those that could be chosen, and those that were, a bit each.
    runnable: u32,
    done: u32,
    /// Any choice but the default costs a preemption.
    costs: bool,
    /// Preemptions before it.
    spent: u32,
}

impl Bounded {
    /// At most so many preemptions; `u32::MAX` bounds nothing.
    pub fn new(preemptions: u32) -> Self {
        Self {
            preemptions,
            ..Self::default()
        }
    }

    /// Gives up after so many runs.
    #[must_use]
    pub fn with_limit(mut self, runs: u64) -> Self {
        self.limit = Some(runs);
        self
    }

    fn pass(&mut self, fresh: Node) -> u8 {
        if self.depth == self.nodes.len() {
            self.nodes.push(fresh);
        }
        let node = &self.nodes[self.depth];
        self.depth += 1;
        self.spent += u32::from(node.costs && node.chosen != node.default);
        node.chosen
    }
}

impl Policy for Bounded {
    fn begin(&mut self) {
        self.depth = 0;
        self.spent = 0;
        self.lost = false;
        self.explored.schedules += 1;
    }

    fn pick(&mut self, choice: &Choice<'_>) -> usize {
        if self.lost {
            return choice.default;
        }
        let default = choice.pending[choice.default].task;
        let task = self.pass(Node {
            chosen: default,
            default,
            runnable: choice
                .runnable()
                .fold(0, |mask, index| mask | 1 << choice.pending[index].task),
            done: 0,
            costs: choice.arrived.runnable,
            spent: self.spent,
        });
        let chosen = choice
            .pending
            .iter()
            .position(|at| at.task == task && at.runnable);
        if chosen.is_none() {
            self.lost = true;
            self.explored.diverged += 1;
            self.nodes.truncate(self.depth);
        }
        chosen.unwrap_or(choice.default)
    }

    fn pick_callback(&mut self, ready: usize) -> usize {
        if self.lost {
            return 0;
        }
        let chosen = self.pass(Node {
            chosen: 0,
            default: 0,
            runnable: u32::MAX >> (32 - ready.min(32)),
            done: 0,
            costs: false,
            spent: self.spent,
        });
        usize::from(chosen)
    }

    fn drains(&self) -> bool {
        true
    }
}

impl Search for Bounded {
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
            node.done |= 1 << node.chosen;
            let left = node.runnable & !node.done;
            if left != 0 && !(node.costs && node.spent >= self.preemptions) {
                node.chosen = left.trailing_zeros() as u8;
                return true;
            }
            self.nodes.pop();
        }
        self.explored.complete = self.explored.diverged == 0;
        false
    }

    fn explored(&self) -> Explored {
        self.explored
    }
}
