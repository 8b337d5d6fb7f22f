//! The layer for those who want their races found: a manager whose calls take `&self` and make their
//! shared accesses through the cells and locks of [`interleave`](crate::interleave), each at a named
//! place. There the simulation can leave a task for another.
//!
//! What races is judged by the reference: the calls must answer, and leave, what they would one
//! after another in some order, in which none comes before one that had ended before it began.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

use vmadiff_contract::{CallKind, Config, DesignInfo, Errno, EventSink, Manager, PAGE_SIZE, Prot};

use crate::areas::Place;
use crate::compare::{Compare, View, World};
use crate::layers;
use crate::memory::Fault;

/// A manager of areas, and perhaps of memory, that several tasks call at once.
///
/// Its state between two accesses at named places is its own affair; what no simulated lock keeps
/// apart may be kept in a `Mutex` that is never held across such a place.
pub trait Interleaved: Send + Sync + Sized + 'static {
    /// The places, as `sites!` names them: lists of lists, so that each module may have one.
    const SITES: &'static [&'static [&'static str]];

    /// The calls that are had, of those below, and `map`, without which there is nothing to compare. What is
    /// not named is not called, whether it is written or not.
    const HAS: &'static [CallKind] = &[CallKind::Mmap, CallKind::Munmap, CallKind::Mprotect];

    /// Bytes of a page.
    const PAGE_SIZE: u64 = PAGE_SIZE;

    /// What a program's address 0 stands for.
    const BASE: u64 = 0;

    /// An empty address space; `config` has the bounds, as in [`Areas::boot`](crate::areas::Areas::boot).
    fn boot(config: &Config) -> Self;

    /// As [`Areas::map`](crate::areas::Areas::map).
    ///
    /// # Errors
    /// What Linux would answer.
    fn map(&self, range: Range<u64>, prot: Prot, how: Place) -> Result<u64, Errno>;

    /// As [`Areas::unmap`](crate::areas::Areas::unmap).
    ///
    /// # Errors
    /// What Linux would answer.
    fn unmap(&self, range: Range<u64>) -> Result<(), Errno>;

    /// As [`Areas::protect`](crate::areas::Areas::protect).
    ///
    /// # Errors
    /// What Linux would answer.
    fn protect(&self, _range: Range<u64>, _prot: Prot) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// As [`Memory::load`](crate::memory::Memory::load).
    ///
    /// # Errors
    /// Why it cannot be read.
    fn load(&self, _addr: u64) -> Result<u8, Fault> {
        Err(Fault::NotHad)
    }

    /// As [`Memory::store`](crate::memory::Memory::store).
    ///
    /// # Errors
    /// Why it cannot be written.
    fn store(&self, _addr: u64, _value: u8) -> Result<(), Fault> {
        Err(Fault::NotHad)
    }

    /// Shows each area, in any order, when no call is under way.
    fn each(&self, visit: impl FnMut(Range<u64>, Prot));
}

/// Compares a manager whose calls can be interleaved with the reference: serial programs and races
/// of two or three tasks. Each manager chooses places; the reference is told the candidate's.
pub fn compare<M: Interleaved>(name: &'static str) -> Compare {
    let design = DesignInfo {
        sites: M::SITES,
        ..DesignInfo::plain(name, boot::<M>)
    };
    Compare::of(design)
        .view(View::areas())
        .world(World::plain().tasks(3))
        .placement(crate::Placement::Free)
}

/// Boots a manager whose calls can be interleaved as a manager of the contract.
pub fn boot<M: Interleaved>(
    config: &Config,
    _events: Arc<dyn EventSink>,
    _defects: &[&str],
) -> Box<dyn Manager> {
    Box::new(layers::Open::<M>::new(config, PhantomData))
}
