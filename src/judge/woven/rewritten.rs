//! Entries that an mprotect wrote again under a store: the one thing about a page that can be seen at
//! the end and that no order of whole parts says.

use vmadiff_contract::{Call, Outcome, PAGE_SIZE, Prot, Snapshot, Touch};

use super::parts::{Act, Part};
use super::replay::Trial;

/// mprotect changes the area first and its entries then, which takes the write permission from
/// them. A store between the two has its fault served by the changed area, and its entry is not
/// writable afterwards: in `ours` it is made what it is in `theirs`.
pub fn admit(trial: &Trial<'_>, ours: &mut Snapshot, theirs: &Snapshot) {
    let forked = forked_in_vain(trial);
    let rewritten: Vec<u64> = pages_under_stores(trial).collect();
    if !forked && rewritten.is_empty() {
        return;
    }
    let lost = theirs.pages.iter().filter(|page| !page.writable);
    for page in lost {
        let key = (page.mm, page.addr);
        if let Ok(i) = ours.pages.binary_search_by_key(&key, |p| (p.mm, p.addr))
            && ours.pages[i].writable
            && (forked || places(trial, page.addr).any(|page| rewritten.contains(&page)))
        {
            ours.pages[i].writable = false;
        }
    }
}

/// Whether a fork got no number after it had copied an address space: the entries that it write-protected
/// stay so.
fn forked_in_vain(trial: &Trial<'_>) -> bool {
    (0..trial.program.calls.len()).any(|call| trial.late_refusal(call))
}

/// Where a page may have been: here, and where the program's mremaps brought it from.
fn places(trial: &Trial<'_>, page: u64) -> impl Iterator<Item = u64> {
    let calls = trial.program.calls.iter().zip(&trial.woven.outcomes).rev();
    let mut at = page;
    let earlier = calls.filter_map(move |(step, outcome)| {
        let (Call::Mremap { addr, new_len, .. }, Some(Outcome::Value(new))) = (step.call, *outcome)
        else {
            return None;
        };
        let into = at.checked_sub(new).filter(|&into| into < new_len)?;
        at = addr.wrapping_add(into);
        Some(at)
    });
    std::iter::once(page).chain(earlier)
}

/// The pages of stores whose fault overlaps an mprotect of them.
pub fn pages_under_stores(trial: &Trial<'_>) -> impl Iterator<Item = u64> {
    let list = &trial.parts.list;
    let stores = list
        .iter()
        .filter(|part| part.act == Act::Fault(Touch::Store));
    stores.filter_map(|store| {
        let page = store.page?;
        let writes = |part: &&Part| {
            let Call::Mprotect { addr, len, prot } = trial.program.calls[part.call].call else {
                return false;
            };
            let within = page >= addr & !(PAGE_SIZE - 1) && page < addr.saturating_add(len);
            within || prot.contains(Prot::GROWSDOWN)
        };
        let mut writers = list.iter().filter(writes);
        let raced = writers.any(|writer| writer.mm == store.mm && writer.overlaps(store));
        raced.then_some(page)
    })
}
