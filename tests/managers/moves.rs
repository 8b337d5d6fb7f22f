//! Where mremap moves to, and what it comes to where neighbours may be one area or two.

use std::collections::BTreeMap;
use std::ops::Range;

use vmadiff::areas::{Areas, Move, Place};
use vmadiff::compare::{Compare, Passed};
use vmadiff::judge::Verdict;
use vmadiff::{CallKind, Config, Errno, Placement, Prot, View, compare};

use super::{agrees, case, divergence, finds, first};

/// Areas are never merged; what grows stays where it is, if it can.
const RIGHT: u8 = 0;
/// Neighbours that look alike are one.
const MERGES: u8 = 1;
/// What may move does, even if it could stay.
const EAGER: u8 = 2;
/// It moves onto something else.
const MOVES_OVER: u8 = 3;
/// What has moved is as long as it was.
const LOSES_END: u8 = 4;
/// What grows does so over what is behind it.
const GROWS_OVER: u8 = 5;
/// It moves what it makes smaller.
const MOVES_SMALLER: u8 = 6;
/// It moves no more than two pages.
const REFUSES: u8 = 7;

/// Areas by their start, each with its end; they are placed from the bottom up.
struct Moving<const BUG: u8>(BTreeMap<u64, (u64, Prot)>);

impl<const BUG: u8> Moving<BUG> {
    fn cut(&mut self, at: u64) {
        if let Some((_, (end, prot))) = self.0.range_mut(..at).next_back()
            && at < *end
        {
            let upper = (*end, *prot);
            *end = at;
            self.0.insert(at, upper);
        }
    }

    fn is_free(&self, range: &Range<u64>) -> bool {
        let below = self.0.range(..range.end).next_back();
        below.is_none_or(|(_, (end, _))| *end <= range.start)
    }

    fn lowest_free(&self, len: u64) -> u64 {
        let free = |start: &u64| self.is_free(&(*start..*start + len));
        (0x10..).map(|page| page << 12).find(free).expect("room")
    }

    /// Where the area with this address ends, and what it allows.
    fn end(&self, at: u64) -> Option<(u64, Prot)> {
        let (_, &(mut end, prot)) = self.0.range(..=at).next_back()?;
        if BUG == MERGES {
            while let Some((next, _)) = self.0.get(&end).filter(|(_, other)| *other == prot) {
                end = *next;
            }
        }
        (at < end).then_some((end, prot))
    }

    fn moves(&mut self, from: Range<u64>, to: u64, len: u64, prot: Prot) -> Result<u64, Errno> {
        let len = if BUG == LOSES_END {
            from.end - from.start
        } else {
            len
        };
        self.unmap(from)?;
        self.0.insert(to, (to + len, prot));
        Ok(to)
    }
}

impl<const BUG: u8> Areas for Moving<BUG> {
    const HAS: &'static [CallKind] = &[
        CallKind::Mmap,
        CallKind::Munmap,
        CallKind::Mprotect,
        CallKind::Mremap,
    ];

    fn boot(_: &Config) -> Self {
        Self(BTreeMap::new())
    }

    fn map(&mut self, range: Range<u64>, prot: Prot, how: Place) -> Result<u64, Errno> {
        let len = range.end - range.start;
        let start = match how {
            Place::IfFree if !self.is_free(&range) => return Err(Errno::EEXIST),
            Place::Anywhere => self.lowest_free(len),
            Place::IfFree | Place::Over => range.start,
        };
        self.unmap(start..start + len)?;
        self.0.insert(start, (start + len, prot));
        Ok(start)
    }

    fn unmap(&mut self, range: Range<u64>) -> Result<(), Errno> {
        if range.is_empty() {
            return Ok(());
        }
        self.cut(range.start);
        self.cut(range.end);
        self.0.retain(|start, _| !range.contains(start));
        Ok(())
    }

    fn protect(&mut self, range: Range<u64>, prot: Prot) -> Result<(), Errno> {
        self.cut(range.start);
        self.cut(range.end);
        let mut at = range.start;
        while at < range.end {
            let area = self.0.get_mut(&at).ok_or(Errno::ENOMEM)?;
            area.1 = prot;
            at = area.0;
        }
        Ok(())
    }

    fn remap(&mut self, from: Range<u64>, len: u64, how: Move) -> Result<u64, Errno> {
        let Range { start, mut end } = from;
        let goes = matches!(how, Move::To(_));
        if start + len <= end && !goes {
            let (_, prot) = self.end(start).unwrap_or_default();
            if BUG == MOVES_SMALLER && how == Move::IfNeeded && !prot.is_empty() {
                let to = self.lowest_free(len);
                return self.moves(start..end, to, len, prot);
            }
            self.unmap(start + len..end)?;
            return Ok(start);
        }
        if let Move::To(to) = how {
            self.unmap(to..to + len)?;
            self.unmap(start + len.min(end - start)..end)?;
            end = end.min(start + len);
        }
        let (limit, prot) = self.end(start).ok_or(Errno::EFAULT)?;
        if limit < end || (BUG == REFUSES && end - start > 0x2000) {
            return Err(Errno::EFAULT);
        }
        let stays = limit == end && !(BUG == EAGER && how == Move::IfNeeded);
        let to = match how {
            Move::To(to) => to,
            _ if stays && (BUG == GROWS_OVER || self.is_free(&(end..start + len))) => {
                self.unmap(end..start + len)?;
                self.0.insert(end, (start + len, prot));
                return Ok(start);
            }
            Move::Never => return Err(Errno::ENOMEM),
            Move::IfNeeded => {
                let other = self.0.keys().find(|other| !(start..end).contains(*other));
                let over = other.filter(|_| BUG == MOVES_OVER).copied();
                over.unwrap_or_else(|| self.lowest_free(len))
            }
        };
        if BUG == MOVES_OVER {
            self.unmap(to..to + len)?;
        }
        self.moves(start..end, to, len, prot)
    }

    fn each(&self, mut visit: impl FnMut(Range<u64>, Prot)) {
        for (start, (end, prot)) in &self.0 {
            visit(*start..*end, *prot);
        }
    }
}

fn placed<const BUG: u8>(placement: Placement) -> Compare {
    compare::<Moving<BUG>>("moving")
        .view(View::areas().joined())
        .placement(placement)
}

const APART: &str = "mremap of areas that are kept apart";

#[test]
fn a_manager_may_move_to_a_place_of_its_own() {
    agrees(placed::<RIGHT>(Placement::Free), 2000);
    agrees(placed::<MERGES>(Placement::Free), 2000);
    agrees(placed::<EAGER>(Placement::Free), 2000);
    // By the rules it is another place than that of Linux.
    let text = "\
        mmap(0x1f0000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)\n\
        mmap(0x1f1000, 0x1000, PROT_NONE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)\n\
        mremap(0x1f0000, 0x1000, 0x2000, MREMAP_MAYMOVE, 0)\n";
    let mut pair = placed::<RIGHT>(Placement::ByTheRules).pair();
    let ran = pair.observe(&case(text).program);
    let found = divergence(&ran).map(|found| found.signature.to_string());
    assert_eq!(found.as_deref(), Some("outcome/mremap/value"));
    let mut free = placed::<RIGHT>(Placement::Free).pair();
    let ran = free.observe(&case(text).program);
    assert_eq!(ran.verdict, Verdict::Agree);
    let moved = ran.reference.calls[2].outcome;
    assert_eq!(moved, vmadiff::contract::Outcome::Value(0x1_0000));
}

#[test]
fn a_manager_may_be_told_where_to_move() {
    agrees(placed::<RIGHT>(Placement::FollowReference), 2000);
    agrees(placed::<MERGES>(Placement::FollowReference), 2000);
    // It is told to stay.
    agrees(placed::<EAGER>(Placement::FollowReference), 2000);
}

#[test]
fn a_move_to_where_something_is_is_found() {
    finds(
        placed::<MOVES_OVER>(Placement::Free),
        "outcome/mremap/succeeded",
        3,
    );
    finds(
        placed::<GROWS_OVER>(Placement::Free),
        "outcome/mremap/succeeded",
        3,
    );
    agrees(placed::<MOVES_OVER>(Placement::FollowReference), 500);
}

#[test]
fn a_move_that_loses_the_end_is_found() {
    for placement in [Placement::Free, Placement::FollowReference] {
        finds(placed::<LOSES_END>(placement), "state/mremap/vmas.end", 3);
    }
}

/// Only what grows may have to move.
#[test]
fn what_becomes_smaller_stays() {
    finds(
        placed::<MOVES_SMALLER>(Placement::Free),
        "outcome/mremap/value",
        2,
    );
}

/// A manager that merges less than Linux refuses what is several areas to it: that is no news, and no more
/// than that is.
#[test]
fn areas_that_are_kept_apart_may_be_refused() {
    let mut pair = placed::<RIGHT>(Placement::Free).pair();
    let found = first(&mut pair, 3000).map(|(program, ran)| (program.to_string(), ran.verdict));
    assert_eq!(found, None);
    let tally = pair.tally();
    assert!(tally.met[APART] > 10 && tally.ended.is_empty(), "{tally:?}");
    finds(
        placed::<REFUSES>(Placement::Free),
        "outcome/mremap/failed",
        2,
    );
}

/// What follows is compared, whichever of the two refused.
#[test]
fn a_run_goes_on_behind_areas_that_are_kept_apart() {
    let text = "\
        mmap(0x1f0000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)\n\
        mmap(0x1f1000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)\n\
        mprotect(0x1f1000, 0x1000, PROT_READ)\n\
        mremap(0x1f0000, 0x2000, 0x2000, MREMAP_MAYMOVE|MREMAP_FIXED, 0x1f8000)\n\
        munmap(0x1f8000, 0x2000)\n";
    // What could once be written to is charged for, and Linux does not merge it with what is not.
    let charged = text.replacen(
        "0x1f1000, 0x1000, PROT_READ,",
        "0x1f1000, 0x1000, PROT_WRITE,",
        1,
    );
    let passed = Passed {
        at: 3,
        name: APART,
        went_on: true,
    };
    for (compared, text) in [
        (placed::<RIGHT>(Placement::Free), text),
        (placed::<MERGES>(Placement::FollowReference), &charged),
    ] {
        let ran = compared.pair().observe(&case(text).program);
        assert_eq!(ran.verdict, Verdict::Agree);
        assert_eq!(ran.known, [passed]);
        assert_eq!(ran.candidate.calls.len(), 5);
    }
}

/// Where areas are compared as they are, they are not the same before.
#[test]
fn where_areas_are_compared_as_they_are_it_is_found() {
    let strict = placed::<RIGHT>(Placement::Free).view(View::areas());
    finds(strict, "state/mmap/vmas.end", 2);
}
