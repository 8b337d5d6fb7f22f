//! Program text: the parser, and that what it reads is written as it was.
//!
//! ```text
//! cargo +nightly fuzz run --features asan text fuzz/corpus/text corpus    # with AddressSanitizer
//! cargo fuzz run -s none text fuzz/corpus/text corpus     # on stable
//! ```
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| vmadiff::parsing::text(bytes));
