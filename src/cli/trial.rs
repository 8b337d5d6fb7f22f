//! Programs that are tried in a process of their own: one at which somebody else's manager hangs, or dies, ends that
//! process, and not what tries one smaller program after another.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result};
use vmadiff::designs::Planted;
use vmadiff::pair::pair;
use vmadiff::program::{Case, Program};

use super::lost::{self, Lost};
use super::output::stdout;
use crate::status::{HarnessFailed, Status};

/// The subcommand that tries programs.
pub const NAME: &str = "trial";

/// Tries programs, and starts another process where one was lost.
pub struct Trials<'a> {
    planted: &'a Planted,
    /// What a call, or a race, may take.
    seconds: u64,
    running: Option<Running>,
}

/// A process that waits for a program.
struct Running {
    process: Child,
    programs: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl<'a> Trials<'a> {
    /// Of this candidate, of which a call or a race may take so many seconds.
    pub fn new(planted: &'a Planted, seconds: u64) -> Self {
        Self {
            planted,
            seconds,
            running: None,
        }
    }

    /// Runs a program; what is said if the candidate is lost at it, and nothing if it comes back, whatever it answers.
    ///
    /// # Errors
    ///
    /// If no process could be started.
    pub fn lost(&mut self, program: &Program) -> Result<Option<Lost>> {
        if self.running.is_none() {
            let started = self.start();
            let started = started.map_err(|error| {
                HarnessFailed(format!("starting a trial of a program: {error:#}"))
            });
            self.running = Some(started?);
        }
        let running = self.running.as_mut().expect("it was started");
        let answer = running.ask(program).unwrap_or_else(|error| {
            Some(Lost {
                signature: "crash/run/ended".to_owned(),
                what: format!("the process of the program ended: {error:#}"),
                at: None,
            })
        });
        if answer.is_some() {
            self.end();
        }
        Ok(answer)
    }

    fn start(&self) -> Result<Running> {
        let program = std::env::current_exe().context("finding this program's own file")?;
        let defects = self.planted.defects().iter();
        let defects = defects.flat_map(|name| ["--defect", name]);
        let mut process = Command::new(program)
            .args([NAME, &self.seconds.to_string()])
            .args(["--design", self.planted.design().name])
            .args(defects)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // What managers print is said where the program runs that is kept.
            .stderr(Stdio::null())
            .spawn()?;
        let programs = process.stdin.take().context("its input")?;
        let answers = process.stdout.take().context("its output")?;
        Ok(Running {
            process,
            programs,
            answers: BufReader::new(answers),
        })
    }

    fn end(&mut self) {
        if let Some(Running { mut process, .. }) = self.running.take() {
            // It may have ended by itself.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Drop for Trials<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

impl Running {
    fn ask(&mut self, program: &Program) -> Result<Option<Lost>> {
        let case = Case {
            program: program.clone(),
            ..Case::default()
        };
        let mut line = serde_json::to_vec(&case.to_string())?;
        line.push(b'\n');
        self.programs.write_all(&line)?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        Ok(serde_json::from_str(&answer)?)
    }
}

/// Runs the programs that come on standard input, each a line, and answers each with a line. It ends with the first
/// at which the candidate is lost.
pub fn serve(seconds: u64, planted: &Planted) -> Result<Status> {
    let lost = |lost: Lost| match say(Some(&lost)) {
        Ok(()) => Status::Diverged,
        Err(_) => Status::HarnessFailed,
    };
    lost::watched(seconds, lost, || {
        let mut pair = pair(planted);
        for line in std::io::stdin().lines() {
            let text: String = serde_json::from_str(&line?)?;
            let case = Case::parse("a trial", &text)?;
            pair.run(&case.program, &mut ());
            say(None)?;
        }
        Ok(Status::Agreed)
    })
}

fn say(answer: Option<&Lost>) -> Result<()> {
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    let mut stdout = stdout();
    stdout.write_all(&line)?;
    Ok(stdout.flush()?)
}
