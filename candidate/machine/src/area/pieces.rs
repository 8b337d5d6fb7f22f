//! Changing a range piece by piece: what mprotect, mlock and their like do with each area of it.

use vmadiff_contract::{Errno, StepKind, Told};

use crate::area::merge::Range;
use crate::area::split::SplitError;
use crate::area::vma::Vma;
use crate::core::current::Current;
use crate::core::slab::Ref;
use crate::design::Design;

impl<D: Design> Current<'_, D> {
    /// Changes each area of a range, or the piece of it that lies inside, in address order. `first`
    /// holds the start. `change` is given the area, the one before, and the piece's bounds; it
    /// answers the area that the piece is in then.
    ///
    /// # Errors
    /// ENOMEM at a hole, and what `change` answers; what is done stays.
    pub fn change_pieces<'a>(
        &'a self,
        first: Ref<'a, Vma>,
        start: u64,
        end: u64,
        change: impl Fn(Ref<'a, Vma>, Option<Ref<'a, Vma>>, u64, u64) -> Result<Ref<'a, Vma>, Errno>,
    ) -> Result<(), Errno> {
        let mut vma = first;
        let mut prev = if start > vma.start() {
            Some(vma)
        } else {
            self.prev(vma)
        };
        let mut from = start;
        loop {
            let to = end.min(vma.end());
            let done = change(vma, prev, from, to)?;
            from = to.max(done.end());
            if from >= end {
                return Ok(());
            }
            prev = Some(done);
            let next = self.next(done).filter(|next| next.start() == from);
            if next.is_none() {
                self.mark(StepKind::Decide, self.areas(), Told::Refused);
            }
            vma = next.ok_or(Errno::ENOMEM)?;
        }
    }

    /// Makes a piece of an area, which is to be as `range` says, one with its neighbours or an
    /// area of its own: the tail of mprotect_fixup, mlock_fixup, and their like.
    pub fn merge_or_split<'a>(
        &'a self,
        vma: Ref<'a, Vma>,
        prev: Option<Ref<'a, Vma>>,
        range: &Range,
    ) -> Result<Ref<'a, Vma>, SplitError> {
        if let Some(merged) = self.vma_merge(prev, range) {
            return Ok(merged);
        }
        self.split_around(vma, range.addr, range.end)?;
        Ok(vma)
    }

    /// Splits off what an area has beyond these bounds.
    pub fn split_around(&self, vma: Ref<'_, Vma>, start: u64, end: u64) -> Result<(), SplitError> {
        let refused = |error: &SplitError| {
            if *error == SplitError::TooManyAreas {
                self.mark(StepKind::Cut, vma.about(), Told::Refused);
            }
        };
        if start != vma.start() {
            self.split_vma(vma, start, true).inspect_err(refused)?;
        }
        if end != vma.end() {
            self.split_vma(vma, end, false).inspect_err(refused)?;
        }
        Ok(())
    }
}
