//! A manager whose calls can be interleaved, as the harness runs it: no lock stands around a call.

use std::marker::PhantomData;
use std::sync::Arc;

use vmadiff_contract::{
    Call, CallKind, Capabilities, Config, EventSink, Fail, Manager, MmId, MmState, Outcome,
    Snapshot, TaskId, TaskState,
};

use super::calls::{Asked, answer, answer_access, area_state, by_address};
use super::layer::ALWAYS;
use super::scale::Scale;
use super::taken::{Taken, take_on};
use crate::areas::Place;
use crate::interleaved::{self, Interleaved};

/// The one address space.
const MM: MmId = MmId(1);

/// Calls that the trait has.
const HAS: Capabilities = Capabilities::of(&[
    CallKind::Mmap,
    CallKind::Munmap,
    CallKind::Mprotect,
    CallKind::Load,
    CallKind::Store,
]);

/// A manager behind the trait that the harness runs.
pub struct Open<M> {
    /// While there is a program.
    space: Option<M>,
    config: Config,
    scale: Scale,
}

impl<M: Interleaved> Open<M> {
    /// A manager that boots with the first program, by [`Manager::reset`].
    pub fn new(config: &Config, _: PhantomData<M>) -> Self {
        Self {
            space: None,
            config: config.clone(),
            scale: Scale::new(M::PAGE_SIZE, M::BASE),
        }
    }
}

impl<M: Interleaved> Manager for Open<M> {
    fn boot(config: &Config, events: Arc<dyn EventSink>) -> Box<dyn Manager> {
        interleaved::boot::<M>(config, events, &[])
    }

    fn reset(&mut self, config: &Config) {
        self.config.clone_from(config);
        self.space = Some(M::boot(&self.scale.config(config)));
    }

    fn name(&self) -> &'static str {
        std::any::type_name::<M>()
    }

    fn supports(&self) -> Capabilities {
        Capabilities::of(M::HAS).and(HAS).or(ALWAYS)
    }

    fn call(&self, task: TaskId, call: &Call, _: Fail) -> Outcome {
        let lives = task.0 != 0 && task.0 <= self.config.tasks;
        let Some(space) = self.space.as_ref().filter(|_| lives) else {
            return Outcome::NoTask;
        };
        let scale = self.scale;
        match *call {
            Call::Load { addr } => answer_access(space.load(scale.byte(addr)).map(u64::from)),
            Call::Store { addr, value } => {
                answer_access(space.store(scale.byte(addr), value).map(|()| 0))
            }
            call => answer(scale, &call, |asked| match asked {
                Asked::Map(range, prot, how) => space.map(range, prot, how),
                Asked::Unmap(range) => space.unmap(range).map(|()| scale.base),
                Asked::Protect(range, prot) => space.protect(range, prot).map(|()| scale.base),
                Asked::Remap(..) => Err(vmadiff_contract::Errno::EOPNOTSUPP),
            }),
        }
    }

    fn snapshot(&self, into: &mut Snapshot) {
        into.clear();
        into.mms.push(MmState {
            mm: MM,
            ..MmState::default()
        });
        into.tasks
            .extend((1..=self.config.tasks).map(|task| TaskState {
                task: TaskId(task),
                mm: MM,
                ..TaskState::default()
            }));
        let state = |range, prot| area_state(range, prot, self.scale, MM);
        if let Some(space) = &self.space {
            space.each(|range, prot| into.vmas.push(state(range, prot)));
        }
        by_address(&mut into.vmas);
    }

    fn quiesce(&self) {}

    fn close(&mut self) {
        self.space = None;
    }

    fn adopt(&mut self, state: &Snapshot) -> bool {
        let space = M::boot(&self.scale.config(&self.config));
        let holds = self.supports().knows(CallKind::Store);
        let taken = take_on(self.scale, MM, state, holds, |taken| match taken {
            Taken::Map(range, prot) => {
                space.map(range.clone(), prot, Place::IfFree) == Ok(range.start)
            }
            Taken::Protect(range, prot) => space.protect(range, prot).is_ok(),
            Taken::Store(addr, value) => space.store(addr, value).is_ok(),
        });
        if taken {
            self.space = Some(space);
        }
        taken
    }
}
