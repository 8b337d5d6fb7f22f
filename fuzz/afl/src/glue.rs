//! Where AFL++ and vmadiff meet: its loop, and what it learns of a run beside the edges of code.

use vmadiff::coverage::COUNTERS;
use vmadiff::program::Program;
use vmadiff::program::input::Input;

/// Runs `target` on one input after another for as long as afl-fuzz asks.
///
/// A panic of a manager is a finding like others: it unwinds to the target, which judges it and
/// panics with its signature. So there is no hook that ends the process at the first panic.
pub fn fuzz(target: fn(&Program, &mut [u8])) {
    let mut counters = [0; COUNTERS];
    // What is kept from run to run is made before afl-fuzz forks: every run finds the same.
    target(&Program::default(), &mut counters);
    afl::fuzz(false, move |bytes| {
        // The engines call `Arbitrary` differently; this is the one decoder behind it.
        let Some(Input(program)) = Input::from_bytes(bytes) else {
            return;
        };
        counters.fill(0);
        target(&program, &mut counters);
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

/// Tells the runtime to make room for annotations; it looks for this symbol.
// SAFETY: the runtime has it as a weak symbol of this type, to be given a value like this.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
static mut __afl_ijon_enabled: u32 = 1;
