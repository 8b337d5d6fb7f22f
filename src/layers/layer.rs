//! What a layer adds to areas, for the adapter that serves all.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

use vmadiff_contract::{
    Call, CallKind, Capabilities, Errno, EventSink, MmId, Outcome, Prot, Snapshot, VmaId,
};

use super::calls::{of_areas, of_memory};
use super::scale::Scale;
use super::taken;
use crate::areas::Areas;
use crate::events::Events;
use crate::memory::Memory;
use crate::processes::Processes;

/// Calls about areas.
pub const OF_AREAS: Capabilities = Capabilities::of(&[
    CallKind::Mmap,
    CallKind::Munmap,
    CallKind::Mprotect,
    CallKind::Mremap,
]);

/// The call that every manager has: without it nothing would be compared.
pub const ALWAYS: Capabilities = Capabilities::of(&[CallKind::Mmap]);

/// Calls that every manager of memory has.
pub const OF_MEMORY: Capabilities = Capabilities::of(&[CallKind::Load, CallKind::Store]);

/// Calls that a manager of memory may have.
const MORE_OF_MEMORY: Capabilities = Capabilities::of(&[CallKind::Exec, CallKind::Madvise]);

/// What the adapter asks of a manager.
pub trait Layer: Send + Sync + 'static {
    /// An address space.
    type Space: Areas;

    /// The calls that it has: of those of the layer, what the manager names.
    fn supports() -> Capabilities {
        Capabilities::of(Self::Space::HAS).and(OF_AREAS).or(ALWAYS)
    }

    /// Makes a call, one that it has.
    fn call(space: &mut Self::Space, scale: Scale, call: &Call) -> Outcome {
        of_areas(space, scale, call)
    }

    /// Makes a fresh address space what a state shows, as far as the layer sees it. Whether it let
    /// itself be made so.
    fn take_on(space: &mut Self::Space, scale: Scale, mm: MmId, state: &Snapshot) -> bool {
        taken::of_areas(space, scale, mm, state)
    }

    /// Copies an address space.
    fn fork(_: &mut Self::Space) -> Result<Self::Space, Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Whom to tell what happens to objects.
    fn listen(_: &mut Self::Space, _: &Arc<dyn EventSink>) {}

    /// Shows the areas of an address space in the manager's own addresses.
    fn each(space: &Self::Space, mut visit: impl FnMut(Range<u64>, Prot, VmaId)) {
        space.each(|range, prot| visit(range, prot, VmaId::default()));
    }
}

/// Areas alone.
pub struct OfAreas<M>(PhantomData<fn(M)>);

impl<M: Areas> Layer for OfAreas<M> {
    type Space = M;
}

/// And memory that is used.
pub struct OfMemory<M>(PhantomData<fn(M)>);

impl<M: Memory> Layer for OfMemory<M> {
    type Space = M;

    fn supports() -> Capabilities {
        let named = Capabilities::of(M::HAS).and(OF_AREAS.or(MORE_OF_MEMORY));
        named.or(OF_MEMORY).or(ALWAYS)
    }

    fn call(space: &mut M, scale: Scale, call: &Call) -> Outcome {
        of_memory(space, scale, call)
    }

    fn take_on(space: &mut M, scale: Scale, mm: MmId, state: &Snapshot) -> bool {
        taken::of_memory(space, scale, mm, state)
    }
}

/// And processes.
pub struct OfProcesses<M>(PhantomData<fn(M)>);

impl<M: Processes> Layer for OfProcesses<M> {
    type Space = M;

    fn supports() -> Capabilities {
        OfMemory::<M>::supports().or(Capabilities::of(&[CallKind::Fork, CallKind::Exit]))
    }

    fn call(space: &mut M, scale: Scale, call: &Call) -> Outcome {
        of_memory(space, scale, call)
    }

    fn take_on(space: &mut M, scale: Scale, mm: MmId, state: &Snapshot) -> bool {
        taken::of_memory(space, scale, mm, state)
    }

    fn fork(space: &mut M) -> Result<M, Errno> {
        space.fork()
    }
}

/// Areas, and what happens to the objects that stand for them.
pub struct OfEvents<M>(PhantomData<fn(M)>);

impl<M: Events> Layer for OfEvents<M> {
    type Space = M;

    fn listen(space: &mut M, events: &Arc<dyn EventSink>) {
        space.listen(Arc::clone(events));
    }

    fn each(space: &M, visit: impl FnMut(Range<u64>, Prot, VmaId)) {
        space.each_vma(visit);
    }
}
