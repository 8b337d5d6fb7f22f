//! The scenes whose instructions are counted: fixed programs, run again and again.
//!
//! A scene is what setting it up has made ready; only [`Scene::play`] is counted. Programs are texts
//! (`programs/`, of `corpus/campaign/`), so that a change of the generator leaves them what they are.

use vmadiff::coverage::WOVEN_COUNTERS;
use vmadiff::designs::Planted;
use vmadiff::pair::{Pair, pair};
use vmadiff::program::mutate::{Flavour, Profile, crossover, mutate};
use vmadiff::program::{Case, Program};
use vmadiff::target::Target;

/// Times that each program of a scene is run.
const ROUNDS: usize = 50;
/// The same with the slow-down that the gate has to find: 6 %.
const SLOWER: usize = 53;
/// Changes of each input in a round.
const SEEDS: u32 = 16;
/// Files of programs, with a line of dashes between each two.
const SERIAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/programs/serial");
const WOVEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/programs/woven");
/// Bytes that a mutation may take: a header and 48 records.
const MAX_LEN: usize = 16 + 48 * 48;

/// Makes a scene ready.
pub type Setup = fn() -> Scene;

/// Each scene by its name.
pub const SCENES: [(&str, Setup); 4] = [
    ("serial", Scene::serial),
    ("woven", Scene::woven),
    ("mutation", Scene::mutation),
    ("start", Scene::start),
];

/// What is counted.
pub enum Scene {
    /// Programs on both managers, judged.
    Judged(Box<Pair>, Vec<Program>),
    /// Inputs changed, and crossed with the next.
    Changed(Profile, Vec<Vec<u8>>),
    /// Inputs decoded, run, judged and counted for an engine, as all of a corpus are at the start.
    Started(Box<Target>, Vec<Vec<u8>>),
}

impl Scene {
    /// Serial programs, judged.
    pub fn serial() -> Self {
        Self::judged(SERIAL)
    }

    /// Programs whose calls are woven, judged.
    pub fn woven() -> Self {
        Self::judged(WOVEN)
    }

    fn judged(file: &str) -> Self {
        let mut pair = pair(&Planted::default());
        let programs = programs(file);
        // What the first run makes room for is no part of the others.
        for program in &programs {
            pair.run(program, &mut ());
        }
        Self::Judged(Box::new(pair), programs)
    }

    /// The mutator, on races: what it does to serial programs is a part of that.
    pub fn mutation() -> Self {
        let profile = pair(&Planted::default()).profile(Flavour::Interleaved);
        let inputs = inputs(WOVEN);
        change(&profile, &inputs);
        Self::Changed(profile, inputs)
    }

    /// The start on a corpus of serial programs and races.
    pub fn start() -> Self {
        let all = inputs(SERIAL).into_iter().chain(inputs(WOVEN)).step_by(2);
        let all: Vec<_> = all.collect();
        let mut target = Target::new(pair(&Planted::default()));
        start(&mut target, &all);
        Self::Started(Box::new(target), all)
    }

    /// Runs all of it, `slower` with 6 % more to do. This is what callgrind counts, by its name.
    ///
    /// # Panics
    /// If the managers diverge.
    #[inline(never)]
    pub fn play(&mut self, slower: bool) {
        for _ in 0..if slower { SLOWER } else { ROUNDS } {
            match self {
                Self::Judged(pair, programs) => {
                    for program in &*programs {
                        assert!(pair.run(program, &mut ()).is_none(), "{program}");
                    }
                }
                Self::Changed(profile, inputs) => change(profile, inputs),
                Self::Started(target, inputs) => start(target, inputs),
            }
        }
    }
}

fn start(target: &mut Target, inputs: &[Vec<u8>]) {
    let mut counters = vec![0; WOVEN_COUNTERS];
    for input in inputs {
        target.bytes(input, &mut counters);
    }
}

/// Each round makes the same changes: another one may start anew, which takes far longer.
fn change(profile: &Profile, inputs: &[Vec<u8>]) {
    let mut data = [0; MAX_LEN];
    for (at, input) in inputs.iter().enumerate() {
        for seed in 0..SEEDS {
            let size = input.len();
            data[..size].copy_from_slice(input);
            // The engine's own changes are not this project's work.
            mutate(&mut data, size, MAX_LEN, seed, profile, |_, size, _| size);
            let next = &inputs[(at + 1) % inputs.len()];
            crossover(input, next, &mut data, seed, profile);
        }
    }
}

fn programs(file: &str) -> Vec<Program> {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"));
    let parsed = text.split("\n---\n").map(|text| Case::parse(file, text));
    parsed
        .map(|case| case.unwrap_or_else(|error| panic!("{error}")).program)
        .collect()
}

fn inputs(file: &str) -> Vec<Vec<u8>> {
    programs(file).iter().map(Program::encode).collect()
}
