//! Signals by which a process dies, as where a stack overflows. A manager that is somebody else's may raise
//! them: then the thread stops where it is, and another one tells what it was at.

use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};

use libc::{c_int, c_void, sigaction, siginfo_t};

/// Each with its name.
const DEADLY: [(c_int, &str); 5] = [
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGABRT, "SIGABRT"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGFPE, "SIGFPE"),
];

/// Who is asked, and what was done about each signal before.
struct Keeper {
    is_lost: fn() -> bool,
    before: [sigaction; DEADLY.len()],
}

static KEEPER: OnceLock<Keeper> = OnceLock::new();

/// The signal that a thread stopped for; 0: none.
static DIED: AtomicI32 = AtomicI32::new(0);

/// From now on a thread that raises a deadly signal while `is_lost` says so stops there, for ever; elsewhere all
/// is as it was. `is_lost` is called in a signal handler: it allocates nothing and waits for nobody. Once for a
/// process.
pub fn keep(is_lost: fn() -> bool) {
    let before = DEADLY.map(|(signal, _)| {
        let mut before = MaybeUninit::<sigaction>::zeroed();
        // SAFETY: no action is given, and there is room for one.
        unsafe { libc::sigaction(signal, null_mut(), before.as_mut_ptr()) };
        // SAFETY: zeroes are an action, too.
        unsafe { before.assume_init() }
    });
    if KEEPER.set(Keeper { is_lost, before }).is_err() {
        return;
    }
    for (signal, _) in DEADLY {
        // SAFETY: zeroes are an action that blocks nothing.
        let mut action: sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
        action.sa_sigaction = handle as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO;
        if [libc::SIGSEGV, libc::SIGBUS].contains(&signal) {
            // On the stack for signals that Rust gives each thread: the other one may be what overflowed. It is too
            // small for what libFuzzer does at the others.
            action.sa_flags |= libc::SA_ONSTACK;
        }
        // SAFETY: `handle` is a handler with information, as the flags say.
        unsafe { libc::sigaction(signal, &raw const action, null_mut()) };
    }
}

/// The signal that a thread stopped for.
pub fn died() -> Option<&'static str> {
    let died = DIED.load(Ordering::Acquire);
    let known = DEADLY.iter().find(|(signal, _)| *signal == died);
    known.map(|(_, name)| *name)
}

extern "C" fn handle(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let Some(keeper) = KEEPER.get() else {
        return;
    };
    if (keeper.is_lost)() {
        DIED.store(signal, Ordering::Release);
        loop {
            // SAFETY: waits for a signal, and touches nothing.
            unsafe { libc::pause() };
        }
    }
    let place = DEADLY.iter().position(|(known, _)| *known == signal);
    let Some(before) = place.map(|place| &keeper.before[place]) else {
        return;
    };
    match before.sa_sigaction {
        libc::SIG_DFL | libc::SIG_IGN => {
            // What raised it does so again, and the process dies of it.
            // SAFETY: the action is one that the system gave.
            unsafe { libc::sigaction(signal, before, null_mut()) };
            // SAFETY: it is pending until this handler is left.
            unsafe { libc::raise(signal) };
        }
        handler if before.sa_flags & libc::SA_SIGINFO != 0 => {
            // SAFETY: the flags say that it is such a handler, and it gets what it would have got.
            unsafe {
                std::mem::transmute::<usize, extern "C" fn(c_int, *mut siginfo_t, *mut c_void)>(
                    handler,
                )(signal, info, context);
            }
        }
        handler => {
            // SAFETY: without that flag it takes the signal alone.
            unsafe { std::mem::transmute::<usize, extern "C" fn(c_int)>(handler)(signal) };
        }
    }
}
