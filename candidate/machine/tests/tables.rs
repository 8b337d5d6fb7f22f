//! A page table that is used again: nothing tells what it was before.

use std::sync::Arc;

use vmadiff_contract::{Config, EventSink, Manager};
use vmadiff_machine::Machine;
use vmadiff_machine::testing::{Log, Plain};

#[test]
fn a_new_table_has_never_left_a_place() {
    let config = Config::default();
    let events = Arc::new(Log::default()) as Arc<dyn EventSink>;
    let mut machine: Machine<Plain> = Machine::new(&config, events, &[]);
    let mut first = None;
    for _ in 0..2 {
        let table = machine.alloc_table(12);
        assert_eq!(table.left().shown(), 0, "an earlier program's moment");
        // A move or a collapse takes it out of its tree.
        table.left().init(7);
        let handle = table.handle();
        assert_eq!(*first.get_or_insert(handle), handle, "the same slot");
        machine.reset(&config);
    }
}
