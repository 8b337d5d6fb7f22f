//! Slabs: where objects live behind handles, so that a dangling one is found and never followed.
//!
//! A [`Handle`] names a slot and the ordinal of the allocation that it is for. A slot knows which
//! ordinal lives in it; an access whose ordinal does not live any more is reported as
//! [`Misuse`] and goes on with zeros: nothing is ever undefined, whatever
//! a defect does. Storage only grows, in chunks, and is kept from one boot to the next.
//!
//! ```text
//! vmas.alloc() -> Handle(slot 3, #7)     vmas.get(handle).vm_start().get(site)
//! vmas.free(handle)                      the same read now: Misuse::DeadVma(#7), value 0
//! ```

mod chunks;
mod handle;
mod object;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Acquire, Ordering::Release};

use parking_lot::Mutex;
use smallvec::SmallVec;
use vmadiff_contract::{EventSink, Misuse};

use crate::core::moves::{Shows, moved};

use self::chunks::Chunks;

pub use chunks::Beside;
pub use handle::Handle;
pub(crate) use object::object;
pub use object::{Field, Ref};

/// What a slab holds. A slot's object is made once and set up anew at each allocation.
pub trait Object: Default {
    /// Where its words stand in a snapshot, and whether it lives.
    const SHOWS: Shows;

    /// What people call it.
    const NAME: &'static str;

    /// How the use of a dead one is reported; none: nobody can hold a dangling handle.
    fn dead(ordinal: u32) -> Option<Misuse>;

    /// The name and the type of its word at this address.
    fn word_at(&self, address: usize) -> Option<(&'static str, &'static str)>;
}

/// The ordinal in a slot where nothing lives.
const DEAD: u32 = u32::MAX;

struct Slot<T> {
    live: AtomicU32,
    object: T,
}

impl<T: Default> Default for Slot<T> {
    fn default() -> Self {
        Self {
            live: AtomicU32::new(DEAD),
            object: T::default(),
        }
    }
}

/// Objects of one type.
pub struct Slab<T> {
    slots: Chunks<Slot<T>>,
    /// Slots that were ever used since the reset, and objects that live; the keeper writes them.
    used: AtomicU32,
    alive: AtomicU32,
    keeper: Mutex<Keeper>,
    events: Arc<dyn EventSink>,
}

#[derive(Default)]
struct Keeper {
    free: Vec<u32>,
    ordinal: u32,
    reuse: bool,
}

impl<T: Object> Slab<T> {
    /// An empty slab whose first chunk has `first` slots, a power of two.
    pub fn new(first: usize, events: Arc<dyn EventSink>) -> Self {
        Self {
            slots: Chunks::new(first),
            used: AtomicU32::new(0),
            alive: AtomicU32::new(0),
            keeper: Mutex::default(),
            events,
        }
    }

    /// Forgets every object. With `reuse` the slot freed last is used first, otherwise none twice.
    pub fn reset(&mut self, reuse: bool) {
        for index in 0..*self.used.get_mut() {
            self.slot(index).live.store(DEAD, Release);
        }
        (*self.used.get_mut(), *self.alive.get_mut()) = (0, 0);
        let keeper = self.keeper.get_mut();
        keeper.free.clear();
        (keeper.ordinal, keeper.reuse) = (0, reuse);
    }

    /// All objects since the last reset, those that are dead, too: a slot that was used again, once.
    pub fn used(&self) -> impl Iterator<Item = Ref<'_, T>> {
        let used = 0..self.used.load(Acquire);
        used.map(|index| self.get(Handle::new(index, DEAD)))
    }

    /// A new object, which holds what the slot's last one left: the caller sets it up.
    pub fn alloc(&self) -> Ref<'_, T> {
        let (index, ordinal) = {
            let mut keeper = self.keeper.lock();
            keeper.ordinal += 1;
            self.alive.store(self.alive.load(Acquire) + 1, Release);
            let index = keeper.free.pop().unwrap_or_else(|| {
                let used = self.used.load(Acquire);
                self.used.store(used + 1, Release);
                used
            });
            (index, keeper.ordinal)
        };
        let slot = self.slot(index);
        moved(T::SHOWS);
        slot.live.store(ordinal, Release);
        Ref {
            slab: self,
            slot,
            handle: Handle::new(index, ordinal),
        }
    }

    /// Ends an object's life; false, and reported, if it was dead already.
    pub fn free(&self, handle: Handle<T>) -> bool {
        let object = self.get(handle);
        if !object.alive() {
            return false;
        }
        moved(T::SHOWS);
        object.slot.live.store(DEAD, Release);
        let mut keeper = self.keeper.lock();
        self.alive.store(self.alive.load(Acquire) - 1, Release);
        if keeper.reuse {
            keeper.free.push(handle.index());
        }
        true
    }

    /// The object of this name, dead or alive.
    #[inline]
    pub fn get(&self, handle: Handle<T>) -> Ref<'_, T> {
        Ref {
            slab: self,
            slot: self.slot(handle.index()),
            handle,
        }
    }

    /// The object of this name if it lives; nothing is reported.
    #[inline]
    pub fn find(&self, handle: Handle<T>) -> Option<Ref<'_, T>> {
        let object = self.get(handle);
        object.lives().then_some(object)
    }

    /// Whoever lives in a slot.
    pub fn at(&self, index: u32) -> Option<Ref<'_, T>> {
        let slot = self.slot(index);
        let ordinal = slot.live.load(Acquire);
        (ordinal != DEAD).then(|| Ref {
            slab: self,
            slot,
            handle: Handle::new(index, ordinal),
        })
    }

    /// How many live.
    pub fn live(&self) -> u32 {
        self.alive.load(Acquire)
    }

    /// Those that live, in the order of their slots.
    pub fn iter(&self) -> impl Iterator<Item = Ref<'_, T>> {
        (0..self.used.load(Acquire)).filter_map(|index| self.at(index))
    }

    /// Those that live, by age: for slabs of few objects, which are put in order each time.
    pub fn by_age(&self) -> impl Iterator<Item = Ref<'_, T>> {
        let mut all: SmallVec<[_; 8]> = self.iter().take(self.live() as usize).collect();
        all.sort_unstable_by_key(|object| object.ordinal());
        all.into_iter()
    }

    #[inline]
    fn slot(&self, index: u32) -> &Slot<T> {
        self.slots.at(index)
    }
}
