//! Races of the reference with itself, and of the candidate, followed.

use std::sync::Arc;

use crate::judge::steps::{Follower, Item, Race, Trod, What, about_text, items, mark_text};
use crate::source::{Rng, record, reference};
use vmadiff::designs::{Planted, from_name};
use vmadiff::program::mutate::{Flavour, Profile, generate};
use vmadiff::program::{Case, Policy, Program, Schedule};
use vmadiff::run::{Recorder, Weaver};
use vmadiff_contract::{CallKind, Capabilities, Config, Offer, TaskId};
use vmadiff_reference::Reference;

/// A number from the environment, for longer runs.
pub fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |n| n.parse().expect("a number"))
}

pub fn program(seed: u64) -> Program {
    let profile = Profile {
        calls: Capabilities::of(CallKind::ALL),
        flavour: Flavour::Interleaved,
        ..Profile::default()
    };
    generate(seed, &profile)
}

/// A race in lines.
pub fn told(program: &Program, items: &[Item], upto: usize, trail: &[Trod]) -> String {
    let most = number("STEPS_ITEMS", 12) as usize;
    let upto = upto + number("STEPS_AFTER", 0) as usize;
    let items = items.iter().enumerate().take(upto + 1);
    let items = items.skip((upto + 1).saturating_sub(most));
    let lines = items.map(|(i, item)| {
        let step = &program.calls[item.call as usize];
        let what = match item.what {
            What::Begin => "begins".to_owned(),
            What::Mark(mark) => mark_text(&mark),
            What::End => "ends".to_owned(),
        };
        let mut line = format!("{i:>4} [{}] {}: {what}", step.task, step.call.kind().name());
        for trod in trail.iter().filter(|trod| trod.item == i) {
            let Offer {
                task,
                list,
                row,
                choice,
                ..
            } = trod.step;
            let about: Vec<String> = trod.about.iter().map(|&about| about_text(about)).collect();
            line += &format!(
                "\n          {task}: {list}.{row} {choice:?} {}",
                about.join(", ")
            );
        }
        line
    });
    let program = if number("STEPS_PROGRAM", 0) > 0 {
        program.to_string()
    } else {
        String::new()
    };
    format!("{program}\n{}", lines.collect::<Vec<_>>().join("\n"))
}

#[test]
fn what_the_reference_does_is_followed() {
    let (from, count) = (number("STEPS_FROM", 0), number("STEPS_COUNT", 600));
    let mut follower = Follower::default();
    let (mut found, mut stuck) = (Vec::new(), 0);
    for seed in from..from + count {
        let program = program(seed);
        let Some(made) = record(&program, seed) else {
            stuck += 1;
            continue;
        };
        let mut judge = reference(&program);
        if let Err(objection) = follower.follow(&made.race(), &mut judge) {
            let upto = objection.item.unwrap_or(made.items.len());
            found.push(format!(
                "seed {seed}: {objection:?}\n{}",
                told(&made.program, &made.items, upto, &[])
            ));
        }
    }
    assert_eq!(stuck, 0);
    let few = &found[..found.len().min(number("STEPS_SHOW", 2) as usize)];
    assert!(
        found.is_empty(),
        "{} of {count}:\n{}",
        found.len(),
        few.join("\n")
    );
}

/// Puts several programs' calls together, by up to eight tasks and under a policy that switches
/// anywhere, if `STEPS_LARGE` says how many.
fn enlarge(program: &mut Program, seed: u64, profile: &Profile) {
    let many = number("STEPS_LARGE", 1);
    if many < 2 {
        return;
    }
    for other in 1..many {
        let more = generate(seed.wrapping_mul(7919).wrapping_add(other), profile);
        program.calls.extend(more.calls);
    }
    program.calls.truncate(64);
    let tasks = 3 + (seed % 6) as u8;
    program.config.tasks = tasks;
    let mut rng = Rng(seed * 2 + 1);
    for step in program.calls.iter_mut().filter(|step| step.task.0 > 0) {
        step.task = TaskId(1 + rng.below(usize::from(tasks)) as u8);
    }
    let policies = [Policy::RandomWalk, Policy::Pct, Policy::Pos];
    program.schedule = Schedule::default();
    program.schedule.policy = policies[(seed / 6 % 3) as usize];
    program.schedule.seed = seed;
}

/// Programs woven on the candidate, followed by its marks; what is objected to is counted by kind.
/// `STEPS_DESIGN` names a design without defects, `STEPS_FILE` a program instead of random ones.
#[test]
#[ignore = "counts; for longer runs by hand"]
fn what_the_candidate_marks_is_followed() {
    let (from, count) = (number("STEPS_FROM", 0), number("STEPS_COUNT", 1000));
    let show = number("STEPS_SHOW", 1) as usize;
    let planted = match (std::env::var("STEPS_DEFECT"), std::env::var("STEPS_DESIGN")) {
        (Ok(name), _) => Planted::defect(&name),
        (_, Ok(name)) => Planted::nothing(from_name(&name).expect("a design")),
        _ => Planted::default(),
    };
    let made = planted.clone();
    let mut weaver = Weaver::following(Arc::new(move |config, events| made.boot(config, events)));
    let known = weaver.supports();
    let mut judge = Reference::new(&Config::default(), Arc::new(Recorder));
    let (mut follower, mut path) = (Follower::default(), Vec::new());
    follower.trail = (number("STEPS_TRAIL", 0) > 0).then(Vec::new);
    let mut groups = std::collections::BTreeMap::<String, (u32, Vec<String>)>::new();
    let mut agreed = 0;
    let profile = Profile {
        calls: known,
        design: planted.design(),
        flavour: Flavour::Interleaved,
        ..Profile::default()
    };
    for seed in from..from + count {
        let mut program = match std::env::var("STEPS_FILE") {
            Ok(file) => {
                let text = std::fs::read_to_string(&file).expect(&file);
                Case::parse(&file, &text).expect(&file).program
            }
            Err(_) => generate(seed, &profile),
        };
        enlarge(&mut program, seed, &profile);
        if std::env::var("STEPS_SERIAL").is_ok() {
            program.schedule = Schedule::default();
        }
        let woven = weaver.weave(&program, known, None).clone();
        if !woven.finished() {
            continue;
        }
        items(&woven, &mut path);
        let mut life: Vec<_> = woven
            .events
            .iter()
            .filter_map(|raised| raised.call.map(|call| (call, raised.event)))
            .collect();
        life.sort_by_key(|&(call, _)| call);
        let race = Race {
            program: &program,
            items: &path,
            outcomes: &woven.outcomes,
            life: &life,
            state: &woven.state,
        };
        let Err(objection) = follower.follow(&race, &mut judge) else {
            agreed += 1;
            continue;
        };
        let step = objection
            .step
            .map(|step| format!("{}.{}", step.list, step.row));
        let mark = objection.item.map(|at| match path[at].what {
            What::Mark(mark) => {
                let about = format!("{:?}", mark.about);
                let word = about.split(|c: char| !c.is_alphanumeric()).next();
                format!("{:?} {}", mark.kind, word.unwrap_or_default())
            }
            what => format!("{what:?}"),
        });
        let key = format!(
            "{:?}/{} at {} mark {}",
            objection.rule,
            objection.field,
            step.unwrap_or_default(),
            mark.unwrap_or_default()
        );
        let group = groups.entry(key).or_default();
        group.0 += 1;
        if group.1.len() < show {
            let upto = objection.item.unwrap_or(path.len().saturating_sub(1));
            group.1.push(format!(
                "seed {seed}: {}\n{}",
                objection.what,
                told(
                    &program,
                    &path,
                    upto,
                    follower.trail.as_deref().unwrap_or_default()
                )
            ));
        }
    }
    let mut sorted: Vec<_> = groups.into_iter().collect();
    sorted.sort_by_key(|(_, (n, _))| std::cmp::Reverse(*n));
    println!("agreed {agreed} of {count}");
    for (key, (n, shown)) in sorted.iter().take(number("STEPS_GROUPS", 8) as usize) {
        println!("=== {n} {key}\n{}", shown.join("\n"));
    }
}
