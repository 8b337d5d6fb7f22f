//! Makes a program that diverges as small and plain as it gets, and keeps its divergence.
//!
//! It works on calls, tasks, switches, settings and arguments, not on bytes: what is dropped or
//! changed means something. Each step makes the program simpler in one respect and in none more
//! complicated, so it ends; it takes steps in a fixed order, so the same program shrinks the same
//! way everywhere. When it ends, no single call or switch can be left out.
//!
//! Switches are named by how often a task has passed a place. Of a woven run the attempt tells which
//! places were passed, so that switches keep theirs when a call before them goes.

mod arguments;
mod pages;
mod passes;
mod schedule;
mod structure;

pub use passes::Passes;

use vmadiff_contract::PAGE_SIZE;

use crate::program::Program;

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// It diverges as it should: with the same signature.
    Same,
    /// So does a woven run, which passed these sites.
    Woven(Passes),
    /// It agrees, or diverges otherwise.
    Other,
    /// It was not tried: no more time.
    Stop,
}

/// What shrinking came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shrunk {
    /// The smallest program found.
    pub program: Program,
    /// Programs tried.
    pub tried: u64,
    /// Nothing more can be taken away; else it was stopped.
    pub finished: bool,
}

/// Shrinks a program. `attempt` says what a smaller one does.
pub fn shrink(program: &Program, attempt: impl FnMut(&Program) -> Attempt) -> Shrunk {
    let mut shrinker = Shrinker {
        best: program.clone(),
        passes: None,
        attempt,
        tried: 0,
        stopped: false,
    };
    if !program.schedule.is_serial() {
        // Only to know which sites it passes.
        shrinker.accept(program.clone());
    }
    while shrinker.structure() | shrinker.arguments() | shrinker.pages() {}
    let Shrinker {
        best: program,
        tried,
        stopped,
        ..
    } = shrinker;
    Shrunk {
        program,
        tried,
        finished: !stopped,
    }
}

/// How far down to go: all the way, half of it, a quarter, to one page, in bytes. Whatever the least
/// is that still does, taking the first step that does comes to it in as many steps as the way has
/// bits, and not page by page.
fn halving(way: u64) -> impl Iterator<Item = u64> {
    let pages = way / PAGE_SIZE;
    let halves = std::iter::successors(Some(pages), |pages| Some(pages / 2));
    halves
        .take_while(|pages| *pages > 0)
        .map(|pages| pages * PAGE_SIZE)
}

/// Passes over a program; each answers whether it made it simpler.
struct Shrinker<A> {
    best: Program,
    /// The sites that the best passes, if it is woven.
    passes: Option<Passes>,
    attempt: A,
    tried: u64,
    stopped: bool,
}

impl<A: FnMut(&Program) -> Attempt> Shrinker<A> {
    /// Takes `program` as the best if it does the same.
    fn accept(&mut self, program: Program) -> bool {
        if self.stopped {
            return false;
        }
        self.tried += 1;
        match (self.attempt)(&program) {
            Attempt::Same => self.passes = None,
            Attempt::Woven(passes) => self.passes = Some(passes),
            Attempt::Other => return false,
            Attempt::Stop => {
                self.stopped = true;
                return false;
            }
        }
        self.best = program;
        true
    }

    /// Tries the best with a change.
    fn change(&mut self, change: impl FnOnce(&mut Program)) -> bool {
        let mut program = self.best.clone();
        change(&mut program);
        program != self.best && self.accept(program)
    }
}
