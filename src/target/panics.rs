//! Panics of a manager under an engine whose hook ends the process at the first one.

use std::cell::RefCell;
use std::panic::{set_hook, take_hook};

use crate::run::is_caught;

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
    let hook = take_hook();
    set_hook(Box::new(move |panic| {
        if is_caught() {
            PLACE.set(panic.location().map(ToString::to_string));
        } else {
            hook(panic);
        }
    }));
}

/// Where a manager panicked last, if that was noted.
pub(super) fn last_place() -> Option<String> {
    PLACE.take()
}
