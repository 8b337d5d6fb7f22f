//! Panics of a manager under an engine whose hook ends the process at the first one.

use std::cell::RefCell;
use std::panic::{PanicHookInfo, set_hook, take_hook};
use std::sync::{Mutex, PoisonError};

use crate::run::is_caught;

type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Sync + Send>;

/// What [`let_managers_unwind`] found.
static ENGINES: Mutex<Option<Hook>> = Mutex::new(None);

thread_local! {
    /// Where a manager panicked last.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Lets a panic of a manager unwind to the target, which judges it as any other finding: its signature
/// may be known. Any other panic, that with which the target reports a finding too, meets the hook that
/// is set now.
///
/// For libFuzzer, whose glue for Rust sets a hook that aborts: to be called once, after that.
pub fn let_managers_unwind() {
    *ENGINES.lock().unwrap_or_else(PoisonError::into_inner) = Some(take_hook());
    set_hook(Box::new(|panic| {
        if is_caught() {
            PLACE.set(panic.location().map(ToString::to_string));
        } else if let Some(hook) = &*ENGINES.lock().unwrap_or_else(PoisonError::into_inner) {
            hook(panic);
        }
    }));
}

/// Gives the engine its hook back, for the panic that reports a finding: services tell findings apart by
/// the innermost functions on the stack, and this module's are not to be among them.
pub(super) fn step_aside() {
    let hook = ENGINES
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    if let Some(hook) = hook {
        set_hook(hook);
    }
}

/// Where a manager panicked last, if that was noted.
pub(super) fn last_place() -> Option<String> {
    PLACE.take()
}
