//! What only the reference can tell from a right run: a store that a defect loses.

use vmadiff::designs::Planted;
use vmadiff::judge::{Rule, Verdict};
use vmadiff::program::Case;

use crate::weave::Loom;

/// fork has write-protected a page and not flushed the TLBs when another thread copies it for a store;
/// meanwhile a third stores by its stale entry, to the page that was copied.
const STALE: &str = "\
config tasks=3
mmap(0x1f0000, 0x1000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)
[2] store(0x1f0000, 1)
fork()
[3] store(0x1f0001, 3)
[2] store(0x1f0002, 2)
[3] load(0x1f0002)
switch: 1@copy_pte_range.dst_ptl#2 -> 3
switch: 3@wp_page_copy.clear#1 -> 2
";

#[test]
fn a_store_that_is_lost_is_objected_to() {
    let program = Case::parse("stale", STALE).expect("a program").program;
    let right = Loom::new(&Planted::default()).run(&program);
    assert_eq!(right, Some(Verdict::Agree));
    let mut loom = Loom::new(&Planted::defect("a4-fork-without-bracket"));
    let lost = loom.run(&program);
    match lost {
        Some(Verdict::Diverge(found)) if found.signature.rule != Rule::CommitPoint => {}
        other => panic!("{other:?}\n{}", loom.trace()),
    }
}
