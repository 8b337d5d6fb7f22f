//! The laws of each primitive outside a simulation: on one thread, then on real ones.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::thread::ScopedJoinHandle;

use vmadiff_interleave::{
    Cell, Irqs, Rcu, RefCount, RefError, RwSem, SeqCount, SeqError, SeqLock, Site, SpinLock, sites,
};

sites! {
    A = "test.a";
    B = "test.b";
}

/// The candidate is shared between threads, so all it is made of must be.
#[test]
fn primitives_are_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Cell<u64>>();
    shared::<RwSem>();
    shared::<SpinLock>();
    shared::<SeqCount>();
    shared::<SeqLock>();
    shared::<RefCount>();
    shared::<Rcu<u32>>();
    shared::<Irqs>();
    shared::<Site>();
}

#[test]
fn a_site_keeps_its_number() {
    // FNV-1a of "a" and of the empty string, as its authors publish them.
    assert_eq!(vmadiff_interleave::SiteInfo::new("a").number(), 0xe40c_292c);
    assert_eq!(vmadiff_interleave::SiteInfo::new("").number(), 0x811c_9dc5);
    assert_eq!(A.number(), ALL[0].number());
    assert_ne!(A, B);
}

#[test]
fn a_cell_holds_its_word() {
    let cell = Cell::new(-3_i32);
    assert_eq!(cell.get(A), -3);
    cell.set(A, i32::MIN);
    assert_eq!(cell.swap(A, 4), i32::MIN);
    assert_eq!(cell.compare_exchange(A, 5, 6), Err(4));
    assert_eq!(cell.compare_exchange(A, 4, 6), Ok(()));
    assert_eq!(cell.peek(), 6);
    cell.init(7);
    assert_eq!(cell.get(A), 7);
    let flag = Cell::new(true);
    assert!(flag.swap(A, false) && !flag.peek());
}

#[test]
fn a_count_refuses_from_zero_and_below_zero() {
    let count = RefCount::new(1);
    assert_eq!(count.get(A), Ok(2));
    assert_eq!(count.put(A), Ok(1));
    assert_eq!(count.put(A), Ok(0));
    assert_eq!(count.put(A), Err(RefError::BelowZero));
    assert_eq!(count.get(A), Err(RefError::FromZero));
    assert_eq!(count.get_unless_zero(A), None);
    assert_eq!(count.peek(), 0);
    count.init(1);
    assert_eq!(count.get_unless_zero(A), Some(2));
}

#[test]
fn a_sequence_count_tells_a_bracket_from_a_nest() {
    let count = SeqCount::new();
    let seen = count.read(A);
    assert_eq!(count.write_begin(A), Ok(()));
    assert!(count.changed(A, seen));
    assert_eq!(count.read(A) & 1, 1);
    assert_eq!(count.write_end(A), Ok(()));
    assert!(count.changed(A, seen), "even again, and yet another");

    // A nest: even inside, as v12 warns.
    assert_eq!(count.write_begin(A), Ok(()));
    assert_eq!(count.write_begin(A), Err(SeqError::BegunOdd));
    assert_eq!(count.peek() & 1, 0);
    assert_eq!(count.write_end(A), Err(SeqError::EndedEven));
    assert_eq!(count.write_end(A), Ok(()));
    assert_eq!(count.peek(), 6);
    count.init(u32::MAX);
    assert_eq!(count.write_end(A), Ok(()), "it wraps");
    assert_eq!(count.peek(), 0);
}

#[test]
fn a_sequence_lock_is_odd_only_inside() {
    let lock = SeqLock::new();
    let seen = lock.read_begin(A);
    assert!(!lock.read_retry(A, seen));
    let guard = lock.write(A);
    assert!(lock.read_retry(A, seen));
    drop(guard);
    assert_eq!(lock.read_begin(A), seen + 2);
    lock.init();
    assert_eq!(lock.read_begin(A), 0);
}

#[test]
fn a_spin_lock_excludes() {
    let lock = SpinLock::new();
    let held = lock.lock(A);
    assert!(lock.try_lock(A).is_none());
    lock.relax(A);
    drop(held);
    assert!(lock.try_lock(A).is_some());
    assert!(lock.try_lock(A).is_some(), "the last try gave it back");
}

#[test]
fn a_downgraded_writer_lets_readers_in_and_writers_out() {
    let sem = RwSem::new();
    let left = AtomicBool::new(false);
    let (first, second) = (sem.read(A), sem.read(A));
    drop((first, second));
    let reader = sem.write(A).downgrade(A);
    std::thread::scope(|scope| {
        scope.spawn(|| drop(sem.read(A))).join().unwrap();
        // From here on a writer waits, and a reader that came now might have to queue behind it.
        let writer = scope.spawn(|| {
            let _guard = sem.write(A);
            assert!(left.load(SeqCst), "a writer came in beside a reader");
        });
        std::thread::sleep(std::time::Duration::from_millis(5));
        left.store(true, SeqCst);
        drop(reader);
        writer.join().unwrap();
    });
}

#[test]
fn callbacks_wait_for_readers() {
    let mut rcu = Rcu::new();
    assert_eq!(rcu.pop_ready(A), None::<u32>);
    let outer = rcu.read_lock(A);
    rcu.call(A, 1);
    rcu.call(A, 2);
    let inner = rcu.read_lock(A);
    drop(inner);
    assert_eq!((rcu.pop_ready(A), rcu.pending()), (None, 2));
    drop(outer);
    assert_eq!(rcu.pop_ready(A), Some(1));
    rcu.clear();
    assert_eq!((rcu.pop_ready(A), rcu.pending()), (None, 0));
}

#[test]
fn a_broadcast_waits_for_sections_with_interrupts_off() {
    let irqs = Irqs::new();
    let answered = AtomicBool::new(false);
    irqs.broadcast(A);
    let off = irqs.disable(A);
    assert!(irqs.any_off());
    std::thread::scope(|scope| {
        let flush = scope.spawn(|| {
            irqs.broadcast(A);
            assert!(answered.load(SeqCst), "it did not wait");
        });
        std::thread::sleep(std::time::Duration::from_millis(5));
        answered.store(true, SeqCst);
        drop(off);
        flush.join().unwrap();
    });
    assert!(!irqs.any_off());
}

/// A writer keeps two cells equal under a sequence lock; readers never see them differ.
#[test]
fn real_threads_never_see_a_torn_pair() {
    let (lock, x, y) = (SeqLock::new(), Cell::new(0_u64), Cell::new(0_u64));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for n in 1..if cfg!(miri) { 500 } else { 20_000 } {
                let _guard = lock.write(A);
                x.set(A, n);
                y.set(A, n);
            }
            done.store(true, SeqCst);
        });
        let reader = scope.spawn(|| {
            while !done.load(SeqCst) {
                let pair = loop {
                    let seen = lock.read_begin(B);
                    let pair = (x.get(B), y.get(B));
                    if !lock.read_retry(B, seen) {
                        break pair;
                    }
                };
                assert_eq!(pair.0, pair.1);
            }
        });
        join([writer, reader]);
    });
}

/// A slot is replaced again and again; a reader that found an object never sees it freed.
#[test]
fn real_threads_never_see_a_callback_run_under_a_reader() {
    // Miri takes its time.
    let replaced = if cfg!(miri) { 100 } else { 2_000 };
    let freed: Vec<AtomicU32> = (0..replaced).map(|_| AtomicU32::new(0)).collect();
    let (rcu, slot) = (Rcu::new(), Cell::new(0_u32));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for next in 1..freed.len() as u32 {
                let old = slot.swap(A, next);
                rcu.call(A, old);
                if let Some(dead) = rcu.pop_ready(A) {
                    freed[dead as usize].store(1, SeqCst);
                }
            }
            done.store(true, SeqCst);
        });
        let read = || {
            while !done.load(SeqCst) {
                let section = rcu.read_lock(B);
                let found = slot.get(B) as usize;
                for _ in 0..50 {
                    assert_eq!(freed[found].load(SeqCst), 0, "freed under a reader");
                }
                drop(section);
                std::thread::yield_now();
            }
        };
        join([writer, scope.spawn(read), scope.spawn(read)]);
    });
}

/// Waits for each by itself: ThreadSanitizer does not see that the end of a scope waits for all.
fn join<const N: usize>(threads: [ScopedJoinHandle<'_, ()>; N]) {
    for thread in threads {
        thread.join().unwrap();
    }
}
