//! The functions that afl-fuzz looks for in a library, by name.

/// The library that AFL++ mutates programs by, given what [`compare`](crate::compare()) answers or a
/// [`Profile`](crate::program::mutate::Profile): the whole of the file. What it stands in is built as
/// a `cdylib`, by plain `cargo build`, and named to afl-fuzz by `AFL_CUSTOM_MUTATOR_LIBRARY`.
#[macro_export]
macro_rules! afl_mutator {
    ($made_of:expr) => {
        /// # Safety
        ///
        /// `data` is what [`afl_custom_init`] answered, not yet given back, and used by one thread.
        unsafe fn mutator<'a>(
            data: *mut ::std::ffi::c_void,
        ) -> &'a mut $crate::target::afl::Mutator {
            // SAFETY: the caller's promise.
            unsafe { &mut *data.cast::<$crate::target::afl::Mutator>() }
        }

        /// # Safety
        ///
        /// `size` bytes at `bytes` can be read, unless `bytes` is null.
        unsafe fn input<'a>(bytes: *const u8, size: usize) -> &'a [u8] {
            if bytes.is_null() {
                return &[];
            }
            // SAFETY: the caller's promise.
            unsafe { ::std::slice::from_raw_parts(bytes, size) }
        }

        /// Begins. afl-fuzz keeps the answer and hands it back in every call.
        #[unsafe(no_mangle)]
        pub extern "C" fn afl_custom_init(
            _afl: *mut ::std::ffi::c_void,
            seed: ::std::ffi::c_uint,
        ) -> *mut ::std::ffi::c_void {
            let made = $crate::target::afl::Mutator::new(seed, $made_of);
            ::std::boxed::Box::into_raw(::std::boxed::Box::new(made)).cast()
        }

        /// Ends.
        ///
        /// # Safety
        ///
        /// `data` is what [`afl_custom_init`] answered, and not used again.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn afl_custom_deinit(data: *mut ::std::ffi::c_void) {
            // SAFETY: it came out of a box, and this is its last use.
            drop(unsafe {
                ::std::boxed::Box::from_raw(data.cast::<$crate::target::afl::Mutator>())
            });
        }

        /// Makes an input of another, or of two.
        ///
        /// # Safety
        ///
        /// As afl-fuzz calls it: buffers of the sizes given, `out` for the address of the answer.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn afl_custom_fuzz(
            data: *mut ::std::ffi::c_void,
            bytes: *mut u8,
            size: usize,
            out: *mut *const u8,
            other: *mut u8,
            other_size: usize,
            max_size: usize,
        ) -> usize {
            // SAFETY: the caller's promises.
            let (this, one, two) =
                unsafe { (mutator(data), input(bytes, size), input(other, other_size)) };
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
            data: *mut ::std::ffi::c_void,
            bytes: *mut u8,
            size: usize,
        ) -> ::std::ffi::c_int {
            // SAFETY: the caller's promises.
            let (this, bytes) = unsafe { (mutator(data), input(bytes, size)) };
            this.begin_trim(bytes) as ::std::ffi::c_int
        }

        /// The next smaller input.
        ///
        /// # Safety
        ///
        /// As afl-fuzz calls it.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn afl_custom_trim(
            data: *mut ::std::ffi::c_void,
            out: *mut *const u8,
        ) -> usize {
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
        pub unsafe extern "C" fn afl_custom_post_trim(
            data: *mut ::std::ffi::c_void,
            success: u8,
        ) -> ::std::ffi::c_int {
            // SAFETY: the caller's promise.
            unsafe { mutator(data) }.end_step(success != 0) as ::std::ffi::c_int
        }
    };
}
