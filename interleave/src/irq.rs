//! Interrupts: sections with interrupts off, and inter-processor interrupts that wait for them.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Release, SeqCst};

use crate::Site;
use crate::point::{Kind, irqs_off, point};

/// The interrupt state of all processors; in a simulation each logical thread has its own.
///
/// A section with interrupts off holds up grace periods of RCU, as it does in the kernel since 4.20
/// (`Documentation/RCU/whatisRCU`), but only in a simulation, where all [`Irqs`] and [`Rcu`] are
/// those of one machine.
///
/// [`Rcu`]: crate::Rcu
#[derive(Debug, Default)]
pub struct Irqs {
    off: AtomicUsize,
}

/// Interrupts are off on this processor.
#[must_use = "interrupts are on again as soon as this is dropped"]
pub struct IrqGuard<'a> {
    irqs: &'a Irqs,
    site: Site,
    simulated: bool,
}

impl Irqs {
    /// Interrupts on everywhere.
    #[inline]
    pub fn new() -> Self {
        Self::default()
    }

    /// Turns them off (`local_irq_disable`).
    #[inline]
    pub fn disable(&self, site: Site) -> IrqGuard<'_> {
        let simulated = point(site, self, Kind::IrqOff);
        if !simulated {
            self.off.fetch_add(1, SeqCst);
        }
        IrqGuard {
            irqs: self,
            site,
            simulated,
        }
    }

    /// Interrupts every other processor and waits until each has answered: one that has
    /// interrupts off answers when it turns them on. The caller must not have them off.
    ///
    /// Outside a simulation it waits for a moment in which nobody has them off: later than need
    /// be, never earlier.
    pub fn broadcast(&self, site: Site) {
        if point(site, self, Kind::Ipi) {
            return;
        }
        let mut spins = 0;
        while self.off.load(SeqCst) != 0 {
            spins += 1;
            crate::lock::breathe(spins);
        }
    }

    /// Whether some processor has interrupts off now.
    pub fn any_off(&self) -> bool {
        irqs_off().unwrap_or_else(|| self.off.load(SeqCst) != 0)
    }
}

impl Drop for IrqGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.simulated {
            point(self.site, self.irqs, Kind::IrqOn);
        } else {
            self.irqs.off.fetch_sub(1, Release);
        }
    }
}
