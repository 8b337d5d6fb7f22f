//! What a campaign does before it starts: makes its corpus small.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use vmadiff::designs::Planted;

use crate::counted::counted;
use crate::files::is_by_an_engine;

/// Seconds that making a corpus small may take.
const SECONDS: u64 = 600;

/// Takes out of a corpus of more than `limit` inputs what engines do not need, in a process of its
/// own: a program on which the harness fails is for a job to report. A job reads all that is left,
/// once, before it makes anything.
pub fn reduce(folder: &Path, limit: u64, planted: &Planted) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let inputs = entries.flatten().filter(|entry| {
        let name = entry.file_name();
        is_by_an_engine(&name.to_string_lossy())
    });
    let inputs = inputs.count() as u64;
    if limit == 0 || inputs <= limit {
        return Ok(());
    }
    crate::tell!(
        "{}: {}, more than --corpus-limit {limit}: taking out what others make needless",
        folder.display(),
        counted(inputs as usize, "input")
    );
    let program = std::env::current_exe().context("finding this program's own file")?;
    let mut reduce = Command::new(program);
    reduce.args(["corpus", "reduce"]).arg(folder);
    reduce.args(["--of-campaign", &std::process::id().to_string()]);
    reduce.args(["--seconds", &SECONDS.to_string()]);
    reduce.args(["--design", planted.design().name]);
    for defect in planted.defects() {
        reduce.args(["--defect", defect]);
    }
    let output = reduce.stderr(std::process::Stdio::inherit()).output();
    let output = output.context("starting `corpus reduce`")?;
    if output.status.success() {
        anstream::eprint!("{}", String::from_utf8_lossy(&output.stdout));
    } else {
        crate::tell!("`corpus reduce` failed ({}): jobs read all", output.status);
    }
    Ok(())
}
