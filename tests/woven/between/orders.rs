//! What orders are tried, and that no more are admitted than were.

use vmadiff::designs::Planted;
use vmadiff::judge::Verdict;
use vmadiff::run::Woven;

use super::{agreed, judged_at_rest, program};
use crate::weave::Loom;

/// Two tasks store to the same byte, the second one while the first is at it.
const BOTH_STORE: &str = "\
mmap(0x1f0000, 0x1000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)
store(0x1f0000, 1)
store(0x1f0000, 2)
[2] store(0x1f0000, 3)
switch: 1@access.store#2 -> 2
";

/// A call populates a whole table's pages while another task stores to the first.
const POPULATES: &str = "\
mmap(0x200000, 0x200000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS|MAP_LOCKED, -1, 0)
[2] store(0x200000, 1)
switch: 1@mm_populate.mmap_sem#1 -> 2
switch: 2@pte_map_lock.lock#1 -> 1
";

#[test]
fn stores_that_overlap_come_in_the_order_of_their_marks() {
    let program = program(BOTH_STORE);
    let mut loom = Loom::new(&Planted::default());
    let mut woven = loom.weave(&program).clone();
    assert_eq!(loom.judge(&program, &woven), Verdict::Agree);
    let byte = &mut woven.state.bytes[0].value;
    *byte = if *byte == 2 { 3 } else { 2 };
    assert!(matches!(loom.judge(&program, &woven), Verdict::Diverge(_)));
}

/// The search over orders is stopped by its bound: it is a finding all the same, and says so.
#[test]
fn what_is_too_large_to_try_all_orders_of_is_objected_to() {
    let forge = |woven: &mut Woven| woven.state.vmas[0].anon_chain += 1;
    let mut loom = Loom::new(&Planted::default());
    let large = program(POPULATES);
    let mut woven = loom.weave(&large).clone();
    assert_eq!(loom.judge(&large, &woven), Verdict::Agree);
    forge(&mut woven);
    let Verdict::Diverge(found) = loom.judge(&large, &woven) else {
        panic!("a state that is not the reference's is agreed to");
    };
    assert_eq!(found.signature.field, "vmas.anon_chain");
    assert!(
        found.what.ends_with("not all orders of steps were tried"),
        "{}",
        found.what
    );
    let small = program(&POPULATES.replace("0x200000, PROT", "0x2000, PROT"));
    judged_at_rest(&small, "vmas.anon_chain", forge);
}

/// Met by a campaign, and taken for a load that went through where none may: pages by the hundred.
#[test]
fn a_large_run_is_explained() {
    agreed(&program(include_str!("too-large.vma")));
}
