//! Sections 1 to 4: which VMA survives, and what keeps two apart.

use vmadiff_contract::{Access, Call, Errno, FileKind, MapFlags};

use super::*;

/// `BBBBAAAACCCC`: the middle of a mapping is read-only.
fn three() -> Vec<Step> {
    vec![map(0, 12), protect(4, 4, RO)]
}

fn then(mut first: Vec<Step>, rest: &[Step]) -> Vec<Step> {
    first.extend_from_slice(rest);
    first
}

/// Each case of section 2 as it is drawn there.
#[test]
fn all_eight_cases() {
    check(&three(), "BBBBAAAACCCC");
    // 1: a gap is filled.
    check(
        &[map(0, 4), map(8, 4), map(4, 4).frees(&[2])],
        "AAAAAAAAAAAA",
    );
    // 2 and 3: over a gap.
    check(&[map(0, 4), map(4, 4).frees(&[])], "AAAAAAAA");
    let seen = check(&[map(4, 4), map(2, 2).frees(&[])], "..AAAAAA");
    assert_eq!(vma(&seen, 'A').pgoff, at(2) / 4096);
    // 4: the end of an area goes over to the next.
    let two = [map(0, 8), protect(4, 4, RO)];
    check(&two, "BBBBAAAA");
    let seen = check(
        &then(two.to_vec(), &[protect(2, 2, RO).frees(&[])]),
        "BBAAAAAA",
    );
    assert_eq!(vma(&seen, 'A').pgoff, at(2) / 4096);
    // 5: the start of an area goes over to the one before.
    let seen = check(
        &then(two.to_vec(), &[protect(4, 2, RW).frees(&[])]),
        "BBBBBBAA",
    );
    assert_eq!(vma(&seen, 'A').pgoff, at(6) / 4096);
    // 6: the middle and the one after it go, the lower one first.
    check(
        &then(three(), &[protect(4, 4, RW).frees(&[1, 3])]),
        "BBBBBBBBBBBB",
    );
    // 7: the middle goes to the one before.
    let seven = [protect(8, 4, NONE), protect(4, 4, RW).frees(&[1])];
    check(&then(three(), &seven), "BBBBBBBBCCCC");
    // 8: the middle goes to the one after.
    let eight = [protect(0, 4, NONE), protect(4, 4, RW).frees(&[1])];
    let seen = check(&then(three(), &eight), "BBBBCCCCCCCC");
    assert_eq!(vma(&seen, 'C').pgoff, at(4) / 4096);
}

/// ACCOUNT stays when memory becomes read-only, and keeps it from what never was writable.
#[test]
fn account_is_a_trap() {
    let program = [
        map_with(0, 4, RO, PRIVATE, -1),
        map(4, 4),
        protect(4, 4, RO),
    ];
    check(&program, "AAAABBBB");
    check(
        &[
            map_with(0, 4, RO, PRIVATE, -1),
            map(4, 4),
            protect(0, 4, RW).frees(&[1]),
        ],
        "BBBBBBBB",
    );
}

/// A faulted neighbour takes in an unfaulted range, never the other way round.
#[test]
fn a_faulted_range_does_not_join_an_unfaulted_area() {
    let two = vec![map(0, 8), protect(4, 4, RO), store(0, 1)];
    check(
        &then(two.clone(), &[protect(4, 4, RW).frees(&[1])]),
        "BBBBBBBB",
    );
    check(&then(two, &[protect(0, 4, RO).frees(&[])]), "BBBBAAAA");
}

/// A fork's copy has two links in its chain; its parent still has one.
#[test]
fn a_child_s_faulted_area_takes_in_nothing() {
    let program = [map(0, 4), store(0, 1), fork(3), map(4, 4).by(3)];
    let seen = check_in(&Config::default(), 2, &program, "BBBBCCCC");
    assert_eq!(vma(&seen, 'B').anon_chain, 2);
    let program = [map(0, 4), store(0, 1), fork(3), map(4, 4)];
    check(&program, "AAAAAAAA");
    let program = [map(0, 4), fork(3), map(4, 4).by(3)];
    check_in(&Config::default(), 2, &program, "BBBBBBBB");
}

/// The survivor of case 1 takes over the other side's anon_vma; without memory for the link the
/// range becomes an area of its own (section 3).
#[test]
fn an_anon_vma_is_imported() {
    let sides = vec![map(0, 4), map(8, 4), store(8, 1)];
    let seen = check(
        &then(sides.clone(), &[map(4, 4).frees(&[2])]),
        "AAAAAAAAAAAA",
    );
    assert!(vma(&seen, 'A').anon.is_some());
    assert_eq!((vma(&seen, 'A').anon_chain, seen.anons), (1, 1));
    check(
        &then(sides, &[map(4, 4).without(1).frees(&[])]),
        "AAAACCCCBBBB",
    );
}

/// The first store after a cut shares the neighbour's anon_vma, so that the pieces merge again
/// (section 15); the next area's before the previous one's.
#[test]
fn pieces_share_an_anon_vma() {
    let cut = vec![
        map(0, 8),
        protect(4, 4, Prot::all() & (RW | Prot::EXEC)),
        store(0, 1),
        store(4, 1),
    ];
    let seen = check(&cut, "BBBBAAAA");
    assert_eq!(
        (seen.anons, vma(&seen, 'A').anon),
        (1, vma(&seen, 'B').anon)
    );
    check(&then(cut, &[protect(4, 4, RW).frees(&[1])]), "BBBBBBBB");
}

/// Not singular: nobody shares a forked chain.
#[test]
fn a_forked_anon_vma_is_not_shared() {
    let program = [
        map(0, 8),
        protect(4, 4, RO),
        store(0, 1),
        fork(3),
        protect(4, 4, RW | Prot::EXEC).by(3),
        store(4, 1).by(3),
    ];
    let seen = check_in(&Config::default(), 2, &program, "CCCCDDDD");
    assert_ne!(vma(&seen, 'C').anon, vma(&seen, 'D').anon);
    assert_eq!((vma(&seen, 'D').anon_chain, seen.anons), (1, 3));
}

/// A driver that wants its closes counted never sees its areas merge; they are opened when cut.
#[test]
fn areas_with_a_close_do_not_merge() {
    let open = |kind| {
        let call = Call::Open {
            kind,
            access: Access::all(),
            size: 8 * 4096,
        };
        Step::new(call).is(3)
    };
    let fixed = MapFlags::SHARED | MapFlags::FIXED;
    let halves = |kind| {
        vec![
            open(kind),
            map_with(0, 8, RW, fixed, 3),
            protect(4, 4, RO),
            protect(4, 4, RW),
        ]
    };
    check(&halves(FileKind::WithClose), "BBBBAAAA");
    check(&halves(FileKind::Plain), "BBBBBBBB");
}

/// Each mapping of shared anonymous memory has an object of its own.
#[test]
fn shared_memory_merges_with_its_own_pieces_only() {
    let shared = MapFlags::SHARED | MapFlags::ANONYMOUS | MapFlags::FIXED;
    check(
        &[
            map_with(0, 4, RW, shared, -1),
            map_with(4, 4, RW, shared, -1),
        ],
        "AAAABBBB",
    );
    let program = [
        map_with(0, 4, RW, shared, -1),
        protect(2, 2, RO),
        protect(2, 2, RW).frees(&[1]),
    ];
    check(&program, "BBBB");
}

/// A cut that fails leaves nothing; of two the first remains.
#[test]
fn failed_cuts() {
    let limited = Config {
        max_map_count: 2,
        ..Config::default()
    };
    check_in(
        &limited,
        1,
        &[map(0, 8), protect(2, 2, RO).fails(Errno::ENOMEM)],
        "BBAAAAAA",
    );
    let middle = protect(2, 2, RO);
    check(
        &[
            map(0, 8),
            middle.clone().without(1).fails(Errno::ENOMEM).frees(&[]),
        ],
        "AAAAAAAA",
    );
    check(
        &[
            map(0, 8),
            middle.clone().without(2).fails(Errno::ENOMEM).frees(&[]),
        ],
        "BBAAAAAA",
    );
    // The second allocation is the link to the anon_vma: the new area is freed unlinked.
    let faulted = [
        map(0, 8),
        store(0, 1),
        middle.without(2).fails(Errno::ENOMEM).frees(&[2]),
    ];
    let seen = check(&faulted, "AAAAAAAA");
    assert_eq!(vma(&seen, 'A').anon_chain, 1);
}
