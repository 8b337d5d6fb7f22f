//! Calls one after another, on both managers.
//!
//! ```text
//! cargo +nightly fuzz run serial            # with AddressSanitizer
//! cargo fuzz run -s none serial             # on stable
//! cargo fuzz fmt -s none serial FILE        # an input as program text
//! ```
#![no_main]

#[cfg(feature = "planted")]
mod planted;

use libfuzzer_sys::{fuzz_crossover, fuzz_mutator, fuzz_target, fuzzer_mutate};
use vmadiff::coverage::COUNTERS;
use vmadiff::program::input::Input;
use vmadiff::program::mutate::{crossover, mutate};
use vmadiff::target::{serial, serial_profile};

/// What libFuzzer sweeps beside the edges of the code.
#[unsafe(link_section = "__libfuzzer_extra_counters")]
static mut REACHED: Aligned = Aligned([0; COUNTERS]);

/// libFuzzer clears whole words.
#[repr(align(64))]
struct Aligned([u8; COUNTERS]);

fuzz_target!(|input: Input| {
    #[cfg(feature = "planted")]
    planted::fault();
    let reached = &raw mut REACHED;
    // SAFETY: libFuzzer executes one input at a time, on one thread, and looks at the counters
    // only between executions.
    let reached = unsafe { &mut *reached };
    serial(&input.0, &mut reached.0);
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate(data, size, max_size, seed, &serial_profile(), fuzzer_mutate)
});

fuzz_crossover!(|one: &[u8], other: &[u8], out: &mut [u8], seed: u32| {
    crossover(one, other, out, seed, &serial_profile())
});
