//! Processes that this command starts of itself end with it, however it ends.

/// Whoever started this process may be killed, and then it is nobody's: it ends, whatever it does.
#[cfg(target_os = "linux")]
pub fn die_with_parent() {
    // That it cannot be had is no reason not to run.
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
}

/// The same with this parent, which may be gone already.
#[cfg(target_os = "linux")]
pub fn die_with(parent: i32) {
    die_with_parent();
    let now = rustix::process::getppid();
    if now.is_none_or(|now| now.as_raw_nonzero().get() != parent) {
        std::process::exit(crate::status::Status::HarnessFailed.number().into());
    }
}

/// There is no such signal.
#[cfg(not(target_os = "linux"))]
pub fn die_with_parent() {}

/// There is no such signal.
#[cfg(not(target_os = "linux"))]
pub fn die_with(_: i32) {}
