//! Partial-order reduction misses nothing: on random small programs it finds every outcome that
//! plain enumeration finds, in far fewer runs.

use std::cell::RefCell;
use std::collections::BTreeSet;

use vmadiff_interleave::policy::{Bounded, Exhaustive, Search};
use vmadiff_interleave::sim::{End, Plan, Planned, Sim, What};
use vmadiff_interleave::{Cell, Irqs, Rcu, RwSem, SeqLock, SpinLock, sites};

sites! {
    DO = "program.do";
}

/// A step of a random program. Locks and sections are left at the end of the call.
#[derive(Clone, Copy, Debug)]
enum Op {
    Read(usize),
    Write(usize),
    Swap(usize),
    Lock(usize),
    TryLock(usize),
    Unlock,
    ReadSem,
    TryReadSem,
    WriteSem,
    Downgrade,
    ReadSection,
    IrqsOff,
    Ipi,
    CallRcu,
    Pop,
    SeqWrite,
    SeqRead,
}

/// The kinds of programs: those that only use some of the primitives reach deeper.
const KINDS: &[&[Op]] = &[
    &[Op::Read(0), Op::Write(0), Op::Swap(0)],
    &[
        Op::Read(0),
        Op::Write(0),
        Op::Lock(0),
        Op::TryLock(0),
        Op::Unlock,
    ],
    &[
        Op::ReadSem,
        Op::TryReadSem,
        Op::WriteSem,
        Op::Downgrade,
        Op::Read(0),
        Op::Write(0),
        Op::Unlock,
    ],
    &[
        Op::ReadSection,
        Op::IrqsOff,
        Op::CallRcu,
        Op::Pop,
        Op::Unlock,
    ],
    &[Op::IrqsOff, Op::Ipi, Op::Read(0), Op::Write(0), Op::Unlock],
    &[Op::SeqRead, Op::SeqWrite, Op::Read(0), Op::Write(0)],
];

struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        ((self.0 >> 33) % bound as u64) as usize
    }

    fn op(&mut self, kinds: &[Op]) -> Op {
        let which = self.below(2);
        match kinds[self.below(kinds.len())] {
            Op::Read(_) => Op::Read(which),
            Op::Write(_) => Op::Write(which),
            Op::Swap(_) => Op::Swap(which),
            Op::Lock(_) => Op::Lock(which),
            Op::TryLock(_) => Op::TryLock(which),
            op => op,
        }
    }
}

/// Calls, each with its task and its steps.
type Program = Vec<(u8, Vec<Op>)>;

fn program(seed: u64) -> Program {
    let mut draw = Draw(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1);
    let kinds = KINDS[draw.below(KINDS.len())];
    // Calls of tasks, and steps of each call: small enough to enumerate.
    let (tasks, steps): (&[u8], usize) = match draw.below(4) {
        0 => (&[1, 2], 3),
        1 => (&[1, 2, 1], 2),
        2 => (&[1, 2, 3], 1),
        _ => (&[1, 2], 4),
    };
    tasks
        .iter()
        .map(|&task| (task, (0..steps).map(|_| draw.op(kinds)).collect()))
        .collect()
}

/// What the steps of a program work on, and what each call saw.
#[derive(Default)]
struct World {
    cells: [Cell<u64>; 2],
    locks: [SpinLock; 2],
    sem: RwSem,
    seq: SeqLock,
    rcu: Rcu<u64>,
    irqs: Irqs,
    seen: RefCell<Vec<(u32, u64)>>,
}

impl World {
    fn see(&self, call: u32, value: u64) {
        self.seen.borrow_mut().push((call, value));
    }

    fn call(&self, call: u32, ops: &[Op]) {
        let mut held: Vec<Box<dyn Guard + '_>> = Vec::new();
        for (index, op) in (1_u64..).zip(ops) {
            let value = u64::from(call) * 100 + index;
            match *op {
                Op::Read(cell) => self.see(call, self.cells[cell].get(DO)),
                Op::Write(cell) => self.cells[cell].set(DO, value),
                Op::Swap(cell) => self.see(call, self.cells[cell].swap(DO, value)),
                Op::Lock(lock) => held.push(Box::new(self.locks[lock].lock(DO))),
                Op::TryLock(lock) => match self.locks[lock].try_lock(DO) {
                    Some(guard) => held.push(Box::new(guard)),
                    None => {
                        self.see(call, 1);
                        self.locks[lock].relax(DO);
                    }
                },
                Op::Unlock => drop(held.pop()),
                Op::ReadSem => held.push(Box::new(self.sem.read(DO))),
                Op::TryReadSem => match self.sem.try_read(DO) {
                    Some(guard) => held.push(Box::new(guard)),
                    None => self.see(call, 1),
                },
                Op::WriteSem => held.push(Box::new(self.sem.write(DO))),
                Op::Downgrade => {
                    held.push(Box::new(self.sem.write(DO).downgrade(DO)));
                }
                Op::ReadSection => held.push(Box::new(self.rcu.read_lock(DO))),
                Op::IrqsOff => held.push(Box::new(self.irqs.disable(DO))),
                Op::Ipi => self.irqs.broadcast(DO),
                Op::CallRcu => self.rcu.call(DO, value),
                Op::Pop => self.see(call, self.rcu.pop_ready(DO).unwrap_or(0)),
                Op::SeqWrite => {
                    let _guard = self.seq.write(DO);
                    self.cells[0].set(DO, value);
                }
                Op::SeqRead => {
                    let seen = self.seq.read_begin(DO);
                    let value = self.cells[0].get(DO);
                    let again = self.seq.read_retry(DO, seen);
                    self.see(call, value * 2 + u64::from(again));
                }
            }
        }
        while held.pop().is_some() {}
    }
}

/// Whatever is given back when dropped.
trait Guard {}
impl<T> Guard for T {}

/// All that can be told from a run: what each call saw, the end, and which calls came in sequence.
type Outcome = (Vec<(u32, u64)>, Vec<u64>, String, Vec<(u32, u32)>);

fn outcomes(program: &Program, search: &mut dyn Search) -> BTreeSet<Outcome> {
    let calls: Vec<Planned> = program.iter().map(|(task, _)| Planned::by(*task)).collect();
    let (mut sim, mut found) = (Sim::new(), BTreeSet::new());
    while search.advance() {
        let world = World::default();
        let body = |_: u8, call: u32| world.call(call, &program[call as usize].1);
        let softirq = || {
            let popped = world.rcu.pop_ready(DO);
            world.see(99, popped.unwrap_or(0));
        };
        let mut plan = Plan::new(&calls, &body);
        plan.softirq = Some(&softirq);
        let trace = sim.run(&plan, search);
        let mut sequence = Vec::new();
        let mut over = Vec::new();
        for step in trace.steps() {
            match step.what {
                What::Begin(call) => sequence.extend(over.iter().map(|&early| (early, call))),
                What::End(call) => over.push(call),
                _ => {}
            }
        }
        let end = match trace.end() {
            End::Deadlock(blocked) => {
                let blocked = blocked.iter().map(|b| (b.task, b.kind, b.holders.clone()));
                format!("{:?}", blocked.collect::<Vec<_>>())
            }
            end => end.to_string(),
        };
        sequence.sort_unstable();
        let mut seen = world.seen.borrow().clone();
        seen.sort_by_key(|(call, _)| *call);
        let cells = world.cells.iter().map(Cell::peek).collect();
        found.insert((seen, cells, end, sequence));
    }
    found
}

/// Programs with more schedules than this are not enumerated.
const ENUMERABLE: u64 = 20_000;

#[test]
fn reduction_finds_every_outcome() {
    let programs = if cfg!(debug_assertions) { 150 } else { 600 };
    let (mut compared, mut plain_runs, mut reduced_runs) = (0, 0, 0);
    for seed in 0..programs {
        let program = program(seed);
        let mut plain = Bounded::new(u32::MAX).with_limit(ENUMERABLE);
        let all = outcomes(&program, &mut plain);
        if !plain.explored().complete {
            continue;
        }
        let mut reduced = Exhaustive::new();
        let some = outcomes(&program, &mut reduced);
        assert!(reduced.explored().complete);
        let missed: Vec<_> = all.difference(&some).collect();
        let (plain, reduced) = (plain.explored(), reduced.explored());
        assert!(
            missed.is_empty(),
            "seed {seed}: {program:?}\n{plain:?}\n{reduced:?}\nmissed {missed:?}"
        );
        assert_eq!(all, some);
        compared += 1;
        plain_runs += plain.schedules;
        reduced_runs += reduced.schedules;
    }
    println!("{compared} programs: {plain_runs} plain runs, {reduced_runs} reduced");
    assert!(compared * 2 > programs);
    assert!(reduced_runs * 4 < plain_runs);
}
