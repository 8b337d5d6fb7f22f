//! The programs of a campaign. Which they are depends on the seed, the number of jobs and the machine
//! only, so that the program of a number can be had again without running those before it.

use vmadiff_contract::Capabilities;
use vmadiff_linux::Machine;

use super::narrow;
use crate::compare::World;
use crate::pair::reference_supports;
use crate::program::Program;
use crate::program::mutate::{Flavour, Profile, generate, mutate};

/// The programs of one job, made one after the other.
pub struct Programs {
    seed: u64,
    machine: Machine,
    profile: Profile,
    /// Encoded programs that are worth changing.
    pool: Vec<Vec<u8>>,
}

/// Programs that are kept to be changed.
const POOL: usize = 256;

impl Programs {
    /// Those of a campaign with this seed on this machine, for a manager that knows these calls.
    pub fn new(seed: u64, machine: &Machine, known: Capabilities) -> Self {
        Self {
            seed,
            machine: machine.clone(),
            profile: Profile {
                flavour: Flavour::Serial,
                calls: Capabilities::of(vmadiff_linux::CALLS).and(known),
                world: World {
                    calls: known,
                    ..World::all()
                },
                ..Profile::default()
            },
            pool: Vec::new(),
        }
    }

    /// The program `number` of a campaign of the reference with so many jobs, as the job that runs
    /// it makes it.
    pub fn of_number(seed: u64, machine: &Machine, jobs: u32, number: u64) -> Program {
        let jobs = u64::from(jobs.max(1));
        let mut programs = Self::new(seed, machine, reference_supports());
        let mut next = number % jobs;
        loop {
            let program = programs.next(next);
            if next == number {
                return program;
            }
            next += jobs;
        }
    }

    /// The program of this number: a fresh one, or one of the pool that was changed.
    pub fn next(&mut self, number: u64) -> Program {
        let seed = self
            .seed
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .wrapping_add(number);
        let mut program = if number.is_multiple_of(2) || self.pool.is_empty() {
            generate(seed, &self.profile)
        } else {
            let base = &self.pool[usize::try_from(seed >> 1).expect("64 bits") % self.pool.len()];
            let mut data = base.clone();
            let size = data.len();
            data.resize(size + 48 * 8, 0);
            let most = data.len();
            let seed = (seed as u32).wrapping_mul(0x9e37_79b9);
            let size = mutate(&mut data, size, most, seed, &self.profile, |_, size, _| {
                size
            });
            Program::decode(&data[..size])
        };
        if narrow(&mut program, &self.machine).is_err() {
            program.calls.clear();
        }
        let encoded = program.encode();
        if self.pool.len() < POOL {
            self.pool.push(encoded);
        } else {
            let place = usize::try_from(seed >> 9).expect("64 bits") % POOL;
            self.pool[place] = encoded;
        }
        program
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vmadiff_contract::CallKind;

    #[test]
    fn a_program_can_be_had_again_by_its_number() {
        let machine = Machine::ideal();
        for (jobs, job) in [(1, 0), (3, 2)] {
            let mut programs = Programs::new(7, &machine, reference_supports());
            let numbers = (job..).step_by(jobs as usize).take(40);
            let made: Vec<(u64, Program)> = numbers
                .map(|number| (number, programs.next(number)))
                .collect();
            for (number, program) in [&made[0], &made[39]] {
                assert_eq!(Programs::of_number(7, &machine, jobs, *number), *program);
            }
            assert_ne!(made[0].1, made[39].1);
        }
    }

    #[test]
    fn a_manager_is_not_asked_for_calls_that_it_does_not_know() {
        let known = Capabilities::of(&[CallKind::Mmap, CallKind::Munmap, CallKind::Store]);
        let mut programs = Programs::new(3, &Machine::ideal(), known);
        let steps = (0..300).flat_map(|number| programs.next(number).calls);
        let kinds: Vec<CallKind> = steps.map(|step| step.call.kind()).collect();
        assert!(kinds.len() > 300, "{} calls", kinds.len());
        assert!(kinds.iter().all(|kind| known.knows(*kind)));
    }
}
