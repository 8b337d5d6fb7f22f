//! Where AFL++ and vmadiff meet: its loop, and what it learns of a run beside the edges of code.

#[path = "repeat.rs"]
mod repeat;

use std::panic::{AssertUnwindSafe, catch_unwind};

use vmadiff::program::bytes::MAX_STEPS;
use vmadiff::program::input::Input;
use vmadiff::program::mutate::{Profile, generate};
use vmadiff::program::{Case, Policy, Program};
use vmadiff::target::check_settings;

/// Runs `target` on one input after another for as long as afl-fuzz asks. There are so many counters
/// of what is reached.
///
/// A panic of a manager is a finding like others: it unwinds to the target, which judges it and
/// panics with its signature. So there is no hook that ends the process at the first panic.
pub fn fuzz<const COUNTERS: usize>(target: fn(&Program, &mut [u8]) -> bool, profile: &Profile) {
    check_settings();
    let mut counters = [0; COUNTERS];
    let mut beside = [0; COUNTERS];
    let nothing = nothing();
    for program in warm_up(profile).chain(nothing.clone()) {
        // One that diverges is no finding yet: afl-fuzz takes a target that ends here for a broken one.
        let warmed = AssertUnwindSafe(|| target(&program, &mut counters));
        drop(catch_unwind(warmed));
    }
    let repeated = std::env::var_os(repeat::VARIABLE);
    let repeats = repeated.is_some();
    let run = move |bytes: &[u8]| {
        for _ in 0..PATIENCE {
            // What counts is the last run only, see below.
            // SAFETY: it clears maps that are there, and that nobody else looks at before the end.
            unsafe { __afl_coverage_discard() };
            if repeats {
                repeat::forget();
            }
            // Not by afl's own `Arbitrary`, which it calls otherwise than libFuzzer does.
            let Some(Input(program)) = Input::from_bytes(bytes) else {
                return;
            };
            counters.fill(0);
            let kept = allocation_counter::measure(|| {
                target(&program, &mut counters);
                // What an input leaves behind is cleared away when the next begins. That is its own
                // doing, and has to count as such.
                for nothing in &nothing {
                    target(nothing, &mut beside);
                }
            });
            // Memory for reuse grows once: no later run of this input goes the same way as one in
            // which it grew.
            if (kept.count_current, kept.bytes_current) == (0, 0) {
                break;
            }
        }
        tell(&counters);
    };
    if let Some(folder) = repeated {
        repeat::repeat(folder.as_ref(), profile, run);
    }
    afl::fuzz(false, run);
}

/// How often an input may run that makes memory for reuse grow.
const PATIENCE: u32 = 8;

unsafe extern "C" {
    /// Forgets what was reached since the input began. It is AFL++'s own, of the runtime that
    /// `cargo afl` links.
    fn __afl_coverage_discard();
}

/// Programs that run before afl-fuzz forks. What is kept from run to run, as memory for reuse, has
/// its final size by then, and the same input takes the same way each time.
fn warm_up(profile: &Profile) -> impl Iterator<Item = Program> {
    // As much of everything as there can be.
    const OPEN: &str = "open(\"plain\", O_RDWR, 0x3000)\n";
    const POPULATE: &str = "mmap(NULL, 0x20000, PROT_READ|PROT_WRITE, \
                            MAP_PRIVATE|MAP_ANONYMOUS|MAP_POPULATE, -1, 0)\n";
    let greedy = [
        OPEN.repeat(MAX_STEPS),
        POPULATE.repeat(MAX_STEPS),
        OPEN.repeat(16) + &"fork()\n".repeat(MAX_STEPS - 16),
    ];
    let greedy = greedy.map(|text| program(&text));
    let drawn = (1..=300).map(|seed| generate(seed, profile));
    greedy.into_iter().chain([crowd()]).chain(drawn)
}

/// All tasks there can be, each in the midst of a call: so many stacks.
fn crowd() -> Program {
    let forks = "fork()\n".repeat(TASKS);
    let calls =
        (0..MAX_STEPS - TASKS).map(|n| format!("[{}] munmap(0x10000, 0x1000)\n", 1 + n % TASKS));
    let mut crowd = program(&(forks + &calls.collect::<String>()));
    crowd.schedule.policy = Policy::RandomWalk;
    crowd
}

/// Tasks of a program, at most.
const TASKS: usize = 16;

fn program(text: &str) -> Program {
    Case::parse("warm-up", text).expect("a program").program
}

/// Programs without calls: one for each way of running any, as inputs of both targets may have
/// schedules.
fn nothing() -> [Program; 2] {
    let mut woven = Program::default();
    woven.schedule.policy = Policy::RandomWalk;
    [Program::default(), woven]
}

/// Tells AFL++ what was reached, and how often by magnitude, in its map for annotations (IJON).
fn tell(counters: &[u8]) {
    for (place, &count) in (0..).zip(counters) {
        if count != 0 {
            let magnitude = count.ilog2() / 2;
            // SAFETY: an index, taken modulo the size of a map that is there while afl-fuzz
            // runs this; else the runtime ignores it.
            unsafe { afl::ijon_set(4 * place + magnitude, 0) };
        }
    }
}

/// Tells the runtime to make room for annotations: it has a weak symbol of this name and type.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
static mut __afl_ijon_enabled: u32 = 1;
