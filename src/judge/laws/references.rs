//! Counted references and sequence counts: the protocol under which VMAs are shared.

use vmadiff_contract::{Snapshot, VmaId};

use super::Obeyed;
use super::vma::{Vmas, about};
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

    /// Between calls nobody is inside: two references, an even count.
    pub fn settle_references(&mut self, state: &Snapshot) -> Obeyed {
        for entry in &state.protocol {
            let record = *self.live_record(entry.vma)?;
            if record.counted && record.refs != entry.refs {
                let what = format!(
                    "has {} references by events and {} by its count",
                    record.refs, entry.refs
                );
                return Err(about(Rule::VmaReferences, entry.vma, &what));
            }
            if entry.refs != LINKED_REFS {
                let what = format!("has {} references between calls, not 2", entry.refs);
                return Err(about(Rule::VmaReferences, entry.vma, &what));
            }
            if entry.sequence % 2 != 0 {
                let what = format!("has sequence count {} between calls", entry.sequence);
                return Err(about(Rule::VmaSequence, entry.vma, &what));
            }
        }
        self.settle_coverage(state)
    }

    /// A manager that counts shows how each linked VMA stands.
    fn settle_coverage(&self, state: &Snapshot) -> Obeyed {
        if !self.counts || state.protocol.len() == state.vmas.len() {
            return Ok(());
        }
        let stands = |vma| state.protocol.iter().any(|p| p.vma == vma);
        match state.vmas.iter().find(|v| !stands(v.vma)) {
            Some(v) => Err(about(
                Rule::VmaReferences,
                v.vma,
                "is linked and its count is not shown",
            )),
            None => {
                let vma = state.protocol[0].vma;
                Err(about(
                    Rule::VmaReferences,
                    vma,
                    "or another has its count shown and no area",
                ))
            }
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
