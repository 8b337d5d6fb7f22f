//! Room is found where a walk over all areas finds it, also where there are so many areas that searches
//! note how far they need not look again: what comes, goes and changes its bounds meanwhile voids notes.

use std::sync::Arc;

use vmadiff_contract::{
    Call, Config, Fail, Fd, Manager, MapFlags, MoveFlags, Outcome, Prot, Snapshot, TaskId,
};
use vmadiff_machine::Machine;
use vmadiff_machine::testing::{Log, Plain, Random};

const PAGE: u64 = 4096;

fn call(manager: &dyn Manager, call: Call) -> Outcome {
    manager.call(TaskId(1), &call, Fail(0))
}

/// Where room for `len` bytes is, from the areas alone; none of them grows down.
fn room(config: &Config, areas: &[(u64, u64)], len: u64) -> Option<u64> {
    let ends = std::iter::once(0).chain(areas.iter().map(|area| area.1));
    let starts = areas.iter().map(|area| area.0).chain([u64::MAX]);
    let gaps: Vec<(u64, u64)> = ends.zip(starts).collect();
    let inside = |low: u64, high: u64| {
        let cut = gaps
            .iter()
            .map(move |gap| (gap.0.max(low), gap.1.min(high)));
        cut.filter(|gap| gap.1 > gap.0 && gap.1 - gap.0 >= len)
            .collect::<Vec<_>>()
    };
    let bottom_up = |low| inside(low, config.task_size).first().map(|gap| gap.0);
    if config.legacy_layout {
        return bottom_up(config.mmap_base);
    }
    let top_down = inside(config.mmap_min_addr.max(PAGE), config.mmap_base);
    let highest = top_down.last().map(|gap| gap.1 - len);
    highest.or_else(|| bottom_up((config.task_size / 3).next_multiple_of(PAGE)))
}

/// A random call that changes areas.
fn change(random: &mut Random, areas: &[(u64, u64)]) -> Call {
    let (start, end) = areas[random.below(areas.len() as u64) as usize];
    let addr = start + random.below((end - start) / PAGE) * PAGE;
    let len = (1 + random.below(4)) * PAGE;
    match random.below(6) {
        0 | 1 => Call::Munmap { addr, len },
        2 => Call::Mprotect {
            addr,
            len,
            prot: random.pick(&[Prot::READ, Prot::READ | Prot::WRITE]),
        },
        3 => Call::Mremap {
            addr: start,
            old_len: end - start,
            new_len: (1 + random.below(5)) * PAGE,
            flags: MoveFlags::MAYMOVE,
            new_addr: 0,
        },
        _ => Call::Mmap {
            addr: addr.wrapping_add(random.below(9) * PAGE),
            len,
            prot: Prot::READ,
            flags: MapFlags::PRIVATE | MapFlags::ANONYMOUS | MapFlags::FIXED,
            fd: Fd(-1),
            off: 0,
        },
    }
}

fn agrees(config: &Config) {
    let mut manager = Machine::<Plain>::boxed(config, Arc::new(Log::default()), &[]);
    manager.reset(config);
    let mut random = Random::new(7);
    let mut seen = Snapshot::default();
    let mut most = 0;
    for step in 0..3000 {
        manager.snapshot(&mut seen);
        let areas: Vec<_> = seen.vmas.iter().map(|vma| (vma.start, vma.end)).collect();
        most = most.max(areas.len());
        // First the map fills, then it changes.
        if step > 400 && random.below(2) == 0 {
            call(&*manager, change(&mut random, &areas));
            continue;
        }
        let len = random.pick(&[1, 1, 2, 3, 8]) * PAGE;
        let prot = random.pick(&[Prot::NONE, Prot::READ, Prot::READ | Prot::WRITE]);
        let found = call(
            &*manager,
            Call::Mmap {
                addr: 0,
                len,
                prot,
                flags: MapFlags::PRIVATE | MapFlags::ANONYMOUS,
                fd: Fd(-1),
                off: 0,
            },
        );
        let expected = room(config, &areas, len).map(Outcome::Value);
        assert_eq!(Some(found), expected, "step {step}, {len:#x} bytes");
    }
    assert!(most > 300, "{most} areas: no search was long");
}

#[test]
fn room_is_found_from_the_top() {
    agrees(&Config {
        mmap_base: 0x4000_0000,
        ..Config::default()
    });
}

/// The window from the top is soon full, and the rest is found from the bottom.
#[test]
fn room_is_found_from_the_bottom() {
    agrees(&Config::default());
    agrees(&Config {
        legacy_layout: true,
        ..Config::default()
    });
}
