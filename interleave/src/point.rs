//! The scheduling point: where a simulation may switch to another logical thread.

use crate::Site;

/// What an access does to its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Reads it.
    Read,
    /// Writes it.
    Write,
    /// Reads and writes it in one step.
    Update,
    /// Takes it for itself, waiting if it must.
    Lock,
    /// Takes it along with other readers, waiting if it must.
    LockShared,
    /// Takes it for itself or fails at once.
    TryLock,
    /// Gives it back.
    Unlock,
    /// Gives back its share.
    UnlockShared,
    /// Lets other readers in and stays one.
    Downgrade,
    /// Waits until the lock is free, without taking it.
    Relax,
    /// Waits until the object has been written.
    AwaitChange,
    /// Enters a read-side section of RCU.
    ReadSection,
    /// Leaves it.
    ReadSectionEnd,
    /// Turns interrupts off.
    IrqOff,
    /// Turns them on.
    IrqOn,
    /// Interrupts the other processors.
    Ipi,
    /// Waits until those that had interrupts off have turned them on.
    AwaitIpi,
    /// Queues a callback of RCU.
    CallRcu,
    /// Takes a callback that is ready.
    PopCallback,
    /// Waits until a callback is ready.
    AwaitCallback,
    /// Begins a call.
    Begin,
    /// The thread has made all of its calls.
    Exit,
}

/// Offers a scheduling point before an access to the object at `object`. The address is used for
/// equality only, never for order, so runs stay deterministic. True: this is a simulation, which
/// keeps the books of locks and sections, and the access has been entered in them.
#[inline]
pub(crate) fn point<T>(_site: Site, _object: &T, _kind: Kind) -> bool {
    false
}

/// The scheduling point before a try at a lock: whether it was taken, in a simulation.
#[inline]
pub(crate) fn try_point<T>(_site: Site, _object: &T) -> Option<bool> {
    None
}

/// Waits until `object` is written. False: it never will be, since the run is being given up.
#[inline]
pub(crate) fn wait_change<T>(_site: Site, _object: &T) -> bool {
    true
}

/// Tells the trace that the current call takes effect here: its linearization point, or the commit
/// of its critical section.
#[inline]
pub fn mark(_site: Site) {}

/// Whether some thread of the simulation has interrupts off; none: this is no simulation.
#[inline]
pub(crate) fn irqs_off() -> Option<bool> {
    None
}

/// The moment at which a callback is queued, on the simulation's clock.
pub(crate) fn callback_queued() -> u64 {
    0
}

/// Whether all readers that were inside at that moment have left.
pub(crate) fn callback_ready(_stamp: u64) -> bool {
    true
}

/// The callback queued at that moment waits no longer.
pub(crate) fn callback_taken(_stamp: u64) {}

/// The schedule's choice among `count` things, from 0.
pub(crate) fn choose(_site: Site, _count: usize) -> usize {
    0
}
