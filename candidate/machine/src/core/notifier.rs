//! Who is told when entries become invalid (mm/mmu_notifier.c): one listener for each address space, which
//! counts what has begun and has not ended, as KVM's does. While there is such, faults of its guest begin
//! again; what nobody ends, they wait for in vain.
//!
//! Deviation (listener-counts): telling the listener takes no time. What it would do meanwhile is not
//! modelled, but that it is told of each end.

use vmadiff_contract::Misuse;

use crate::core::machine::Machine;
use crate::core::mm::{Mm, mm_id};
use crate::core::slab::Handle;
use crate::design::Design;

impl Mm {
    /// Entries become invalid from now on (`mmu_notifier_invalidate_range_start`).
    pub fn invalidate_range_start(&self) {
        self.notifier_count.count(1);
    }

    /// They are (`mmu_notifier_invalidate_range_end`).
    pub fn invalidate_range_end(&self) {
        self.notifier_count.count(1u64.wrapping_neg());
    }
}

impl<D: Design> Machine<D> {
    /// The listener leaves with the address space (`mmu_notifier_mm_destroy`): all that began has ended.
    pub fn mmu_notifier_mm_destroy(&self, mm: Handle<Mm>) {
        if self.mm(mm).notifier_count.peek() != 0 {
            self.misuse(Misuse::OpenInvalidation(mm_id(mm)));
        }
    }
}
