//! Page-table entries: one word each, as the processor and the fault handlers read them.
//!
//! ```text
//! bit 0 present   1 readable   2 writable   3 executable   4-5 what: private, zero, file, swap
//! 6 was writable before a NUMA scan took its permissions
//! 7-63 payload: slot (25 bits) and ordinal (32) of a frame or swap slot,
//!      or slot (21 bits) of a file and page index (36) in it
//! ```
//! An entry of zero is none. An entry of PROT_NONE is present and not readable.

use vmadiff_interleave::Word;

use crate::area::ops::PageProt;
use crate::core::slab::Handle;
use crate::page::frame::{Frame, SwapSlot};

/// A lowest-level entry.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Pte(u64);

/// What an entry maps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Maps {
    /// A private page.
    Anon(Handle<Frame>),
    /// The zero page.
    Zero,
    /// A file's page: the file's slot and the page's index.
    File(u32, u64),
    /// Nothing: the page is swapped out.
    Swap(Handle<SwapSlot>),
}

/// What an access needs of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    /// To be read.
    Read,
    /// To be written.
    Write,
    /// To be fetched from.
    Exec,
}

const PRESENT: u64 = 1;
const READABLE: u64 = 1 << 1;
const WRITABLE: u64 = 1 << 2;
const EXECUTABLE: u64 = 1 << 3;
const PERMISSIONS: u64 = READABLE | WRITABLE | EXECUTABLE;
const WHAT: u32 = 4;
const SAVED_WRITE: u64 = 1 << 6;
const PAYLOAD: u32 = 7;
const INDEX_BITS: u32 = 36;

impl Pte {
    /// No entry.
    pub const NONE: Self = Self(0);

    /// A present entry for this, with an area's protection (`mk_pte`).
    pub fn make(maps: Maps, prot: PageProt) -> Self {
        let bit = |on: bool, bit: u64| if on { bit } else { 0 };
        let permissions = bit(prot.readable(), READABLE)
            | bit(prot.writable(), WRITABLE)
            | bit(prot.executable(), EXECUTABLE);
        Self(Self::payload(maps) | PRESENT | permissions)
    }

    /// A swap entry.
    pub fn swap(slot: Handle<SwapSlot>) -> Self {
        Self(Self::payload(Maps::Swap(slot)))
    }

    fn payload(maps: Maps) -> u64 {
        let object = |index: u32, ordinal: u32| u64::from(index) << 32 | u64::from(ordinal);
        let (what, payload) = match maps {
            Maps::Anon(frame) => (0, object(frame.index(), frame.ordinal())),
            Maps::Zero => (1, 0),
            Maps::File(slot, index) => (2, u64::from(slot) << INDEX_BITS | index),
            Maps::Swap(slot) => (3, object(slot.index(), slot.ordinal())),
        };
        payload << PAYLOAD | what << WHAT
    }

    /// What it maps, if it is not none.
    pub fn maps(self) -> Option<Maps> {
        if self.is_none() {
            return None;
        }
        let payload = self.0 >> PAYLOAD;
        Some(match self.0 >> WHAT & 3 {
            0 => Maps::Anon(Handle::from_word(payload)),
            1 => Maps::Zero,
            2 => Maps::File(
                (payload >> INDEX_BITS) as u32,
                payload & ((1 << INDEX_BITS) - 1),
            ),
            _ => Maps::Swap(Handle::from_word(payload)),
        })
    }

    /// The private page that it maps.
    pub fn anon(self) -> Option<Handle<Frame>> {
        match self.maps() {
            Some(Maps::Anon(frame)) => Some(frame),
            _ => None,
        }
    }

    /// Whether it is none (`pte_none`).
    #[inline]
    pub fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Whether it maps a page (`pte_present`); so does one of PROT_NONE.
    #[inline]
    pub fn present(self) -> bool {
        self.0 & PRESENT != 0
    }

    /// Whether it may be read.
    #[inline]
    pub fn readable(self) -> bool {
        self.0 & READABLE != 0
    }

    /// Whether it may be written.
    #[inline]
    pub fn writable(self) -> bool {
        self.0 & WRITABLE != 0
    }

    /// Whether it may be fetched from.
    #[inline]
    pub fn executable(self) -> bool {
        self.0 & EXECUTABLE != 0
    }

    /// Present and without any permission (`pte_protnone`).
    pub fn protnone(self) -> bool {
        self.present() && self.0 & PERMISSIONS == 0
    }

    /// Whether the processor allows this with it.
    #[inline]
    pub fn allows(self, need: Need) -> bool {
        match need {
            Need::Read => self.readable(),
            Need::Write => self.writable(),
            Need::Exec => self.executable(),
        }
    }

    /// The same, and writable (`pte_mkwrite`).
    #[must_use]
    pub fn mkwrite(self) -> Self {
        Self(self.0 | WRITABLE)
    }

    /// The same, not writable (`pte_wrprotect`).
    #[must_use]
    pub fn wrprotect(self) -> Self {
        Self(self.0 & !WRITABLE & !SAVED_WRITE)
    }

    /// The same page without permissions, which remembers whether it was writable
    /// (`pte_mk_savedwrite`).
    #[must_use]
    pub fn mknuma(self) -> Self {
        let saved = if self.writable() { SAVED_WRITE } else { 0 };
        Self((self.0 & !PERMISSIONS) | saved)
    }

    /// Whether it was writable before a NUMA scan (`pte_savedwrite`).
    pub fn saved_write(self) -> bool {
        self.0 & SAVED_WRITE != 0
    }

    /// The same page with another protection (`pte_modify`).
    #[must_use]
    pub fn modify(self, prot: PageProt) -> Self {
        let page = self.0 & !PERMISSIONS & !SAVED_WRITE;
        Self(page | (Self::make(Maps::Zero, prot).0 & PERMISSIONS))
    }
}

impl Word for Pte {
    #[inline]
    fn to_word(self) -> u64 {
        self.0
    }
    #[inline]
    fn from_word(word: u64) -> Self {
        Self(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        let handle = u64::from((1u32 << 25) - 1) << 32 | 0xffff_fffe;
        let rwx = PageProt::new(true, true, true);
        for maps in [
            Maps::Anon(Handle::from_word(handle)),
            Maps::Zero,
            Maps::File((1 << 21) - 1, (1 << 36) - 1),
        ] {
            let pte = Pte::make(maps, rwx);
            assert_eq!(pte.maps(), Some(maps));
            assert!(pte.present() && pte.readable() && pte.writable() && pte.executable());
            assert!(!pte.wrprotect().writable());
            assert_eq!(pte.wrprotect().mkwrite(), pte);
            assert!(pte.modify(PageProt::new(false, false, false)).protnone());
        }
        let swap = Pte::swap(Handle::from_word(handle));
        assert_eq!(swap.maps(), Some(Maps::Swap(Handle::from_word(handle))));
        assert!(!swap.present() && !swap.is_none() && !swap.allows(Need::Read));
    }
}
