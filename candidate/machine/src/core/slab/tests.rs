//! Slabs: dead objects, slots used again, and chunks.

use vmadiff_contract::Event;

use super::*;
use crate::testing::Log;

object! {
    /// An object with one word.
    Thing, shows: Nothing, dead: |n| Some(Misuse::DeadVma(vmadiff_contract::VmaId(n)));
    words {
        /// A word.
        value: u32,
    }
    parts {}
}

vmadiff_interleave::sites! { HERE = "test.here"; }

fn slab(reuse: bool) -> (Arc<Log>, Slab<Thing>) {
    let log = Arc::new(Log::default());
    let mut slab = Slab::new(2, log.clone() as Arc<dyn EventSink>);
    slab.reset(reuse);
    (log, slab)
}

#[test]
fn a_dead_object_is_reported_and_reads_as_zero() {
    let (log, slab) = slab(true);
    let old = slab.alloc();
    old.value().set(HERE, 7);
    assert!(slab.free(old.handle()));
    let new = slab.alloc();
    new.value().set(HERE, 9);
    assert_eq!(old.handle().index(), new.handle().index());
    old.value().set(HERE, 8);
    assert_eq!((old.value().get(HERE), new.value().get(HERE)), (0, 9));
    let dead = Event::Misuse(Misuse::DeadVma(vmadiff_contract::VmaId(1)));
    assert_eq!(log.take(), [dead, dead]);
    assert!(!slab.free(old.handle()));
}

#[test]
fn slots_are_reused_at_once_or_never() {
    for (reuse, expected) in [(true, 0), (false, 1)] {
        let (_, slab) = slab(reuse);
        slab.free(slab.alloc().handle());
        assert_eq!(slab.alloc().handle().index(), expected);
    }
}

#[test]
fn chunks_hold_every_index_once() {
    let (log, slab) = slab(false);
    let handles: Vec<_> = (0..100)
        .map(|i| {
            let thing = slab.alloc();
            thing.value().init(i);
            thing.handle()
        })
        .collect();
    for (i, handle) in handles.iter().enumerate() {
        assert_eq!(slab.get(*handle).value().peek(), i as u32);
    }
    assert_eq!((slab.live(), slab.iter().count()), (100, 100));
    assert!(log.take().is_empty());
}

#[test]
fn no_object_is_ever_alive_under_the_null_handle() {
    let (log, slab) = slab(true);
    assert!(!slab.get(Handle::NULL).alive());
    assert_eq!(log.take().len(), 1);
}
