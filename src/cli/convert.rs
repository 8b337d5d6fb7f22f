//! `vmadiff convert`: text to bytes and back.

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use anyhow::{Result, bail};

use super::input::{Form, read_case};
use super::output::{print_bytes, write_file};
use super::{Status, paint};

/// Converts a program from text to bytes, or from bytes to text.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    vmadiff convert corpus/seed > seed.vma\n  \
    vmadiff convert seed.vma -o corpus/seed")]
pub struct Args {
    /// The program.
    file: PathBuf,
    /// Where to write; standard output otherwise. A file that exists is left alone.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replaces the output if it exists.
    #[arg(long, requires = "output")]
    force: bool,
    /// The form to write: the other one than the input's, if not given.
    #[arg(long, value_enum, value_name = "FORM")]
    to: Option<Form>,
}

pub fn run(args: &Args) -> Result<Status> {
    let (case, form) = read_case(&args.file)?;
    let other = if form == Form::Text {
        Form::Bytes
    } else {
        Form::Text
    };
    let converted = match args.to.unwrap_or(other) {
        Form::Text => case.to_string().into_bytes(),
        Form::Bytes => case.program.encode(),
    };
    let lost = case.maps.is_some() || !case.expect.is_empty() || !case.comments.is_empty();
    if args.to.unwrap_or(other) == Form::Bytes && lost {
        let note = "bytes hold no expectations and no comments; they are left out";
        anstream::eprintln!("{} {note}", paint::warning("note:"));
    }
    match &args.output {
        Some(path) => write_file(path, args.force, &converted)?,
        None => write_stdout(&converted, args.to.unwrap_or(other))?,
    }
    Ok(Status::Agreed)
}

fn write_stdout(content: &[u8], form: Form) -> Result<()> {
    if form == Form::Bytes && io::stdout().is_terminal() {
        bail!("bytes are not for terminals: name a file with --output, or redirect");
    }
    print_bytes(content)
}
