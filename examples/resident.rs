//! Judges fresh programs and prints how much memory is resident as it goes on: it must stay flat.
//!
//! ```text
//! cargo run --release --example resident -- serial 10000000
//! cargo run --release --example resident -- interleaved 1000000
//! ```
//!
//! A third word is the first program's seed.

use std::fs;

use anyhow::{Context, Result, bail};
use vmadiff::designs::Planted;
use vmadiff::pair::pair;
use vmadiff::program::mutate::{Flavour, generate};

/// Lines printed.
const LINES: u64 = 20;

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let flavour = match words.next().as_deref() {
        Some("serial") => Flavour::Serial,
        Some("interleaved") => Flavour::Interleaved,
        other => bail!(
            "found {}, expected `serial` or `interleaved`",
            other.unwrap_or("nothing")
        ),
    };
    let programs = words
        .next()
        .context("expected how many programs to judge")?;
    let programs: u64 = programs.parse().context("expected a number of programs")?;
    let first = words.next().unwrap_or_else(|| "0".to_owned());
    let first: u64 = first.parse().context("expected the first seed")?;
    let mut pair = pair(&Planted::default());
    let profile = pair.profile(flavour);
    for done in 0..programs {
        let seed = first + done;
        if done.is_multiple_of((programs / LINES).max(1)) {
            println!("{done:>12} programs {:>8} KiB", resident()?);
        }
        let program = generate(seed, &profile);
        // Not what this is about, so it goes on: what a report takes must not stay either.
        if let Some(ran) = pair.run(&program, &mut ()) {
            println!("seed {seed}: {:?}", ran.verdict);
        }
    }
    println!("{programs:>12} programs {:>8} KiB", resident()?);
    Ok(())
}

/// Resident memory of this process, KiB.
fn resident() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let size = line.context("no VmRSS")?.trim_end_matches("kB").trim();
    Ok(size.parse()?)
}
