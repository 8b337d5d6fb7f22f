//! Managers that leave it to their caller to look at what is there before a call.

use std::collections::BTreeMap;

use vmadiff::areas::prelude::*;
use vmadiff::compare::Compare;
use vmadiff::{Placement, View, compare};

use super::{agrees, finds};

/// Bits for the calls before which the harness looks: all, and all but one.
const ALL: u8 = 7;
const BUT_MMAP: u8 = 6;
const BUT_MUNMAP: u8 = 5;
const BUT_MPROTECT: u8 = 3;
/// Beside them: the first page of what is unmapped stays if there are three.
const LEAVES_FIRST: u8 = 8;

/// Pages, of which each is where a call expects one, and nowhere else.
struct Strict<const HOW: u8>(BTreeMap<u64, Prot>);

impl<const HOW: u8> Areas for Strict<HOW> {
    const CHECKED: &'static [CallKind] = match HOW & ALL {
        ALL => &[CallKind::Mmap, CallKind::Munmap, CallKind::Mprotect],
        BUT_MMAP => &[CallKind::Munmap, CallKind::Mprotect],
        BUT_MUNMAP => &[CallKind::Mmap, CallKind::Mprotect],
        _ => &[CallKind::Mmap, CallKind::Munmap],
    };

    fn boot(_: &Config) -> Self {
        Self(BTreeMap::new())
    }

    fn map(&mut self, range: Range<u64>, prot: Prot, how: Place) -> Result<u64, Errno> {
        let start = range.start;
        let is_free = self.0.range(range.clone()).next().is_none();
        if how == Place::IfFree && !is_free {
            return Err(Errno::EEXIST);
        }
        assert!(is_free, "mapped over what is there");
        self.0.extend(range.step_by(4096).map(|page| (page, prot)));
        Ok(start)
    }

    fn unmap(&mut self, range: Range<u64>) -> Result<(), Errno> {
        let leaves = HOW & LEAVES_FIRST != 0 && range.end - range.start == 0x3000;
        for page in range.step_by(4096).skip(leaves.into()) {
            self.0.remove(&page).expect("a page, and not a hole");
        }
        Ok(())
    }

    fn protect(&mut self, range: Range<u64>, prot: Prot) -> Result<(), Errno> {
        for page in range.step_by(4096) {
            *self.0.get_mut(&page).expect("a page, and not a hole") = prot;
        }
        Ok(())
    }

    /// From the last page to the first: any order will do.
    fn each(&self, mut visit: impl FnMut(Range<u64>, Prot)) {
        for (page, prot) in self.0.iter().rev() {
            visit(*page..*page + 4096, *prot);
        }
    }
}

fn strict<const HOW: u8>() -> Compare {
    compare::<Strict<HOW>>("strict")
        .view(View::areas().joined())
        .placement(Placement::FollowReference)
}

#[test]
fn a_manager_may_leave_it_to_its_caller_to_look() {
    agrees(strict::<ALL>(), 3000);
}

#[test]
fn who_does_not_leave_a_call_to_its_caller_is_asked_all_of_it() {
    finds(strict::<BUT_MMAP>(), "panic/mmap/panic", 2);
    // What is mapped over is unmapped first.
    finds(strict::<BUT_MUNMAP>(), "panic/mmap/panic", 1);
    finds(strict::<BUT_MPROTECT>(), "panic/mprotect/panic", 1);
}

#[test]
fn a_bug_behind_the_look_is_found() {
    finds(
        strict::<{ ALL | LEAVES_FIRST }>(),
        "state/munmap/vmas.end",
        2,
    );
}
