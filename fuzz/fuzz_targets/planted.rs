//! Faults on purpose, to see that a sanitizer finds them, and what a panic of a manager comes to:
//! `--features planted`, and the name of one in `VMADIFF_PLANTED`.

#[path = "panicking.rs"]
mod panicking;

use std::cell::RefCell;
use std::hint::black_box;

use vmadiff::program::Program;
use vmadiff::target::Target;

thread_local! {
    static PANICKING: RefCell<Target> = RefCell::new(panicking::target());
}

/// Runs a program with the fault.
pub fn serial(program: &Program, counters: &mut [u8]) -> bool {
    match std::env::var("VMADIFF_PLANTED").as_deref() {
        Ok("overflow") => read_past_the_end(&black_box(vec![0_u8; 32])),
        Ok("leak") => std::mem::forget(black_box(vec![0_u8; 32])),
        Ok("panic") => {
            return PANICKING.with_borrow_mut(|target| target.run(program, counters));
        }
        other => panic!("VMADIFF_PLANTED is {other:?}, expected `overflow`, `leak` or `panic`"),
    }
    vmadiff::target::serial(program, counters)
}

fn read_past_the_end(bytes: &[u8]) {
    // SAFETY: none. It is what AddressSanitizer must find; without it, it reads what the allocator
    // keeps behind the bytes.
    black_box(unsafe { bytes.as_ptr().add(bytes.len()).read_volatile() });
}
