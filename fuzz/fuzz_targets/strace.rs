//! Logs of strace: the importer, and that what it makes of them is written as it was.
//!
//! ```text
//! cargo +nightly fuzz run --features asan strace fuzz/corpus/strace tests/data    # with AddressSanitizer
//! cargo fuzz run -s none strace fuzz/corpus/strace tests/data     # on stable
//! ```
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| vmadiff::parsing::strace(bytes));
