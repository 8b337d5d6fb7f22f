//! Counts that VMAs carry, as their design declares them: counted references move one by one, and
//! between calls each count stands as it should.

use vmadiff_contract::{AtRest, Protocol, Snapshot, VmaId};

use super::vma::{Record, Tree, Vmas, about, after};
use super::{Broken, Obeyed};
use crate::judge::Rule;

impl Vmas {
    pub fn get_ref(&mut self, vma: VmaId, refs: u32) -> Obeyed {
        let record = self.live_record(vma)?;
        let expected = record.refs.wrapping_add(1);
        // The first is the tree's: it belongs to how the VMA came.
        if record.counted {
            record.last = "get";
        }
        record.counted = true;
        record.refs = refs;
        moved(vma, "get", expected, record)
    }

    pub fn put_ref(&mut self, vma: VmaId, refs: u32) -> Obeyed {
        let record = self.live_record(vma)?;
        let expected = record.refs.wrapping_sub(1);
        record.last = "put";
        record.counted = true;
        record.refs = refs;
        moved(vma, "put", expected, record)
    }

    /// Between calls nobody is inside: each linked VMA shows its counts, once, and they are at rest.
    pub fn settle_references(&mut self, state: &Snapshot) -> Obeyed {
        let shown = if self.counts.is_empty() {
            0
        } else {
            state.vmas.len()
        };
        if state.protocol.len() != shown {
            return Err(uncovered(state));
        }
        let mut before = VmaId(0);
        for &Protocol { vma, counts } in &state.protocol {
            let &mut Record {
                tree, refs, last, ..
            } = self.live_record(vma)?;
            if vma <= before || !matches!(tree, Tree::In(_)) {
                return Err(about(
                    Rule::VmaReferences,
                    vma,
                    "has a count that is not its own",
                ));
            }
            before = vma;
            for (count, value) in self.counts.iter().zip(counts) {
                let stands = at_rest(vma, count.name, count.at_rest, value, refs);
                stands.map_err(|broken| after(last, broken))?;
            }
        }
        Ok(())
    }
}

/// What a count must be between calls; `counted` are the references by events.
fn at_rest(vma: VmaId, name: &str, law: AtRest, value: u32, counted: u32) -> Obeyed {
    match law {
        AtRest::References { linked, .. } if value != linked => {
            let what = format!("has {value} {name} between calls, not {linked}");
            Err(about(Rule::VmaReferences, vma, &what))
        }
        AtRest::References { .. } if value != counted => {
            let what = format!("has {counted} {name} by events, {value} by its count");
            Err(about(Rule::VmaReferences, vma, &what))
        }
        AtRest::Even if !value.is_multiple_of(2) => {
            let what = format!("has the odd {name} {value} between calls");
            Err(about(Rule::VmaSequence, vma, &what))
        }
        AtRest::References { .. } | AtRest::Even => Ok(()),
    }
}

/// A manager that counts shows how each linked VMA stands; one that does not shows nothing.
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

fn moved(vma: VmaId, how: &str, expected: u32, record: &Record) -> Obeyed {
    let refs = record.refs;
    if refs == expected {
        return Ok(());
    }
    let what = format!("had a {how} that leaves {refs} references, not {expected}");
    Err(after(record.last, about(Rule::VmaReferences, vma, &what)))
}
