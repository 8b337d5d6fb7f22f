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
