//! What a job executes: one pair of managers, program after program, watched for coverage.

use vmadiff::compare::Tally;
use vmadiff::coverage::{Coverage, Stats};
use vmadiff::designs::Planted;
use vmadiff::judge::{Divergence, Verdict};
use vmadiff::pair::{Pair, pair};
use vmadiff::program::mutate::forced::{Chain, Met};
use vmadiff::program::mutate::{self, Flavour, Profile};
use vmadiff::program::{Case, Policy, Program, bytes};

use super::protocol::{Guide, Kind, Stages, Ways};
use super::watch;

/// What an execution came to.
pub enum Ran {
    Agreed,
    Skipped(String),
    Diverged(Divergence),
}

/// Of so many changes one has tasks meet in another order.
const FORCED_SHARE: u32 = 2;

/// The pair under test.
pub struct Subject {
    pair: Pair,
    program: Program,
    kind: Kind,
    ways: Ways,
    stats: Stats,
    met: Met,
    stages: Stages,
    /// The same without defects, where it is asked what they make a difference to.
    without: Option<Pair>,
}

impl Subject {
    pub fn new(kind: Kind, ways: Ways, planted: &Planted) -> Self {
        Self {
            pair: pair(planted),
            kind,
            ways,
            program: Program::default(),
            stats: Stats::default(),
            met: Met::default(),
            stages: Stages::default(),
            without: None,
        }
    }

    /// From here on each program that comes to a defect runs without it, too.
    pub fn look_at_stages(&mut self, planted: &Planted) {
        self.without = Some(pair(&Planted::nothing(planted.design())));
    }

    /// How far programs came with what is planted.
    pub fn stages(&self) -> &Stages {
        &self.stages
    }

    /// What was reached so far.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// How often known differences were met.
    pub fn tally(&self) -> &Tally {
        self.pair.tally()
    }

    /// Runs the program in these bytes; `counters` are the engine's.
    pub fn execute(&mut self, bytes: &[u8], counters: &mut [u8]) -> Ran {
        self.program.decode_from(bytes);
        let counters = &mut counters[..self.kind.counters()];
        let mut coverage = Coverage::new(counters, &mut self.stats);
        let verdict = self
            .pair
            .run(&self.program, &mut coverage)
            .map(|ran| ran.verdict);
        let diverges = matches!(verdict, Some(Verdict::Diverge(_)));
        if diverges || self.pair.has_reached_defect(&self.program) {
            self.note_stages(diverges);
        }
        match verdict {
            None | Some(Verdict::Agree) => Ran::Agreed,
            Some(Verdict::Skip(why)) => Ran::Skipped(why),
            Some(Verdict::Diverge(divergence)) => Ran::Diverged(divergence),
        }
    }

    /// Whether the program that has just run is one of nothing.
    pub fn made_no_call(&self) -> bool {
        self.program.calls.is_empty()
    }

    /// Takes note of how far the program came that has just run.
    fn note_stages(&mut self, diverges: bool) {
        let executions = self.stats.executions();
        let Self {
            stages,
            pair,
            program,
            ..
        } = self;
        stages.reached += 1;
        stages.first_reached.get_or_insert(executions);
        let Some(without) = &mut self.without else {
            return;
        };
        if !diverges && !pair.differs_from(without, program) {
            return;
        }
        stages.triggered += 1;
        stages.first_triggered.get_or_insert(executions);
        if diverges {
            stages.detected += 1;
        } else if stages.let_go.is_none() {
            stages.let_go = Some(
                Case {
                    program: program.clone(),
                    design: Some(pair.design()),
                    ..Case::default()
                }
                .to_string(),
            );
        }
    }

    /// Mutates an input in place and answers its new length.
    pub fn mutate(&mut self, data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
        let profile = self.profile(&data[..size], seed);
        let engine = vmadiff_libfuzzer::fuzzer_mutate;
        let made = mutate::mutate(data, size, max_size, seed, &profile, engine);
        if max_size >= size && self.meets(&profile, seed) {
            self.force(data, made, max_size, seed)
        } else {
            made
        }
    }

    /// Whether tasks are to meet in another order in what a seed has made.
    fn meets(&self, profile: &Profile, seed: u32) -> bool {
        profile.flavour == Flavour::Interleaved
            && self.ways.guide == Guide::Pairs
            && profile
                .policy
                .is_none_or(|policy| policy == Policy::Preemptions)
            && seed % FORCED_SHARE == 1
    }

    /// Has two tasks of what was made meet in another order, if it fits.
    fn force(&mut self, data: &mut [u8], made: usize, max_size: usize, seed: u32) -> usize {
        watch::runs(&data[..made]);
        let mut program = Program::decode(&data[..made]);
        let chain = Chain::of(seed);
        if self.pair.force(&mut program, seed, chain, &mut self.met) == 0 {
            return made;
        }
        let encoded = program.encode();
        if encoded.len() > max_size.min(data.len()) {
            return made;
        }
        data[..encoded.len()].copy_from_slice(&encoded);
        encoded.len()
    }

    /// Writes a cross of two inputs to `out` and answers its length.
    pub fn crossover(&mut self, one: &[u8], other: &[u8], out: &mut [u8], seed: u32) -> usize {
        let profile = self.profile(one, seed);
        let made = mutate::crossover(one, other, out, seed, &profile);
        if self.meets(&profile, seed) {
            self.force(out, made, out.len(), seed)
        } else {
            made
        }
    }

    /// What is to become of an input. Where both kinds are made, one with a schedule keeps its
    /// kind, and half of the others get one.
    fn profile(&self, input: &[u8], seed: u32) -> Profile {
        let woven = match self.kind {
            Kind::Serial => false,
            Kind::Interleaved => true,
            Kind::All => seed & 1 << 16 != 0 || !bytes::is_serial(input),
        };
        // Where nothing can race, `all` means all that there is.
        let flavour = if woven && self.pair.interleaves() {
            Flavour::Interleaved
        } else {
            Flavour::Serial
        };
        self.ways.narrow(self.pair.profile(flavour))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_meet_in_another_order_in_half_of_what_is_made() {
        let planted = Planted::default();
        let mut subject = Subject::new(Kind::Interleaved, Ways::default(), &planted);
        let (mut out, mut forced) = (vec![0; 4096], [0, 0]);
        for seed in 1..=64 {
            let profile = subject.profile(&[], seed);
            let plain = mutate::crossover(&[], &[], &mut out, seed, &profile);
            let plain = out[..plain].to_vec();
            let made = subject.crossover(&[], &[], &mut out, seed);
            let is_forced = out[..made] != plain[..];
            assert!(!is_forced || seed % FORCED_SHARE == 1, "seed {seed}");
            forced[0] += u32::from(is_forced);
            let mut data = vec![0; 4096];
            let made = subject.mutate(&mut data, 0, 4096, seed);
            let fresh = mutate::generate(seed.into(), &profile).encode();
            forced[1] += u32::from((seed / 8) % 2 == 0 && data[..made] != fresh);
        }
        assert!(forced[0] > 20 && forced[1] > 10, "{forced:?}");
        assert!(subject.met.pairs() > 20);
    }
}
