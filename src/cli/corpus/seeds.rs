//! `vmadiff corpus seeds`: a folder of inputs for an engine, made of programs as text.

use std::path::PathBuf;

use anyhow::{Context, Result};
use vmadiff::program::bytes::is_long;

use super::{From, name, read_all};
use crate::cli::output::{print, refuse_file};
use crate::counted::counted;
use crate::files;
use crate::status::Status;

/// Writes each program as bytes into a folder, under a name made of them: what is there already
/// stays.
///
/// Programs longer than engines run (more than 64 calls) are left out, as is what occurs twice.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  vmadiff corpus seeds corpus -o fuzz/corpus/serial")]
pub struct Args {
    #[command(flatten)]
    from: From,
    /// The folder; made if it is not there.
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
}

pub fn run(args: &Args) -> Result<Status> {
    let mut seeds = Vec::new();
    let mut long = 0;
    for (_, program) in read_all(args.from.files()?)? {
        let bytes = program.encode();
        if is_long(&bytes) {
            long += 1;
        } else {
            seeds.push(bytes);
        }
    }
    let folder = &args.output;
    refuse_file(folder)?;
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let mut written = 0;
    for bytes in &seeds {
        let path = folder.join(name(bytes));
        let is_new = files::keep(&path, bytes).with_context(|| path.display().to_string())?;
        written += usize::from(is_new);
    }
    let same = seeds.len() - written;
    let folder = folder.display();
    print(&format!(
        "{folder}: {} written, {same} there already, {long} too long for engines\n",
        counted(written, "seed")
    ))?;
    Ok(Status::Agreed)
}
