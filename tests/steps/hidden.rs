//! What the follower does not compare, by forging everything that can be told of a race, one thing at a
//! time: what goes unnoticed is what docs/compared.md lists, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use vmadiff_contract::{Event, Outcome};

use crate::judge::steps::Follower;
use crate::source::{Recorded, Rng, record, reference};
use crate::tests::{number, program};

/// Where the list stands.
const PAGE: &str = include_str!("../../docs/compared.md");
const HEADING: &str = "| not compared of a race that is followed | why |";

/// A forgery: changes one thing of a kind, drawn; false: the race has none of it.
type Forge = fn(&mut Recorded, &mut Rng) -> bool;

macro_rules! fields {
    ($($list:ident: $($field:ident $was:ident => $becomes:expr),+;)*) => {
        &[$($((
            concat!(stringify!($list), ".", stringify!($field)),
            |made: &mut Recorded, rng: &mut Rng| {
                let at = rng.below(made.state.$list.len());
                let Some(entry) = made.state.$list.get_mut(at) else {
                    return false;
                };
                let $was = entry.$field;
                entry.$field = $becomes;
                entry.$field != $was
            },
        )),+,)*]
    };
}

/// Each field of the state when all calls had returned.
const FIELDS: &[(&str, Forge)] = fields! {
    tasks: minor_faults n => n + 1, major_faults n => n + 1;
    mms: map_count n => n + 1, total_pages n => n + 1, locked_pages n => n + 1, data_pages n => n + 1,
        stack_pages n => n + 1, exec_pages n => n + 1, rss_anon n => n + 1, rss_file n => n + 1,
        swap_entries n => n + 1, brk n => n + 0x1000;
    vmas: end n => n + 0x1000, pgoff n => n + 1, anon_chain n => n + 1;
    pages: present is => !is, readable is => !is, writable is => !is,
        executable is => !is, anon is => !is, zero is => !is;
    bytes: value n => n ^ 0x80;
    files: size n => n + 1, refs n => n + 1;
    file_bytes: value n => n ^ 0x80;
    limits: soft n => n ^ 0x1000, hard n => n ^ 0x1000;
};

macro_rules! lists {
    ($($list:ident)*) => {
        &[$((stringify!($list), |made: &mut Recorded, rng: &mut Rng| {
            let count = made.state.$list.len();
            if count == 0 {
                return false;
            }
            made.state.$list.remove(rng.below(count));
            true
        })),*]
    };
}

/// An entry of each list of that state is missing.
const LISTS: &[(&str, Forge)] =
    lists! { tasks mms vmas pages bytes fds files file_bytes absent limits };

/// A total of that state is another.
const TOTALS: &[(&str, Forge)] = &[
    ("committed", |made, _| {
        made.state.committed += 1;
        true
    }),
    ("anon_frames", |made, _| {
        made.state.anon_frames += 1;
        true
    }),
    ("anons", |made, _| {
        made.state.anons += 1;
        true
    }),
];

/// What an event is called here.
fn name(event: &Event) -> &'static str {
    match event {
        Event::VmaAlloc { .. } => "event: a VMA is allocated",
        Event::VmaLink { .. } => "event: a VMA is linked",
        Event::VmaUnlink { .. } => "event: a VMA is unlinked",
        Event::VmaGet { .. } | Event::VmaPut { .. } => "event: a reference moves",
        Event::VmaOpen { .. } => "event: a VMA is opened",
        Event::VmaClose { .. } => "event: a VMA is closed",
        Event::VmaFree { .. } => "event: a VMA is freed",
        Event::FilePut { .. } => "event: a VMA puts its file",
        Event::FileFree { .. } => "event: a file is freed",
        Event::AnonAlloc { .. } => "event: an anon_vma is allocated",
        Event::AnonFree { .. } => "event: an anon_vma is freed",
        Event::PolicyAlloc { .. } => "event: a policy is allocated",
        Event::PolicyFree { .. } => "event: a policy is freed",
        Event::FrameAlloc { .. } | Event::FrameFree { .. } => "event: a frame comes or goes",
        Event::TableAlloc { .. } | Event::TableFree { .. } => "event: a table comes or goes",
        Event::Misuse(_) | Event::Note(_) => "event: a note",
    }
}

/// What of a kind was forged, and how often nobody objected.
#[derive(Default)]
struct Tried {
    forged: u64,
    unnoticed: u64,
}

#[derive(Default)]
struct Trials {
    follower: Follower,
    tried: BTreeMap<&'static str, Tried>,
}

impl Trials {
    fn of(&mut self, what: &'static str, made: &Recorded) {
        let objection = self
            .follower
            .follow(&made.race(), &mut reference(&made.program));
        let tried = self.tried.entry(what).or_default();
        tried.forged += 1;
        tried.unnoticed += u64::from(objection.is_ok());
    }

    fn events(&mut self, made: &Recorded) {
        let kinds: BTreeSet<&str> = made.life.iter().map(|(_, event)| name(event)).collect();
        for kind in kinds {
            let mut forged = made.clone();
            let at = made.life.iter().position(|(_, event)| name(event) == kind);
            forged.life.remove(at.expect("it is there"));
            self.of(kind, &forged);
        }
    }

    fn answers(&mut self, made: &Recorded) {
        let value = |outcome: &Option<Outcome>| matches!(outcome, Some(Outcome::Value(_)));
        if let Some(at) = made.outcomes.iter().rposition(value) {
            let mut forged = made.clone();
            forged.outcomes[at] = Some(Outcome::Value(0x7777));
            self.of("what a call answers", &forged);
        }
    }
}

#[test]
fn what_is_not_compared_is_listed() {
    let mut trials = Trials::default();
    for seed in 0..number("STEPS_HIDDEN", 150) {
        let Some(made) = record(&program(seed), seed) else {
            continue;
        };
        let mut rng = Rng(seed * 2 + 1);
        for (what, forge) in FIELDS.iter().chain(LISTS).chain(TOTALS) {
            let mut forged = made.clone();
            if forge(&mut forged, &mut rng) {
                trials.of(what, &forged);
            }
        }
        trials.events(&made);
        trials.answers(&made);
    }
    let all: u64 = trials.tried.values().map(|tried| tried.forged).sum();
    let unnoticed: u64 = trials.tried.values().map(|tried| tried.unnoticed).sum();
    println!("{unnoticed} of {all} forgeries go unnoticed");
    let hidden = trials.tried.iter().filter(|(_, tried)| tried.unnoticed > 0);
    let hidden: BTreeSet<&str> = hidden.map(|(what, _)| *what).collect();
    let (_, table) = PAGE.split_once(HEADING).expect("the list");
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let listed = rows.filter_map(|row| Some(row.strip_prefix("| `")?.split_once('`')?.0));
    let listed: BTreeSet<&str> = listed.collect();
    assert_eq!(
        hidden, listed,
        "what goes unnoticed, and what {HEADING:?} lists"
    );
    for what in &hidden {
        let Tried { forged, unnoticed } = trials.tried[what];
        println!("{what}: {unnoticed} of {forged}");
    }
    let kinds = trials.tried.len();
    assert!(
        hidden.len() * 4 < kinds,
        "{} of {kinds} kinds",
        hidden.len()
    );
}
