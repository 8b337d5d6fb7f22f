//! Random calls with any arguments: nothing panics, and what must hold holds.

use std::collections::BTreeSet;

use vmadiff_contract::{Call, Config, Event, Fail, Manager, MapFlags, Outcome, TaskId, VmaId};

use super::Log;
use super::dice::Dice;
use crate::Reference;

/// Every area was allocated before it is linked, unlinked, closed or freed, and is freed once.
#[derive(Default)]
struct Lives(BTreeSet<VmaId>);

impl Lives {
    fn take(&mut self, event: Event) {
        match event {
            Event::VmaAlloc { vma, .. } => assert!(self.0.insert(vma)),
            Event::VmaFree { vma } => assert!(self.0.remove(&vma)),
            Event::VmaLink { vma, .. }
            | Event::VmaUnlink { vma }
            | Event::VmaOpen { vma }
            | Event::VmaClose { vma }
            | Event::FilePut { vma, .. } => assert!(self.0.contains(&vma)),
            _ => {}
        }
    }
}

#[test]
fn nothing_panics_and_counters_count() {
    let log = std::sync::Arc::<Log>::default();
    let mut manager = Reference::new(&Config::default(), log.clone());
    let runs = std::env::var("REFERENCE_RUNS").map_or(3000, |runs| runs.parse().unwrap());
    let mut seen = BTreeSet::new();
    for seed in 0..runs {
        run(&mut manager, &log, seed, &mut seen);
    }
    for note in NOTES {
        assert!(seen.contains(*note), "{note} was never reached: {seen:?}");
    }
}

/// What the random programs must come by at least.
const NOTES: &[&str] = &[
    "Split { below: false }",
    "Split { below: true }",
    "Cow",
    "Reuse",
    "Undo(\"copy.anon\")",
    "Undo(\"munmap.end\")",
    "Undo(\"mmap.charge\")",
    "Undo(\"mmap.area\")",
    "Undo(\"mprotect.split\")",
    "Undo(\"fork\")",
];

fn run(manager: &mut Reference, log: &Log, seed: u64, seen: &mut BTreeSet<String>) {
    let mut dice = Dice(seed);
    let config = dice.config();
    manager.reset(&config);
    let mut lives = Lives::default();
    let mut said = Vec::new();
    let mut stacks = false;
    for _ in 0..60 {
        let call = dice.call();
        let task = TaskId(1 + dice.below(4) as u8);
        let fail = if dice.one_in(8) {
            Fail(dice.below(6) as u8)
        } else {
            Fail::NONE
        };
        if let Call::Mmap { flags, .. } = call {
            stacks |= flags.contains(MapFlags::GROWSDOWN);
        }
        let outcome = manager.call(task, &call, fail);
        said.push(format!("[{task}] {call:x?} {fail:?} = {outcome:x?}"));
        assert_ne!(outcome, Outcome::Livelock, "{said:#?}");
        for event in log.0.lock().unwrap().drain(..) {
            lives.take(event);
            if let Event::Note(note) = event {
                seen.insert(format!("{note:?}"));
            }
        }
        let sound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            manager.machine.read().world.assert_sound(stacks);
        }));
        assert!(sound.is_ok(), "seed {seed}: {said:#?}");
    }
}
