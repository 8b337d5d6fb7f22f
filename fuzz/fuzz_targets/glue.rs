//! Where libFuzzer and vmadiff meet: what each target of one flavour of programs says of itself.

/// The functions that libFuzzer calls, for a target that runs programs with `$run` and makes them by
/// `$profile`, and `$counters` bytes of what runs reach, which it sweeps beside the edges of code.
///
/// A manager's panic is a finding like others, and may be known: it unwinds to the target.
macro_rules! programs {
    ($run:path, $profile:path, $counters:path) => {
        use libfuzzer_sys::{Corpus, fuzz_crossover, fuzz_mutator, fuzz_target, fuzzer_mutate};
        use vmadiff::program::input::Input;
        use vmadiff::program::mutate::{crossover, mutate};
        use vmadiff::target::{check_folders, check_settings, let_managers_unwind};

        /// What libFuzzer sweeps beside the edges of the code.
        #[unsafe(link_section = "__libfuzzer_extra_counters")]
        static mut REACHED: Aligned = Aligned([0; $counters]);

        /// libFuzzer clears whole words.
        #[repr(align(64))]
        struct Aligned([u8; $counters]);

        fn start() {
            check_settings();
            check_folders(std::env::args().skip(1));
            let_managers_unwind();
        }

        fuzz_target!(init: start(), |input: Input| -> Corpus {
            let reached = &raw mut REACHED;
            // SAFETY: libFuzzer executes one input at a time, on one thread, and looks at the
            // counters only between executions.
            let reached = unsafe { &mut *reached };
            if $run(&input.0, &mut reached.0) {
                Corpus::Keep
            } else {
                Corpus::Reject
            }
        });

        fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
            mutate(data, size, max_size, seed, &$profile(), fuzzer_mutate)
        });

        fuzz_crossover!(|one: &[u8], other: &[u8], out: &mut [u8], seed: u32| {
            crossover(one, other, out, seed, &$profile())
        });
    };
}
