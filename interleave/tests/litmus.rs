//! Small programs with known outcomes: every schedule of each is run, and what can be seen is
//! exactly what should be.

mod common;

use std::collections::BTreeSet;

use common::{at, outcomes};
use vmadiff_interleave::policy::Preemptions;
use vmadiff_interleave::sim::{Blocked, End, Plan, Planned, Sim};
use vmadiff_interleave::{Cell, Irqs, Kind, Rcu, RefCount, RwSem, SeqLock, SpinLock, sites};

sites! {
    LOAD = "test.load";
    STORE = "test.store";
    STORE_X = "test.store_x";
    STORE_Y = "test.store_y";
    LOCK = "test.lock";
    LOCK_A = "test.lock_a";
    LOCK_B = "test.lock_b";
    TRY = "test.try";
    READ = "test.read_section";
    ERASE = "test.erase";
    CALL = "test.call_rcu";
    POP = "test.pop";
    OFF = "test.irqs_off";
    FLUSH = "test.flush";
    WAIT = "test.wait";
}

fn set<T: Ord>(values: impl IntoIterator<Item = T>) -> BTreeSet<T> {
    values.into_iter().collect()
}

#[test]
fn increments_of_a_cell_lose_one() {
    let found = outcomes(
        2,
        || Cell::new(0_u64),
        |count, _| {
            let seen = count.get(LOAD);
            count.set(STORE, seen + 1);
        },
        |_| {},
        |count, _| count.peek(),
    );
    assert_eq!(found, set([1, 2]));
}

#[test]
fn increments_under_a_lock_lose_none() {
    let found = outcomes(
        3,
        || (SpinLock::new(), Cell::new(0_u64)),
        |(lock, count), _| {
            let _guard = lock.lock(LOCK);
            let seen = count.get(LOAD);
            count.set(STORE, seen + 1);
        },
        |_| {},
        |(_, count), _| count.peek(),
    );
    assert_eq!(found, set([3]));
}

#[test]
fn exchanges_lose_none() {
    let found = outcomes(
        2,
        || Cell::new(0_u64),
        |count, _| {
            let mut seen = count.get(LOAD);
            while let Err(now) = count.compare_exchange(STORE, seen, seen + 1) {
                seen = now;
            }
        },
        |_| {},
        |count, _| count.peek(),
    );
    assert_eq!(found, set([2]));
}

/// Two threads that each write one cell and read the other: real machines let both read the old
/// value, a sequentially consistent one does not. The simulation is one, as its docs say.
#[test]
fn memory_is_sequentially_consistent() {
    let world = || {
        (
            [Cell::new(0_u64), Cell::new(0)],
            [Cell::new(9_u64), Cell::new(9)],
        )
    };
    let found = outcomes(
        2,
        world,
        |(cells, seen), task| {
            cells[task - 1].set(STORE, 1);
            seen[task - 1].init(cells[2 - task].get(LOAD));
        },
        |_| {},
        |(_, seen), _| (seen[0].peek(), seen[1].peek()),
    );
    assert_eq!(found, set([(0, 1), (1, 0), (1, 1)]));
}

type Pair = (SeqLock, [Cell<u64>; 2], Cell<u64>);

fn pair() -> Pair {
    (SeqLock::new(), [Cell::new(0), Cell::new(0)], Cell::new(0))
}

fn write_pair((lock, cells, _): &Pair) {
    let _guard = lock.write(LOCK);
    cells[0].set(STORE_X, 1);
    cells[1].set(STORE_Y, 1);
}

#[test]
fn a_reader_that_retries_sees_no_torn_pair() {
    let found = outcomes(
        2,
        pair,
        |world, task| {
            if task == 1 {
                return write_pair(world);
            }
            let (lock, cells, seen) = world;
            loop {
                let count = lock.read_begin(READ);
                seen.init(cells[0].get(LOAD) * 10 + cells[1].get(LOAD));
                if !lock.read_retry(READ, count) {
                    return;
                }
            }
        },
        |_| {},
        |(_, _, seen), end| (seen.peek(), end.clone() == End::Finished),
    );
    assert_eq!(found, set([(0, true), (11, true)]));
}

#[test]
fn a_reader_that_does_not_retry_sees_a_torn_pair() {
    let found = outcomes(
        2,
        pair,
        |world, task| {
            if task == 1 {
                return write_pair(world);
            }
            let (lock, cells, seen) = world;
            lock.read_begin(READ);
            seen.init(cells[0].get(LOAD) * 10 + cells[1].get(LOAD));
        },
        |_| {},
        |(_, _, seen), _| seen.peek(),
    );
    assert_eq!(found, set([0, 1, 10, 11]));
}

/// An object in a slot, found by a reader, taken out and freed by a writer.
struct Slot {
    rcu: Rcu<()>,
    irqs: Irqs,
    linked: Cell<bool>,
    freed: Cell<bool>,
    used_after: Cell<bool>,
}

fn slot() -> Slot {
    Slot {
        rcu: Rcu::new(),
        irqs: Irqs::new(),
        linked: Cell::new(true),
        freed: Cell::new(false),
        used_after: Cell::new(false),
    }
}

impl Slot {
    fn read(&self) {
        if self.linked.get(LOAD) && self.freed.get(LOAD) {
            self.used_after.init(true);
        }
    }

    fn free_ready(&self) {
        while self.rcu.pop_ready(POP).is_some() {
            self.freed.set(STORE, true);
        }
    }

    fn erase(&self) {
        self.linked.set(ERASE, false);
        self.rcu.call(CALL, ());
    }
}

#[test]
fn a_callback_under_a_reader_is_found() {
    let found = outcomes(
        2,
        slot,
        |slot, task| if task == 1 { slot.read() } else { slot.erase() },
        Slot::free_ready,
        |slot, _| slot.used_after.peek(),
    );
    assert_eq!(found, set([false, true]), "the reader forgot its section");

    let found = outcomes(
        2,
        slot,
        |slot, task| {
            if task == 1 {
                let _section = slot.rcu.read_lock(READ);
                slot.read();
            } else {
                slot.erase();
            }
        },
        Slot::free_ready,
        |slot, _| slot.used_after.peek(),
    );
    assert_eq!(found, set([false]));
}

#[test]
fn a_section_with_interrupts_off_is_a_reader() {
    let found = outcomes(
        2,
        slot,
        |slot, task| {
            if task == 1 {
                let _section = slot.irqs.disable(OFF);
                slot.read();
            } else {
                slot.erase();
            }
        },
        Slot::free_ready,
        |slot, _| slot.used_after.peek(),
    );
    assert_eq!(found, set([false]));
}

#[test]
fn a_reader_that_came_later_holds_up_no_callback() {
    let found = outcomes(
        2,
        || (slot(), Cell::new(false)),
        |(slot, early), task| {
            if task == 1 {
                slot.erase();
            } else {
                let section = slot.rcu.read_lock(READ);
                let linked = slot.linked.get(LOAD);
                early.init(!linked && slot.freed.get(LOAD));
                drop(section);
            }
        },
        |(slot, _)| slot.free_ready(),
        |(_, early), _| early.peek(),
    );
    assert_eq!(
        found,
        set([false, true]),
        "freed while the later reader was inside"
    );
}

#[test]
fn ready_callbacks_run_in_every_order() {
    let found = outcomes(
        2,
        || (Rcu::new(), Cell::new(0_u64)),
        |(rcu, _), task| {
            rcu.call(CALL, task as u64);
        },
        |(rcu, order)| {
            while let Some(task) = rcu.pop_ready(POP) {
                order.init(order.peek() * 10 + task);
            }
        },
        |(_, order), _| order.peek(),
    );
    assert_eq!(found, set([12, 21]));

    let world = || (Rcu::new(), Cell::new(0_u64));
    let found = outcomes(
        1,
        world,
        |(rcu, _), _| {
            (1..4).for_each(|number| rcu.call(CALL, number));
        },
        |(rcu, order)| {
            while let Some(number) = rcu.pop_ready(POP) {
                order.init(order.peek() * 10 + number);
            }
        },
        |(_, order), _| order.peek(),
    );
    assert_eq!(found, set([123, 132, 213, 231, 312, 321]));
}

#[test]
fn a_flush_waits_for_sections_with_interrupts_off() {
    let unhook_and_free = |slot: &Slot| {
        slot.linked.set(ERASE, false);
        slot.irqs.broadcast(FLUSH);
        slot.freed.set(STORE, true);
    };
    let found = outcomes(
        2,
        slot,
        |slot, task| {
            if task == 1 {
                let _off = slot.irqs.disable(OFF);
                slot.read();
            } else {
                unhook_and_free(slot);
            }
        },
        |_| {},
        |slot, _| slot.used_after.peek(),
    );
    assert_eq!(found, set([false]));

    let found = outcomes(
        2,
        slot,
        |slot, task| {
            if task == 1 {
                slot.read();
            } else {
                unhook_and_free(slot);
            }
        },
        |_| {},
        |slot, _| slot.used_after.peek(),
    );
    assert_eq!(
        found,
        set([false, true]),
        "the walk forgot to turn interrupts off"
    );
}

/// Two threads that flush with interrupts on never wait for each other.
#[test]
fn two_flushes_pass_each_other() {
    let found = outcomes(
        3,
        Irqs::new,
        |irqs, task| {
            if task == 3 {
                drop(irqs.disable(OFF));
            } else {
                irqs.broadcast(FLUSH);
            }
        },
        |_| {},
        |_, end| end.clone(),
    );
    assert_eq!(found.into_iter().collect::<Vec<_>>(), [End::Finished]);
}

#[test]
fn locks_in_opposite_order_deadlock() {
    let world = || [SpinLock::new(), SpinLock::new()];
    let found = outcomes(
        2,
        world,
        |locks, task| {
            let (first, second) = if task == 1 {
                (LOCK_A, LOCK_B)
            } else {
                (LOCK_B, LOCK_A)
            };
            let lock = |site| if site == LOCK_A { &locks[0] } else { &locks[1] };
            let _first = lock(first).lock(first);
            let _second = lock(second).lock(second);
        },
        |_| {},
        |_, end| match end {
            End::Deadlock(blocked) => blocked.len(),
            _ => 0,
        },
    );
    assert_eq!(found, set([0, 2]), "tasks that are stuck");
}

#[test]
fn a_deadlock_tells_who_waits_for_what() {
    let locks = [SpinLock::new(), SpinLock::new()];
    let calls = [Planned::by(1), Planned::by(2)];
    let body = |task: u8, _: u32| {
        let order = if task == 1 { [0, 1] } else { [1, 0] };
        let sites = [LOCK_A, LOCK_B];
        let _first = locks[order[0]].lock(sites[order[0]]);
        let _second = locks[order[1]].lock(sites[order[1]]);
    };
    let mut sim = Sim::new();
    let mut policy = Preemptions::new(&[at(1, LOCK_B, 1, 2)]);
    let trace = sim.run(&Plan::new(&calls, &body), &mut policy);
    let blocked = |task, call, site, object, holder, taken_at| Blocked {
        task,
        call: Some(call),
        kind: Kind::Lock,
        site,
        object,
        holders: vec![holder],
        taken_at: Some(taken_at),
    };
    let expected = vec![
        blocked(1, 0, LOCK_B, 2, 2, LOCK_B),
        blocked(2, 1, LOCK_A, 1, 1, LOCK_A),
    ];
    assert_eq!(trace.end(), &End::Deadlock(expected));
    assert_eq!(
        trace.end().to_string(),
        "deadlock\n  \
         task 1 in call 1 at test.lock_b: Lock @2, held up by task 2 since test.lock_b\n  \
         task 2 in call 2 at test.lock_a: Lock @1, held up by task 1 since test.lock_a"
    );
}

#[test]
fn a_thread_that_takes_its_own_lock_again_deadlocks() {
    let found = outcomes(
        1,
        SpinLock::new,
        |lock, _| {
            let _first = lock.lock(LOCK_A);
            let _second = lock.lock(LOCK_B);
        },
        |_| {},
        |_, end| matches!(end, End::Deadlock(who) if who[0].holders == [1]),
    );
    assert_eq!(found, set([true]));
}

#[test]
fn a_trylock_loop_that_relaxes_comes_to_an_end() {
    let found = outcomes(
        2,
        || (SpinLock::new(), Cell::new(0_u64)),
        |(lock, count), _| {
            let _guard = loop {
                match lock.try_lock(TRY) {
                    Some(guard) => break guard,
                    None => lock.relax(WAIT),
                }
            };
            count.set(STORE, count.get(LOAD) + 1);
        },
        |_| {},
        |(_, count), end| (count.peek(), end.clone() == End::Finished),
    );
    assert_eq!(found, set([(2, true)]));
}

#[test]
fn a_long_call_in_which_much_takes_effect_is_no_livelock() {
    let lock = SpinLock::new();
    let calls = [Planned::by(1)];
    let marks = |every: u32| {
        let body = |_: u8, _: u32| {
            for pass in 0..5_000 {
                drop(lock.lock(LOCK));
                if pass % every == 0 {
                    vmadiff_interleave::at::section();
                }
            }
        };
        let mut plan = Plan::new(&calls, &body);
        plan.limit = 1_000;
        let mut sim = Sim::new();
        sim.run(&plan, &mut Preemptions::default()).end().clone()
    };
    assert_eq!(marks(100), End::Finished);
    assert_eq!(marks(2_000), End::StepLimit);
}

#[test]
fn a_trylock_loop_that_does_not_is_a_livelock() {
    let lock = SpinLock::new();
    let calls = [Planned::by(1), Planned::by(2)];
    let body = |task: u8, _: u32| {
        if task == 1 {
            let _guard = lock.lock(LOCK);
        } else {
            while lock.try_lock(TRY).is_none() {}
        }
    };
    let mut plan = Plan::new(&calls, &body);
    plan.limit = 1_000;
    let mut sim = Sim::new();
    let trace = sim.run(&plan, &mut Preemptions::new(&[at(1, LOCK, 2, 2)]));
    assert_eq!(trace.end(), &End::StepLimit);
    let trace = sim.run(&plan, &mut Preemptions::default());
    assert_eq!(trace.end(), &End::Finished, "serial");
}

#[test]
fn a_downgraded_writer_keeps_writers_out_and_lets_readers_in() {
    let world = || (RwSem::new(), Cell::new(1_u64), Cell::new(false));
    let found = outcomes(
        3,
        world,
        |(sem, value, beside), task| match task {
            1 => {
                let guard = sem.write(LOCK).downgrade(LOCK);
                assert_eq!(value.get(LOAD), value.get(LOAD), "no writer in between");
                drop(guard);
            }
            2 => {
                let _guard = sem.write(LOCK);
                value.set(STORE, 2);
            }
            _ => {
                let guard = sem.read(LOCK);
                let writing = value.get(LOAD) == 1;
                beside.init(beside.peek() || writing);
                drop(guard);
            }
        },
        |_| {},
        |(_, value, beside), end| (value.peek(), beside.peek(), end.clone()),
    );
    assert_eq!(
        found,
        set([(2, false, End::Finished), (2, true, End::Finished)])
    );
}

#[test]
fn a_count_that_has_reached_zero_is_not_taken_again() {
    let world = || (RefCount::new(1), Cell::new(0_u64));
    let found = outcomes(
        2,
        world,
        |(count, freed), task| {
            if task == 1 {
                if count.put(STORE) == Ok(0) {
                    freed.set(STORE, freed.peek() + 1);
                }
            } else if count.get_unless_zero(LOAD).is_some() && count.put(STORE) == Ok(0) {
                freed.set(STORE, freed.peek() + 1);
            }
        },
        |_| {},
        |(count, freed), _| (count.peek(), freed.peek()),
    );
    assert_eq!(found, set([(0, 1)]));
}
