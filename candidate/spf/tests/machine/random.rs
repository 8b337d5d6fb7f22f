//! Random calls, with failing allocations and small limits: no protocol is ever broken, and
//! nothing is left in the end.

use super::*;
use vmadiff_machine::testing::Random;

fn random_prot(random: &mut Random) -> Prot {
    random.pick(&[
        Prot::NONE,
        Prot::READ,
        RW,
        RW,
        RW,
        RW | Prot::EXEC,
        Prot::EXEC,
        Prot::WRITE,
    ])
}

fn random_map(random: &mut Random, addr: u64, len: u64) -> Call {
    let kind = random.pick(&[
        MapFlags::PRIVATE | MapFlags::ANONYMOUS,
        MapFlags::PRIVATE | MapFlags::ANONYMOUS,
        MapFlags::SHARED | MapFlags::ANONYMOUS,
        MapFlags::PRIVATE,
        MapFlags::SHARED,
        MapFlags::PRIVATE | MapFlags::ANONYMOUS | MapFlags::GROWSDOWN,
    ]);
    let how = random.pick(&[
        MapFlags::FIXED,
        MapFlags::FIXED,
        MapFlags::empty(),
        MapFlags::FIXED_NOREPLACE,
        MapFlags::POPULATE,
        MapFlags::LOCKED,
    ]);
    // A stack that is not charged would keep the charges of its growth for ever: Linux's own defect.
    let prot = if kind.contains(MapFlags::GROWSDOWN) {
        RW
    } else {
        random_prot(random)
    };
    Call::Mmap {
        addr,
        len,
        prot,
        flags: kind | how,
        fd: Fd(3 + random.below(4) as i32),
        off: random.below(4) * 4096,
    }
}

pub fn random_call(random: &mut Random) -> Call {
    let addr = page(random.below(32)) + random.pick(&[0, 0, 0, 7]);
    let area = page(random.below(32));
    let len = (1 + random.below(8)) * 4096;
    let fd = Fd(3 + random.below(4) as i32);
    match random.below(28) {
        0..=4 => random_map(random, area, len),
        5..=6 => Call::Munmap { addr: area, len },
        7..=9 => Call::Mprotect {
            addr: area,
            len,
            prot: random_prot(random),
        },
        10 => Call::Madvise {
            addr: area,
            len,
            advice: random.pick(Advice::ALL),
        },
        11 => Call::Brk {
            addr: Config::default().start_brk + random.below(20) * 2048,
        },
        12 => Call::Fork,
        13 if random.below(4) == 0 => Call::Exit,
        13..=15 => Call::Load { addr },
        16..=20 => Call::Store {
            addr,
            value: random.below(256) as u8,
        },
        21 => Call::Exec { addr },
        22 => Call::Open {
            kind: random.pick(FileKind::ALL),
            access: random.pick(&[Access::READ, Access::READ | Access::WRITE]),
            size: random.below(9) * 3000,
        },
        23 => Call::Ftruncate {
            fd,
            size: random.below(9) * 3000,
        },
        24 => Call::Close { fd },
        25..=26 => Call::Reclaim { addr },
        _ => Call::Softirq,
    }
}

fn random_config(random: &mut Random) -> Config {
    Config {
        tasks: 1 + random.below(3) as u8,
        max_map_count: random.pick(&[65530, 65530, 6]),
        commit_limit: random.pick(&[u64::MAX, u64::MAX, 60]),
        rlimit_as: random.pick(&[u64::MAX, 40 << 12]),
        rlimit_memlock: random.pick(&[8 << 20, 0, 8 << 12]),
        stack_guard_gap: random.pick(&[256, 2]),
        reuse_slots: random.below(2) == 0,
        ..Config::default()
    }
}

#[test]
fn no_protocol_is_broken_and_nothing_is_left() {
    let mut machine = Booted::boot();
    for seed in 1..400 {
        let mut random = Random::new(seed);
        machine.machine.reset(&random_config(&mut random));
        for _ in 0..60 {
            let task = TaskId(random.pick(&[1, 1, 1, 2, 2, 3, 4]));
            let fail = Fail(random.pick(&[0, 0, 0, 0, 0, 1, 2, 3, 4]));
            let call = random_call(&mut random);
            let outcome = machine.machine.call(task, &call, fail);
            assert_ne!(outcome, Outcome::Livelock, "{call:?}");
            machine.check_protocol();
            let broken = machine
                .log
                .take()
                .into_iter()
                .find(|e| matches!(e, Event::Misuse(_)));
            assert_eq!(broken, None, "seed {seed}: {call:?}");
        }
        machine.check_end();
        let broken = machine
            .log
            .take()
            .into_iter()
            .find(|e| matches!(e, Event::Misuse(_)));
        assert_eq!(broken, None, "seed {seed}: the end");
    }
}

#[test]
fn the_same_calls_raise_the_same_events() {
    let run = |machine: &mut Booted, config: &Config| {
        machine.machine.reset(config);
        let mut random = Random::new(77);
        for _ in 0..300 {
            let call = random_call(&mut random);
            machine.machine.call(TaskId(1), &call, Fail::NONE);
        }
        (machine.log.take(), machine.snapshot())
    };
    let mut machine = Booted::boot();
    let config = Config::default();
    let first = run(&mut machine, &config);
    assert_eq!(run(&mut machine, &config), first);
    // Where slots are never reused nothing else may differ.
    let fresh = Config {
        reuse_slots: false,
        ..config
    };
    assert_eq!(run(&mut machine, &fresh), first);
}

#[test]
fn every_defect_runs_without_a_panic() {
    for info in vmadiff_spf::DESIGN.defects.iter().copied().flatten() {
        let mut machine = Booted::with_defects(&Config::default(), &[info.name]);
        for seed in 1..60 {
            let mut random = Random::new(seed);
            machine.machine.reset(&random_config(&mut random));
            for _ in 0..40 {
                let task = TaskId(random.pick(&[1, 1, 2, 3]));
                let call = random_call(&mut random);
                machine.machine.call(task, &call, Fail::NONE);
                machine.snapshot();
            }
            machine.machine.quiesce();
            machine.log.take();
        }
    }
}
