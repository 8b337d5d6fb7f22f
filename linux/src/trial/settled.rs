//! Differences that are known and stay: what was explained where it arose needs no other
//! explanation.

use std::ops::Range;

use vmadiff_contract::PAGE_SIZE;

use super::Finding;
use crate::diff::Field;
use crate::seen::Seen;

/// Differences that were explained, and what is seen of them again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Pages of which one side has no entry, or another one: address space and address.
    pages: Vec<(u8, u64)>,
    /// Calls that answered what such pages make them answer.
    calls: Vec<usize>,
}

impl Settled {
    /// A page's difference was explained.
    pub(super) fn page(&mut self, at: (u8, u64)) {
        self.pages.push(at);
    }

    /// Whether a page's was.
    pub(super) fn has(&self, at: (u8, u64)) -> bool {
        self.pages.contains(&at)
    }

    /// Whether a finding is one of these differences.
    pub(super) fn holds(&self, finding: &Finding) -> bool {
        match (finding.call, finding.difference.field) {
            (None, Field::Page) => self.has(finding.difference.at),
            (Some(index), Field::Answer) => self.calls.contains(&index),
            _ => false,
        }
    }

    /// mremap moved a range.
    pub(super) fn moved(&mut self, mm: u8, from: &Range<u64>, to: u64) {
        for (space, page) in &mut self.pages {
            if *space == mm && from.contains(page) {
                *page = *page - from.start + to;
            }
        }
    }

    /// Whether these pages are all that mincore says otherwise of: `answers` are the manager's sum
    /// over pages and Linux's.
    pub(super) fn asked(
        &mut self,
        call: usize,
        (mm, range): (u8, Range<u64>),
        (ours, theirs): (&Seen, &Seen),
        answers: (u64, u64),
    ) -> bool {
        let has = |view: &Seen, addr| {
            let mut spaces = view.spaces.iter().filter(|space| space.mm.0 == mm);
            spaces.any(|space| space.pages.iter().any(|page| page.addr == addr))
        };
        let mut sum = answers.0;
        for &(space, page) in &self.pages {
            if space != mm || !range.contains(&page) {
                continue;
            }
            let bit = 1 << ((page - range.start) / PAGE_SIZE % 64);
            match (has(ours, page), has(theirs, page)) {
                (false, true) => sum = sum.wrapping_add(bit),
                (true, false) => sum = sum.wrapping_sub(bit),
                _ => {}
            }
        }
        let same = sum == answers.1;
        self.calls.extend(same.then_some(call));
        same
    }
}
