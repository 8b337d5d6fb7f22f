//! An object by its name, and its words: every access asks whether it lives.

use std::sync::atomic::Ordering::Acquire;

use vmadiff_contract::Event;
use vmadiff_interleave::{Cell, Owner, Site, Word};

use super::{Handle, Object, Slab, Slot};
use crate::core::moves::moved;

/// An object, dead or alive, by its name.
pub struct Ref<'a, T> {
    pub(super) slab: &'a Slab<T>,
    pub(super) slot: &'a Slot<T>,
    pub(super) handle: Handle<T>,
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
        let value = self.cell.get_of(site, || self.whose());
        self.checked(value)
    }

    /// Whose word it is, for people.
    #[cold]
    fn whose(self) -> Option<Owner> {
        let at = std::ptr::from_ref(self.cell).addr();
        self.owner.object().word_at(at).map(|(word, of)| Owner {
            object: T::NAME,
            ordinal: self.owner.ordinal(),
            word,
            of,
        })
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
            moved(T::SHOWS);
            self.cell.set_of(site, value, || self.whose());
            self.owner.alive();
        }
    }

    /// Writes it and answers what was there (xchg); zero of a dead object.
    #[inline]
    pub fn swap(self, site: Site, value: W) -> W {
        if !self.owner.alive() {
            return W::from_word(0);
        }
        moved(T::SHOWS);
        let before = self.cell.swap(site, value);
        self.checked(before)
    }

    /// Writes it without a scheduling point: while nobody else can see the object, or where
    /// nobody else looks at this word.
    #[inline]
    pub fn init(self, value: W) {
        if self.owner.alive() {
            moved(T::SHOWS);
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
        moved(T::SHOWS);
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
        $(#[$doc:meta])* $name:ident, shows: $shows:ident, dead: $dead:expr;
        words { $($(#[$wdoc:meta])* $word:ident: $wtype:ty,)* }
        parts { $($(#[$pdoc:meta])* $part:ident: $ptype:ty,)* }
    ) => {
        $(#[$doc])*
        #[derive(Default)]
        pub struct $name {
            $($(#[$wdoc])* $word: vmadiff_interleave::Cell<$wtype>,)*
            $($(#[$pdoc])* pub $part: $ptype,)*
        }

        impl $crate::core::slab::Object for $name {
            const SHOWS: $crate::core::moves::Shows = $crate::core::moves::Shows::$shows;
            const NAME: &'static str = stringify!($name);

            fn dead(ordinal: u32) -> Option<vmadiff_contract::Misuse> {
                ($dead)(ordinal)
            }

            #[allow(unused_variables)] // some have no words
            fn word_at(&self, address: usize) -> Option<(&'static str, &'static str)> {
                $(if std::ptr::from_ref(&self.$word).addr() == address {
                    return Some((stringify!($word), stringify!($wtype)));
                })*
                None
            }
        }

        #[allow(dead_code)]
        impl<'a> $crate::core::slab::Ref<'a, $name> {
            $($(#[$wdoc])* #[inline]
            pub fn $word(self) -> $crate::core::slab::Field<'a, $name, $wtype> {
                self.field(|object| &object.$word)
            })*
            $($(#[$pdoc])* #[inline]
            pub fn $part(self) -> &'a $ptype {
                self.alive();
                &self.object().$part
            })*
        }
    };
}
pub(crate) use object;
