//! Where AFL++ and vmadiff meet: its loop, and what it learns of a run beside the edges of code.

use vmadiff::program::input::Input;
use vmadiff::program::mutate::{Flavour, Profile, generate};
use vmadiff::program::{Policy, Program};

/// Programs that run before afl-fuzz forks. What is kept from run to run, as memory for reuse, has
/// its final size by then, and the same input takes the same way each time.
const WARM_UP: u64 = 300;

/// Runs `target` on one input after another for as long as afl-fuzz asks. There are so many counters
/// of what is reached.
///
/// A panic of a manager is a finding like others: it unwinds to the target, which judges it and
/// panics with its signature. So there is no hook that ends the process at the first panic.
pub fn fuzz<const COUNTERS: usize>(target: fn(&Program, &mut [u8]), profile: &Profile) {
    let mut counters = [0; COUNTERS];
    for seed in 1..=WARM_UP {
        target(&generate(seed, profile), &mut counters);
    }
    let nothing = nothing(profile.flavour);
    afl::fuzz(false, move |bytes| {
        // Not by afl's own `Arbitrary`, which it calls otherwise than libFuzzer does.
        let Some(Input(program)) = Input::from_bytes(bytes) else {
            return;
        };
        counters.fill(0);
        target(&program, &mut counters);
        tell(&counters);
        // What an input leaves behind is cleared away when the next begins. That is its own doing,
        // and has to count as such.
        for nothing in &nothing {
            target(nothing, &mut counters);
        }
    });
}

/// Programs without calls: for each way of running one.
fn nothing(flavour: Flavour) -> Vec<Program> {
    let serial = Program::default();
    let mut woven = Program::default();
    woven.schedule.policy = Policy::RandomWalk;
    match flavour {
        Flavour::Serial => vec![serial],
        Flavour::Interleaved => vec![serial, woven],
    }
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
