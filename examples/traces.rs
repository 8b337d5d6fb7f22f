//! Prints one number for all that can be observed of the candidate over many programs: each call's
//! outcome, events and state, and of a race every step by its site's name. A change that must change
//! nothing prints the same numbers before and after.
//!
//! ```text
//! cargo run --release --example traces -- generate 200000 programs.bin
//! cargo run --release --example traces -- hash programs.bin
//! cargo run --release --example traces -- hash programs.bin 5000 b1-anon-before-count
//! valgrind --tool=callgrind target/release/examples/traces run programs.bin 2000
//! ```
//!
//! `generate` writes programs at seeds from 0: serial ones and races in turn. `hash` takes how many
//! of them to run (0: all) and names of defects to plant. `run` does the same and looks at nothing: what
//! it takes is the candidate's own. It is a file that is compared, and not
//! seeds, since what the generator makes of a seed may change with it.

use std::fmt::Write;
use std::fs;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use vmadiff::designs::Planted;
use vmadiff::program::Program;
use vmadiff::program::mutate::{Flavour, Profile, generate};
use vmadiff::run::{Recorder, Weaver, Woven};
use vmadiff_contract::{Config, Event, Manager, Snapshot};

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["generate", programs, file] => {
            let programs = programs.parse().context("expected a number of programs")?;
            fs::write(file, generated(programs)).with_context(|| format!("cannot write {file}"))
        }
        ["hash", file, ref rest @ ..] => {
            let bytes = fs::read(file).with_context(|| format!("cannot read {file}"))?;
            let most = rest.first().map_or(Ok(0), |most| most.parse());
            let most = most.context("expected how many programs to run")?;
            let defects = rest.get(1..).unwrap_or_default();
            let planted = Planted::new(Planted::default().design(), defects)?;
            let programs = programs(&bytes).with_context(|| format!("{file} is cut short"))?;
            ensure!(!programs.is_empty(), "{file}: no programs");
            hash(&programs, most, &planted);
            Ok(())
        }
        ["run", file, ref rest @ ..] => {
            let bytes = fs::read(file).with_context(|| format!("cannot read {file}"))?;
            let most = rest.first().map_or(Ok(0), |most| most.parse());
            let most = most.context("expected how many programs to run")?;
            let programs = programs(&bytes).with_context(|| format!("{file} is cut short"))?;
            run(&programs, most);
            Ok(())
        }
        _ => bail!(
            "expected `generate PROGRAMS FILE` or `hash FILE [PROGRAMS [DEFECT]…]` or `run FILE [PROGRAMS]`"
        ),
    }
}

/// Programs as bytes, each after its length: four bytes, the least significant first.
fn generated(programs: u64) -> Vec<u8> {
    let calls = candidate(&Planted::default()).supports();
    let mut bytes = Vec::new();
    for seed in 0..programs {
        let flavour = match seed % 2 {
            0 => Flavour::Serial,
            _ => Flavour::Interleaved,
        };
        let program = generate(
            seed,
            &Profile {
                flavour,
                calls,
                ..Profile::default()
            },
        )
        .encode();
        bytes.extend((program.len() as u32).to_le_bytes());
        bytes.extend(program);
    }
    bytes
}

fn programs(mut bytes: &[u8]) -> Option<Vec<Program>> {
    let mut programs = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let (program, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        programs.push(Program::decode(program));
        bytes = rest;
    }
    bytes.is_empty().then_some(programs)
}

fn candidate(planted: &Planted) -> Box<dyn Manager> {
    planted.boot(&Config::default(), Arc::new(Recorder))
}

fn hash(programs: &[Program], most: usize, planted: &Planted) {
    let most = if most == 0 { programs.len() } else { most };
    let mut alone = candidate(planted);
    let made = planted.clone();
    let mut weaver = Weaver::new(Arc::new(move |config, events| made.boot(config, events)));
    let (mut serial, mut woven) = (Mix::default(), Mix::default());
    let (mut races, mut steps) = (0_u64, 0_usize);
    for program in programs.iter().take(most) {
        run_alone(program, &mut *alone, &mut serial);
        if !program.schedule.is_serial() {
            let known = weaver.supports();
            let seen = weaver.weave(program, known, None);
            races += 1;
            steps += seen.trace.steps().len();
            hash_woven(seen, &mut woven);
        }
    }
    let run = programs.len().min(most);
    println!("{run} programs one call after another: {:016x}", serial.0);
    println!("{races} of them as races, {steps} steps: {:016x}", woven.0);
}

/// Runs each as it is meant: serial ones call by call, with a look at the state after each, races woven.
fn run(programs: &[Program], most: usize) {
    let most = if most == 0 { programs.len() } else { most };
    let planted = Planted::default();
    let mut alone = candidate(&planted);
    let mut weaver = Weaver::new(Arc::new(move |config, events| planted.boot(config, events)));
    let known = weaver.supports();
    let mut state = Snapshot::default();
    for program in programs.iter().take(most) {
        if !program.schedule.is_serial() {
            weaver.weave(program, known, None);
            continue;
        }
        alone.reset(&program.config);
        for step in &program.calls {
            alone.call(step.task, &step.call, step.fail);
            Recorder::clear();
            alone.snapshot(&mut state);
        }
        alone.quiesce();
        Recorder::clear();
    }
}

fn run_alone(program: &Program, manager: &mut dyn Manager, into: &mut Mix) {
    manager.reset(&program.config);
    Recorder::clear();
    let mut state = Snapshot::default();
    for step in &program.calls {
        let outcome = manager.call(step.task, &step.call, step.fail);
        outcome.hash(into);
        Recorder::drain(|events| hash_events(events, into));
        manager.snapshot(&mut state);
        hash_state(&state, into);
    }
    manager.quiesce();
    manager.snapshot(&mut state);
    Recorder::drain(|events| hash_events(events, into));
    hash_state(&state, into);
}

fn hash_woven(woven: &Woven, into: &mut Mix) {
    let mut text = String::new();
    for step in woven.trace.steps() {
        text.clear();
        let _ = write!(text, "{} {} {}", step.task, step.site.name, step.what);
        text.hash(into);
    }
    format!("{:?}", woven.trace.end()).hash(into);
    woven.outcomes.hash(into);
    for raised in &woven.events {
        (raised.step, raised.task, raised.call).hash(into);
        hash_events(&[raised.event], into);
    }
    hash_state(&woven.state, into);
    for exit in &woven.exits {
        (exit.task, exit.seen.outcome).hash(into);
        hash_events(&exit.seen.events, into);
        hash_state(&exit.seen.state, into);
    }
    hash_events(&woven.deferred, into);
    hash_state(&woven.last, into);
    let panic = woven.panicked.as_ref();
    panic.map(|panic| (panic.at, &panic.message)).hash(into);
}

fn hash_events(events: &[Event], into: &mut Mix) {
    let mut text = String::new();
    for event in events {
        text.clear();
        let _ = write!(text, "{event:?}");
        text.hash(into);
    }
}

fn hash_state(state: &Snapshot, into: &mut Mix) {
    let mut rest = state.clone();
    for linked in std::mem::take(&mut rest.protocol) {
        (linked.vma, linked.counts[0], linked.counts[1]).hash(into);
    }
    rest.hash(into);
}

/// FNV-1a by words: the same number on every machine.
#[derive(Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        for byte in rest {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
