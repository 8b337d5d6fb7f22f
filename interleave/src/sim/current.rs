//! Which simulation this OS thread is inside of, if any: what a primitive asks at every access.

use std::cell::Cell;
use std::ptr;

use super::run::Run;

thread_local! {
    /// Null outside of a simulation.
    static CURRENT: Cell<*const Run<'static>> = const { Cell::new(ptr::null()) };
}

/// Calls `f` with the current simulation. Outside of one: none, after one predictable branch.
#[inline]
pub(crate) fn with<R>(f: impl FnOnce(&Run<'_>) -> R) -> Option<R> {
    let run = CURRENT.get();
    if run.is_null() {
        return None;
    }
    // SAFETY: `enter` alone stores a pointer here, to a run that it borrows, and takes it back
    // before it returns or unwinds; `f` cannot keep the reference, whose lifetime it must accept
    // whatever it is. Coroutines run on this OS thread, between `enter`'s start and its end.
    Some(f(unsafe { &*run }))
}

/// Makes `run` the current simulation of this OS thread while `f` runs.
///
/// # Panics
/// If there is one already: simulations do not nest.
pub(super) fn enter<R>(run: &Run<'_>, f: impl FnOnce() -> R) -> R {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            CURRENT.set(ptr::null());
        }
    }
    assert!(CURRENT.get().is_null(), "simulations do not nest");
    CURRENT.set(ptr::from_ref(run).cast());
    let _leave = Leave;
    f()
}
