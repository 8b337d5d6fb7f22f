//! `vmadiff convert`: text to bytes and back, logs of strace and syzkaller programs to text, and
//! programs to C.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use vmadiff::pair::reference_answers;
use vmadiff::program::Case;
use vmadiff::program::c::to_c;
use vmadiff::program::form::Form;
use vmadiff::program::strace::{Difference, Import, Known, Listing, Source, import_knowing};
use vmadiff::program::syz;
use vmadiff::program::text;

use super::designs::Asked;
use super::input::{self, read_one_of_many};
use super::output::{is_on_terminal, is_stdout, print_bytes, warn_of, write_file};
use super::{paint, paste};
use crate::artifacts::Provenance;
use crate::counted::counted;
use crate::status::Status;

/// Converts a program from text to bytes, from bytes to text, or to C, or makes one of a log of
/// strace or of a syzkaller program.
///
/// A name that ends in .vma is read as text, one that ends in .bytes as bytes; other files by what they
/// look like.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    vmadiff convert corpus/seed > seed.vma\n  \
    vmadiff convert seed.vma -o corpus/seed\n  \
    vmadiff convert --rust artifacts/outcome-munmap-value.min.vma >> tests/found.rs\n  \
    strace -f -e trace=memory,process,desc -o log ls && vmadiff convert --strace log -o ls.vma\n  \
    vmadiff convert --strace log --maps maps -o attached.vma\n  \
    vmadiff convert --strace log.* -o threads.vma\n  \
    vmadiff convert repro.syz -o repro.vma\n  \
    vmadiff convert --c found.vma -o found.c && cc -o found found.c && ./found")]
pub struct Args {
    /// The program, or the log; `-` is standard input. Several: the logs of `strace -ff -ttt`, one a
    /// thread.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// FILE is a log of `strace -f -e trace=memory,process,desc`, or of a part of these. Lines that
    /// are no calls, and calls that the model does not know, are counted and left out.
    #[arg(long)]
    strace: bool,
    /// FILE is a syzkaller program, as its name says if it ends in .syz. Calls that the model does
    /// not know are counted and left out.
    #[arg(long, conflicts_with = "strace")]
    syz: bool,
    /// The areas that were there before the log of an attached process begins, as /proc/PID/maps
    /// or /proc/PID/smaps listed them then.
    #[arg(long, value_name = "FILE", requires = "strace")]
    maps: Option<PathBuf>,
    /// All threads of the log are the first process's, also those whose birth it does not show: of an
    /// attached process, whose threads strace names on standard error alone.
    #[arg(long, requires = "strace")]
    threads: bool,
    /// Writes a C program that makes the same calls, for itself, and prints each result in the
    /// notation of program text.
    #[arg(long, conflicts_with_all = ["rust", "to"])]
    c: bool,
    /// Which of the programs of a log: each execve begins another.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "strace",
          value_parser = clap::value_parser!(u32).range(1..))]
    image: u32,
    /// Where to write; standard output otherwise, or as `-`. A file that exists is left alone.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replaces the output if it exists.
    #[arg(long, requires = "output")]
    force: bool,
    /// The form to write: the other one than the input's, if not given.
    #[arg(long, value_enum, value_name = "FORM")]
    to: Option<To>,
    /// Writes a Rust test to paste, which fails as long as the managers diverge.
    #[arg(long, conflicts_with = "to")]
    rust: bool,
}

/// What `--to` names.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum To {
    /// As people write it.
    Text,
    /// As engines mutate it.
    Bytes,
}

pub fn run(args: &Args, asked: &Asked) -> Result<Status> {
    let (case, to) = if args.strace {
        (import(args)?, Form::Text)
    } else if args.syz || is_syz(&args.files) {
        (import_syz(args)?, Form::Text)
    } else {
        if let [_, second, ..] = &args.files[..] {
            bail!(
                "{}: several files are several logs: expected --strace",
                second.display()
            );
        }
        let input = read_one_of_many(&args.files[0])?;
        warn_of(&input.warnings);
        // Any bytes are a program.
        if input.is_empty() {
            note(&format!("{}: has no calls", input::name(&args.files[0])));
        }
        match input.form {
            Form::Text => (input.case, Form::Bytes),
            Form::Bytes => (readable(input.case), Form::Text),
        }
    };
    let to = match args.to {
        _ if args.rust || args.c => Form::Text,
        Some(To::Text) => Form::Text,
        Some(To::Bytes) => Form::Bytes,
        None => to,
    };
    let converted = match to {
        _ if args.rust => {
            let stem = args.files[0]
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy();
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
    match &args.output {
        Some(path) if !is_stdout(path) => write_file(path, args.force, &converted)?,
        _ => write_stdout(&converted, to)?,
    }
    if to == Form::Bytes && only_text {
        note("bytes hold no expectations, no comments and no design; they are left out");
    }
    Ok(Status::Agreed)
}

/// Bytes may hold calls and switches of tasks that cannot exist. A text with these is read if it says
/// that nobody wrote it.
fn readable(mut case: Case) -> Case {
    let read = Case::read("the program", &case.to_string());
    if read.and_then(text::Read::by_hand).is_err() {
        let made = Provenance::here(None).to_string();
        case.comments.insert(0, (0, made));
    }
    case
}

fn is_syz(files: &[PathBuf]) -> bool {
    let is_syz = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "syz");
    matches!(files, [only] if is_syz(only))
}

/// Makes a program of one of syzkaller's, and says on standard error what was left out.
fn import_syz(args: &Args) -> Result<Case> {
    let [path] = &args.files[..] else {
        bail!(
            "{}: expected one syzkaller program",
            args.files[1].display()
        );
    };
    let (name, text) = read_lossy(path)?;
    let import = syz::import(&name, &text);
    note(import.summary.to_string().trim_end());
    if import.is_empty() {
        let why = match import.summary.main_reason() {
            Some(reason) => reason,
            None => "it has no calls".to_owned(),
        };
        bail!("{name}: no call on memory is left of it: {why}; expected a syzkaller program");
    }
    Ok(import.case)
}

/// A file's name and what it holds. Names of files in a log may be in any encoding; they are not
/// looked at.
fn read_lossy(path: &Path) -> Result<(String, String)> {
    let bytes = input::read(path)?;
    let text = match &bytes[..] {
        // Redirected by PowerShell.
        [0xff, 0xfe, rest @ ..] => String::from_utf16_lossy(&units(rest, u16::from_le_bytes)),
        [0xfe, 0xff, rest @ ..] => String::from_utf16_lossy(&units(rest, u16::from_be_bytes)),
        bytes => String::from_utf8_lossy(bytes).into_owned(),
    };
    Ok((input::name(path), text))
}

fn units(bytes: &[u8], unit: impl Fn([u8; 2]) -> u16) -> Vec<u16> {
    let (pairs, _) = bytes.as_chunks();
    pairs.iter().map(|pair| unit(*pair)).collect()
}

/// Makes a program of a log, and says on standard error what was left out of it and where the
/// reference answers otherwise than Linux did.
fn import(args: &Args) -> Result<Case> {
    let files = args
        .files
        .iter()
        .map(|path| read_lossy(path))
        .collect::<Result<Vec<_>>>()?;
    let logs: Vec<_> = files
        .iter()
        .map(|(name, text)| Source { name, text })
        .collect();
    let listing = match &args.maps {
        Some(path) => {
            let (name, text) = read_lossy(path)?;
            Some(Listing::parse(&name, &text)?)
        }
        None => None,
    };
    let name = logs[0].name;
    let known = Known {
        start: listing.as_ref(),
        all_threads: args.threads,
    };
    let mut images = import_knowing(&logs, known)?;
    let number = args.image as usize;
    if number > images.len() {
        bail!(
            "{name}: has {}, expected at least {number}",
            counted(images.len(), "program")
        );
    }
    if images.len() > 1 {
        note(&format!(
            "program {number} of {}, see --image",
            images.len()
        ));
    }
    let full = images.iter().position(|import| !import.is_empty());
    let mut import = images.swap_remove(number - 1);
    note(import.summary.to_string().trim_end());
    if import.is_empty() {
        let is_blank = logs.iter().all(|log| log.text.trim().is_empty());
        bail!("{name}: {}", nothing_left(&import, full, is_blank));
    }
    for difference in import.compare(&reference_answers(&import.case.program)) {
        let Difference {
            file,
            line,
            linux,
            other,
            ..
        } = difference;
        let name = match line {
            0 => "the areas that were there".to_owned(),
            _ => format!("{}:{line}", logs[file].name),
        };
        note(&format!(
            "{name}: Linux answered {linux}, the reference {other}"
        ));
    }
    Ok(import.case)
}

/// Why a log makes no program, and what would help.
fn nothing_left(import: &Import, full: Option<usize>, is_blank: bool) -> String {
    let why = match import.summary.main_reason() {
        Some(reason) => reason,
        None if is_blank => "it has no lines".to_owned(),
        // Such a table is known, and no line that is left out.
        None if import.summary.seen == 0 => {
            "it has no calls, which `strace -c` only counts (-C writes them, too)".to_owned()
        }
        None => "it has nothing but ends of threads".to_owned(),
    };
    let help = match full {
        Some(image) => format!(
            "program {} of the log has some: --image {}",
            image + 1,
            image + 1
        ),
        None if import.summary.seen == 0 => {
            "expected a log of `strace -f -e trace=memory,process,desc`".to_owned()
        }
        None => {
            "trace the program from its start (strace -f -e trace=memory,process,desc), or give \
                 the areas that were there with --maps"
                .to_owned()
        }
    };
    format!("no call on memory is left of it: {why}; {help}")
}

fn note(text: &str) {
    crate::tell!("{} {text}", paint::warning("note:"));
}

fn write_stdout(content: &[u8], form: Form) -> Result<()> {
    if form == Form::Bytes && is_on_terminal() {
        bail!("bytes are not for terminals: name a file with --output, or redirect");
    }
    print_bytes(content)
}
