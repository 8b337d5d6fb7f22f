//! Sections 20 to 22 and 30: files, swap, and what the kernel does to pages by itself.

use vmadiff_contract::{Access, Call, FileKind};

use super::access::{entries, task};
use super::*;

const SHARED: MapFlags = MapFlags::SHARED.union(MapFlags::FIXED);
const COPY: MapFlags = MapFlags::PRIVATE.union(MapFlags::FIXED);

fn open(kind: FileKind, pages: u64) -> Step {
    Step::new(Call::Open {
        kind,
        access: Access::all(),
        size: pages * 4096,
    })
    .is(3)
}

fn truncate(size: u64) -> Step {
    Step::new(Call::Ftruncate { fd: Fd(3), size })
}

fn reclaim(page: u64, is: u64) -> Step {
    Step::new(Call::Reclaim { addr: at(page) }).is(is)
}

#[test]
fn files() {
    let seen = check(
        &[
            open(FileKind::Plain, 2),
            map_with(0, 2, RW, SHARED, 3),
            load(1, 0xa1),
            store(0, 9),
        ],
        "AA",
    );
    entries(&seen, &["rw-f", "rw-f"]);
    assert_eq!((seen.mms[0].rss_file, seen.file_bytes[0].value), (2, 9));
    let private = [
        open(FileKind::Plain, 2),
        map_with(0, 2, RW, COPY, 3),
        load(0, 0xa0),
        store(0, 9),
        store(1, 9),
    ];
    let seen = check(&private, "AA");
    entries(&seen, &["rw-a", "rw-a"]);
    assert_eq!(
        (
            seen.mms[0].rss_file,
            seen.mms[0].rss_anon,
            seen.file_bytes[0].value
        ),
        (0, 2, 0xa0)
    );
}

/// Past the end there are no pages. A private store has its anon_vma and its frame by then.
#[test]
fn past_the_end() {
    let program = [
        open(FileKind::Plain, 1),
        map_with(0, 3, RW, COPY, 3),
        load(1, 0).gives(Outcome::Bus),
        store(2, 1).gives(Outcome::Bus),
    ];
    let seen = check(&program, "AAA");
    assert_eq!((seen.anons, seen.anon_frames, seen.pages.len()), (1, 0, 0));
    let program = [
        open(FileKind::NoFault, 1),
        map_with(0, 1, RW, COPY, 3),
        store(0, 1).gives(Outcome::Bus),
    ];
    assert_eq!(check(&program, "A").anons, 0);
}

/// What is cut off a file goes from every mapping, with the private copies.
#[test]
fn truncation() {
    let mapped = [
        open(FileKind::Plain, 3),
        map_with(0, 3, RW, COPY, 3),
        map_with(4, 3, RO, SHARED, 3),
    ];
    let touched = [
        store(1, 1),
        store(2, 2),
        load(5, 0xa1),
        load(4, 0xa0),
        reclaim(2, 1),
    ];
    let cut = [
        truncate(4096 + 1),
        load(1, 1),
        load(2, 0).gives(Outcome::Bus),
        truncate(4096 - 1),
        load(1, 0).gives(Outcome::Bus),
    ];
    let seen = check(&[&mapped[..], &touched, &cut].concat(), "AAA.BBB");
    entries(&seen, &["r--f"]);
    let mm = &seen.mms[0];
    assert_eq!(
        (mm.rss_anon, mm.rss_file, mm.swap_entries, seen.anon_frames),
        (0, 1, 0, 0)
    );
    let program = [open(FileKind::Plain, 2), truncate(1), truncate(8192)];
    assert_eq!(check(&program, "").file_bytes.len(), 1);
}

/// A page comes back from swap by a major fault; what a load brought, a store makes writable.
#[test]
fn swap() {
    let out = vec![map(0, 2), store(0, 7), reclaim(0, 1)];
    let seen = check(&out, "AA");
    entries(&seen, &["---s"]);
    assert_eq!(
        (
            seen.mms[0].swap_entries,
            seen.mms[0].rss_anon,
            seen.bytes[0].value
        ),
        (1, 0, 7)
    );
    let seen = check(&[out.clone(), vec![load(0, 7)]].concat(), "AA");
    entries(&seen, &["r--a"]);
    assert_eq!(task(&seen, 1), (1, 1));
    let seen = check(&[out.clone(), vec![load(0, 7), store(0, 8)]].concat(), "AA");
    assert_eq!(task(&seen, 1), (2, 1));
    let seen = check(&[out, vec![store(0, 8), load(0, 8)]].concat(), "AA");
    entries(&seen, &["rw-a"]);
    assert_eq!(task(&seen, 1), (1, 1));
    let nothing = [
        map(0, 1),
        reclaim(0, 0),
        load(0, 0),
        reclaim(0, 0),
        reclaim(5, 0),
    ];
    check(&nothing, "A");
}

/// A page that two address spaces map goes out of both and comes back to each by itself; not if
/// one has it locked.
#[test]
fn swap_of_a_shared_page() {
    let shared = vec![map(0, 1), store(0, 7), fork(3)];
    let seen = check(
        &[shared.clone(), vec![reclaim(0, 1).by(3), store(0, 8)]].concat(),
        "A",
    );
    assert_eq!(
        (
            seen.mms[0].swap_entries,
            seen.mms[1].swap_entries,
            seen.anon_frames
        ),
        (0, 1, 2)
    );
    let lock = Step::new(Call::Mlock {
        addr: at(0),
        len: 1,
    });
    check(
        &[shared, vec![protect(0, 1, RO), lock, reclaim(0, 0).by(3)]].concat(),
        "A",
    );
}

/// A page that shows who uses it takes one more fault, and then allows what it did (section 30).
#[test]
fn numa_hints() {
    let scan = Step::new(Call::NumaScan {
        addr: at(0),
        len: 2 * 4096,
    });
    let hinted = vec![map(0, 2), store(0, 7), load(1, 0), scan];
    let seen = check(&hinted, "AA");
    entries(&seen, &["---a", "r--z"]);
    let seen = check(&[hinted.clone(), vec![load(0, 7)]].concat(), "AA");
    entries(&seen, &["rw-a", "r--z"]);
    assert_eq!(task(&seen, 1), (3, 0));
    let seen = check(&[hinted, vec![fork(3), store(0, 8)]].concat(), "AA");
    assert_eq!(task(&seen, 1), (4, 0));
    entries(&seen, &["rw-a", "r--z", "---a", "r--z"]);
}

/// Collapsing fills the range with fresh frames, or leaves it as it was.
#[test]
fn collapse() {
    let collapse = |page: u64, pages: u64| {
        Step::new(Call::Collapse {
            addr: at(page),
            len: pages * 4096,
        })
    };
    let touched = vec![map(0, 4), store(0, 7), load(1, 0)];
    let seen = check(
        &[touched.clone(), vec![collapse(0, 3).is(1), load(0, 7)]].concat(),
        "AAAA",
    );
    entries(&seen, &["rw-a"; 3]);
    assert_eq!((seen.mms[0].rss_anon, seen.anon_frames), (3, 3));
    let seen = check(
        &[touched.clone(), vec![collapse(0, 3).without(3)]].concat(),
        "AAAA",
    );
    entries(&seen, &["rw-a", "r--z"]);
    check(
        &[
            touched.clone(),
            vec![
                collapse(1, 3),
                collapse(0, 5),
                collapse(0, 0),
                collapse(0, 513),
            ],
        ]
        .concat(),
        "AAAA",
    );
    check(&[touched, vec![fork(3), collapse(0, 4)]].concat(), "AAAA");
    check(&[map(0, 4), load(0, 0), collapse(0, 4)], "AAAA");
}
