//! A data race on purpose, to see that ThreadSanitizer finds one: `.ci/sanitizers` runs it, and then
//! the tests in `native.rs`, in which it must find none.

use std::hint::black_box;

struct Word(std::cell::UnsafeCell<u64>);

// SAFETY: none. That it is no `Sync` is what ThreadSanitizer must find.
unsafe impl Sync for Word {}

impl Word {
    fn add(&self) {
        // SAFETY: none: another thread does the same. On x86-64 an addition may get lost.
        unsafe { *self.0.get() = black_box(*self.0.get() + 1) };
    }
}

#[test]
#[ignore = "a fault on purpose, for ThreadSanitizer"]
fn two_threads_race_for_a_word() {
    let word = Word(std::cell::UnsafeCell::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..1000).for_each(|_| word.add()));
        }
    });
}
