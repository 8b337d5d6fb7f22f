//! A manager of a layer, as the harness runs it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vmadiff_contract::{
    Call, Capabilities, Config, Errno, EventSink, Fail, MAX_TASKS, Manager, MmId, MmState, Outcome,
    Snapshot, TaskId, TaskState, View, VmaState,
};

use super::calls::{area_state, by_address, flags_of};
use super::layer::Layer;
use super::lens::Lens;
use super::scale::Scale;
use crate::areas::Areas;

/// The address space of the first tasks.
const FIRST: MmId = MmId(1);

/// A manager of a layer, behind the trait that the harness runs.
struct Adapter<L: Layer> {
    spaces: Mutex<Spaces<L::Space>>,
    config: Config,
    events: Arc<dyn EventSink>,
    scale: Scale,
    supports: Capabilities,
}

/// Address spaces, and who lives in which.
struct Spaces<M> {
    /// By number from 1; none: all its tasks have exited.
    by_mm: Vec<Option<M>>,
    /// By task from 1: its address space, if it lives.
    tasks: Vec<Option<MmId>>,
}

impl<M> Spaces<M> {
    /// Before there was a program, and after it.
    fn none() -> Self {
        Self {
            by_mm: Vec::new(),
            tasks: Vec::new(),
        }
    }

    fn of(&self, task: TaskId) -> Option<MmId> {
        *self.tasks.get(usize::from(task.0).checked_sub(1)?)?
    }

    fn space(&mut self, mm: MmId) -> Option<&mut M> {
        self.by_mm[usize::from(mm.0) - 1].as_mut()
    }

    fn exit(&mut self, task: TaskId, mm: MmId) {
        self.tasks[usize::from(task.0) - 1] = None;
        if !self.tasks.contains(&Some(mm)) {
            self.by_mm[usize::from(mm.0) - 1] = None;
        }
    }

    fn forked(&mut self, child: M) -> TaskId {
        self.by_mm.push(Some(child));
        self.tasks.push(Some(MmId(self.by_mm.len() as u8)));
        TaskId(self.tasks.len() as u8)
    }
}

/// Makes the manager of a layer; the layer's own is booted by the first [`Manager::reset`], where a panic is told
/// of a program. It has no defects of its own.
pub fn boot<L: Layer>(
    config: &Config,
    events: Arc<dyn EventSink>,
    _defects: &[&str],
) -> Box<dyn Manager> {
    Box::new(Adapter::<L> {
        spaces: Mutex::new(Spaces::none()),
        config: config.clone(),
        events,
        scale: Scale::new(L::Space::PAGE_SIZE, L::Space::BASE),
        supports: L::supports(),
    })
}

fn spaces<L: Layer>(config: &Config, events: &Arc<dyn EventSink>) -> Spaces<L::Space> {
    let scale = Scale::new(L::Space::PAGE_SIZE, L::Space::BASE);
    let mut first = L::Space::boot(&scale.config(config));
    L::listen(&mut first, events);
    Spaces {
        by_mm: vec![Some(first)],
        tasks: vec![Some(FIRST); config.tasks.into()],
    }
}

impl<L: Layer> Adapter<L> {
    /// Its address spaces. One that panicked is thrown away by the runner, not looked at again.
    fn spaces(&self) -> MutexGuard<'_, Spaces<L::Space>> {
        self.spaces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<L: Layer> Manager for Adapter<L> {
    fn boot(config: &Config, events: Arc<dyn EventSink>) -> Box<dyn Manager> {
        boot::<L>(config, events, &[])
    }

    fn reset(&mut self, config: &Config) {
        self.config.clone_from(config);
        self.spaces = Mutex::new(spaces::<L>(config, &self.events));
    }

    fn name(&self) -> &'static str {
        std::any::type_name::<L::Space>()
    }

    fn supports(&self) -> Capabilities {
        self.supports
    }

    fn call(&self, task: TaskId, call: &Call, _: Fail) -> Outcome {
        if !self.supports.knows(call.kind()) {
            return Outcome::Unsupported;
        }
        let spaces = &mut *self.spaces();
        let Some(mm) = spaces.of(task) else {
            return Outcome::NoTask;
        };
        if *call == Call::Exit {
            spaces.exit(task, mm);
            return Outcome::Value(0);
        }
        let full = spaces.tasks.len() >= MAX_TASKS.into();
        let Some(space) = spaces.space(mm) else {
            return Outcome::NoTask;
        };
        match call {
            Call::Fork if full => Outcome::Errno(Errno::EAGAIN),
            Call::Fork => match L::fork(space) {
                Ok(child) => Outcome::Value(spaces.forked(child).0.into()),
                Err(errno) => Outcome::Errno(errno),
            },
            call => L::call(space, self.scale, call),
        }
    }

    fn snapshot(&self, into: &mut Snapshot) {
        into.clear();
        let spaces = self.spaces();
        for (task, mm) in (1..).zip(&spaces.tasks) {
            into.tasks.extend(mm.map(|mm| TaskState {
                task: TaskId(task),
                mm,
                ..TaskState::default()
            }));
        }
        for (mm, space) in (1..).map(MmId).zip(&spaces.by_mm) {
            let Some(space) = space else {
                continue;
            };
            into.mms.push(MmState {
                mm,
                ..MmState::default()
            });
            let first = into.vmas.len();
            L::each(space, |range, prot, vma| {
                into.vmas.push(VmaState {
                    vma,
                    ..area_state(range, prot, self.scale, mm)
                });
            });
            by_address(&mut into.vmas[first..]);
        }
    }

    fn is_seen_as(&self, view: &View, state: &Snapshot) -> Option<bool> {
        let spaces = self.spaces();
        let mut lens = Lens::new(view, &state.vmas);
        let mut mms = state.mms.iter();
        for (mm, space) in (1..).map(MmId).zip(&spaces.by_mm) {
            let Some(space) = space else {
                continue;
            };
            if mms.next().is_none_or(|state| state.mm != mm) {
                return Some(false);
            }
            L::each(space, |range, prot, _| {
                let (start, end) = (self.scale.down(range.start), self.scale.down(range.end));
                lens.tell(mm, start, end, flags_of(prot));
            });
        }
        let same = lens.finish()?;
        Some(mms.next().is_none() && same)
    }

    fn quiesce(&self) {}

    fn close(&mut self) {
        self.spaces = Mutex::new(Spaces::none());
    }

    /// A child cannot be made but of a parent as it was then: of several address spaces none is taken on.
    fn adopt(&mut self, state: &Snapshot) -> bool {
        let mut fresh = spaces::<L>(&self.config, &self.events);
        {
            let spaces = self.spaces();
            if spaces.by_mm.len() != 1 || spaces.by_mm[0].is_none() {
                return false;
            }
            // Some of its threads may have exited.
            fresh.tasks.clone_from(&spaces.tasks);
        }
        let taken = fresh
            .space(FIRST)
            .is_some_and(|space| L::take_on(space, self.scale, FIRST, state));
        if taken {
            self.spaces = Mutex::new(fresh);
        }
        taken
    }
}
