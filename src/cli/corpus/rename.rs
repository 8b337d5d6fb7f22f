//! `vmadiff corpus rename`: files that are kept, with the names of today.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use vmadiff::program::sites::Sites;
use vmadiff::program::{bytes, text};

use super::From;
use crate::cli::input::{self, STDIN, as_text};
use crate::cli::output::print;
use crate::counted::counted;
use crate::files::{self, Lasting};
use crate::status::Status;

/// Rewrites programs whose switches name points by names that these had once, in place: text by
/// names, bytes by numbers. All else in a file stays as it is.
///
/// Old names are read everywhere, so nothing has to be rewritten; but what is read is easier to find
/// in the code.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    vmadiff corpus rename corpus\n  \
    vmadiff corpus rename --check corpus artifacts")]
pub struct Args {
    #[command(flatten)]
    from: From,
    /// Rewrites nothing, and fails (1) if something were to be rewritten.
    #[arg(long)]
    check: bool,
}

pub fn run(args: &Args) -> Result<Status> {
    let all = args.from.files()?;
    if all.iter().any(|file| file == Path::new(STDIN)) {
        bail!("standard input is no file to rewrite: expected files or folders");
    }
    // All are read before the first is written: a bad one is found at once.
    let mut rewritten: Vec<(&PathBuf, Vec<u8>)> = Vec::new();
    for file in &all {
        if let Some(content) = renamed(file)? {
            rewritten.push((file, content));
        }
    }
    for (file, content) in &rewritten {
        if !args.check {
            // Whole or not at all: it may be the only copy.
            files::replace(file, content, Lasting::Process)
                .with_context(|| file.display().to_string())?;
        }
        print(&format!("{}\n", file.display()))?;
    }
    let done = if args.check {
        "to rewrite"
    } else {
        "rewritten"
    };
    print(&format!(
        "{}, {} {done}\n",
        counted(all.len(), "file"),
        rewritten.len()
    ))?;
    Ok(if args.check && !rewritten.is_empty() {
        Status::Diverged
    } else {
        Status::Agreed
    })
}

/// What the file becomes; none: it has no old name.
fn renamed(file: &Path) -> Result<Option<Vec<u8>>> {
    let sites = Sites::known();
    let bytes = input::read(file)?;
    Ok(match as_text(file, &bytes)? {
        Some(text) => {
            // One that is cut off or damaged is no program, whatever names are in it.
            input::program_in(file, &bytes)?;
            text::renamed(text, &sites).map(String::into_bytes)
        }
        None => bytes::renumbered(&bytes, &sites),
    })
}
