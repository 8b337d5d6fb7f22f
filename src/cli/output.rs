//! Writing: to standard output, and to files, but never over another unless told to.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anstream::AutoStream;
use anyhow::{Context, Result, bail, ensure};
#[cfg(feature = "engine")]
use serde::Serialize as _;
use serde::Serializer;
use vmadiff::program::text::{TextError, Warning};

use super::input::name;
use super::paint;

use crate::files::{self, Lasting};

/// Says something on standard error, formatted, and a line of its own.
macro_rules! tell {
    ($($words:tt)*) => { $crate::cli::output::tell_line(&format!($($words)*)) };
}
pub(crate) use tell;

/// Standard output, once it is the command's alone.
static OWN: OnceLock<File> = OnceLock::new();

/// Takes standard output away from all but this command: what a manager prints there comes out on standard
/// error from here on. Whoever reads verdicts as JSON, or what a job says, reads nothing else.
#[cfg(unix)]
pub fn take_stdout() -> Result<()> {
    use std::os::fd::AsFd;
    let taken = || -> io::Result<File> {
        let own = io::stdout().as_fd().try_clone_to_owned()?;
        rustix::stdio::dup2_stdout(io::stderr())?;
        Ok(own.into())
    };
    let own = taken().context("standard output")?;
    OWN.set(own).expect("it is taken once");
    Ok(())
}

/// What a manager prints there comes out among the command's own.
#[cfg(not(unix))]
pub fn take_stdout() -> Result<()> {
    Ok(())
}

/// Whether standard output is a terminal.
pub fn is_on_terminal() -> bool {
    match OWN.get() {
        Some(own) => own.is_terminal(),
        None => io::stdout().is_terminal(),
    }
}

/// Stands for standard output wherever a file is written.
const STDOUT: &str = "-";

/// Writes a file, or to standard output if it is called `-`; `force` says that it may replace one.
pub fn write_file(path: &Path, force: bool, content: &[u8]) -> Result<()> {
    if is_stdout(path) {
        return print_bytes(content);
    }
    refuse_folder(path)?;
    let written = if force || is_device(path) {
        files::replace(path, content, Lasting::Disk)
    } else {
        files::create(path, content, Lasting::Disk)
    };
    match written {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => bail!(there_already(path)),
        written => written.with_context(|| path.display().to_string()),
    }
}

/// Refuses what [`write_file`] could not write, before the work of which that is the result.
pub fn try_place(path: &Path, force: bool) -> Result<()> {
    if is_stdout(path) {
        return Ok(());
    }
    refuse_folder(path)?;
    if is_device(path) {
        return Ok(());
    }
    let is_there = path.symlink_metadata().is_ok();
    ensure!(force || !is_there, there_already(path));
    // A link stays one: what it points to is replaced.
    let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = place.parent().filter(|folder| *folder != Path::new(""));
    let tried = files::probe(folder.unwrap_or(Path::new(".")));
    tried.with_context(|| format!("{}: cannot be written", path.display()))
}

/// Says what could not be written, where hours may be in it.
pub fn not_saved(what: &str, content: &str) {
    tell!("{} {what}:\n{content}", paint::bad("not saved:"));
}

/// What a file to be written is called in messages.
pub fn output_name(path: &Path) -> String {
    if is_stdout(path) {
        "standard output".to_owned()
    } else {
        path.display().to_string()
    }
}

/// Whether a file to be written stands for standard output.
pub fn is_stdout(path: &Path) -> bool {
    path == Path::new(STDOUT) || leads_to_stdout(path)
}

/// Whether a file to be written is what the system calls standard output, or a link to it: by that name other
/// programs' is found, once this one's is the command's alone.
fn leads_to_stdout(path: &Path) -> bool {
    const NAMES: [&str; 3] = ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];
    const LINKS_MOST: usize = 8;
    let next = |path: &PathBuf| {
        let to = path.read_link().ok()?;
        Some(path.parent()?.join(to))
    };
    let links = std::iter::successors(Some(path.to_owned()), next);
    let mut links = links.take(LINKS_MOST);
    links.any(|path| NAMES.iter().any(|name| path == Path::new(name)))
}

/// Refuses a file where a folder is to be written to.
pub fn refuse_file(path: &Path) -> Result<()> {
    let shown = path.display();
    let is_file = path.exists() && !path.is_dir();
    ensure!(!is_file, "{shown}: is a file, expected a folder");
    Ok(())
}

fn refuse_folder(path: &Path) -> Result<()> {
    let shown = path.display();
    ensure!(!path.is_dir(), "{shown}: is a folder, expected a file");
    Ok(())
}

/// Whether this is a device or a pipe, as /dev/null or a link to one: it is written to, which replaces
/// nothing.
fn is_device(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

fn there_already(path: &Path) -> String {
    let path = path.display();
    format!("{path}: exists already, and is left alone without --force")
}

/// Prints, in colour if that is wanted there. Nobody reading any more (`| head`) is no error.
pub fn print(text: &str) -> Result<()> {
    let colours = match OWN.get() {
        Some(own) => AutoStream::choice(own),
        None => AutoStream::choice(&io::stdout()),
    };
    print_to(&mut AutoStream::new(stdout(), colours), text.as_bytes())
}

/// What [`tell!`] does. That nobody can be told is no reason to end: what is told there is beside
/// the work, and the exit status says the most important part of it.
pub fn tell_line(line: &str) {
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// Prints bytes as they are.
pub fn print_bytes(bytes: &[u8]) -> Result<()> {
    print_to(&mut stdout(), bytes)
}

/// Standard output itself, for what is no text for people.
pub fn stdout() -> Box<dyn Write> {
    match OWN.get() {
        Some(own) => Box::new(BufWriter::new(own)),
        None => Box::new(io::stdout()),
    }
}

fn print_to(stdout: &mut impl Write, bytes: &[u8]) -> Result<()> {
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("standard output")
        }
        _ => Ok(()),
    }
}

/// Says on standard error what in a text does nothing, as editors read it.
pub fn warn_of(warnings: &[Warning]) {
    for warning in warnings {
        let Warning {
            file,
            line,
            column,
            what,
        } = warning;
        crate::tell!(
            "{file}:{line}:{column}: {} {what}",
            paint::warning("warning:")
        );
    }
}

/// One place of a text.
fn complain_of(text: &TextError) {
    let alone = TextError {
        others: None,
        ..text.clone()
    };
    let whole = alone.to_string();
    let TextError {
        file, line, column, ..
    } = text;
    let place = format!("{file}:{line}:{column}: ");
    let rest = whole.strip_prefix(&place).unwrap_or(&whole);
    crate::tell!("{place}{} {rest}", paint::bad("error:"));
}

/// Says on standard error what went wrong: of a text, the place first, as editors read it.
pub fn complain(error: &anyhow::Error) {
    match error.downcast_ref::<TextError>() {
        Some(text) => {
            complain_of(text);
            if let Some(others) = &text.others {
                others.shown.iter().for_each(complain_of);
                if others.more > 0 {
                    crate::tell!("{} {} more", paint::bad("error:"), others.more);
                }
            }
        }
        None => crate::tell!("{}: {error:#}", paint::bad("error")),
    }
}

/// A path in JSON, which has no place for bytes that are no text: as it is shown elsewhere.
pub fn path_in_json<S: Serializer>(path: &Path, to: S) -> std::result::Result<S::Ok, S::Error> {
    to.serialize_str(&path.to_string_lossy())
}

/// The same of one that there may be.
#[cfg(feature = "engine")]
pub fn path_in_json_if<S: Serializer>(
    path: &Option<PathBuf>,
    to: S,
) -> std::result::Result<S::Ok, S::Error> {
    path.as_deref().map(Path::to_string_lossy).serialize(to)
}

/// One line for all files that the same is to be said of.
pub fn warn_once(files: &[&Path], what: &str) {
    match files {
        [] => {}
        [one] => warn(one, what),
        [first, more @ ..] => {
            let more = more.len();
            warn(first, &format!("and {more} more: {what}"));
        }
    }
}

/// A line on standard error about a file that the command goes on with.
pub fn warn(file: &Path, what: &str) {
    let warning = paint::warning("warning:");
    crate::tell!("{warning} {}: {what}", name(file));
}
