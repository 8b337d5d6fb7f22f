//! The tree against a `BTreeMap`.

use std::collections::BTreeMap;
use std::sync::Arc;

use vmadiff_contract::EventSink;

use super::*;
use crate::testing::{Log, Random};

const SPACE: u64 = 60;

struct Forest {
    log: Arc<Log>,
    vmas: Slab<Vma>,
    root: Cell<Handle<Vma>>,
}

impl Forest {
    fn new() -> Self {
        let log = Arc::new(Log::default());
        let vmas = Slab::new(4, log.clone() as Arc<dyn EventSink>);
        Self {
            log,
            vmas,
            root: Cell::new(Handle::NULL),
        }
    }

    fn tree(&self) -> Tree<'_> {
        Tree {
            vmas: &self.vmas,
            root: &self.root,
        }
    }

    /// The areas in order; each child's parent link and the heap order are checked on the way.
    fn starts(&self) -> Vec<u64> {
        fn walk(forest: &Forest, node: Handle<Vma>, parent: Handle<Vma>, into: &mut Vec<u64>) {
            let Some(vma) = some(&forest.vmas, node) else {
                return;
            };
            assert_eq!(vma.rb_parent().peek(), parent);
            if let Some(parent) = parent.some() {
                assert!(priority(parent) >= priority(node));
            }
            walk(forest, vma.rb_left().peek(), node, into);
            into.push(vma.start());
            walk(forest, vma.rb_right().peek(), node, into);
        }
        let mut starts = Vec::new();
        walk(self, self.root.peek(), Handle::NULL, &mut starts);
        starts
    }
}

#[test]
fn it_holds_what_a_map_holds() {
    let forest = Forest::new();
    let mut model = BTreeMap::new();
    let mut random = Random::new(1);
    for _ in 0..4000 {
        let start = random.below(SPACE) * 2;
        let end = start + 1 + random.below(2);
        if let Some(vma) = model.remove(&start) {
            forest.tree().erase(forest.vmas.get(vma));
            forest.vmas.free(vma);
        } else {
            let taken = model
                .range(..end)
                .next_back()
                .is_some_and(|(_, &vma)| forest.vmas.get(vma).end() > start);
            let links = forest.tree().find_links(start, end);
            assert_eq!(links.is_err(), taken);
            if let Ok(links) = links {
                let below = model.range(..start).next_back().map(|(_, &vma)| vma);
                assert_eq!(links.prev.map(Ref::handle), below);
                let vma = forest.vmas.alloc();
                vma.vm_start().init(start);
                vma.vm_end().init(end);
                forest.tree().insert(vma, links.place);
                model.insert(start, vma.handle());
            }
        }
        assert!(forest.starts().iter().eq(model.keys()));
        let addr = random.below(2 * SPACE + 3);
        let found = forest.tree().find(addr).map(Ref::handle);
        let expected = model
            .values()
            .find(|&&vma| forest.vmas.get(vma).end() > addr);
        assert_eq!(found, expected.copied());
    }
    assert!(forest.log.take().is_empty());
}

#[test]
fn erasing_around_a_dead_area_ends() {
    let forest = Forest::new();
    let mut all = Vec::new();
    for start in 0..20 {
        let vma = forest.vmas.alloc();
        vma.vm_start().init(start);
        vma.vm_end().init(start + 1);
        let links = forest.tree().find_links(start, start + 1);
        forest
            .tree()
            .insert(vma, links.expect("nothing is there").place);
        all.push(vma.handle());
    }
    forest.vmas.free(all[10]);
    for (i, vma) in all.into_iter().enumerate() {
        if i != 10 {
            forest.tree().erase(forest.vmas.get(vma));
        }
    }
    assert!(!forest.log.take().is_empty());
}
