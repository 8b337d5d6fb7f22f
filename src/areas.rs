//! The smallest layer: a map of ranges. No tasks, no pages, no identities.
//!
//! A manager that can be mapped, unmapped and looked at is compared with the reference by
//! [`compare`](crate::compare()), as far as it goes:
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::ops::Range;
//!
//! use vmadiff::areas::{Areas, Place};
//! use vmadiff::{CallKind, Config, Errno, Prot, View, World, compare};
//!
//! /// Pages, one by one.
//! struct Pages(BTreeMap<u64, Prot>);
//!
//! impl Areas for Pages {
//!     const HAS: &'static [CallKind] = &[CallKind::Mmap, CallKind::Munmap];
//!
//!     fn boot(_: &Config) -> Self {
//!         Self(BTreeMap::new())
//!     }
//!
//!     fn map(&mut self, range: Range<u64>, prot: Prot, how: Place) -> Result<u64, Errno> {
//!         let start = range.start;
//!         if how == Place::IfFree && self.0.range(range.clone()).next().is_some() {
//!             return Err(Errno::EEXIST);
//!         }
//!         self.0.extend(range.step_by(4096).map(|page| (page, prot)));
//!         Ok(start)
//!     }
//!
//!     fn unmap(&mut self, range: Range<u64>) -> Result<(), Errno> {
//!         self.0.retain(|page, _| !range.contains(page));
//!         Ok(())
//!     }
//!
//!     fn each(&self, mut visit: impl FnMut(Range<u64>, Prot)) {
//!         self.0.iter().for_each(|(page, prot)| visit(*page..page + 4096, *prot));
//!     }
//! }
//!
//! let compared = compare::<Pages>("pages")
//!     .view(View::areas().joined())
//!     .world(World::plain())
//!     .placement(vmadiff::Placement::FollowReference);
//! compared.check("mmap(NULL, 0x3000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)");
//! ```

use std::ops::Range;
use std::sync::Arc;

use vmadiff_contract::{CallKind, Config, Errno, EventSink, Manager, PAGE_SIZE, Prot};

use crate::layers::{self, OfAreas};

/// Boots a manager of areas as a manager of the contract: for [`Compare`](crate::Compare) and its
/// defects.
pub fn boot<M: Areas>(
    config: &Config,
    events: Arc<dyn EventSink>,
    defects: &[&str],
) -> Box<dyn Manager> {
    layers::boot::<OfAreas<M>>(config, events, defects)
}

/// What an implementation of [`Areas`] names.
pub mod prelude {
    pub use std::ops::Range;

    pub use vmadiff_contract::{CallKind, Config, Errno, Prot};

    pub use super::{Areas, Move, Place, start_and_len};
}

/// Where a range starts, as an address of somebody else's type, and its bytes.
///
/// ```
/// let (start, len): (usize, usize) = vmadiff::areas::start_and_len(&(0x1000..0x3000));
/// assert_eq!((start, len), (0x1000, 0x2000));
/// ```
///
/// # Panics
/// If an address of this machine cannot hold them.
pub fn start_and_len<A: From<usize>>(range: &Range<u64>) -> (A, usize) {
    let [start, len] = [range.start, range.end.wrapping_sub(range.start)]
        .map(|bytes| usize::try_from(bytes).expect("an address of this machine"));
    (start.into(), len)
}

/// Where memory is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// At the range, instead of what is there (`MAP_FIXED`).
    Over,
    /// At the range if nothing is there; otherwise `EEXIST` (`MAP_FIXED_NOREPLACE`).
    IfFree,
    /// Anywhere. A range that does not start at 0 is a hint.
    Anywhere,
}

/// What becomes of memory that is resized or moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Move {
    /// It stays where it is, or the call fails.
    Never,
    /// It may move anywhere if it has to (`MREMAP_MAYMOVE`).
    IfNeeded,
    /// It moves to this address, instead of what is there (`MREMAP_FIXED`).
    To(u64),
}

/// A manager of areas. Ranges are of whole pages and never empty; who asks for anything else has
/// said so ([`World::absurd`](crate::World::absurd)).
///
/// Only [`boot`](Areas::boot), [`map`](Areas::map), [`unmap`](Areas::unmap) and
/// [`each`](Areas::each) must be there. Calls beyond that are made only if [`HAS`](Areas::HAS)
/// names them.
pub trait Areas: Send + Sized + 'static {
    /// The calls that are had, and [`map`](Areas::map), without which there is nothing to compare. What is
    /// not named is not called, whether it is written or not.
    const HAS: &'static [CallKind] = &[CallKind::Mmap, CallKind::Munmap, CallKind::Mprotect];

    /// Calls before which the harness looks at what is there, by [`each`](Areas::each), for managers that leave that
    /// to their caller. `munmap` is then asked of what is mapped, one stretch after another; `mprotect` of what is
    /// mapped up to the first hole, and behind that answers `ENOMEM`; and of `mmap` there is no [`Place::Over`]:
    /// what is there is unmapped first.
    const CHECKED: &'static [CallKind] = &[];

    /// Bytes of a page, a power of two: a page of a program stands for one of these.
    const PAGE_SIZE: u64 = PAGE_SIZE;

    /// What a program's address 0 stands for, a multiple of [`PAGE_SIZE`](Areas::PAGE_SIZE): for
    /// managers whose addresses begin elsewhere, as those of a kernel do.
    const BASE: u64 = 0;

    /// An empty address space. `config` has the bounds: those of [`World::within`](crate::World::within), and
    /// otherwise, in a plain world, those that it has by default; as addresses and bytes of yours, by
    /// [`BASE`](Areas::BASE) and [`PAGE_SIZE`](Areas::PAGE_SIZE).
    fn boot(config: &Config) -> Self;

    /// Maps private memory and answers where.
    ///
    /// # Errors
    /// What Linux would answer: `EEXIST` for a place that is taken, `ENOMEM` for lack of one.
    fn map(&mut self, range: Range<u64>, prot: Prot, how: Place) -> Result<u64, Errno>;

    /// Unmaps all that is in the range. There may be holes.
    ///
    /// # Errors
    /// What Linux would answer; of a plain world nothing fails.
    fn unmap(&mut self, range: Range<u64>) -> Result<(), Errno>;

    /// Changes what may be done in the range. Up to a hole, and then `ENOMEM`.
    ///
    /// # Errors
    /// What Linux would answer; [`Errno::EOPNOTSUPP`] is for what is not had.
    fn protect(&mut self, _range: Range<u64>, _prot: Prot) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Resizes or moves the memory of a range and answers where it is.
    ///
    /// # Errors
    /// What Linux would answer; [`Errno::EOPNOTSUPP`] is for what is not had.
    fn remap(&mut self, _from: Range<u64>, _len: u64, _how: Move) -> Result<u64, Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Shows each area, in any order; by address is fastest.
    fn each(&self, visit: impl FnMut(Range<u64>, Prot));
}
