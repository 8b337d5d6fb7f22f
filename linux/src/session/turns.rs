//! A session's turns: what is planned is handed over, and looked at where it stops.

use vmadiff_contract::{Call, LockAllFlags, MmId, Outcome, TaskId};

use super::{Session, Stop, owner_of};
use crate::agent::Agent;
use crate::agent::layout::{HARNESS, OWN_PAGES, Op, at};
use crate::decode::decode;
use crate::plan::{Script, Slot};
use crate::proc::{Looker, Own, entry};
use crate::run::{Stopped, must};
use crate::seen::{Answer, Seen};

impl Session<'_> {
    /// Runs what has been planned, and reads the answers.
    pub(super) fn flush(&mut self, agent: &mut Agent, looker: &mut Looker) -> Result<(), Stopped> {
        let next = Script {
            alarm: self.script.alarm,
            ..Script::default()
        };
        let mut script = std::mem::replace(&mut self.script, next);
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
                Stop::Before(mm, page) => {
                    self.was_present = self.entry(mm, page)? >> 63 == 1;
                }
                Stop::After(mm, page) => {
                    let swapped = self.entry(mm, page)? >> 62 & 1 == 1;
                    let done = u8::from(self.was_present && swapped);
                    self.answer_until(pc, agent, &[done]);
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

    /// The entry of a page: bit 63 it is in memory, bit 62 it is swapped out.
    fn entry(&self, mm: u8, page: u64) -> Result<u64, Stopped> {
        let pid = self.processes[usize::from(mm) - 1].pid;
        entry(pid, page).map_err(|error| Stopped::Look(error.to_string()))
    }

    fn look(&mut self, looker: &mut Looker, mask: u32) -> Result<(), Stopped> {
        let mut seen = Seen::default();
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
            seen.spaces
                .push(space.map_err(|error| Stopped::Look(error.to_string()))?);
        }
        self.run.seen.push(seen);
        Ok(())
    }

    /// After mlockall and munlockall: whether the agent's own pages are locked now, and so whether
    /// the limit has to leave room for them.
    pub(super) fn note_lock(&mut self, task: TaskId, call: &Call) {
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
