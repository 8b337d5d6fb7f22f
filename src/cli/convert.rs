//! `vmadiff convert`: text to bytes and back, logs of strace to text, and programs to C.

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use anyhow::{Result, bail};
use vmadiff::pair::reference_answers;
use vmadiff::program::Case;
use vmadiff::program::c::to_c;
use vmadiff::program::strace::{Difference, import_all};

use super::designs::Asked;
use super::input::{self, Form, read_case};
use super::output::{print_bytes, write_file};
use super::{paint, paste};
use crate::status::Status;

/// Converts a program from text to bytes, from bytes to text, or to C, or makes one of strace's log.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    vmadiff convert corpus/seed > seed.vma\n  \
    vmadiff convert seed.vma -o corpus/seed\n  \
    vmadiff convert --rust artifacts/outcome-munmap-value.min.vma >> tests/found.rs\n  \
    strace -f -e trace=memory,process,desc -o log ls && vmadiff convert --strace log -o ls.vma\n  \
    vmadiff convert --c found.vma -o found.c && cc -o found found.c && ./found")]
pub struct Args {
    /// The program, or the log; `-` is standard input.
    file: PathBuf,
    /// FILE is a log of `strace -f -e trace=memory,process,desc`, or of a part of these. Calls that
    /// the model does not know are counted and left out.
    #[arg(long)]
    strace: bool,
    /// Writes a C program that makes the same calls, for itself, and prints each result in the
    /// notation of program text.
    #[arg(long, conflicts_with_all = ["rust", "to"])]
    c: bool,
    /// Which of the programs of a log: each execve begins another.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "strace",
          value_parser = clap::value_parser!(u32).range(1..))]
    image: u32,
    /// Where to write; standard output otherwise. A file that exists is left alone.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replaces the output if it exists.
    #[arg(long, requires = "output")]
    force: bool,
    /// The form to write: the other one than the input's, if not given.
    #[arg(long, value_enum, value_name = "FORM")]
    to: Option<Form>,
    /// Writes a Rust test to paste, which fails as long as the managers diverge.
    #[arg(long, conflicts_with = "to")]
    rust: bool,
}

pub fn run(args: &Args, asked: &Asked) -> Result<Status> {
    let (case, to) = if args.strace {
        (import(args)?, Form::Text)
    } else {
        let (case, form) = read_case(&args.file)?;
        (
            case,
            if form == Form::Text {
                Form::Bytes
            } else {
                Form::Text
            },
        )
    };
    let to = if args.rust || args.c {
        Form::Text
    } else {
        args.to.unwrap_or(to)
    };
    let converted = match to {
        _ if args.rust => {
            let stem = args.file.file_stem().unwrap_or_default().to_string_lossy();
            paste::rust_test(&stem, &case, &asked.for_case(&case)?).into_bytes()
        }
        _ if args.c => to_c(&case, &reference_answers(&case.program)).into_bytes(),
        Form::Text => case.to_string().into_bytes(),
        Form::Bytes => case.program.encode(),
    };
    let only_text = Case {
        program: case.program.clone(),
        ..Case::default()
    } != case;
    if to == Form::Bytes && only_text {
        note("bytes hold no expectations and no comments; they are left out");
    }
    match &args.output {
        Some(path) => write_file(path, args.force, &converted)?,
        None => write_stdout(&converted, to)?,
    }
    Ok(Status::Agreed)
}

/// Makes a program of a log, and says on standard error what was left out of it and where the
/// reference answers otherwise than Linux did.
fn import(args: &Args) -> Result<Case> {
    let name = input::name(&args.file);
    let log = input::read(&args.file)?;
    // Names of files in a log may be in any encoding; they are not looked at.
    let mut images = import_all(&name, &String::from_utf8_lossy(&log))?;
    let number = args.image as usize;
    if number > images.len() {
        bail!(
            "{name}: has {} programs, expected at least {number}",
            images.len()
        );
    }
    if images.len() > 1 {
        note(&format!(
            "program {number} of {}, see --image",
            images.len()
        ));
    }
    let mut import = images.swap_remove(number - 1);
    note(import.summary.to_string().trim_end());
    for difference in import.compare(&reference_answers(&import.case.program)) {
        let Difference {
            line, linux, other, ..
        } = difference;
        note(&format!(
            "{name}:{line}: Linux answered {linux}, the reference {other}"
        ));
    }
    Ok(import.case)
}

fn note(text: &str) {
    crate::tell!("{} {text}", paint::warning("note:"));
}

fn write_stdout(content: &[u8], form: Form) -> Result<()> {
    if form == Form::Bytes && io::stdout().is_terminal() {
        bail!("bytes are not for terminals: name a file with --output, or redirect");
    }
    print_bytes(content)
}
