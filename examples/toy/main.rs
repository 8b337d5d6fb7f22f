//! The toy design of `docs/designs.md`, wrong and mended: runs programs on it and the reference, or
//! looks for a program that shows what is wrong with it.
//!
//! ```text
//! cargo run --example toy -- wrong run examples/toy/munmap.vma
//! cargo run --example toy -- wrong hunt 100000
//! cargo run --example toy -- mended run corpus/races
//! ```

mod design;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use anyhow::{Context, Result, bail};
use vmadiff::designs::Planted;
use vmadiff::judge::Verdict;
use vmadiff::pair::{Pair, pair};
use vmadiff::program::mutate::{Flavour, generate};
use vmadiff::program::{Case, Program};
use vmadiff_machine::Design;

use design::Toy;

fn main() -> Result<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let which = words.split_first();
    let (which, rest) = which.context("expected `wrong` or `mended`")?;
    let design = match *which {
        "wrong" => Toy::<false>::INFO,
        "mended" => Toy::<true>::INFO,
        other => bail!("found `{other}`, expected `wrong` or `mended`"),
    };
    let mut pair = pair(&Planted::nothing(design));
    match rest {
        ["run", paths @ ..] if !paths.is_empty() => run(&mut pair, paths),
        ["hunt", programs] => {
            let programs = programs.parse().context("expected a number of programs")?;
            Ok(hunt(&mut pair, programs))
        }
        _ => bail!("expected `run PATH…` or `hunt PROGRAMS`"),
    }
}

/// Runs the texts of files and folders.
fn run(pair: &mut Pair, paths: &[&str]) -> Result<ExitCode> {
    let (mut run, mut diverged) = (0, 0);
    for path in paths {
        for file in texts(Path::new(path)).with_context(|| format!("cannot read {path}"))? {
            let name = file.display().to_string();
            let text = fs::read_to_string(&file).with_context(|| format!("cannot read {name}"))?;
            let case = Case::parse(&name, &text)?;
            run += 1;
            diverged += u32::from(diverges(pair, &name, &case.program));
        }
    }
    println!("{run} programs, {diverged} diverge");
    Ok(ended(diverged))
}

/// Makes fresh races until one diverges.
fn hunt(pair: &mut Pair, programs: u64) -> ExitCode {
    let profile = pair.profile(Flavour::Interleaved);
    for seed in 0..programs {
        let program = generate(seed, &profile);
        if diverges(pair, &format!("program {seed}"), &program) {
            return ended(1);
        }
    }
    println!("{programs} programs, none diverges");
    ended(0)
}

fn diverges(pair: &mut Pair, name: &str, program: &Program) -> bool {
    let verdict = pair.run(program, &mut ()).map(|ran| ran.verdict);
    if let Some(Verdict::Diverge(divergence)) = &verdict {
        println!("{name}: {}", divergence.signature);
        println!("  {}", divergence.what);
    }
    matches!(verdict, Some(Verdict::Diverge(_)))
}

/// A file, or the texts of a folder at any depth.
fn texts(path: &Path) -> io::Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut texts = Vec::new();
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        if path.is_dir() || path.extension().is_some_and(|e| e == "vma") {
            texts.extend(self::texts(&path)?);
        }
    }
    texts.sort();
    Ok(texts)
}

fn ended(diverged: u32) -> ExitCode {
    ExitCode::from(u8::from(diverged > 0))
}
