//! How areas go: their memory is given back after a grace period, and what has to wait for that lies
//! in the area itself.

use vmadiff_machine::{Died, Machine, Ref, Vma};

use crate::Mmseq;
use crate::defects::defect;
use crate::sites as site;

/// What a waiting area has for a start and an end: a pointer to what waits behind it, and to a
/// function (`rcu_head`, which lies over `vm_start` and `vm_end`).
const RCU_HEAD: [u64; 2] = [0xffff_8880_0000_0000, 0xffff_ffff_8100_0000];

/// Whoever removed an area is done with it (`remove_vma`, `__vma_adjust`): its policy is put at once,
/// its memory after a grace period (`vm_area_free`). At exit nobody is left to look.
///
/// Deviation (alone-waits): the series frees at once, too, if the address space has one user.
pub fn removed(m: &Machine<Mmseq>, vma: Ref<'_, Vma>, how: Died) {
    m.mpol_put_vma(vma);
    if how == Died::Exit || defect!(m, FreedUnderCopy) {
        m.vm_area_free(vma);
    } else {
        let [start, end] = RCU_HEAD;
        vma.vm_start().set(site::VM_AREA_FREE__RCU_HEAD, start);
        vma.vm_end().set(site::VM_AREA_FREE__RCU_HEAD, end);
        m.call_rcu(site::VM_AREA_FREE__CALL_RCU, vma);
    }
}
