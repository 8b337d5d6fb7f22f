//! What schedules mean: the default is the serial run, every part of a schedule is one, what a
//! policy did can be written down and done again, and policies that draw find what is planted.

mod common;

use std::cell::{Cell as Plain, RefCell};

use common::at;
use vmadiff_interleave::policy::{
    Bounded, Moment, Pct, Policy, Pos, Preemptions, RandomWalk, Search, Switch,
};
use vmadiff_interleave::sim::{
    self, End, Left, Leftover, Plan, Planned, SITES, Sim, Step, Trace, What,
};
use vmadiff_interleave::{Cell, Irqs, Rcu, RwSem, SeqLock, Site, SiteInfo, SpinLock, mark, sites};

sites! {
    LOCK = "work.lock";
    LOAD = "work.load";
    STORE = "work.store";
    READ = "work.read_section";
    CALL = "work.call_rcu";
    POP = "work.pop";
    OFF = "work.irqs_off";
    SEQ = "work.seq";
    COMMIT = "work.commit";
}

/// A bit of everything, by three tasks.
#[derive(Default)]
struct Work {
    sem: RwSem,
    lock: SpinLock,
    seq: SeqLock,
    rcu: Rcu<u32>,
    irqs: Irqs,
    cells: [Cell<u32>; 3],
    popped: RefCell<Vec<u32>>,
}

const CALLS: [Planned; 7] = {
    let (one, two, three) = (Planned::by(1), Planned::by(2), Planned::by(3));
    [one, two, three, one, one, three, two]
};

impl Work {
    fn call(&self, call: u32) {
        match call % 3 {
            0 => {
                let _guard = self.sem.write(LOCK);
                self.cells[0].set(STORE, self.cells[1].get(LOAD) + 1);
                mark(COMMIT);
                self.rcu.call(CALL, call);
            }
            1 => {
                let _section = self.rcu.read_lock(READ);
                let _off = self.irqs.disable(OFF);
                while self.lock.try_lock(LOCK).is_none() {
                    self.lock.relax(LOCK);
                }
                let seen = self.seq.read_begin(SEQ);
                let value = self.cells[2].get(LOAD);
                if !self.seq.read_retry(SEQ, seen) {
                    self.cells[1].set(STORE, value);
                }
                self.rcu.call(CALL, call);
            }
            _ => {
                let _guard = self.lock.lock(LOCK);
                let _writer = self.seq.write(SEQ);
                self.cells[2].set(STORE, call);
            }
        }
    }

    fn softirq(&self) {
        while let Some(call) = self.rcu.pop_ready(POP) {
            self.popped.borrow_mut().push(call);
        }
    }
}

fn run(sim: &mut Sim, policy: &mut dyn Policy) -> Trace {
    let work = Work::default();
    let body = |_: u8, call: u32| work.call(call);
    let softirq = || work.softirq();
    let mut plan = Plan::new(&CALLS, &body);
    plan.softirq = Some(&softirq);
    let trace = sim.run(&plan, policy).clone();
    assert_eq!(trace.end(), &End::Finished);
    assert_eq!(trace.leftovers(), []);
    trace
}

/// Policies of every kind.
fn policies(seed: u64) -> Vec<Box<dyn Policy>> {
    let gaps = [3, 11, 5].map(|gap| Switch {
        at: Moment::Gap(gap + (seed % 7) as u32),
        to: 1 + (seed as u8 + gap as u8) % 3,
    });
    vec![
        Box::new(Preemptions::new(&gaps)),
        Box::new(RandomWalk::new(seed)),
        Box::new(Pct::new(seed, 3, 80)),
        Box::new(Pos::new(seed)),
    ]
}

#[test]
fn a_gap_behind_a_point_is_counted_from_there() {
    let point = Switch {
        at: Moment::Site {
            task: 1,
            site: STORE.number(),
            nth: 1,
        },
        to: 2,
    };
    let gap = Switch {
        at: Moment::Gap(0),
        to: 3,
    };
    let first_step = |switches: &[Switch], task: u8| {
        let trace = run(&mut Sim::new(), &mut Preemptions::new(switches));
        let first = trace.steps().iter().position(|step| step.task == task);
        first.expect("each task has calls")
    };
    let (alone, before) = (first_step(&[gap], 3), first_step(&[point], 2));
    assert_eq!(alone, 0, "without a point before it, at the very start");
    assert!(before > 0);
    assert_eq!(first_step(&[point, gap], 2), before);
    assert_eq!(first_step(&[point, gap], 3), before + 1);
}

#[test]
fn no_switch_is_the_serial_run() {
    let trace = run(&mut Sim::new(), &mut Preemptions::default());
    let tasks: Vec<_> = trace
        .steps()
        .iter()
        .map(|step| (step.task, step.what))
        .collect();
    let serial: Vec<_> = (0_u32..)
        .zip(&CALLS)
        .flat_map(|(call, planned)| {
            let inside = tasks
                .iter()
                .skip_while(move |(_, what)| *what != What::Begin(call));
            let end = move |(_, what): &&(u8, What)| *what != What::End(call);
            let of_call: Vec<_> = inside.take_while(end).copied().collect();
            assert!(of_call.iter().all(|(task, _)| *task == planned.task));
            of_call.into_iter().chain([(planned.task, What::End(call))])
        })
        .collect();
    assert_eq!(
        tasks, serial,
        "calls follow each other in program order, whole"
    );
    assert_eq!(trace.switches(), []);
    let marks = trace
        .steps()
        .iter()
        .filter(|step| matches!(step.what, What::Mark(_)))
        .count();
    assert_eq!(marks, 3);
}

#[test]
fn the_same_input_gives_the_same_trace() {
    let mut reused = Sim::new();
    for seed in 0..50 {
        for (mut policy, mut again) in policies(seed).into_iter().zip(policies(seed)) {
            let first = run(&mut reused, &mut *policy);
            let second = run(&mut Sim::new(), &mut *again);
            let third = run(&mut reused, &mut *policy);
            assert_eq!(first.steps(), second.steps());
            assert_eq!(first.hash(), second.hash());
            assert_eq!(first.hash(), third.hash());
        }
    }
}

#[test]
fn different_runs_have_different_hashes() {
    let mut sim = Sim::new();
    let mut seen: Vec<(u64, Vec<Step>)> = Vec::new();
    for seed in 0..300 {
        let trace = run(&mut sim, &mut RandomWalk::new(seed));
        let known = seen.iter().find(|(hash, _)| *hash == trace.hash());
        assert!(known.is_none_or(|(_, steps)| steps == trace.steps()));
        seen.push((trace.hash(), trace.steps().to_vec()));
    }
    seen.sort_by_key(|(hash, _)| *hash);
    seen.dedup_by_key(|(hash, _)| *hash);
    assert!(seen.len() > 250, "only {} different runs", seen.len());
}

#[test]
fn what_a_policy_did_can_be_done_again_as_a_list() {
    let mut sim = Sim::new();
    for seed in 0..200 {
        for mut policy in policies(seed) {
            let trace = run(&mut sim, &mut *policy);
            let list = trace.switches();
            let again = run(&mut sim, &mut Preemptions::new(&list));
            assert_eq!(again.steps(), trace.steps(), "{list:?}");
            assert_eq!(again.switches(), list);
        }
    }
}

#[test]
fn every_prefix_of_a_schedule_is_a_schedule() {
    let mut sim = Sim::new();
    for seed in 0..30 {
        let whole = run(&mut sim, &mut RandomWalk::new(seed));
        let list = whole.switches();
        let mut agreed = 0;
        for length in 0..=list.len() {
            // It finishes, as `run` checks, and does the same until the first switch it lacks.
            let trace = run(&mut sim, &mut Preemptions::new(&list[..length]));
            let pairs = trace.steps().iter().zip(whole.steps());
            let same = pairs.take_while(|(a, b)| a == b).count();
            assert!(same >= agreed, "{same} steps agree after {agreed} did");
            agreed = same;
        }
        assert_eq!(agreed, whole.steps().len());
    }
}

#[test]
fn a_switch_that_cannot_be_made_is_passed_over() {
    let serial = run(&mut Sim::new(), &mut Preemptions::default());
    let nowhere = SiteInfo::new("no.such.site");
    let idle = [
        Switch {
            at: Moment::Gap(4),
            to: 0,
        },
        Switch {
            at: Moment::Gap(2),
            to: 200,
        },
        Switch {
            at: Moment::Gap(u32::MAX),
            to: 2,
        },
        Switch {
            at: Moment::Site {
                task: 1,
                site: nowhere.number(),
                nth: 1,
            },
            to: 2,
        },
        Switch {
            at: Moment::Site {
                task: 77,
                site: LOCK.number(),
                nth: 1,
            },
            to: 2,
        },
        Switch {
            at: Moment::Site {
                task: 1,
                site: LOCK.number(),
                nth: 0,
            },
            to: 2,
        },
        Switch {
            at: Moment::Callback { nth: 9 },
            to: 250,
        },
    ];
    let trace = run(&mut Sim::new(), &mut Preemptions::new(&idle));
    assert_eq!(trace.steps(), serial.steps());
}

#[test]
fn gaps_count_from_the_last_switch() {
    let cells = [const { || Cell::new(0_u32) }; 2].map(|new| new());
    let calls = [Planned::by(1), Planned::by(2)];
    let body = |task: u8, _: u32| (0..4).for_each(|n| cells[usize::from(task) - 1].set(STORE, n));
    let gap = |points, to| Switch {
        at: Moment::Gap(points),
        to,
    };
    let mut sim = Sim::new();
    let mut order = |switches: &[Switch]| {
        let trace = sim.run(&Plan::new(&calls, &body), &mut Preemptions::new(switches));
        let accesses = |step: &&Step| matches!(step.what, What::Access { .. });
        let tasks = trace.steps().iter().filter(accesses).map(|step| step.task);
        tasks.map(|task| task.to_string()).collect::<String>()
    };
    assert_eq!(order(&[]), "11112222");
    // The first point is the start of the run, the second comes before the first access.
    assert_eq!(order(&[gap(0, 2)]), "22221111");
    assert_eq!(order(&[gap(1, 2)]), "22221111");
    assert_eq!(order(&[gap(2, 2)]), "12222111");
    assert_eq!(
        order(&[gap(2, 2), gap(0, 1)]),
        "11112222",
        "before its first access"
    );
    assert_eq!(order(&[gap(2, 2), gap(1, 1)]), "12111222");
    assert_eq!(
        order(&[gap(2, 2), gap(1, 1), gap(0, 2), gap(0, 1)]),
        "12121122"
    );
}

#[test]
fn a_call_of_a_child_waits_for_the_forks_before_it() {
    let forked = Plain::new(0);
    let calls = [
        Planned {
            forks: true,
            ..Planned::by(1)
        },
        Planned {
            after_forks: true,
            ..Planned::by(2)
        },
        Planned {
            forks: true,
            ..Planned::by(1)
        },
        Planned {
            after_forks: true,
            ..Planned::by(3)
        },
    ];
    let cell = Cell::new(0_u32);
    let body = |task: u8, _: u32| {
        cell.set(STORE, 1);
        cell.set(STORE, 2);
        if task == 1 {
            forked.set(forked.get() + 1);
        }
        assert!(
            forked.get() >= u32::from(task) - 1,
            "its task does not exist"
        );
    };
    let mut search = Bounded::new(u32::MAX);
    let mut sim = Sim::new();
    while search.advance() {
        forked.set(0);
        sim.run(&Plan::new(&calls, &body), &mut search);
    }
    assert!(search.explored().schedules > 10);
}

#[test]
fn what_a_call_leaves_behind_is_told() {
    let (lock, rcu, irqs) = (SpinLock::new(), Rcu::<()>::new(), Irqs::new());
    let calls = [Planned::by(1)];
    let body = |_: u8, _: u32| {
        std::mem::forget(lock.lock(LOCK));
        std::mem::forget(rcu.read_lock(READ));
        std::mem::forget(irqs.disable(OFF));
    };
    let mut sim = Sim::new();
    let trace = sim.run(&Plan::new(&calls, &body), &mut Preemptions::default());
    let left = |what| Leftover {
        step: 4,
        task: 1,
        call: 0,
        what,
    };
    let lock = Left::Lock {
        object: 1,
        taken_at: Some(LOCK),
    };
    let expected = [lock, Left::ReadSection, Left::InterruptsOff].map(left);
    assert_eq!(trace.leftovers(), expected);
}

#[test]
fn a_panic_reaches_the_caller_and_unwinds_the_others() {
    struct Dropped<'a>(&'a Plain<u32>);
    impl Drop for Dropped<'_> {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let (lock, dropped) = (SpinLock::new(), Plain::new(0));
    let calls = [Planned::by(1), Planned::by(2), Planned::by(3)];
    let body = |task: u8, _: u32| {
        let _dropped = Dropped(&dropped);
        let _guard = (task != 3).then(|| lock.lock(LOCK));
        assert_ne!(task, 3, "planted");
    };
    let mut sim = Sim::new();
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let switches = [at(1, LOCK, 2, 2), at(2, LOCK, 1, 3)];
        sim.run(&Plan::new(&calls, &body), &mut Preemptions::new(&switches));
    }));
    std::panic::set_hook(hook);
    let panic = result
        .expect_err("it panicked")
        .downcast::<String>()
        .expect("a message");
    assert!(panic.contains("planted"), "{panic}");
    assert_eq!(dropped.get(), 3, "each thread's destructors ran");
    assert!(sim::now().is_none());
    run(&mut sim, &mut RandomWalk::new(1));
}

#[test]
fn a_deadlocked_run_is_unwound_and_the_next_one_clean() {
    let locks = [SpinLock::new(), SpinLock::new()];
    let calls = [Planned::by(1), Planned::by(2)];
    let body = |task: u8, _: u32| {
        let first = usize::from(task - 1);
        let _first = locks[first].lock(LOCK);
        let _second = locks[1 - first].lock(STORE);
    };
    let mut sim = Sim::new();
    let plan = Plan::new(&calls, &body);
    for _ in 0..3 {
        let trace = sim.run(&plan, &mut Preemptions::new(&[at(1, STORE, 1, 2)]));
        assert!(matches!(trace.end(), End::Deadlock(blocked) if blocked.len() == 2));
        let trace = sim.run(&plan, &mut Preemptions::default());
        assert_eq!(trace.end(), &End::Finished);
    }
}

#[test]
#[should_panic(expected = "simulations do not nest")]
fn simulations_do_not_nest() {
    let calls = [Planned::by(1)];
    let inner = |_: u8, _: u32| {};
    let body = |_: u8, _: u32| {
        Sim::new().run(&Plan::new(&calls, &inner), &mut Preemptions::default());
    };
    Sim::new().run(&Plan::new(&calls, &body), &mut Preemptions::default());
}

#[test]
fn a_callback_left_by_one_run_is_ready_in_the_next() {
    let rcu = Rcu::new();
    let calls = [Planned::by(1)];
    let queue = |_: u8, _: u32| {
        let _section = rcu.read_lock(READ);
        rcu.call(CALL, 7);
        assert_eq!(rcu.pop_ready(POP), None, "its own section holds it up");
    };
    let (mut sim, popped) = (Sim::new(), Plain::new(0));
    sim.run(&Plan::new(&calls, &queue), &mut Preemptions::default());
    let read = |_: u8, _: u32| drop(rcu.read_lock(READ));
    let softirq = || popped.set(rcu.pop_ready(POP).unwrap_or(0));
    let mut plan = Plan::new(&calls, &read);
    plan.softirq = Some(&softirq);
    plan.waiting = rcu.pending();
    sim.run(&plan, &mut Preemptions::default());
    assert_eq!(
        popped.get(),
        0,
        "the softirq comes last, and the run was over"
    );
    sim.run(&plan, &mut Preemptions::new(&[at(1, READ, 2, 0)]));
    assert_eq!(
        popped.get(),
        7,
        "in a section that began after the callback was queued"
    );
}

#[test]
fn reads_of_another_tasks_write_are_counted() {
    let cell = Cell::new(0_u32);
    let calls = [Planned::by(1), Planned::by(2)];
    let body = |task: u8, _: u32| {
        if task == 1 {
            cell.set(STORE, 1);
            cell.get(CALL);
        } else {
            cell.get(LOAD);
        }
    };
    let mut counters = [0_u8; 64];
    let pairs = Plain::from_mut(&mut counters[..]).as_slice_of_cells();
    let mut plan = Plan::new(&calls, &body);
    plan.pairs = Some(pairs);
    let mut sim = Sim::new();
    sim.run(&plan, &mut Preemptions::default());
    sim.run(&plan, &mut Preemptions::default());
    assert_eq!(counters.iter().filter(|&&count| count != 0).count(), 1);
    assert_eq!(counters.iter().max(), Some(&2));
}

#[test]
fn now_tells_where_the_run_stands() {
    let calls = [Planned::by(1), Planned::by(2)];
    let cell = Cell::new(0_u32);
    let body = |task: u8, call: u32| {
        cell.set(STORE, 1);
        let now = sim::now().expect("inside");
        assert_eq!(
            (now.task, now.call, now.step),
            (task, Some(call), 3 * call as usize + 2)
        );
    };
    Sim::new().run(&Plan::new(&calls, &body), &mut Preemptions::default());
    assert!(sim::now().is_none());
}

#[test]
fn the_simulations_own_sites_have_their_names() {
    let mut sites: Vec<Site> = SITES.iter().chain(ALL).copied().collect();
    let names = sites.len();
    sites.sort_by_key(|site| site.number());
    sites.dedup_by_key(|site| site.number());
    assert_eq!(sites.len(), names);
}

/// Two tasks with some steps of their own move a cell on, `turns` times and in turn; whoever finds
/// that the other one has not, gives up. Three turns need one preemption, four need two.
fn all_turns_taken(turns: u32, policy: &mut dyn Policy, sim: &mut Sim) -> bool {
    let (cell, own) = (Cell::new(0_u32), [Cell::new(0_u32), Cell::new(0)]);
    let calls = [Planned::by(1), Planned::by(2)];
    let body = |task: u8, _: u32| {
        for turn in (u32::from(task)..=turns).step_by(2) {
            (0..4).for_each(|n| own[usize::from(task) - 1].set(STORE, n));
            if cell.compare_exchange(LOCK, turn - 1, turn).is_err() {
                return;
            }
        }
    };
    sim.run(&Plan::new(&calls, &body), policy);
    cell.peek() == turns
}

#[test]
fn drawing_policies_find_bugs_of_depth_two_and_three() {
    const RUNS: u64 = 1_000;
    let mut sim = Sim::new();
    for depth in [2, 3] {
        let turns = depth + 1;
        assert!(!all_turns_taken(
            turns,
            &mut Preemptions::default(),
            &mut sim
        ));
        let mut found = [0; 3];
        for seed in 0..RUNS {
            let mut walk = RandomWalk::new(seed);
            let mut pct = Pct::new(seed, depth, 30);
            let mut pos = Pos::new(seed);
            let policies: [&mut dyn Policy; 3] = [&mut walk, &mut pct, &mut pos];
            for (found, policy) in found.iter_mut().zip(policies) {
                *found += u32::from(all_turns_taken(turns, policy, &mut sim));
            }
        }
        println!("depth {depth}: walk, pct, pos found it in {found:?} of {RUNS} runs");
        // PCT promises 1 / (2 tasks · 30 points^(depth - 1)): 16 and half a run of a thousand.
        assert!(
            found.iter().all(|&found| found > 2),
            "depth {depth}: {found:?}"
        );
    }
}
