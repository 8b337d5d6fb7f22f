//! Counted references and sequence counts: the protocol under which VMAs are shared.

use vmadiff_contract::{Protocol, Snapshot, VmaId};

use super::vma::{Record, Tree, Vmas, about};
use super::{Broken, Obeyed};
use crate::judge::Rule;

/// Between calls: the allocation's and the tree's.
const LINKED_REFS: u32 = 2;

impl Vmas {
    pub fn get_ref(&mut self, vma: VmaId, refs: u32) -> Obeyed {
        self.counts = true;
        let record = self.live_record(vma)?;
        let expected = record.refs.wrapping_add(1);
        record.counted = true;
        record.refs = refs;
        moved(vma, "get", expected, refs)
    }

    pub fn put_ref(&mut self, vma: VmaId, refs: u32) -> Obeyed {
        self.counts = true;
        let record = self.live_record(vma)?;
        let expected = record.refs.wrapping_sub(1);
        record.counted = true;
        record.refs = refs;
        moved(vma, "put", expected, refs)
    }

    /// Between calls nobody is inside: two references, an even count, of each linked VMA once.
    pub fn settle_references(&mut self, state: &Snapshot) -> Obeyed {
        if self.counts && state.protocol.len() != state.vmas.len() {
            return Err(uncovered(state));
        }
        let mut before = VmaId(0);
        for entry in &state.protocol {
            let Protocol { vma, counts } = *entry;
            let [refs, sequence] = counts;
            let &mut Record {
                tree,
                refs: counted,
                ..
            } = self.live_record(vma)?;
            if vma <= before || !matches!(tree, Tree::In(_)) {
                return Err(about(
                    Rule::VmaReferences,
                    vma,
                    "has a count that is not its own",
                ));
            }
            before = vma;
            if refs != LINKED_REFS {
                let what = format!("has {refs} references between calls, not {LINKED_REFS}");
                return Err(about(Rule::VmaReferences, vma, &what));
            }
            if refs != counted {
                let what = format!("has {counted} references by events, {refs} by its count");
                return Err(about(Rule::VmaReferences, vma, &what));
            }
            if sequence % 2 != 0 {
                let what = format!("has the odd sequence count {sequence} between calls");
                return Err(about(Rule::VmaSequence, vma, &what));
            }
        }
        Ok(())
    }
}

/// A manager that counts shows how each linked VMA stands.
fn uncovered(state: &Snapshot) -> Box<Broken> {
    let stands = |vma| state.protocol.iter().any(|p| p.vma == vma);
    let vma = state.vmas.iter().map(|v| v.vma).find(|&vma| !stands(vma));
    match vma {
        Some(vma) => about(
            Rule::VmaReferences,
            vma,
            "is linked and its count is not shown",
        ),
        None => {
            let vma = state.protocol.last().map_or(VmaId(0), |p| p.vma);
            about(
                Rule::VmaReferences,
                vma,
                "or another has a count and no area",
            )
        }
    }
}

fn moved(vma: VmaId, how: &str, expected: u32, refs: u32) -> Obeyed {
    if refs == expected {
        return Ok(());
    }
    let what = format!("had a {how} that leaves {refs} references, not {expected}");
    Err(about(Rule::VmaReferences, vma, &what))
}
