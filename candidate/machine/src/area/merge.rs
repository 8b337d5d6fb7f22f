//! Merging a range with the areas beside it (`vma_merge`).
//!
//! ```text
//! case 1  PPPP....NNNN -> PPPPPPPPPPPP, N goes    5  PPPPNNNNNNNN -> PPPPPPPPNNNN
//!      2  PPPP........ -> PPPPPPPP....            6  PPPPNNNNXXXX -> PPPPPPPPPPPP, N and X go
//!      3  ........NNNN -> ....NNNNNNNN            7  PPPPNNNNXXXX -> PPPPPPPPXXXX, N goes
//!      4  PPPPPPPPNNNN -> PPPPNNNNNNNN            8  PPPPNNNNXXXX -> PPPPXXXXXXXX, N goes
//! ```

use vmadiff_contract::{Note, VmFlags};

use crate::area::adjust::Adjust;
use crate::area::anon_vma::AnonVma;
use crate::area::vma::Vma;
use crate::core::current::Current;
use crate::core::file::File;
use crate::core::policy::Policy;
use crate::core::slab::{Handle, Ref};
use crate::defects::defect;
use crate::design::Design;

/// What a range is, or is to become.
#[derive(Clone, Copy, Default)]
pub struct Range {
    /// First byte.
    pub addr: u64,
    /// One past the last byte.
    pub end: u64,
    /// Flags.
    pub flags: VmFlags,
    /// Its anon_vma.
    pub anon: Handle<AnonVma>,
    /// Its file.
    pub file: Handle<File>,
    /// Offset in pages.
    pub pgoff: u64,
    /// Its policy.
    pub policy: Handle<Policy>,
    /// Registered with userfaultfd.
    pub uffd: bool,
}

impl Range {
    /// A piece of an area, as it is.
    pub fn of(vma: Ref<'_, Vma>, addr: u64, end: u64) -> Self {
        Self {
            addr,
            end,
            flags: vma.flags(),
            anon: vma.anon_vma().peek(),
            file: vma.vm_file().peek(),
            pgoff: vma.pgoff_of(addr),
            policy: vma.vm_policy().peek(),
            uffd: vma.vm_userfaultfd_ctx().peek(),
        }
    }

    /// Its length in pages.
    pub fn pages(&self) -> u64 {
        (self.end - self.addr) >> 12
    }
}

impl<D: Design> Current<'_, D> {
    /// Makes the range a part of an area beside it, if one will take it, and answers that one.
    /// `prev` is the area before the range, or its own when `addr` lies inside one.
    pub fn vma_merge<'a>(
        &'a self,
        prev: Option<Ref<'a, Vma>>,
        range: &Range,
    ) -> Option<Ref<'a, Vma>> {
        self.__vma_merge(prev, range, false)
    }

    /// The same; with `keep_locked` the survivor's change goes on, for mremap to end.
    pub fn __vma_merge<'a>(
        &'a self,
        prev: Option<Ref<'a, Vma>>,
        range: &Range,
        keep_locked: bool,
    ) -> Option<Ref<'a, Vma>> {
        let area = match prev {
            Some(prev) => self.next(prev),
            None => self.first_vma(self.mm_struct()),
        };
        let swallowed = area.filter(|area| area.end() == range.end);
        let next = swallowed.map_or(area, |area| self.next(area));
        let next = next
            .filter(|&next| next.start() == range.end && self.can_vma_merge_before(next, range));
        if let Some(prev) = prev
            && prev.end() == range.addr
            && self.can_vma_merge_after(prev, range)
        {
            return self.merge_left(prev, area, next, range, keep_locked);
        }
        self.merge_right(prev, area, next?, range, keep_locked)
    }

    fn merge_left<'a>(
        &'a self,
        prev: Ref<'a, Vma>,
        area: Option<Ref<'a, Vma>>,
        next: Option<Ref<'a, Vma>>,
        range: &Range,
        keep_locked: bool,
    ) -> Option<Ref<'a, Vma>> {
        let anon = prev.anon_vma().peek();
        let both = next.filter(|next| {
            let other = next.anon_vma().peek();
            anon == other || anon.is_null() || other.is_null()
        });
        let inside = area.filter(|area| area.start() < range.end);
        let (case, end) = match (both, inside) {
            (Some(next), Some(_)) => (6, next.end()),
            (Some(next), None) => (1, next.end()),
            (None, None) => (2, range.end),
            (None, Some(area)) if area.end() == range.end => (7, range.end),
            (None, Some(_)) => (5, range.end),
        };
        let to = Adjust {
            start: prev.start(),
            end,
            pgoff: prev.vm_pgoff().peek(),
            insert: None,
            expand: Some(prev),
            keep_locked,
        };
        self.merged(case, prev, &to, prev)
    }

    fn merge_right<'a>(
        &'a self,
        prev: Option<Ref<'a, Vma>>,
        area: Option<Ref<'a, Vma>>,
        next: Ref<'a, Vma>,
        range: &Range,
        keep_locked: bool,
    ) -> Option<Ref<'a, Vma>> {
        if let Some(prev) = prev
            && range.addr < prev.end()
        {
            let to = Adjust {
                start: prev.start(),
                end: range.addr,
                pgoff: prev.vm_pgoff().peek(),
                insert: None,
                expand: Some(next),
                keep_locked,
            };
            return self.merged(4, prev, &to, next);
        }
        let area = area.unwrap_or(next);
        let case = if area == next { 3 } else { 8 };
        let lowered = next.vm_pgoff().peek().wrapping_sub(range.pages());
        let to = Adjust {
            start: range.addr,
            end: next.end(),
            pgoff: if case == 3 && defect!(self, OffsetNotLowered) {
                next.vm_pgoff().peek()
            } else {
                lowered
            },
            insert: None,
            expand: Some(next),
            keep_locked,
        };
        let survivor = if defect!(self, WrongSurvivor) {
            area
        } else {
            next
        };
        self.merged(case, area, &to, survivor)
    }

    fn merged<'a>(
        &'a self,
        case: u8,
        vma: Ref<'a, Vma>,
        to: &Adjust<'_>,
        survivor: Ref<'a, Vma>,
    ) -> Option<Ref<'a, Vma>> {
        if self.__vma_adjust(vma, to).is_err() {
            self.note(Note::Undo("vma_merge"));
            return None;
        }
        self.note(Note::Merge(case));
        Some(survivor)
    }

    /// Whether the range may go on what ends where it starts (`can_vma_merge_after`).
    fn can_vma_merge_after(&self, vma: Ref<'_, Vma>, range: &Range) -> bool {
        self.is_mergeable_vma(vma, range)
            && vma.vm_pgoff().peek().wrapping_add(vma.pages()) == range.pgoff
    }

    /// Whether the range may go before what starts where it ends (`can_vma_merge_before`).
    fn can_vma_merge_before(&self, vma: Ref<'_, Vma>, range: &Range) -> bool {
        self.is_mergeable_vma(vma, range)
            && vma.vm_pgoff().peek() == range.pgoff.wrapping_add(range.pages())
    }

    /// `is_mergeable_vma`, `is_mergeable_anon_vma` and the policies.
    fn is_mergeable_vma(&self, vma: Ref<'_, Vma>, range: &Range) -> bool {
        let advice = VmFlags::HUGEPAGE | VmFlags::NOHUGEPAGE;
        let differ = vma.flags() ^ range.flags;
        (differ.is_empty() || (advice.contains(differ) && defect!(self, AdviceMerges)))
            && vma.vm_file().peek() == range.file
            && (!vma.ops().close() || defect!(self, MergeForgetsClose))
            && vma.vm_userfaultfd_ctx().peek() == range.uffd
            && self.mpol_equal(vma.vm_policy().peek(), range.policy)
            && self.is_mergeable_anon_vma(range.anon, vma)
    }

    /// Pages of both sides must be found through one anon_vma; an unfaulted side will do only if
    /// the other was not copied by fork, whose pages may be shared with others.
    fn is_mergeable_anon_vma(&self, anon: Handle<AnonVma>, vma: Ref<'_, Vma>) -> bool {
        let other = vma.anon_vma().peek();
        let singular = || self.chain_is_singular(vma) || defect!(self, ForkedMerges);
        anon == other || ((anon.is_null() || other.is_null()) && singular())
    }
}
