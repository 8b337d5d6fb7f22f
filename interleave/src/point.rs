//! The scheduling point: where a simulation may switch to another logical thread.

// A method's path is not general enough for `with`: it names one lifetime of the run.
#![expect(clippy::redundant_closure_for_method_calls)]

use std::ptr;

use crate::sim::current::with;
use crate::{Owner, Site};

/// What an access does to its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    /// Takes it along with other readers or fails at once.
    TryLockShared,
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

impl Kind {
    /// What it does depends on what another did to the object.
    #[inline]
    pub fn reads(self) -> bool {
        use Kind::{CallRcu, Lock, LockShared, PopCallback, Read, TryLock, TryLockShared, Update};
        matches!(
            self,
            Read | Update | Lock | LockShared | TryLock | TryLockShared | CallRcu | PopCallback
        )
    }

    /// It may matter to what another does to the object.
    #[inline]
    pub fn writes(self) -> bool {
        use Kind::{CallRcu, Downgrade, PopCallback, Unlock, UnlockShared, Update, Write};
        matches!(
            self,
            Write | Update | Unlock | UnlockShared | Downgrade | CallRcu | PopCallback
        )
    }
}

/// Offers a scheduling point before an access to the object at `object`. The address is used for
/// equality only, never for order, so runs stay deterministic. True: this is a simulation, which
/// keeps the books of locks and sections, and the access has been entered in them.
#[inline]
pub(crate) fn point<T>(site: Site, object: &T, kind: Kind) -> bool {
    with(|run| match kind {
        Kind::Read | Kind::Write | Kind::Update => _ = run.word(site, address(object), kind),
        _ => run.access(site, address(object), kind),
    })
    .is_some()
}

/// As [`point`], before a word is read or written: whether somebody wants to know what it holds,
/// which [`tell`] is for.
#[inline]
pub(crate) fn word_point<T>(site: Site, object: &T, kind: Kind) -> bool {
    with(|run| run.word(site, address(object), kind)).unwrap_or(false)
}

/// Tells what the word of the last access holds, and whose it is.
#[cold]
pub(crate) fn tell(word: u64, owner: Option<Owner>) {
    with(|run| run.tell(word, owner));
}

/// The scheduling point before a try at a lock: whether it was taken, in a simulation.
#[inline]
pub(crate) fn try_point<T>(site: Site, object: &T, kind: Kind) -> Option<bool> {
    with(|run| run.try_access(site, address(object), kind))
}

/// Waits until `object` is written. False: it never will be, since the run is being given up.
#[inline]
pub(crate) fn wait_change<T>(site: Site, object: &T) -> bool {
    with(|run| run.await_change(site, address(object))).unwrap_or(true)
}

#[inline]
fn address<T>(object: &T) -> usize {
    ptr::from_ref(object).addr()
}

/// Tells the trace that the current call takes effect here: its linearization point, or the commit
/// of its critical section.
#[inline]
pub fn mark(site: Site) {
    mark_at(site, 0);
}

/// The same with a word that says at what.
#[inline]
pub(crate) fn mark_at(site: Site, word: u64) {
    with(|run| run.mark(site, word));
}

/// Whether some thread of the simulation has interrupts off; none: this is no simulation.
#[inline]
pub(crate) fn irqs_off() -> Option<bool> {
    with(|run| run.any_irqs_off())
}

/// The moment at which a callback is queued, on the simulation's clock.
pub(crate) fn callback_queued() -> u64 {
    with(|run| run.callback_queued()).unwrap_or(0)
}

/// Whether all readers that were inside at that moment have left.
pub(crate) fn callback_ready(queued_at: u64) -> bool {
    with(|run| run.callback_ready(queued_at)).unwrap_or(true)
}

/// The callback queued at that moment waits no longer.
pub(crate) fn callback_taken(queued_at: u64) {
    with(|run| run.callback_taken(queued_at));
}

/// The schedule's choice among `count` things, from 0.
pub(crate) fn choose(site: Site, count: usize) -> usize {
    with(|run| run.choose(site, count)).unwrap_or(0)
}
