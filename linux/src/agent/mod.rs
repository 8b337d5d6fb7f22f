//! Agents: tiny processes that make the calls of a program, and nothing else.
//!
//! The first agent is forked from the harness and empties its address space down to two areas of
//! its own; it forks one agent for each program, which forks more when the program does. They
//! share memory with the harness that holds a list of operations; each operation has an owner, and
//! the turn goes from owner to owner, the harness among them. So a whole serial program is one
//! hand-over, and a look at it in the middle is an operation of the harness.

mod birth;
mod code;
pub mod layout;
mod shared;

use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use layout::{AGENT, AGENT_END, FIRST, HARNESS, Op, kind};
pub use shared::Shared;

use crate::machine::{Machine, TASK_SIZE};

/// How long a list of operations may take on a usual machine.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same on the slowest machine.
const SLOWEST: Duration = Duration::from_secs(60);

/// Why there is no agent, or no longer one.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failed {
    /// The kernel refuses something that agents are built on.
    #[error("{what}: {errno}")]
    Refused {
        /// What was asked for.
        what: &'static str,
        /// What it said.
        errno: nix::Error,
    },
    /// An operation that must succeed did not.
    #[error("{what} answered {answer}")]
    Answer {
        /// The operation.
        what: &'static str,
        /// Its answer.
        answer: i64,
    },
    /// What the machine is like could not be read.
    #[error("{path}: {error}")]
    Unread {
        /// The file that says so.
        path: &'static str,
        /// Why.
        error: String,
    },
    /// An agent was killed, for example for want of memory.
    #[error("an agent died: {0}")]
    Died(String),
    /// An agent did not come to its end in time.
    #[error("no answer within {0:?}")]
    Silent(Duration),
}

/// Names what the kernel was asked for when it refuses.
fn refused(what: &'static str) -> impl FnOnce(nix::Error) -> Failed {
    move |errno| Failed::Refused { what, errno }
}

/// The first agent and the memory shared with it. Dropping it kills it and all it forked.
pub struct Agent {
    shared: Shared,
    pid: Pid,
    /// How long a list of operations may take.
    patience: Duration,
    /// Agents that may still live.
    children: Vec<Pid>,
}

impl Agent {
    /// Forks the first agent.
    ///
    /// # Errors
    /// If the kernel refuses anything that it needs.
    pub fn new(machine: &Machine) -> Result<Self, Failed> {
        let shared = Shared::new()?;
        let pid = birth::fork(&shared, machine)?;
        let mut agent = Self {
            shared,
            pid,
            patience: SLOWEST,
            children: Vec::new(),
        };
        agent.settle()?;
        agent.patience = agent.gauge()?;
        Ok(agent)
    }

    /// How long a list of operations may take here: an emulated processor is fifty times slower than a
    /// real one, and that is no hang. By the time that a list of a known length takes.
    fn gauge(&mut self) -> Result<Duration, Failed> {
        const PAIRS: usize = 64;
        /// What they take on a usual machine, with room to spare.
        const USUAL: Duration = Duration::from_micros(500);
        let first = |op: Op| Op { owner: FIRST, ..op };
        let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED) as u64;
        let place = 1 << 40;
        let pair = [
            first(Op::call(
                libc::SYS_mmap,
                [place, 4096, 0, flags, u64::MAX, 0],
            )),
            first(Op::call(libc::SYS_munmap, [place, 4096])),
        ];
        let ops = pair.repeat(PAIRS);
        let mut best = Duration::MAX;
        // The best of three: others may be running.
        for _ in 0..3 {
            let start = Instant::now();
            self.batch(&ops)?;
            best = best.min(start.elapsed());
        }
        let slower = best.as_secs_f64() / USUAL.as_secs_f64();
        Ok(PATIENCE.mul_f64(slower.max(1.0)).min(SLOWEST))
    }

    /// How long a list of operations may take.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// Empties the first agent's address space, sets its signal handlers, and takes all protection
    /// keys: with none left, memory that is only executable can be read, as on a processor
    /// without them.
    fn settle(&mut self) -> Result<(), Failed> {
        let first = |op: Op| Op { owner: FIRST, ..op };
        let mut ops = vec![
            first(Op::call(libc::SYS_munmap, [0, AGENT])),
            first(Op::call(
                libc::SYS_munmap,
                [AGENT_END, TASK_SIZE - AGENT_END],
            )),
        ];
        let (stack, action) = self.shared.signal_structs();
        ops.push(first(Op::call(libc::SYS_sigaltstack, [stack, 0])));
        for signal in [
            Signal::SIGSEGV,
            Signal::SIGBUS,
            Signal::SIGILL,
            Signal::SIGTRAP,
            Signal::SIGFPE,
        ] {
            let args = [signal as u64, action, 0, 8];
            ops.push(first(Op::call(libc::SYS_rt_sigaction, args)));
        }
        for op in self.batch(&ops)? {
            if op.result != 0 {
                let answer = op.result.cast_signed();
                return Err(Failed::Answer {
                    what: "settling an agent",
                    answer,
                });
            }
        }
        const KEYS: usize = 16; // there is one less to be had, or none at all
        self.batch(&[first(Op::call(libc::SYS_pkey_alloc, [0, 0])); KEYS])?;
        Ok(())
    }

    /// The shared memory.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Remembers an agent that was forked, so that none is left behind.
    pub fn adopt(&mut self, pid: i32) {
        self.children.push(Pid::from_raw(pid));
    }

    /// Forgets the agents that were forked: they have left.
    pub fn bury(&mut self) {
        self.children.clear();
    }

    /// Makes a list of operations that fits into the shared memory, and answers it as it then is.
    ///
    /// # Errors
    /// If an agent dies or does not come to the list's end.
    pub fn batch(&mut self, ops: &[Op]) -> Result<Vec<Op>, Failed> {
        self.shared.write(0, ops);
        self.shared.write(
            ops.len(),
            &[Op {
                owner: HARNESS,
                ..Op::default()
            }],
        );
        self.shared.set_pc(0);
        self.go_on()?;
        Ok((0..ops.len()).map(|i| self.shared.read(i)).collect())
    }

    /// Gives the turn away and waits until it comes back; answers the operation it stands at.
    ///
    /// # Errors
    /// If an agent dies or does not give the turn back.
    pub fn go_on(&mut self) -> Result<usize, Failed> {
        let owner = self.shared.read(self.shared.pc()).owner;
        if owner != HARNESS {
            self.shared.pass_turn(owner);
            self.wait()?;
        }
        Ok(self.shared.pc())
    }

    fn wait(&mut self) -> Result<(), Failed> {
        const SLICE: Duration = Duration::from_millis(100);
        let mut waited = Duration::ZERO;
        while !self.shared.await_turn(SLICE) {
            waited += SLICE;
            self.look_for_dead()?;
            if waited >= self.patience {
                return Err(Failed::Silent(self.patience));
            }
        }
        Ok(())
    }

    /// An error if the first agent, or one that it forked, has died.
    fn look_for_dead(&self) -> Result<(), Failed> {
        match waitpid(self.pid, Some(WaitPidFlag::WNOHANG)) {
            // Of an interrupted look nothing is known; the next one is a slice away.
            Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => {}
            status => return Err(Failed::Died(format!("the first, {status:?}"))),
        }
        for &pid in &self.children {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let state = stat.rsplit(')').next().unwrap_or_default().trim_start();
            if state.starts_with('Z') && self.owner_pid_is_due(pid) {
                return Err(Failed::Died(format!("{pid} is a zombie")));
            }
        }
        Ok(())
    }

    /// Whether the turn is with the agent of this process: agents that have left are zombies too.
    fn owner_pid_is_due(&self, pid: Pid) -> bool {
        let turn = self.shared.turn() as usize;
        turn > FIRST as usize && self.children.get(turn - 2) == Some(&pid)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        for &pid in &self.children {
            let _ = kill(pid, Signal::SIGKILL);
        }
        // Of what was forked in a list that did not come to its end, no number is known yet. All of it is in
        // the first agent's process group.
        let _ = killpg(self.pid, Signal::SIGKILL);
        if kill(self.pid, Signal::SIGKILL).is_ok() {
            while waitpid(self.pid, None) == Err(Errno::EINTR) {}
        }
    }
}

impl Op {
    /// A system call.
    pub fn call<const N: usize>(number: libc::c_long, args: [u64; N]) -> Self {
        let mut op = Self {
            kind: kind::SYSCALL,
            ..Self::default()
        };
        op.number = u32::try_from(number).expect("a system call's number");
        op.args[..N].copy_from_slice(&args);
        op
    }

    /// Anything else.
    pub fn other<const N: usize>(kind: u32, args: [u64; N]) -> Self {
        let mut op = Self {
            kind,
            ..Self::default()
        };
        op.args[..N].copy_from_slice(&args);
        op
    }

    /// Its result as a system call answers it: a value or an error number.
    pub fn answer(&self) -> Result<u64, i32> {
        match self.result.cast_signed() {
            error @ -4095..0 => Err(-error as i32),
            _ => Ok(self.result),
        }
    }
}
