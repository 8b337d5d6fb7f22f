//! Calls of several tasks at once, woven by a schedule in the input.
//!
//! ```text
//! cargo +nightly fuzz run --features asan interleaved    # with AddressSanitizer
//! cargo fuzz run -s none interleaved                     # on stable
//! cargo fuzz fmt -s none interleaved FILE                # an input as program text
//! ```
#![no_main]

use libfuzzer_sys::{fuzz_crossover, fuzz_mutator, fuzz_target, fuzzer_mutate};
use vmadiff::coverage::WOVEN_COUNTERS as COUNTERS;
use vmadiff::program::input::Input;
use vmadiff::program::mutate::{crossover, mutate};
use vmadiff::target::{interleaved, interleaved_profile};

/// What libFuzzer sweeps beside the edges of the code.
#[unsafe(link_section = "__libfuzzer_extra_counters")]
static mut REACHED: Aligned = Aligned([0; COUNTERS]);

/// libFuzzer clears whole words.
#[repr(align(64))]
struct Aligned([u8; COUNTERS]);

/// AddressSanitizer's fake stacks are of one stack only, and of many they leak.
#[unsafe(no_mangle)]
pub extern "C" fn __asan_default_options() -> *const std::ffi::c_char {
    c"detect_stack_use_after_return=0".as_ptr()
}

fuzz_target!(|input: Input| {
    let reached = &raw mut REACHED;
    // SAFETY: libFuzzer executes one input at a time, on one thread, and looks at the counters
    // only between executions.
    let reached = unsafe { &mut *reached };
    interleaved(&input.0, &mut reached.0);
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate(
        data,
        size,
        max_size,
        seed,
        &interleaved_profile(),
        fuzzer_mutate,
    )
});

fuzz_crossover!(|one: &[u8], other: &[u8], out: &mut [u8], seed: u32| {
    crossover(one, other, out, seed, &interleaved_profile())
});
