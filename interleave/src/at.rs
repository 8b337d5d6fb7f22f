//! What calls tell a judge of the order in which they took effect: marks at four sites, the same
//! for every manager.
//!
//! A call consists of a section (what it does under `mmap_sem` held for writing, or the one moment
//! at which it takes effect without), of faults and of an access. Each is marked once it cannot
//! fail any more, before anybody else can act on it, with no scheduling point between. A call that
//! marks nothing took effect somewhere between its begin and its end.

use crate::Site;
use crate::SiteInfo;
use crate::point::mark_at;

/// The section of a call has taken effect: just before `mmap_sem` is given back or downgraded.
pub static SECTION: Site = &SiteInfo::new("at.section");

/// A fault was served, its entry is set: also one of many that a call populates a range by.
pub static FAULT: Site = &SiteInfo::new("at.fault");

/// An access was made, or refused for good.
pub static ACCESS: Site = &SiteInfo::new("at.access");

/// A fault that a call populates a range by was refused, after it may have given the area an
/// anon_vma: the call populates no further in that area.
pub static REFUSED: Site = &SiteInfo::new("at.refused");

/// Marks the section of the current call.
#[inline]
pub fn section() {
    mark_at(SECTION, 0);
}

/// Marks a fault on the page at `addr`, that was served for a store or for anything else.
#[inline]
pub fn fault(addr: u64, store: bool) {
    mark_at(FAULT, addr & !1 | u64::from(store));
}

/// Marks the access of the current call.
#[inline]
pub fn access() {
    mark_at(ACCESS, 0);
}

/// Marks a fault on the page at `addr` that a call populates a range by and that was refused.
#[inline]
pub fn refused(addr: u64, store: bool) {
    mark_at(REFUSED, addr & !1 | u64::from(store));
}
