//! Buries a race in noise: calls, threads, switches and settings of other programs are put into it,
//! as long as it diverges as before. What is left of it when it is shrunk again is worth something.

use vmadiff::judge::Signature;
use vmadiff::pair::Pair;
use vmadiff::program::Program;
use vmadiff::program::mutate::{Flavour, Profile, crossover, generate};

use super::shrinking::signature;

/// A program with so many calls and switches is noisy enough.
const ENOUGH: (usize, usize) = (20, 8);

/// Programs that are tried as noise.
const TRIES: u32 = 600;

/// The program with noise, the same each time.
pub fn noisy(pair: &mut Pair, program: &Program, wanted: &Signature) -> Program {
    let profile = pair.profile(Flavour::Interleaved);
    let size = |program: &Program| (program.calls.len(), program.schedule.switches.len());
    let mut noisy = program.clone();
    for seed in 0..TRIES {
        let (calls, switches) = size(&noisy);
        if calls >= ENOUGH.0 && switches >= ENOUGH.1 {
            break;
        }
        let other = generate(seed.into(), &profile);
        let more = both(&noisy, &other, seed, &profile);
        let (more_calls, more_switches) = size(&more);
        let grows = more_calls >= calls && more_switches >= switches && size(&more) != size(&noisy);
        if grows && signature(&pair.observe(&more).verdict) == Some(wanted) {
            noisy = more;
        }
    }
    noisy
}

/// One program into which a part of another was put.
fn both(one: &Program, other: &Program, seed: u32, profile: &Profile) -> Program {
    let (one, other) = (one.encode(), other.encode());
    let mut bytes = vec![0; one.len() + other.len()];
    let size = crossover(&one, &other, &mut bytes, seed, profile);
    Program::decode(&bytes[..size])
}
