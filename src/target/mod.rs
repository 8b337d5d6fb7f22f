//! What a fuzz target does with its input, whatever the engine: runs it, and panics if the
//! managers diverge.

pub mod afl;
mod folders;
pub mod known;
mod panics;
pub mod signature;

pub use folders::check_folders;
pub use panics::let_managers_unwind;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::panic::RefUnwindSafe;

use crate::coverage::{Coverage, Stats};
use crate::designs::{self, Planted};
use crate::judge::{Divergence, Rule, Verdict};
use crate::pair::{Pair, pair};
use crate::program::mutate::{Flavour, Profile};
use crate::program::{Case, Program};

thread_local! {
    static TARGET: RefCell<Target> = RefCell::new(Target::new(pair(&planted().unwrap_or_else(|error| panic!("{error}")))));
}

/// What is kept from input to input: a pair of managers, and what was reached.
pub struct Target {
    pair: Pair,
    program: Program,
    stats: Stats,
    /// Signatures to pass over.
    known: BTreeSet<String>,
}

/// A panic of a manager is caught, and the manager made anew; any other one ends the process.
impl RefUnwindSafe for Target {}

impl Target {
    /// Runs inputs on this pair. Signatures that are no news are those of this process: see
    /// [`known`].
    ///
    /// # Panics
    /// If the file that names them holds anything else.
    pub fn new(pair: Pair) -> Self {
        Self {
            pair,
            program: Program::default(),
            stats: Stats::default(),
            known: known::of_this_process().unwrap_or_else(|error| panic!("{error}")),
        }
    }

    /// Runs a program; `counters` are the engine's. Answers whether the input is worth keeping: one
    /// that shows a known divergence is not, since its offspring would mostly show the same.
    ///
    /// # Panics
    /// If the managers diverge in a way that is not known. The message starts with the signature,
    /// and so do the innermost frames: see [`signature`].
    pub fn run(&mut self, program: &Program, counters: &mut [u8]) -> bool {
        let judged = self.judge(program, counters);
        judged.unwrap_or_else(|divergence| report(program, &divergence))
    }

    /// The same for the program in an engine's bytes.
    ///
    /// # Panics
    /// As [`Target::run`] does.
    pub fn bytes(&mut self, bytes: &[u8], counters: &mut [u8]) -> bool {
        let mut program = std::mem::take(&mut self.program);
        program.decode_from(bytes);
        let kept = self.run(&program, counters);
        self.program = program;
        kept
    }

    /// What its programs are made of.
    pub fn profile(&self, flavour: Flavour) -> Profile {
        self.pair.profile(flavour)
    }

    /// Whether the input is worth keeping, or a divergence that is news.
    fn judge(&mut self, program: &Program, counters: &mut [u8]) -> Result<bool, Box<Divergence>> {
        let mut coverage = Coverage::new(counters, &mut self.stats);
        let ran = self.pair.run(program, &mut coverage);
        match ran.map_or(Verdict::Agree, |ran| ran.verdict) {
            Verdict::Agree => Ok(true),
            Verdict::Skip(_) => Ok(false),
            Verdict::Diverge(divergence) => {
                match divergence.known_as(|name| self.known.contains(name)) {
                    Some(_) => Ok(false),
                    None => Err(Box::new(divergence)),
                }
            }
        }
    }
}

/// A libFuzzer target for a manager of somebody else's, given what [`compare`](crate::compare())
/// answers: the whole of the file, but for `#![no_main]`. The crate that it stands in depends on
/// `libfuzzer-sys`, and on vmadiff without the feature `engine`.
#[macro_export]
macro_rules! libfuzzer {
    ($compared:expr) => {
        /// What libFuzzer sweeps beside the edges of the code; it clears whole words.
        #[repr(align(64))]
        struct Reached([u8; $crate::coverage::COUNTERS]);

        #[unsafe(link_section = "__libfuzzer_extra_counters")]
        static mut REACHED: Reached = Reached([0; $crate::coverage::COUNTERS]);

        ::std::thread_local! {
            static TARGET: ::std::cell::RefCell<$crate::target::Target> =
                ::std::cell::RefCell::new($compared.target());
        }

        fn profile() -> $crate::program::mutate::Profile {
            TARGET.with_borrow(|target| target.profile($crate::program::mutate::Flavour::Serial))
        }

        ::libfuzzer_sys::fuzz_target!(init: $crate::target::let_managers_unwind(), |bytes: &[u8]|
            -> ::libfuzzer_sys::Corpus {
            let reached = &raw mut REACHED;
            // SAFETY: libFuzzer executes one input at a time, on one thread, and looks at the
            // counters only between executions.
            let reached = unsafe { &mut *reached };
            if TARGET.with_borrow_mut(|target| target.bytes(bytes, &mut reached.0)) {
                ::libfuzzer_sys::Corpus::Keep
            } else {
                ::libfuzzer_sys::Corpus::Reject
            }
        });

        ::libfuzzer_sys::fuzz_mutator!(|data: &mut [u8],
                                        size: usize,
                                        max_size: usize,
                                        seed: u32| {
            let engine = ::libfuzzer_sys::fuzzer_mutate;
            $crate::program::mutate::mutate(data, size, max_size, seed, &profile(), engine)
        });

        ::libfuzzer_sys::fuzz_crossover!(|one: &[u8], other: &[u8], out: &mut [u8], seed: u32| {
            $crate::program::mutate::crossover(one, other, out, seed, &profile())
        });
    };
}

/// Names a defect, to see that an engine finds it and makes it small.
pub const DEFECT: &str = "VMADIFF_DEFECT";

/// Names a design to run instead of the first.
pub const DESIGN: &str = "VMADIFF_DESIGN";

/// The design and the defect that the environment names.
///
/// # Errors
/// Which of the variables names what is not there.
fn planted() -> Result<Planted, String> {
    let nothing = match std::env::var(DESIGN) {
        Err(_) => Planted::default(),
        Ok(name) => Planted::nothing(designs::from_name(&name).ok_or_else(|| {
            let all = designs::listed();
            format!("{DESIGN}: found `{name}`, expected one of: {all}")
        })?),
    };
    match std::env::var(DEFECT) {
        Err(_) => Ok(nothing),
        Ok(name) => {
            Planted::new(nothing.design(), &[name]).map_err(|error| format!("{DEFECT}: {error}"))
        }
    }
}

/// Reads what the environment and the list of known signatures ask of this project's own targets, before an
/// engine starts. What cannot be had is told on standard error, and ends the process with status 2: at the
/// first input it would be that input's crash.
pub fn check_settings() {
    let settings = planted().and_then(|_| known::of_this_process());
    if let Err(error) = settings {
        eprintln!("{error}");
        std::process::exit(BAD_INPUT);
    }
}

/// The status of the command for wrong usage or input.
const BAD_INPUT: i32 = 2;

/// Runs a serial program on a pair of managers that is kept for the next; `counters` are the
/// engine's. Answers whether the input is worth keeping: one that shows a known divergence is not,
/// since its offspring would mostly show the same.
///
/// # Panics
///
/// If the managers diverge in a way that is not known. The message starts with the signature, and
/// so do the innermost frames: see [`signature`].
pub fn serial(program: &Program, counters: &mut [u8]) -> bool {
    run(program, counters)
}

/// The same for a program with a schedule, whose calls are woven.
///
/// # Panics
///
/// As [`serial`] does.
pub fn interleaved(program: &Program, counters: &mut [u8]) -> bool {
    run(program, counters)
}

fn run(program: &Program, counters: &mut [u8]) -> bool {
    // A panic with the finding must not come while the target is borrowed: engines catch it.
    let judged = TARGET.with_borrow_mut(|target| target.judge(program, counters));
    judged.unwrap_or_else(|divergence| report(program, &divergence))
}

fn report(program: &Program, divergence: &Divergence) -> ! {
    let case = Case {
        program: program.clone(),
        ..Case::default()
    };
    let Divergence {
        signature, what, ..
    } = divergence;
    let place = panics::last_place().filter(|_| signature.rule == Rule::Panic);
    let place = place.map_or(String::new(), |place| format!(" (at {place})"));
    let message = format!("{signature}: {what}{place}\n{case}");
    panics::step_aside();
    signature::panic(signature, &message)
}

/// What programs of a serial target are made of.
pub fn serial_profile() -> Profile {
    profile(Flavour::Serial)
}

/// What programs of an interleaved target are made of.
pub fn interleaved_profile() -> Profile {
    profile(Flavour::Interleaved)
}

fn profile(flavour: Flavour) -> Profile {
    TARGET.with_borrow(|target| target.profile(flavour))
}
