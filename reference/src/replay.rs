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
            let found = machine.world.page_at(m, addr);
            let found = found.ok().map(|at| machine.world.mms[m].pages[at]);
            let refused = found.is_some_and(|page| page.is_readable() && !page.allows(want));
            let store = touch == Touch::Store;
            let fault = Fault::new(m, addr, store, refused && !store);
            machine.world.finish(fault);
            machine.world.lender = Lender::ByRule;
            match machine.world.returned {
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
