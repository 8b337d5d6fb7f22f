//! Random calls of several tasks, driven in random order: nothing panics, nothing gets stuck, what
//! must hold holds whenever all have returned, and a copy goes on as the machine does.

use std::sync::Arc;

use vmadiff_contract::{Call, Choice, Fail, MapFlags, Misuse, Offer, Taken, TaskId};

use super::Log;
use super::dice::Dice;
use crate::drive::Machine;

/// Rounds of a program: in each, tasks begin a call, and all return.
const ROUNDS: u64 = 6;

struct Weave {
    machine: Machine,
    said: Vec<String>,
    grows: bool,
    offers: Vec<Offer>,
}

impl Weave {
    fn begin(&mut self, dice: &mut Dice, task: u8) {
        let call = dice.call();
        if let Call::Mmap { flags, .. } = call {
            self.grows |= flags.contains(MapFlags::GROWSDOWN);
        }
        let fail = if dice.one_in(8) {
            Fail(1 + dice.below(5) as u8)
        } else {
            Fail::NONE
        };
        self.said.push(format!("[{task}] {call:x?} {fail:?}"));
        let _ = self.machine.begin(TaskId(task), &call, fail);
    }

    /// Takes a step of any task that can go on. None can: false.
    fn step(&mut self, dice: &mut Dice) -> bool {
        self.offers.clear();
        self.machine.legal(&mut self.offers);
        // Whoever begins again and again never ends.
        self.offers
            .retain(|offer| offer.choice != Choice::Again || dice.one_in(20));
        if self.offers.is_empty() {
            return false;
        }
        let offer = self.offers[dice.below(self.offers.len() as u64) as usize];
        let taken = self.machine.take(offer.task, offer.choice);
        assert!(taken.is_ok(), "{offer:?}: {taken:?}");
        let note = match taken {
            Ok(Taken::Returned(outcome)) => format!("= {outcome:x?}"),
            _ => format!("{} {}: {:?}", offer.list, offer.row, offer.choice),
        };
        self.said.push(format!("    [{}] {note}", offer.task));
        true
    }
}

fn run(seed: u64) {
    let mut dice = Dice(seed);
    let mut config = dice.config();
    config.tasks = 3;
    let mut machine = Machine::new(Arc::new(Log::default()));
    machine.boot(&config, true);
    let (said, grows, offers) = (Vec::new(), false, Vec::new());
    let mut weave = Weave {
        machine,
        said,
        grows,
        offers,
    };
    for round in 0..ROUNDS {
        for task in 1..=4 {
            // In the first rounds few begin one, so that calls succeed.
            if round >= 2 || dice.one_in(3) {
                weave.begin(&mut dice, task);
            }
        }
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            while weave.step(&mut dice) {}
            let pending = weave
                .machine
                .jobs
                .iter()
                .position(crate::job::Job::is_pending);
            assert_eq!(pending, None, "a call is stuck");
            let world = &weave.machine.world;
            let freed = matches!(world.misuse, Some(Misuse::FreedInTlb(_)));
            assert!(!freed, "a frame was freed while a TLB has it");
            // A stack that grows beside an unmapping may lose a count (section 18).
            if !weave.grows {
                world.assert_sound(false);
            }
        }));
        assert!(result.is_ok(), "seed {seed}: {:#?}", weave.said);
    }
}

#[test]
fn nothing_panics_and_nothing_gets_stuck() {
    let runs = std::env::var("REFERENCE_RUNS").map_or(1500, |runs| runs.parse().unwrap());
    for seed in 0..runs {
        run(seed);
    }
}
