//! Who keeps an area: its count of references, from birth to the last put (series patches 20 and 21).

use vmadiff_contract::{Event, Misuse};
use vmadiff_interleave::{RefError, Site};
use vmadiff_machine::{Died, Machine, Ref, Vma};

use crate::defects::defect;
use crate::info::{GET_FROM_ZERO, PUT_BELOW_ZERO};
use crate::sites as site;
use crate::{Spf, brackets};

/// What sets up a fresh area (INIT_VMA): one reference, the sequence count even. A piece of an area
/// that is held closed is closed from the start.
pub fn init_vma(m: &Machine<Spf>, vma: Ref<'_, Vma>, copy_of: Option<Ref<'_, Vma>>) {
    let area = m.area(vma);
    if let Some(orig) = copy_of
        && defect!(m, NotInitialised)
    {
        let orig = m.area(orig);
        area.vm_ref_count.init(orig.vm_ref_count.peek());
        area.vm_sequence.init(orig.vm_sequence.peek());
        area.held.init(false);
        return;
    }
    let held = copy_of.is_some_and(|orig| brackets::is_held(m, orig));
    area.vm_ref_count.init(1);
    area.vm_sequence.init(held.into());
    area.held.init(held);
}

/// Takes a reference (`get_vma`); false, and reported, if there was none left.
pub fn get_vma(m: &Machine<Spf>, site: Site, vma: Ref<'_, Vma>) -> bool {
    let got = m.area(vma).vm_ref_count.get(site);
    if !vma.alive() {
        return false;
    }
    match got {
        Ok(refs) => {
            let vma = vma.id();
            m.raise(Event::VmaGet { vma, refs });
            true
        }
        Err(_) => {
            m.misuse(Misuse::Breach(vma.id(), &GET_FROM_ZERO));
            false
        }
    }
}

/// Puts a reference and frees the area with the last (`put_vma`).
pub fn put_vma(m: &Machine<Spf>, site: Site, vma: Ref<'_, Vma>) {
    if !vma.alive() {
        return;
    }
    let put = m.area(vma).vm_ref_count.put(site);
    if !vma.alive() {
        return;
    }
    match put {
        Ok(refs) => {
            m.raise(Event::VmaPut {
                vma: vma.id(),
                refs,
            });
            if refs == 0 {
                m.free_vma(vma);
            }
        }
        Err(RefError::BelowZero | RefError::FromZero) => {
            m.misuse(Misuse::Breach(vma.id(), &PUT_BELOW_ZERO));
        }
    }
}

/// What follows the removal from the tree (`__vma_rb_erase`): the node is cleared, so that whoever
/// holds the area sees that it is gone, and the tree's reference is put after a grace period
/// (`vm_rcu_put`), since lookups may be about to take theirs. At exit the tree goes as a whole and
/// nobody is left to look: its reference is put at once (`__remove_vma`).
pub fn erased(m: &Machine<Spf>, vma: Ref<'_, Vma>, how: Died) {
    if how == Died::Exit {
        if !vma.rb_empty(site::REMOVE_VMA_OF_EXIT__RB_EMPTY_NODE) {
            vma.rb_clear(site::REMOVE_VMA_OF_EXIT__RB_CLEAR_NODE);
            if !defect!(m, ExitKeepsTreeReference) {
                put_vma(m, site::REMOVE_VMA_OF_EXIT__PUT_TREE, vma);
            }
        }
        return;
    }
    if !defect!(m, NodeNotCleared) {
        vma.rb_clear(site::VMA_RB_ERASE__RB_CLEAR_NODE);
    }
    brackets::vm_write_release(m, site::VMA_RB_ERASE__RELEASE, vma);
    if how == Died::Merged && defect!(m, FreedAtOnce) {
        return;
    }
    if defect!(m, PutWithoutGracePeriod) {
        put_vma(m, site::VM_RCU_PUT__PUT, vma);
    } else {
        m.call_rcu(site::VM_RCU_PUT__CALL_RCU, vma);
    }
}

/// Drops the reference of the allocation (`remove_vma`, `__vma_adjust`).
pub fn removed(m: &Machine<Spf>, vma: Ref<'_, Vma>, how: Died) {
    if how != Died::Merged {
        put_vma(m, site::REMOVE_VMA__PUT_VMA, vma);
    } else if defect!(m, FreedAtOnce) {
        m.free_vma(vma);
    } else {
        put_vma(m, site::VMA_ADJUST__PUT_VMA, vma);
    }
}
