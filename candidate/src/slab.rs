//! Slabs: where objects live behind handles, so that a dangling one is found and never followed.
//!
//! A [`Handle`] names a slot and the ordinal of the allocation that it is for. A slot knows which
//! ordinal lives in it; an access whose ordinal does not live any more is reported as
//! [`Misuse`](vmadiff_contract::Misuse) and goes on with zeros: nothing is ever undefined, whatever
//! a defect does. Storage only grows, in chunks, and is kept from one boot to the next.
//!
//! ```text
//! vmas.alloc() -> Handle(slot 3, #7)     vmas.get(handle).vm_start().get(site)
//! vmas.free(handle)                      the same read now: Misuse::DeadVma(#7), value 0
//! ```

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, Ordering::Acquire, Ordering::Release};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use vmadiff_contract::{Event, EventSink, Misuse};
use vmadiff_interleave::{Cell, Site, Word};

/// What a slab holds. A slot's object is made once and set up anew at each allocation.
pub trait Object: Default {
    /// How the use of a dead one is reported; none: nobody can hold a dangling handle.
    fn dead(ordinal: u32) -> Option<Misuse>;
}

/// Names an object: its slot and the ordinal of its allocation. The default names none.
pub struct Handle<T> {
    word: u64,
    of: PhantomData<fn() -> T>,
}

impl<T> Handle<T> {
    /// No object.
    pub const NULL: Self = Self {
        word: 0,
        of: PhantomData,
    };

    fn new(index: u32, ordinal: u32) -> Self {
        Self {
            word: u64::from(index) << 32 | u64::from(ordinal),
            of: PhantomData,
        }
    }

    /// Whether it names no object.
    #[inline]
    pub fn is_null(self) -> bool {
        self.word == 0
    }

    /// None if it names no object.
    #[inline]
    pub fn some(self) -> Option<Self> {
        (self.word != 0).then_some(self)
    }

    /// The ordinal of the object's allocation, from 1.
    #[inline]
    pub fn ordinal(self) -> u32 {
        self.word as u32
    }

    /// The slot.
    #[inline]
    pub fn index(self) -> u32 {
        (self.word >> 32) as u32
    }
}

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Handle<T> {}
impl<T> Default for Handle<T> {
    fn default() -> Self {
        Self::NULL
    }
}
impl<T> PartialEq for Handle<T> {
    fn eq(&self, other: &Self) -> bool {
        self.word == other.word
    }
}
impl<T> Eq for Handle<T> {}
impl<T> std::fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.ordinal(), self.index())
    }
}
impl<T> Word for Handle<T> {
    #[inline]
    fn to_word(self) -> u64 {
        self.word
    }
    #[inline]
    fn from_word(word: u64) -> Self {
        Self {
            word,
            of: PhantomData,
        }
    }
}

/// The ordinal in a slot where nothing lives.
const DEAD: u32 = u32::MAX;

/// Chunks after the first; each is as long as all before it together.
const CHUNKS: usize = 24;

/// Slots that are made when they are first asked for, and never move.
struct Chunks<S> {
    first: Box<[S]>,
    more: [OnceLock<Box<[S]>>; CHUNKS],
}

impl<S: Default> Chunks<S> {
    fn new(first: usize) -> Self {
        Self {
            first: chunk(first),
            more: [const { OnceLock::new() }; CHUNKS],
        }
    }

    #[inline]
    fn at(&self, index: u32) -> &S {
        match self.first.get(index as usize) {
            Some(slot) => slot,
            None => self.at_of_more(index as usize),
        }
    }

    #[cold]
    fn at_of_more(&self, index: usize) -> &S {
        let length = self.first.len();
        let chunk_number = (index / length).ilog2() as usize;
        let begin = length << chunk_number;
        match self.more.get(chunk_number) {
            Some(more) => &more.get_or_init(|| chunk(begin))[index - begin],
            // More slots than memory has room for: only a torn handle gets here.
            None => &self.first[0],
        }
    }
}

fn chunk<S: Default>(length: usize) -> Box<[S]> {
    (0..length).map(|_| S::default()).collect()
}

/// What is kept beside the objects of a slab, by their slots: it outlives an object and is there
/// again for the next of its slot.
pub struct Beside<S>(Chunks<S>);

impl<S: Default> Beside<S> {
    /// For a slab whose first chunk has as many slots.
    pub fn new(first: usize) -> Self {
        Self(Chunks::new(first))
    }

    /// What is beside this object, dead or alive.
    #[inline]
    pub fn of<T>(&self, handle: Handle<T>) -> &S {
        self.0.at(handle.index())
    }
}

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

    /// Those that live, by age: for slabs of few objects, since each is looked for anew.
    pub fn by_age(&self) -> impl Iterator<Item = Ref<'_, T>> {
        let younger = |than: &Ref<'_, T>| self.eldest_after(than.ordinal());
        std::iter::successors(self.eldest_after(0), younger)
    }

    fn eldest_after(&self, ordinal: u32) -> Option<Ref<'_, T>> {
        let younger = self.iter().filter(|object| object.ordinal() > ordinal);
        younger.min_by_key(|object| object.ordinal())
    }

    #[inline]
    fn slot(&self, index: u32) -> &Slot<T> {
        self.slots.at(index)
    }
}

/// An object, dead or alive, by its name.
pub struct Ref<'a, T> {
    slab: &'a Slab<T>,
    slot: &'a Slot<T>,
    handle: Handle<T>,
}

impl<T> Clone for Ref<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Ref<'_, T> {}
impl<T> PartialEq for Ref<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        self.handle == other.handle
    }
}

impl<'a, T: Object> Ref<'a, T> {
    /// Its name.
    #[inline]
    pub fn handle(self) -> Handle<T> {
        self.handle
    }

    /// The ordinal of its allocation.
    #[inline]
    pub fn ordinal(self) -> u32 {
        self.handle.ordinal()
    }

    /// Whether it lives; it is reported if not.
    #[inline]
    pub fn alive(self) -> bool {
        self.lives() || self.report()
    }

    /// Whether it lives.
    #[inline]
    pub fn lives(self) -> bool {
        self.slot.live.load(Acquire) == self.handle.ordinal()
    }

    #[cold]
    fn report(self) -> bool {
        if let Some(misuse) = T::dead(self.handle.ordinal()) {
            self.slab.events.event(Event::Misuse(misuse));
        }
        false
    }

    /// What stands in its slot, whoever lives there.
    #[inline]
    pub fn object(self) -> &'a T {
        &self.slot.object
    }

    /// One of its words.
    #[inline]
    pub fn field<W: Word>(self, word: impl Fn(&'a T) -> &'a Cell<W>) -> Field<'a, T, W> {
        Field {
            cell: word(&self.slot.object),
            owner: self,
        }
    }
}

/// A word of an object. Each access asks whether the object lives.
pub struct Field<'a, T, W> {
    owner: Ref<'a, T>,
    cell: &'a Cell<W>,
}

impl<T: Object, W: Word> Field<'_, T, W> {
    /// Reads it (READ_ONCE); zero of a dead object.
    #[inline]
    pub fn get(self, site: Site) -> W {
        let value = self.cell.get(site);
        self.checked(value)
    }

    /// Reads it without a scheduling point: where a lock held by the caller keeps writers away.
    #[inline]
    pub fn peek(self) -> W {
        let value = self.cell.peek();
        self.checked(value)
    }

    /// Reads it of an object that was just found alive, between calls, for a snapshot.
    #[inline]
    pub fn shown(self) -> W {
        self.cell.peek()
    }

    #[inline]
    fn checked(self, value: W) -> W {
        if self.owner.alive() {
            value
        } else {
            W::from_word(0)
        }
    }

    /// Writes it (WRITE_ONCE); nothing happens to a dead object, nor to who lives in its slot.
    #[inline]
    pub fn set(self, site: Site, value: W) {
        if self.owner.alive() {
            self.cell.set(site, value);
            self.owner.alive();
        }
    }

    /// Writes it and answers what was there (xchg); zero of a dead object.
    #[inline]
    pub fn swap(self, site: Site, value: W) -> W {
        if !self.owner.alive() {
            return W::from_word(0);
        }
        let before = self.cell.swap(site, value);
        self.checked(before)
    }

    /// Writes it without a scheduling point: while nobody else can see the object, or where
    /// nobody else looks at this word.
    #[inline]
    pub fn init(self, value: W) {
        if self.owner.alive() {
            self.cell.init(value);
        }
    }
}

impl<T: Object> Field<'_, T, u64> {
    /// Adds to it in one step (wrapping); answers what was there.
    #[inline]
    pub fn add(self, site: Site, more: u64) -> u64 {
        if !self.owner.alive() {
            return 0;
        }
        let before = self.cell.add(site, more);
        self.checked(before)
    }
}

impl<T, W> Clone for Field<'_, T, W> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T, W> Copy for Field<'_, T, W> {}

/// Declares an object: its words, each with an accessor of its own, and what else it is made of.
macro_rules! object {
    (
        $(#[$doc:meta])* $name:ident, dead: $dead:expr;
        words { $($(#[$wdoc:meta])* $word:ident: $wtype:ty,)* }
        parts { $($(#[$pdoc:meta])* $part:ident: $ptype:ty,)* }
    ) => {
        $(#[$doc])*
        #[derive(Default)]
        pub struct $name {
            $($(#[$wdoc])* $word: vmadiff_interleave::Cell<$wtype>,)*
            $($(#[$pdoc])* pub $part: $ptype,)*
        }

        impl $crate::slab::Object for $name {
            fn dead(ordinal: u32) -> Option<vmadiff_contract::Misuse> {
                ($dead)(ordinal)
            }
        }

        #[allow(dead_code)]
        impl<'a> $crate::slab::Ref<'a, $name> {
            $($(#[$wdoc])* #[inline]
            pub fn $word(self) -> $crate::slab::Field<'a, $name, $wtype> {
                self.field(|object| &object.$word)
            })*
            $($(#[$pdoc])* #[inline]
            pub fn $part(self) -> &'a $ptype {
                &self.object().$part
            })*
        }
    };
}
pub(crate) use object;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Log;

    object! {
        /// An object with one word.
        Thing, dead: |n| Some(Misuse::DeadVma(vmadiff_contract::VmaId(n)));
        words {
            /// A word.
            value: u32,
        }
        parts {}
    }

    vmadiff_interleave::sites! { HERE = "test.here"; }

    fn slab(reuse: bool) -> (Arc<Log>, Slab<Thing>) {
        let log = Arc::new(Log::default());
        let mut slab = Slab::new(2, log.clone() as Arc<dyn EventSink>);
        slab.reset(reuse);
        (log, slab)
    }

    #[test]
    fn a_dead_object_is_reported_and_reads_as_zero() {
        let (log, slab) = slab(true);
        let old = slab.alloc();
        old.value().set(HERE, 7);
        assert!(slab.free(old.handle()));
        let new = slab.alloc();
        new.value().set(HERE, 9);
        assert_eq!(old.handle().index(), new.handle().index());
        old.value().set(HERE, 8);
        assert_eq!((old.value().get(HERE), new.value().get(HERE)), (0, 9));
        let dead = Event::Misuse(Misuse::DeadVma(vmadiff_contract::VmaId(1)));
        assert_eq!(log.take(), [dead, dead]);
        assert!(!slab.free(old.handle()));
    }

    #[test]
    fn slots_are_reused_at_once_or_never() {
        for (reuse, expected) in [(true, 0), (false, 1)] {
            let (_, slab) = slab(reuse);
            slab.free(slab.alloc().handle());
            assert_eq!(slab.alloc().handle().index(), expected);
        }
    }

    #[test]
    fn chunks_hold_every_index_once() {
        let (log, slab) = slab(false);
        let handles: Vec<_> = (0..100)
            .map(|i| {
                let thing = slab.alloc();
                thing.value().init(i);
                thing.handle()
            })
            .collect();
        for (i, handle) in handles.iter().enumerate() {
            assert_eq!(slab.get(*handle).value().peek(), i as u32);
        }
        assert_eq!((slab.live(), slab.iter().count()), (100, 100));
        assert!(log.take().is_empty());
    }

    #[test]
    fn no_object_is_ever_alive_under_the_null_handle() {
        let (log, slab) = slab(true);
        assert!(!slab.get(Handle::NULL).alive());
        assert_eq!(log.take().len(), 1);
    }
}
