//! The functions that afl-fuzz looks for in the library, by name. All unsafe code is here.

#![allow(unsafe_code)]

use std::ffi::{c_int, c_uint, c_void};
use std::slice;

use vmadiff::program::mutate::Flavour;

use super::Mutator;

/// # Safety
///
/// `data` is what [`afl_custom_init`] answered, not yet given back, and used by one thread.
unsafe fn mutator<'a>(data: *mut c_void) -> &'a mut Mutator {
    // SAFETY: the caller's promise.
    unsafe { &mut *data.cast::<Mutator>() }
}

/// # Safety
///
/// `size` bytes at `bytes` can be read, unless `bytes` is null.
unsafe fn input<'a>(bytes: *const u8, size: usize) -> &'a [u8] {
    if bytes.is_null() {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { slice::from_raw_parts(bytes, size) }
}

/// Names the kind of programs to make. afl-fuzz has no other way to tell a mutator of its target.
const VARIABLE: &str = "VMADIFF_TARGET";

/// Begins. afl-fuzz keeps the answer and hands it back in every call; null makes it give up.
#[unsafe(no_mangle)]
pub extern "C" fn afl_custom_init(_afl: *mut c_void, seed: c_uint) -> *mut c_void {
    let flavour = match std::env::var(VARIABLE).as_deref() {
        Ok("interleaved") => Flavour::Interleaved,
        Ok("serial") | Err(_) => Flavour::Serial,
        Ok(other) => {
            eprintln!("{VARIABLE} is `{other}`, expected `serial` or `interleaved`");
            return std::ptr::null_mut();
        }
    };
    Box::into_raw(Box::new(Mutator::new(seed, flavour))).cast()
}

/// Ends.
///
/// # Safety
///
/// `data` is what [`afl_custom_init`] answered, and not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn afl_custom_deinit(data: *mut c_void) {
    // SAFETY: it came out of a box, and this is its last use.
    drop(unsafe { Box::from_raw(data.cast::<Mutator>()) });
}

/// Makes an input of another, or of two.
///
/// # Safety
///
/// As afl-fuzz calls it: buffers of the sizes given, `out` for the address of the answer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn afl_custom_fuzz(
    data: *mut c_void,
    bytes: *mut u8,
    size: usize,
    out: *mut *const u8,
    other: *mut u8,
    other_size: usize,
    max_size: usize,
) -> usize {
    // SAFETY: the caller's promises.
    let (this, one, two) = unsafe { (mutator(data), input(bytes, size), input(other, other_size)) };
    let made = this.fuzz(one, two, max_size);
    // SAFETY: the caller's promise; the answer lives in `data` until the next call.
    unsafe { out.write(made.as_ptr()) };
    made.len()
}

/// Begins to trim an input; answers the number of steps.
///
/// # Safety
///
/// As afl-fuzz calls it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn afl_custom_init_trim(
    data: *mut c_void,
    bytes: *mut u8,
    size: usize,
) -> c_int {
    // SAFETY: the caller's promises.
    let (this, bytes) = unsafe { (mutator(data), input(bytes, size)) };
    this.begin_trim(bytes) as c_int
}

/// The next smaller input.
///
/// # Safety
///
/// As afl-fuzz calls it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn afl_custom_trim(data: *mut c_void, out: *mut *const u8) -> usize {
    // SAFETY: the caller's promise.
    let made = unsafe { mutator(data) }.next_trim();
    // SAFETY: the caller's promise; the answer lives in `data` until the next call.
    unsafe { out.write(made.as_ptr()) };
    made.len()
}

/// Whether the smaller input did as much; answers the number of steps that are done.
///
/// # Safety
///
/// As afl-fuzz calls it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn afl_custom_post_trim(data: *mut c_void, success: u8) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { mutator(data) }.end_step(success != 0) as c_int
}

#[cfg(test)]
mod tests {
    use super::*;
    use vmadiff::program::Program;
    use vmadiff::program::mutate::{Profile, generate};

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
