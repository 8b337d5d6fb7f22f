//! One program on the running kernel: its processes, its operations, its answers.

use vmadiff_contract::{
    Call, CallKind, Config, Errno, LockAllFlags, MAX_TASKS, MmId, Outcome, TaskId,
};

use crate::agent::Agent;
use crate::agent::layout::{FIRST, HARNESS, OWN_PAGES, Op, Owner, at, kind};
use crate::machine::Machine;
use crate::plan::{Caller, Decode, Script, Slot, decode};
use crate::proc::{Looker, Own};
use crate::run::{Look, Run, Stopped, must};
use crate::view::{Answer, View};
use crate::zone::Zones;

/// Sets where the heap starts. All other bounds of the process lie there too: with nothing between
/// them, RLIMIT_DATA counts the heap alone.
pub fn set_heap(script: &mut Script, owner: Owner, start: u64) {
    const MAP: u64 = 14; // PR_SET_MM_MAP
    const SIZE: u64 = 104;
    let (code_end, no_file) = (start + 4096, u64::MAX << 32);
    let map = [
        start, code_end, start, start, start, start, start, start, start, start, start, 0, no_file,
    ];
    let map = script.put(&map.map(u64::to_ne_bytes).concat());
    script.call(
        owner,
        libc::SYS_prctl,
        [libc::PR_SET_MM as u64, MAP, map, SIZE, 0],
    );
}

/// A process of the program.
#[derive(Clone, Copy, Debug, Default)]
struct Process {
    /// Tasks that have not exited.
    tasks: u8,
    /// Its number, once it is known.
    pid: i32,
    /// The agent's own pages are locked.
    own_locked: bool,
}

/// What is to be done when the turn comes back at an operation.
#[derive(Clone, Copy, Debug)]
enum Stop {
    /// Look at the address spaces of this mask, those that live by then.
    Look(u32),
    /// Read which of so many pages are resident.
    Resident(usize),
}

/// One program's run.
pub struct Session<'a> {
    config: &'a Config,
    zones: &'a Zones,
    /// The hard limit of RLIMIT_MEMLOCK.
    most_locked: u64,
    ballast: u64,
    /// By task number − 1: its address space, or none if it has exited.
    tasks: Vec<Option<u8>>,
    /// By address space − 1.
    processes: Vec<Process>,
    script: Script,
    slots: Vec<Slot>,
    stops: Vec<(usize, Stop)>,
    forks: Vec<(usize, u8)>,
    files: u32,
    run: Run,
}

impl<'a> Session<'a> {
    pub fn new(config: &'a Config, zones: &'a Zones, machine: &Machine, ballast: u64) -> Self {
        Self {
            config,
            zones,
            most_locked: machine.most_locked,
            ballast,
            tasks: vec![Some(1); config.tasks.into()],
            processes: vec![Process {
                tasks: config.tasks,
                ..Process::default()
            }],
            script: Script::default(),
            slots: Vec::new(),
            stops: Vec::new(),
            forks: Vec::new(),
            files: 0,
            run: Run::default(),
        }
    }

    pub fn run(
        &mut self,
        agent: &mut Agent,
        looker: &mut Looker,
        calls: &[(TaskId, Call)],
        look: Look,
    ) -> Result<Run, Stopped> {
        self.begin(calls);
        for &(task, call) in calls {
            self.add(task, &call);
            let locks = matches!(call.kind(), CallKind::Mlockall | CallKind::Munlockall);
            if self.script.is_full() || locks {
                self.flush(agent, looker)?;
            }
            if locks {
                self.note_lock(task, &call);
            }
            if look == Look::EachCall {
                self.stop(Stop::Look(self.living()));
            }
        }
        if look == Look::AtEnd {
            self.stop(Stop::Look(self.living()));
        }
        self.end();
        self.flush(agent, looker)?;
        agent.bury();
        Ok(std::mem::take(&mut self.run))
    }

    /// Forks the program's first process and gives it its limits and its heap.
    fn begin(&mut self, calls: &[(TaskId, Call)]) {
        let owner = owner_of(1);
        let op = self.script.fork(FIRST, owner);
        self.forks.push((op, 1));
        let config = self.config;
        let own = (OWN_PAGES + self.ballast) * 4096;
        let with_own = config.rlimit_as.saturating_add(own);
        let infinity = u64::MAX;
        self.script
            .limit(owner, libc::RLIMIT_AS, with_own, infinity);
        self.script.limit(
            owner,
            libc::RLIMIT_DATA,
            config.rlimit_data,
            config.rlimit_data,
        );
        self.script
            .limit(owner, libc::RLIMIT_STACK, config.rlimit_stack, infinity);
        let most = at::PATHS_LEN as u64;
        self.script.limit(
            owner,
            libc::RLIMIT_NOFILE,
            config.rlimit_nofile.into(),
            most,
        );
        self.lock_limit(owner, config.rlimit_memlock);
        if config.cap_ipc_lock {
            const IPC_LOCK: u64 = 1 << 14;
            let header = self.script.put(&0x2008_0522_u64.to_ne_bytes());
            let sets = [IPC_LOCK | IPC_LOCK << 32, 0, 0]
                .map(u64::to_ne_bytes)
                .concat();
            let sets = self.script.put(&sets);
            self.script.call(owner, libc::SYS_capset, [header, sets]);
        }
        if calls.iter().any(|(_, call)| call.kind() == CallKind::Brk) {
            let start = self.zones.to_linux(config.start_brk).expect("fits");
            set_heap(&mut self.script, owner, start);
        }
    }

    fn lock_limit(&mut self, owner: Owner, soft: u64) {
        self.script
            .limit(owner, libc::RLIMIT_MEMLOCK, soft, self.most_locked);
    }

    /// Appends one call of the program.
    fn add(&mut self, task: TaskId, call: &Call) {
        let mm = self
            .tasks
            .get(usize::from(task.0).wrapping_sub(1))
            .copied()
            .flatten();
        let Some(mm) = mm else {
            // Task 0, the kernel, only ends grace periods, which happens anyway.
            let by_kernel = task == TaskId(0) && call.kind() == CallKind::Softirq;
            let outcome = if by_kernel {
                Outcome::Value(0)
            } else {
                Outcome::NoTask
            };
            let slot = self.script.fixed(FIRST, outcome);
            return self.slots.push(slot);
        };
        let owner = owner_of(mm);
        let slot = match *call {
            Call::Fork => self.fork(mm),
            Call::Exit => self.exit(task, mm),
            _ => self.plain(owner, call),
        };
        self.slots.push(slot);
    }

    fn plain(&mut self, owner: Owner, call: &Call) -> Slot {
        if let Call::Mlockall { flags } = call {
            // The agent's own pages are locked along: they must not count.
            let configured = self.config.rlimit_memlock;
            if flags.contains(LockAllFlags::CURRENT) && configured != 0 {
                let own = (OWN_PAGES + self.ballast) * 4096;
                self.lock_limit(owner, configured.saturating_add(own));
            }
        }
        if matches!(call, Call::Open { .. }) {
            self.files += 1;
        }
        let caller = Caller {
            owner,
            zones: self.zones,
            nofile: self.config.rlimit_nofile.into(),
            file_name: self.files,
        };
        let slot = self.script.translate(&caller, call);
        if let Decode::Resident(pages) = slot.decode {
            self.stop(Stop::Resident(pages));
        }
        slot
    }

    fn fork(&mut self, mm: u8) -> Slot {
        let task = self.tasks.len() as u64 + 1;
        if task > u64::from(MAX_TASKS) {
            return self
                .script
                .fixed(owner_of(mm), Outcome::Errno(Errno::EAGAIN));
        }
        self.processes.push(Process {
            tasks: 1,
            ..Process::default()
        });
        let child = u8::try_from(self.processes.len()).expect("at most MAX_TASKS");
        self.tasks.push(Some(child));
        let op = self.script.fork(owner_of(mm), owner_of(child));
        self.forks.push((op, child));
        if self.process(mm).own_locked {
            self.lock_limit(owner_of(child), self.config.rlimit_memlock);
        }
        Slot {
            op,
            decode: Decode::Child(task),
        }
    }

    fn exit(&mut self, task: TaskId, mm: u8) -> Slot {
        self.tasks[usize::from(task.0) - 1] = None;
        let process = self.process(mm);
        process.tasks -= 1;
        let last = process.tasks == 0;
        let slot = self.script.fixed(owner_of(mm), Outcome::Value(0));
        if last {
            self.script.push(owner_of(mm), Op::other(kind::EXIT, []));
        }
        slot
    }

    fn process(&mut self, mm: u8) -> &mut Process {
        &mut self.processes[usize::from(mm) - 1]
    }

    /// Bit `n` for each address space `n + 1` that still has tasks.
    fn living(&self) -> u32 {
        let living = self
            .processes
            .iter()
            .enumerate()
            .filter(|(_, process)| process.tasks > 0);
        living.fold(0, |mask, (index, _)| mask | 1 << index)
    }

    fn stop(&mut self, stop: Stop) {
        let op = self.script.push(HARNESS, Op::default());
        self.stops.push((op, stop));
    }

    /// Every process that is left exits, and the first agent collects all.
    fn end(&mut self) {
        for mm in 1..=self.processes.len() {
            if self.processes[mm - 1].tasks > 0 {
                let owner = owner_of(u8::try_from(mm).expect("at most MAX_TASKS"));
                self.script.push(owner, Op::other(kind::EXIT, []));
            }
        }
        const ALL: u64 = 0x4000_0000; // __WALL
        for _ in 0..self.processes.len() {
            self.script
                .call(FIRST, libc::SYS_wait4, [u64::MAX, 0, ALL, 0]);
        }
    }

    /// Runs what has been planned, and reads the answers.
    fn flush(&mut self, agent: &mut Agent, looker: &mut Looker) -> Result<(), Stopped> {
        let mut script = std::mem::take(&mut self.script);
        let count = script.finish().len();
        agent.shared().put(at::DATA, &script.data);
        agent.shared().write(0, &script.ops);
        agent.shared().write(
            count,
            &[Op {
                owner: HARNESS,
                ..Op::default()
            }],
        );
        agent.shared().set_pc(0);
        let mut resident = Vec::new();
        loop {
            let pc = agent.go_on()?;
            self.note_forks(agent);
            if pc == count {
                break;
            }
            let stop = self
                .stops
                .iter()
                .find(|(op, _)| *op == pc)
                .expect("a planned stop")
                .1;
            match stop {
                Stop::Look(mask) => {
                    self.answer_until(pc, agent, &resident);
                    self.look(looker, mask)?;
                }
                Stop::Resident(pages) => {
                    resident.resize(pages, 0);
                    agent.shared().get(at::RESIDENT, &mut resident);
                    self.answer_until(pc, agent, &resident);
                }
            }
            agent.shared().set_pc(pc + 1);
        }
        self.answer_until(count, agent, &resident);
        if let Some(&(op, _)) = self
            .forks
            .iter()
            .find(|(op, _)| agent.shared().read(*op).answer().is_err())
        {
            must(&agent.shared().read(op), "fork")?;
        }
        self.slots.clear();
        self.stops.clear();
        self.forks.clear();
        Ok(())
    }

    /// Decodes the answers whose operations have run.
    fn answer_until(&mut self, end: usize, agent: &Agent, resident: &[u8]) {
        let slots: Vec<Slot> = self.slots.extract_if(.., |slot| slot.op < end).collect();
        for slot in slots {
            let op = agent.shared().read(slot.op);
            self.run
                .answers
                .push(decode(slot.decode, &op, resident, self.zones));
        }
    }

    /// Learns the numbers of processes that were forked since.
    fn note_forks(&mut self, agent: &mut Agent) {
        let known = self
            .forks
            .iter()
            .map(|&(op, mm)| (agent.shared().read(op).result, mm));
        for (result, mm) in known.collect::<Vec<_>>() {
            let process = &mut self.processes[usize::from(mm) - 1];
            if process.pid == 0 && (1..1 << 31).contains(&result) {
                process.pid = i32::try_from(result).expect("checked");
                agent.adopt(process.pid);
            }
        }
    }

    fn look(&mut self, looker: &mut Looker, mask: u32) -> Result<(), Stopped> {
        let mut view = View::default();
        // Something lies where the program has no addresses: there is nothing to compare.
        let strayed = self
            .run
            .answers
            .iter()
            .any(|a| matches!(a, Answer::Elsewhere(_)));
        let mask = if strayed { 0 } else { mask };
        for (index, process) in self.processes.iter().enumerate() {
            if mask & 1 << index == 0 {
                continue;
            }
            let own = Own {
                pages: OWN_PAGES + self.ballast,
                locked: process.own_locked,
                ballast: self.ballast > 0,
            };
            let mm = MmId(u8::try_from(index + 1).expect("at most MAX_TASKS"));
            let space = looker.look(process.pid, mm, self.zones, &own);
            view.spaces
                .push(space.map_err(|error| Stopped::Look(error.to_string()))?);
        }
        self.run.views.push(view);
        Ok(())
    }

    /// After mlockall and munlockall: whether the agent's own pages are locked now, and so whether
    /// the limit has to leave room for them.
    fn note_lock(&mut self, task: TaskId, call: &Call) {
        let done = matches!(
            self.run.answers.last(),
            Some(Answer::Known(Outcome::Value(_)))
        );
        let Some(Some(mm)) = self.tasks.get(usize::from(task.0).wrapping_sub(1)).copied() else {
            return;
        };
        let process = self.process(mm);
        match *call {
            Call::Mlockall { flags } if done => {
                let current = flags.contains(LockAllFlags::CURRENT);
                let future_only = flags.contains(LockAllFlags::FUTURE) && !current;
                process.own_locked = current || process.own_locked && future_only;
            }
            Call::Munlockall if done => process.own_locked = false,
            _ => {}
        }
        if !process.own_locked {
            self.lock_limit(owner_of(mm), self.config.rlimit_memlock);
        }
    }
}

fn owner_of(mm: u8) -> Owner {
    FIRST + Owner::from(mm)
}
