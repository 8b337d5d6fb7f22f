//! The mutator of this project's own targets as AFL++ loads it (`AFL_CUSTOM_MUTATOR_LIBRARY`).

use vmadiff::program::mutate::Profile;
use vmadiff::target::{interleaved_profile, serial_profile};

vmadiff::afl_mutator!(profile());

/// Names the kind of programs to make. afl-fuzz has no other way to tell a mutator of its target.
const VARIABLE: &str = "VMADIFF_TARGET";

/// What the environment asks for; anything else ends afl-fuzz.
fn profile() -> Profile {
    match std::env::var(VARIABLE).as_deref() {
        Ok("interleaved") => interleaved_profile(),
        Ok("serial") | Err(_) => serial_profile(),
        Ok(other) => {
            eprintln!("{VARIABLE} is `{other}`, expected `serial` or `interleaved`");
            std::process::exit(2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::slice;

    use vmadiff::program::Program;
    use vmadiff::program::mutate::generate;

    /// What stands at `made`, as afl-fuzz reads it.
    fn read(made: *const u8, size: usize) -> Vec<u8> {
        // SAFETY: as many bytes were said to stand there, and nothing was asked for since.
        unsafe { slice::from_raw_parts(made, size) }.to_vec()
    }

    /// As afl-fuzz does: changes, with another input and without, in a buffer that it writes to between
    /// them; then a trim that keeps nothing.
    #[test]
    fn everything_works_by_pointers() {
        let mut one = generate(1, &Profile::default()).encode();
        let mut other = generate(2, &Profile::default()).encode();
        let data = afl_custom_init(std::ptr::null_mut(), 7);
        assert!(!data.is_null());
        let mut made: *const u8 = std::ptr::null();
        for _ in 0..4 {
            for (other, other_size) in
                [(other.as_mut_ptr(), other.len()), (std::ptr::null_mut(), 0)]
            {
                let (bytes, size) = (one.as_mut_ptr(), one.len());
                // SAFETY: `data` is in use, and the buffers are as long as it is said.
                let length = unsafe {
                    afl_custom_fuzz(data, bytes, size, &raw mut made, other, other_size, 4096)
                };
                assert!(length <= 4096);
                let made = read(made, length);
                assert_eq!(Program::decode(&made).encode(), made, "whole records");
                one[0] = 0;
            }
        }
        // SAFETY: as above.
        let steps = unsafe { afl_custom_init_trim(data, one.as_mut_ptr(), one.len()) };
        assert!(steps > 1);
        for step in 1..=steps {
            // SAFETY: as above.
            let length = unsafe { afl_custom_trim(data, &raw mut made) };
            assert_eq!(read(made, length).len(), length);
            // SAFETY: as above.
            assert_eq!(unsafe { afl_custom_post_trim(data, 1) }, step);
        }
        // SAFETY: as above.
        let none = unsafe { afl_custom_init_trim(data, std::ptr::null_mut(), 0) };
        assert_eq!(none, 0);
        // SAFETY: its last use.
        unsafe { afl_custom_deinit(data) };
    }
}
