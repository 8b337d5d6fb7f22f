//! What a machine keeps when it boots again: memory, and nothing that a program could tell.

use std::sync::Arc;

use vmadiff_contract::{Call, Choice, Config, Fail, Manager, MapFlags, Stepped, Taken};

use super::driving::{ONE, begin};
use super::{Log, RW, at, map, map_with, store, unmap};
use crate::Reference;

fn booted() -> Reference {
    let mut reference = Reference::new(&Config::default(), Arc::new(Log::default()));
    reference.drive(&Config::default());
    reference
}

#[test]
fn a_copy_has_no_memory_of_earlier_programs() {
    let mut reference = booted();
    let shared = MapFlags::SHARED | MapFlags::ANONYMOUS | MapFlags::FIXED;
    for step in [map_with(0, 2, RW, shared, -1), store(0, 1)] {
        assert_eq!(reference.call(ONE, &step.call, Fail::NONE), step.want);
    }
    for _ in 0..3 {
        assert!(reference.call(ONE, &Call::Fork, Fail::NONE).is_success());
    }
    reference.drive(&Config::default());
    let machine = reference.machine.get_mut();
    assert_eq!(
        machine.world.kept(),
        4,
        "three of four address spaces, a file"
    );
    let copy = machine.clone();
    assert_eq!((copy.world.kept(), copy.world.mms.len()), (0, 1));
}

#[test]
fn nothing_is_left_of_a_call_that_never_ended() {
    let fresh = booted().digest();
    let mut left_any = false;
    for steps in 0.. {
        let mut reference = booted();
        for step in [map(0, 2), store(0, 1), store(1, 7)] {
            assert_eq!(reference.call(ONE, &step.call, Fail::NONE), step.want);
        }
        begin(&mut reference, ONE, &unmap(0, 2).call);
        let taken: Vec<_> = (0..steps)
            .map(|_| reference.take(ONE, Choice::Go))
            .collect();
        left_any |= !reference.machine.get_mut().world.letting_go.is_empty();
        reference.drive(&Config::default());
        assert_eq!(reference.digest(), fresh, "given up after {steps} steps");
        if let Some(Ok(Taken::Returned(_))) = taken.last() {
            assert!(left_any, "page {:#x} is let go of in a step", at(0));
            return;
        }
    }
}
