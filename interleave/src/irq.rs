//! Interrupts: sections with interrupts off, and inter-processor interrupts that wait for them.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use crate::Site;
use crate::point::{Kind, point};

/// The interrupt state of all processors; in a simulation each logical thread has its own.
#[derive(Debug, Default)]
pub struct Irqs {
    off: AtomicUsize,
}

/// Interrupts are off on this processor.
pub struct IrqGuard<'a> {
    irqs: &'a Irqs,
    site: Site,
}

impl Irqs {
    /// Interrupts on everywhere.
    pub fn new() -> Self {
        Self::default()
    }

    /// Turns them off (`local_irq_disable`).
    #[inline]
    pub fn disable(&self, site: Site) -> IrqGuard<'_> {
        point(site, self, Kind::Section);
        self.off.fetch_add(1, SeqCst);
        IrqGuard { irqs: self, site }
    }

    /// Interrupts every other processor and waits until each has answered: one that has
    /// interrupts off answers when it turns them on. The caller must not have them off.
    pub fn broadcast(&self, site: Site) {
        point(site, self, Kind::Wait);
        while self.off.load(SeqCst) != 0 {
            std::hint::spin_loop();
        }
    }

    /// Whether some processor has interrupts off now.
    pub fn any_off(&self) -> bool {
        self.off.load(SeqCst) != 0
    }
}

impl Drop for IrqGuard<'_> {
    fn drop(&mut self) {
        point(self.site, self.irqs, Kind::Section);
        self.irqs.off.fetch_sub(1, SeqCst);
    }
}
