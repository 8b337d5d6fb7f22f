//! One program on the running kernel: its processes, its operations, its answers.

mod turns;

use vmadiff_contract::{
    Call, CallKind, Config, Errno, LockAllFlags, MAX_TASKS, Outcome, PAGE_SIZE, TaskId,
};

use crate::agent::Agent;
use crate::agent::layout::{FIRST, HARNESS, OWN_PAGES, Op, Owner, at, kind};
use crate::decode::Decode;
use crate::machine::Machine;
use crate::plan::{Caller, POLICY_SIZE, Script, Slot};
use crate::proc::Looker;
use crate::run::{Look, Run, Stopped};
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
    /// Look whether a page is in memory: the address space's number and the page's real address. A
    /// step of the kernel is asked for next.
    Before(u8, u64),
    /// Look whether that page is swapped out by now.
    After(u8, u64),
}

/// One program's run.
pub struct Session<'a> {
    config: &'a Config,
    zones: &'a Zones,
    /// The hard limit of RLIMIT_MEMLOCK.
    most_locked: u64,
    ballast: u64,
    /// What userfaultfd is called with; none: programs have none.
    userfaultfd: Option<u64>,
    /// The page that a step was asked for was in memory.
    was_present: bool,
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
            userfaultfd: machine.userfaultfd,
            was_present: false,
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
        self.script.alarm = alarm(agent);
        let faults = |call: &Call| {
            matches!(
                call.kind(),
                CallKind::UffdRegister | CallKind::UffdUnregister
            )
        };
        self.userfaultfd = self
            .userfaultfd
            .filter(|_| calls.iter().any(|(_, call)| faults(call)));
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
        self.userfaultfd(owner);
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

    /// Gives a process its userfaultfd, if the program uses it.
    fn userfaultfd(&mut self, owner: Owner) {
        if let Some(flags) = self.userfaultfd {
            self.script
                .userfaultfd(owner, flags, self.config.rlimit_nofile.into());
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
            Call::Reclaim { addr } => self.reclaim(mm, addr, call),
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
            own: (OWN_PAGES + self.ballast) * 4096,
            nofile: self.config.rlimit_nofile.into(),
            file_name: self.files,
        };
        let slot = self.script.translate(&caller, call);
        match slot.decode {
            Decode::Resident(pages) => self.stop(Stop::Resident(pages)),
            Decode::Policy => self.stop(Stop::Resident(POLICY_SIZE)),
            _ => {}
        }
        slot
    }

    /// A step of the kernel: asked for between two looks, which say whether it was taken.
    fn reclaim(&mut self, mm: u8, addr: u64, call: &Call) -> Slot {
        let page = self.zones.to_linux(addr).expect("fits") & !(PAGE_SIZE - 1);
        self.stop(Stop::Before(mm, page));
        let slot = self.plain(owner_of(mm), call);
        self.stop(Stop::After(mm, page));
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
        self.userfaultfd(owner_of(child));
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
}

/// Seconds that a process of a program may live: it is left to its alarm only if the harness is gone,
/// which gives up before.
fn alarm(agent: &Agent) -> u64 {
    2 * agent.patience().as_secs()
}

fn owner_of(mm: u8) -> Owner {
    FIRST + Owner::from(mm)
}
