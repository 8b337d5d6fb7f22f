//! Where libFuzzer and Rust meet: its entry, its callbacks and the counters that it reads; and the signals by
//! which a program under test ends a process. All unsafe code that the engine asks for is here; the command
//! itself has none.
//!
//! A package of its own, since its symbols are what a fuzz target defines too: who writes a target
//! leaves out the feature `engine` of vmadiff, which brings it.

pub mod signals;

use std::ffi::{CString, c_char, c_int, c_uint};
use std::sync::OnceLock;

use libfuzzer_sys::{fuzz_crossover, fuzz_mutator, fuzz_target};

pub use libfuzzer_sys::{Corpus, fuzzer_mutate};

/// Bytes of [`Callbacks::execute`]'s counters.
pub const COUNTERS: usize = 16 << 10;

/// What libFuzzer calls.
#[derive(Clone, Copy, Debug)]
pub struct Callbacks {
    /// Before the first input.
    pub begin: fn(),
    /// Executes an input. The counters are zero; what is added to them is what the input reached.
    pub execute: fn(&[u8], &mut [u8]) -> Corpus,
    /// Mutates the input in `data[..size]` in place, to at most `max_size` bytes; answers its length.
    pub mutate: fn(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize,
    /// Writes a cross of two inputs and answers its length.
    pub crossover: fn(one: &[u8], other: &[u8], out: &mut [u8], seed: u32) -> usize,
}

static CALLBACKS: OnceLock<Callbacks> = OnceLock::new();

fn callbacks() -> &'static Callbacks {
    CALLBACKS.get().expect("only `run` starts libFuzzer")
}

unsafe extern "C" {
    fn LLVMFuzzerRunDriver(
        argc: *mut c_int,
        argv: *mut *mut *mut c_char,
        callback: extern "C" fn(*const u8, usize) -> c_int,
    ) -> c_int;

    /// What instrumented code tells libFuzzer before `main`: where its counters are.
    fn __sanitizer_cov_8bit_counters_init(start: *mut u8, stop: *mut u8);
}

/// Has what libFuzzer sweeps after each execution for features that it has not seen, and clears.
/// In the section that it knows by name it would sweep all of it; it is told of those counters that
/// the campaign's programs can move ([`run`]).
static mut COUNTERS_SEEN: Aligned = Aligned([0; COUNTERS]);

/// libFuzzer looks at whole words.
#[repr(align(64))]
struct Aligned([u8; COUNTERS]);

const _: () = assert!(size_of::<Aligned>().is_multiple_of(size_of::<usize>()));

fuzz_target!(init: (callbacks().begin)(), |bytes: &[u8]| -> Corpus {
    let counters = &raw mut COUNTERS_SEEN;
    // SAFETY: libFuzzer executes one input at a time, on one thread, and looks at the counters
    // only between executions.
    let counters = unsafe { &mut *counters };
    (callbacks().execute)(bytes, &mut counters.0)
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    (callbacks().mutate)(data, size, max_size, seed)
});

fuzz_crossover!(|data1: &[u8], data2: &[u8], out: &mut [u8], seed: u32| {
    (callbacks().crossover)(data1, data2, out, seed)
});

extern "C" fn test_one_input(data: *const u8, size: usize) -> c_int {
    // SAFETY: libFuzzer passes `size` readable bytes at `data`, as the callee asks.
    unsafe { libfuzzer_sys::test_input_wrap(data, size) }
}

/// Runs libFuzzer with these arguments, as its `main` would get them, on the first so many of the
/// counters. It comes back only if it could not start.
///
/// # Panics
///
/// If an argument contains a NUL byte, there are not so many counters, or it runs already.
pub fn run(arguments: &[String], counters: usize, callbacks: Callbacks) -> i32 {
    assert!(counters <= COUNTERS, "{counters} of {COUNTERS} counters");
    let first = CALLBACKS.set(callbacks).is_ok();
    assert!(first, "libFuzzer runs already");
    let start = (&raw mut COUNTERS_SEEN).cast::<u8>();
    // SAFETY: so many bytes stand there as long as the process runs, by the check above; libFuzzer
    // does not touch them before it runs.
    unsafe { __sanitizer_cov_8bit_counters_init(start, start.add(counters)) }
    let owned: Vec<CString> = arguments
        .iter()
        .map(|argument| CString::new(argument.as_str()).expect("an argument without NUL"))
        .collect();
    let mut pointers: Vec<*mut c_char> = owned
        .iter()
        .map(|argument| argument.as_ptr().cast_mut())
        .collect();
    pointers.push(std::ptr::null_mut());
    let mut argc = owned.len() as c_int;
    let mut argv = pointers.as_mut_ptr();
    // SAFETY: `argc` strings and a null pointer stand at `argv`; all outlive the call, and
    // libFuzzer copies what it changes.
    unsafe { LLVMFuzzerRunDriver(&raw mut argc, &raw mut argv, test_one_input) }
}

/// Stops the timer by which libFuzzer looks whether an execution takes longer than `-timeout`: it goes by
/// the clock. SIGALRM, of which it looks then, is left to the caller. To be called in the first execution,
/// by when the timer is set.
pub fn stop_timer() {
    unsafe extern "C" {
        safe fn alarm(seconds: c_uint) -> c_uint;
    }
    alarm(0);
}

/// Ends the process at once. `exit` would run libFuzzer's handler, which takes an exit from
/// within an execution for a crash.
pub fn leave(status: i32) -> ! {
    unsafe extern "C" {
        safe fn _exit(status: c_int) -> !;
    }
    _exit(status)
}
