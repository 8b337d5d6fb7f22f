//! Runs programs on the running kernel.

use vmadiff_contract::{Call, Config, Fail, TaskId};

use crate::agent::layout::{FIRST, OPS_LEN, OWN_PAGES, Op, at};
use crate::agent::{Agent, Failed};
use crate::ballast_range;
use crate::fit::{Fitting, Unfit, ballast, fits_config};
use crate::machine::{Machine, TASK_SIZE};
use crate::plan::Script;
use crate::proc::Looker;
use crate::seen::{Answer, Seen};
use crate::session::{Session, set_heap};

/// When the state is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// After the last call.
    AtEnd,
    /// After every call.
    EachCall,
}

/// What was observed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Per call its answer.
    pub answers: Vec<Answer>,
    /// The states that were asked for: one per call, or the last one.
    pub seen: Vec<Seen>,
}

/// Why a program was not run to its end.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Stopped {
    /// It can not be run here: the index of the call, if it is one, and why.
    #[error("{}{why}", .call.map(|call| format!("call {}: ", call + 1)).unwrap_or_default())]
    Unfit {
        /// Index of the call; none: the configuration.
        call: Option<usize>,
        /// Why.
        why: Unfit,
    },
    /// The harness or its agents failed.
    #[error(transparent)]
    Failed(#[from] Failed),
    /// /proc could not be read.
    #[error("looking at an agent: {0}")]
    Look(String),
}

/// The running kernel, ready to run programs.
pub struct Linux {
    machine: Machine,
    agent: Option<Agent>,
    /// Areas that fill the agent's map, so that the program meets its own limit.
    ballast: u64,
    looker: Looker,
}

impl Linux {
    /// Forks the first agent and finds out what the machine is like.
    ///
    /// # Errors
    /// If the kernel refuses anything that agents are built on.
    pub fn new() -> Result<Self, Failed> {
        let mut machine = Machine::look()?;
        let mut agent = Agent::new(&machine)?;
        machine.mmap_base = probe_base(&mut agent)?;
        machine.mmap_min_addr = probe_minimum(&mut agent, machine.mmap_min_addr)?;
        machine.heap = probe_heap(&mut agent)?;
        machine.task_size = probe_end(&mut agent)?;
        machine.userfaultfd = probe_userfaultfd(&mut agent)?;
        Ok(Self {
            machine,
            agent: Some(agent),
            ballast: 0,
            looker: Looker::new(),
        })
    }

    /// What the machine is like.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Pages of an agent's own, areas that fill its map included.
    pub(crate) fn own_pages(&self) -> u64 {
        OWN_PAGES + self.ballast
    }

    /// Runs a program.
    ///
    /// # Errors
    /// If it can not be run here, or the harness fails.
    pub fn run(
        &mut self,
        config: &Config,
        calls: &[(TaskId, Call)],
        look: Look,
    ) -> Result<Run, Stopped> {
        let zones =
            fits_config(config, &self.machine).map_err(|why| Stopped::Unfit { call: None, why })?;
        let mut fitting = Fitting::new(config, &self.machine, &zones);
        for (index, (_, call)) in calls.iter().enumerate() {
            fitting
                .call(call, Fail::NONE)
                .map_err(|why| Stopped::Unfit {
                    call: Some(index),
                    why,
                })?;
        }
        let mut agent = self.agent_for(config)?;
        let mut session = Session::new(config, &zones, &self.machine, self.ballast);
        let result = session.run(&mut agent, &mut self.looker, calls, look);
        // An agent that failed is dropped, and with it whatever it forked.
        if result.is_ok() {
            self.agent = Some(agent);
        }
        result
    }

    /// An agent whose map has room for just as many areas as the configuration says.
    fn agent_for(&mut self, config: &Config) -> Result<Agent, Stopped> {
        let ballast =
            ballast(config, &self.machine).map_err(|why| Stopped::Unfit { call: None, why })?;
        match self.agent.take() {
            Some(agent) if self.ballast == ballast => Ok(agent),
            _ => {
                let mut agent = Agent::new(&self.machine)?;
                load_ballast(&mut agent, ballast)?;
                self.ballast = ballast;
                Ok(agent)
            }
        }
    }
}

/// Fills the first agent's map with areas that can not merge: each page is NORESERVE or not.
fn load_ballast(agent: &mut Agent, areas: u64) -> Result<(), Failed> {
    let private = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED) as u64;
    let none = u64::MAX;
    let mut ops = vec![Op::call(
        libc::SYS_mmap,
        [ballast_range().start, areas * 4096, 0, private, none, 0],
    )];
    let other = private | libc::MAP_NORESERVE as u64;
    ops.extend((0..areas).skip(1).step_by(2).map(|page| {
        Op::call(
            libc::SYS_mmap,
            [ballast_range().start + page * 4096, 4096, 0, other, none, 0],
        )
    }));
    if areas == 0 {
        ops.clear();
    }
    for chunk in ops.chunks_mut(OPS_LEN - 1) {
        chunk.iter_mut().for_each(|op| op.owner = FIRST);
        for op in agent.batch(chunk)? {
            must(&op, "filling the map")?;
        }
    }
    Ok(())
}

pub fn must(op: &Op, what: &'static str) -> Result<u64, Failed> {
    op.answer().map_err(|errno| Failed::Answer {
        what,
        answer: i64::from(-errno),
    })
}

/// Where top-down placement starts in an agent: the end of what it places first.
fn probe_base(agent: &mut Agent) -> Result<u64, Failed> {
    let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64;
    let map = Op {
        owner: FIRST,
        ..Op::call(libc::SYS_mmap, [0, 4096, 0, flags, u64::MAX, 0])
    };
    let place = must(&agent.batch(&[map])?[0], "mmap")?;
    let unmap = Op {
        owner: FIRST,
        ..Op::call(libc::SYS_munmap, [place, 4096])
    };
    agent.batch(&[unmap])?;
    Ok(place + 4096)
}

/// The lowest address that a hint may name. Above what the setting says where the security module
/// that was built in has a minimum of its own, which only fixed addresses do not heed.
fn probe_minimum(agent: &mut Agent, setting: u64) -> Result<u64, Failed> {
    let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64;
    let first = |op: Op| Op { owner: FIRST, ..op };
    let map = Op::call(libc::SYS_mmap, [setting, 4096, 0, flags, u64::MAX, 0]);
    let place = must(&agent.batch(&[first(map)])?[0], "mmap")?;
    agent.batch(&[first(Op::call(libc::SYS_munmap, [place, 4096]))])?;
    const HIGHEST: u64 = 1 << 20; // beyond, the hint was not taken at all
    Ok(if place < HIGHEST { place } else { setting })
}

/// Where user space ends: with five-level page tables, munmap takes addresses beyond 47 bits.
fn probe_end(agent: &mut Agent) -> Result<u64, Failed> {
    const FIVE_LEVELS: u64 = (1 << 56) - 4096;
    let unmap = Op::call(libc::SYS_munmap, [1 << 47, 4096]);
    let beyond = agent.batch(&[Op {
        owner: FIRST,
        ..unmap
    }])?[0]
        .answer();
    Ok(if beyond.is_ok() {
        FIVE_LEVELS
    } else {
        TASK_SIZE
    })
}

/// What userfaultfd has to be called with, if it can be had: since 5.11 an ordinary user says that it
/// is for faults from user space only; before, there is no such flag.
fn probe_userfaultfd(agent: &mut Agent) -> Result<Option<u64>, Failed> {
    const USER_MODE_ONLY: u64 = 1;
    for flags in [USER_MODE_ONLY, 0] {
        let first = |op: Op| Op { owner: FIRST, ..op };
        let open = first(Op::call(libc::SYS_userfaultfd, [flags]));
        if let Ok(descriptor) = agent.batch(&[open])?[0].answer() {
            agent.batch(&[first(Op::call(libc::SYS_close, [descriptor]))])?;
            return Ok(Some(flags));
        }
    }
    Ok(None)
}

/// Whether the start of the heap can be set.
fn probe_heap(agent: &mut Agent) -> Result<bool, Failed> {
    let mut script = Script::default();
    set_heap(&mut script, FIRST, 1 << 40);
    agent.shared().put(at::DATA, &script.data);
    Ok(agent.batch(&script.ops)?[0].result == 0)
}

/// Keeps the calling thread, and the agents that it makes, on one processor: the `number`th of
/// those that it may use, counted round. A serial program goes from process to process, and most
/// of its time would be spent on waking another processor up.
pub fn stay_on_one_processor(number: u32) {
    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    let thread = nix::unistd::Pid::from_raw(0);
    let Ok(allowed) = sched_getaffinity(thread) else {
        return;
    };
    let all: Vec<usize> = (0..CpuSet::count())
        .filter(|&cpu| allowed.is_set(cpu).unwrap_or(false))
        .collect();
    let mut one = CpuSet::new();
    let index = number as usize % all.len().max(1);
    if all.get(index).is_some_and(|&cpu| one.set(cpu).is_ok()) {
        // Without it everything still works, only slower.
        let _ = sched_setaffinity(thread, &one);
    }
}
