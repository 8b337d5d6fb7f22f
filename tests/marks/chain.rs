//! In races the marks of an entry are a chain: each finds what the one before it left. So no write of
//! an entry goes unmarked, and no mark stands on the wrong side of another one's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use vmadiff::designs::{DESIGNS, Planted};
use vmadiff::program::mutate::{Flavour, Profile, generate};
use vmadiff::program::{Policy, Program};
use vmadiff::run::Weaver;
use vmadiff_contract::{About, Config, Event, EventSink, Mark, MmId, PageState, StepKind, Told};
use vmadiff_interleave::sim::now;

/// Keeps marks by the step of the run in which they took effect; events go on.
struct Woven {
    events: Arc<dyn EventSink>,
    marks: Arc<Mutex<Vec<Taken>>>,
}

/// A mark, its moment, and whose it is.
#[derive(Clone, Copy, Debug)]
struct Taken {
    moment: u64,
    task: u8,
    mark: Mark,
}

impl EventSink for Woven {
    fn event(&self, event: Event) {
        self.events.event(event);
    }

    fn listens(&self) -> bool {
        true
    }

    fn moment(&self) -> u64 {
        now().map_or(u64::MAX, |now| now.step as u64)
    }

    fn mark(&self, mark: Mark) {
        self.mark_since(self.moment(), mark);
    }

    fn mark_since(&self, moment: u64, mark: Mark) {
        let task = now().map_or(0, |now| now.task);
        self.marks
            .lock()
            .unwrap()
            .push(Taken { moment, task, mark });
    }
}

/// What is wrong with the chain of an entry.
fn broken(marks: &[Taken]) -> Option<String> {
    let mut entries: HashMap<(MmId, u64), Option<PageState>> = HashMap::new();
    for (at, taken) in marks.iter().enumerate() {
        let Mark { kind, about, told } = taken.mark;
        let wrong = match (about, told) {
            (About::Entry { mm, addr }, Told::Entry { before, after }) => {
                if kind == StepKind::Walk {
                    // It may be one of the TLB.
                    continue;
                }
                let found = entries.insert((mm, addr), after);
                found
                    .is_some_and(|found| found != before)
                    .then_some((mm, addr, found))
            }
            (About::Range { mm, start, end }, Told::Done) if kind != StepKind::Decide => {
                let inside = |&(of, addr): &(MmId, u64)| of == mm && start <= addr && addr < end;
                let mut there = entries
                    .iter()
                    .filter(|(name, entry)| inside(name) && entry.is_some());
                there
                    .next()
                    .map(|(&(mm, addr), &entry)| (mm, addr, Some(entry)))
            }
            _ => None,
        };
        if let Some((mm, addr, was)) = wrong {
            let about = |taken: &&Taken| match taken.mark.about {
                About::Entry { mm: of, addr: at } => of == mm && at == addr,
                About::Range { mm: of, start, end } => of == mm && start <= addr && addr < end,
                _ => false,
            };
            let told = marks[..=at]
                .iter()
                .filter(about)
                .map(|taken| format!("\n  [{}] {} {:x?}", taken.task, taken.moment, taken.mark));
            return Some(format!(
                "{addr:#x} of {mm:?} was {was:x?}{}",
                told.collect::<String>()
            ));
        }
    }
    None
}

/// What is wrong with the marks of a program.
struct Chains {
    weaver: Weaver,
    marks: Arc<Mutex<Vec<Taken>>>,
}

impl Chains {
    fn new(planted: Planted) -> Self {
        let marks: Arc<Mutex<Vec<Taken>>> = Arc::default();
        let kept = marks.clone();
        let make = move |config: &Config, events: Arc<dyn EventSink>| {
            let marks = kept.clone();
            planted.boot(config, Arc::new(Woven { events, marks }))
        };
        Self {
            weaver: Weaver::new(Arc::new(make)),
            marks,
        }
    }

    fn objection(&mut self, program: &Program) -> Option<String> {
        self.marks.lock().unwrap().clear();
        let known = self.weaver.supports();
        if !self.weaver.weave(program, known, None).finished() {
            return None;
        }
        let mut marks = self.marks.lock().unwrap();
        marks.sort_by_key(|taken| taken.moment);
        broken(&marks).map(|wrong| format!("{program}\n{wrong}"))
    }
}

#[test]
fn the_marks_of_an_entry_are_a_chain() {
    let count = std::env::var("CHAINS").map_or(2000, |n| n.parse().expect("a number"));
    // As the series was posted it moves tables without their lock.
    for design in DESIGNS.iter().filter(|design| !design.as_posted) {
        let mut chains = Chains::new(Planted::nothing(design));
        let profile = Profile {
            flavour: Flavour::Interleaved,
            calls: chains.weaver.supports(),
            design,
            ..Profile::default()
        };
        for seed in 0..count {
            let mut program = generate(seed, &profile);
            program.schedule.policy = match seed % 6 {
                0 => Policy::RandomWalk,
                1 => Policy::Pct,
                2 => Policy::Pos,
                // It looks at a run in which no call meets another first, which tells its marks too.
                _ if program.schedule.policy == Policy::Surw => Policy::RandomWalk,
                _ => program.schedule.policy,
            };
            if let Some(wrong) = chains.objection(&program) {
                panic!("{}, seed {seed}: {wrong}", design.name);
            }
        }
    }
}
