//! Parts of calls, for a judge who tries the order in which another manager made them.

use vmadiff_contract::{Call, Fail, Lender, Outcome, Replay, TaskId, Touch};

use crate::Reference;
use crate::access::{Trouble, Want};

impl Replay for Reference {
    fn section(&self, task: TaskId, call: &Call, fail: Fail) -> Outcome {
        self.run(task, |world, t| {
            world.begin(fail);
            world.populates = false;
            let outcome = world.dispatch(t, call);
            world.populates = true;
            outcome
        })
    }

    fn fault(&self, task: TaskId, addr: u64, touch: Touch, lender: Lender) -> Outcome {
        let want = match touch {
            Touch::Load => Want::Load,
            Touch::Store => Want::Store(0),
            Touch::Exec => Want::Exec,
        };
        self.run(task, |world, t| {
            world.begin(Fail::NONE);
            world.lender = lender;
            let served = world.fault(world.tasks[t].mm, addr, want);
            world.lender = Lender::ByRule;
            match served {
                Ok(served) => {
                    world.count_fault(t, served);
                    Outcome::Value(0)
                }
                Err(trouble) => trouble.into(),
            }
        })
    }

    fn prepare(&self, task: TaskId, addr: u64, lender: Lender, fail: Fail) -> Outcome {
        self.run(task, |world, t| {
            world.begin(fail);
            let m = world.tasks[t].mm;
            let Some(i) = world.mms[m].at(addr) else {
                return Trouble::NoArea.into();
            };
            world.lender = lender;
            let prepared = world.prepare_anon(m, i);
            world.lender = Lender::ByRule;
            prepared.map_or_else(
                |no_memory| Trouble::from(no_memory).into(),
                |()| Outcome::Value(0),
            )
        })
    }
}
