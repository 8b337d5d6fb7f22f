//! Looking an area up without mmap_sem (series patch 21).

use vmadiff_interleave::Site;
use vmadiff_machine::{Current, Ref, Vma};

use crate::defects::defect;
use crate::references::References;
use crate::sites as site;
use crate::{Spf, references};

/// The lowest area that ends above an address, with a reference (`find_vma_rcu`). It may be gone
/// from the tree by the time it is returned.
///
/// Deviation (A23): v12 asks the task's cache first, which still has areas that were erased before
/// the read section began. Here the tree is walked, as Android does.
pub fn find_vma_rcu<'a, R: References>(
    cx: &'a Current<'_, Spf<R>>,
    addr: u64,
) -> Option<Ref<'a, Vma>> {
    let mm = cx.mm_struct();
    let mm_seq = &cx.space(mm).mm_seq;
    let mut vma: Option<Ref<'_, Vma>> = None;
    loop {
        if let Some(stale) = vma.take() {
            put_vma_rcu(cx, site::FIND_VMA_RCU__PUT_VMA, stale);
        }
        let seq = mm_seq.read_begin(site::FIND_VMA_RCU__READ_SEQBEGIN);
        {
            let _rcu =
                (!defect!(cx, NoRcuReadLock)).then(|| cx.rcu.read_lock(site::FIND_VMA_RCU__RCU));
            vma = if defect!(cx, LookupByCache) {
                cx.find_vma(addr)
            } else {
                cx.tree(mm).find(addr)
            };
            if let Some(found) = vma
                && !defect!(cx, NoReference)
                && !references::get_found_vma(cx, site::FIND_VMA_RCU__GET_VMA, found)
            {
                vma = None;
            }
        }
        if !mm_seq.read_retry(site::FIND_VMA_RCU__READ_SEQRETRY, seq) {
            return vma;
        }
    }
}

/// Puts the reference that `find_vma_rcu` took.
pub fn put_vma_rcu<R: References>(cx: &Current<'_, Spf<R>>, site: Site, vma: Ref<'_, Vma>) {
    if !defect!(cx, NoReference) {
        references::put_vma(cx, site, vma);
    }
}
