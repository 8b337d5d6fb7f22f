//! Faults on purpose, to see that a sanitizer finds them: `--features planted`, and the name of one
//! in `VMADIFF_PLANTED`.

use std::hint::black_box;

/// Makes the fault.
pub fn fault() {
    match std::env::var("VMADIFF_PLANTED").as_deref() {
        Ok("overflow") => read_past_the_end(&black_box(vec![0_u8; 32])),
        Ok("leak") => std::mem::forget(black_box(vec![0_u8; 32])),
        other => panic!("VMADIFF_PLANTED is {other:?}, expected `overflow` or `leak`"),
    }
}

fn read_past_the_end(bytes: &[u8]) {
    // SAFETY: none. It is what AddressSanitizer must find; without it, it reads what the allocator
    // keeps behind the bytes.
    black_box(unsafe { bytes.as_ptr().add(bytes.len()).read_volatile() });
}
