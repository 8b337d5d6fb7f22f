//! The eight cases of vma_merge: which area survives, and which is freed.

use vmadiff_contract::VmaId;

use super::*;

/// Makes the areas, makes the call, and compares: the case that was taken, the areas that remain
/// (first page, last page + 1, number), and the VMAs freed when all grace periods have ended.
#[track_caller]
fn check(set_up: impl Fn(&Booted), call: Call, case: u8, areas: &[(u64, u64, u32)], freed: &[u32]) {
    let machine = Booted::boot();
    set_up(&machine);
    machine.machine.quiesce();
    machine.log.take();
    machine.value(call);
    machine.machine.quiesce();
    let events = machine.log.take();
    assert!(
        events.contains(&Event::Note(Note::Merge(case))),
        "{events:?}"
    );
    let gone: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::VmaFree { vma: VmaId(n) } => Some(*n),
            _ => None,
        })
        .collect();
    assert_eq!(
        (machine.areas().as_slice(), gone.as_slice()),
        (areas, freed)
    );
    machine.check_protocol();
    machine.check_end();
}

fn mmap(from: u64, to: u64) -> Call {
    Call::Mmap {
        addr: page(from),
        len: (to - from) * 4096,
        prot: RW,
        flags: MapFlags::PRIVATE | MapFlags::ANONYMOUS | MapFlags::FIXED,
        fd: Fd(-1),
        off: 0,
    }
}

fn advise(from: u64, to: u64, advice: Advice) -> Call {
    Call::Madvise {
        addr: page(from),
        len: (to - from) * 4096,
        advice,
    }
}

/// Three areas side by side, the middle one not copied by fork.
fn three(machine: &Booted) {
    machine.map(0, 12, RW);
    machine.value(advise(4, 8, Advice::DontFork));
}

#[test]
fn case_1_fills_a_gap() {
    let two = |m: &Booted| {
        m.map(0, 4, RW);
        m.map(8, 12, RW);
    };
    check(two, mmap(4, 8), 1, &[(0, 12, 1)], &[2]);
}

#[test]
fn case_2_grows_the_area_before() {
    check(|m| m.map(0, 4, RW), mmap(4, 8), 2, &[(0, 8, 1)], &[]);
}

#[test]
fn case_3_grows_the_area_after_down() {
    check(|m| m.map(8, 12, RW), mmap(4, 8), 3, &[(4, 12, 1)], &[]);
}

#[test]
fn case_4_moves_the_boundary_down() {
    // The split is below: the lower piece is the new one.
    let two = |m: &Booted| {
        m.map(0, 12, RW);
        m.value(advise(8, 12, Advice::DontFork));
    };
    check(
        two,
        advise(4, 8, Advice::DontFork),
        4,
        &[(0, 4, 2), (4, 12, 1)],
        &[],
    );
}

#[test]
fn case_5_moves_the_boundary_up() {
    // The split is above: the upper piece is the new one.
    let two = |m: &Booted| {
        m.map(0, 12, RW);
        m.value(advise(0, 4, Advice::DontFork));
    };
    check(
        two,
        advise(4, 8, Advice::DontFork),
        5,
        &[(0, 8, 1), (8, 12, 2)],
        &[],
    );
}

#[test]
fn case_6_takes_both() {
    // 1 is the middle, 2 was split off below, 3 above.
    check(
        three,
        advise(4, 8, Advice::DoFork),
        6,
        &[(0, 12, 2)],
        &[1, 3],
    );
}

#[test]
fn case_7_takes_the_area_into_the_one_before() {
    let set_up = |m: &Booted| {
        three(m);
        m.value(advise(8, 12, Advice::Random));
    };
    check(
        set_up,
        advise(4, 8, Advice::DoFork),
        7,
        &[(0, 8, 2), (8, 12, 3)],
        &[1],
    );
}

#[test]
fn case_8_takes_the_area_into_the_one_after() {
    let set_up = |m: &Booted| {
        three(m);
        m.value(advise(0, 4, Advice::Random));
    };
    check(
        set_up,
        advise(4, 8, Advice::DoFork),
        8,
        &[(0, 4, 2), (4, 12, 3)],
        &[1],
    );
}

#[test]
fn areas_with_close_never_merge() {
    let machine = Booted::boot();
    let fd = machine.open(FileKind::WithClose);
    machine.map_file(0, 4, RW, Some(fd), 0);
    machine.map_file(4, 8, RW, Some(fd), 4);
    assert_eq!(machine.areas(), [(0, 4, 1), (4, 8, 2)]);
}

#[test]
fn a_faulted_range_does_not_merge_with_an_unfaulted_area() {
    let machine = Booted::boot();
    machine.map(0, 4, RW);
    machine.map(4, 8, RW | Prot::EXEC);
    machine.store(5, 1);
    machine.protect(4, 8, RW);
    assert_eq!(machine.areas(), [(0, 4, 1), (4, 8, 2)]);
}

#[test]
fn the_pieces_of_a_faulted_area_find_each_other() {
    let machine = Booted::boot();
    machine.map(0, 8, RW);
    machine.protect(4, 8, Prot::READ | Prot::WRITE | Prot::EXEC);
    machine.store(1, 1);
    machine.store(5, 1);
    machine.protect(4, 8, RW);
    // The split was below, so the survivor, which is the lower piece, is the new one.
    assert_eq!(machine.areas(), [(0, 8, 2)]);
}
