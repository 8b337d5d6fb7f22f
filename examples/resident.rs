//! Judges fresh programs and prints how much memory is resident as it goes on: it must stay flat.
//!
//! `cargo run --release --example resident -- 10000000`

use std::fs;

use anyhow::{Context, Result, ensure};
use vmadiff::pair::pair;
use vmadiff::program::mutate::{Profile, generate};
use vmadiff_candidate::Defects;

/// Lines printed.
const LINES: u64 = 20;

fn main() -> Result<()> {
    let programs: u64 = std::env::args()
        .nth(1)
        .context("expected how many programs to judge")?
        .parse()
        .context("expected a number of programs")?;
    let first: u64 = match std::env::args().nth(2) {
        Some(seed) => seed.parse().context("expected the first seed")?,
        None => 0,
    };
    let mut pair = pair(Defects::NONE);
    let profile = Profile {
        calls: pair.known(),
        ..Profile::default()
    };
    for done in 0..programs {
        let seed = first + done;
        if done.is_multiple_of((programs / LINES).max(1)) {
            println!("{done:>12} programs {:>8} KiB", resident()?);
        }
        let program = generate(seed, &profile);
        let verdict = pair.run(&program, &mut ());
        ensure!(
            verdict.is_none(),
            "the managers diverge at seed {seed}:\n{program}"
        );
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
