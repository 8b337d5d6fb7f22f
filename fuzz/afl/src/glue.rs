//! Where AFL++ and vmadiff meet: its loop, and what it learns of a run beside the edges of code.

use vmadiff::program::Program;
use vmadiff::program::input::Input;
use vmadiff::target::run;

/// Runs one input after another for as long as afl-fuzz asks. There are so many counters of what
/// is reached.
///
/// A panic of a manager is a finding like others: it unwinds to the target, which judges it and
/// panics with its signature. So there is no hook that ends the process at the first panic.
pub fn fuzz<const COUNTERS: usize>() {
    let mut counters = [0; COUNTERS];
    // What is kept from run to run is made before afl-fuzz forks: every run finds the same.
    run(&Program::default(), &mut counters);
    afl::fuzz(false, move |bytes| {
        // Not by afl's own `Arbitrary`, which it calls otherwise than libFuzzer does.
        let Some(Input(program)) = Input::from_bytes(bytes) else {
            return;
        };
        counters.fill(0);
        run(&program, &mut counters);
        tell(&counters);
    });
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
