//! What serial calls cost, to be counted by callgrind (docs/figures.md).

use std::sync::Arc;

use vmadiff_contract::{Call, Config, Event, EventSink, Fail, Manager, TaskId};

use super::dice::Dice;
use crate::Reference;

/// Hears nothing.
struct Deaf;

impl EventSink for Deaf {
    fn event(&self, _: Event) {}
}

/// 1,000 programs of 24 random calls, of which a quarter succeed.
#[test]
#[ignore = "a figure, not a check: it is counted by callgrind"]
fn of_serial_calls() {
    let mut reference = Reference::new(&Config::default(), Arc::new(Deaf));
    let mut succeeded = 0;
    for seed in 0..1000 {
        let mut dice = Dice(seed);
        reference.reset(&dice.config());
        for _ in 0..24 {
            let task = TaskId(1 + dice.below(2) as u8);
            succeeded += u64::from(run(&reference, task, &dice.call()));
        }
    }
    println!("{succeeded} of 24000 calls succeed");
    assert!(succeeded > 5000);
}

#[inline(never)]
fn run(reference: &Reference, task: TaskId, call: &Call) -> bool {
    reference.call(task, call, Fail::NONE).is_success()
}
