//! Parts of calls, for a judge who tries the order in which another manager made them.

use vmadiff_contract::{Call, Fail, Lender, Outcome, Replay, SegvCode, TaskId, Touch};

use crate::Reference;
use crate::access::Want;
use crate::fault::Fault;

impl Replay for Reference {
    fn section(&self, task: TaskId, call: &Call, fail: Fail) -> Outcome {
        self.run(task, |machine, t| {
            machine.world.populates = false;
            let outcome = machine.call(t, call, fail);
            machine.world.populates = true;
            outcome
        })
    }

    fn fault(&self, task: TaskId, addr: u64, touch: Touch, lender: Lender) -> Outcome {
        let want = match touch {
            Touch::Load => Want::Load,
            Touch::Store => Want::Store(0),
            Touch::Exec => Want::Exec,
        };
        self.run(task, |machine, t| {
            machine.world.begin(t, Fail::NONE);
            machine.world.lender = lender;
            let m = machine.world.tasks[t].mm;
            let fault = Fault::new(&machine.world, m, addr, want);
            let served = machine
                .world
                .finish(fault)
                .unwrap_or_else(|outcome| outcome);
            machine.world.lender = Lender::ByRule;
            match served {
                Outcome::Value(_) => Outcome::Value(0),
                refused => refused,
            }
        })
    }

    fn prepare(&self, task: TaskId, addr: u64, lender: Lender, fail: Fail) -> Outcome {
        self.run(task, |machine, t| {
            let world = &mut machine.world;
            world.begin(t, fail);
            let m = world.tasks[t].mm;
            let Some(i) = world.mms[m].at(addr) else {
                return Outcome::Segv(SegvCode::MapErr);
            };
            world.lender = lender;
            let prepared = world.prepare_anon(m, i);
            world.lender = Lender::ByRule;
            prepared.map_or(Outcome::Oom, |()| Outcome::Value(0))
        })
    }
}
