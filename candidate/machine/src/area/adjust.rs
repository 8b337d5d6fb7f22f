//! Moving the bounds of an area, with what that does to its neighbour (`__vma_adjust`).

use vmadiff_contract::StepKind;
use vmadiff_interleave::WriteGuard;

use crate::area::anon_vma_links::NoMemory;
use crate::area::vma::Vma;
use crate::core::current::Current;
use crate::core::mm::Mm;
use crate::core::slab::{Handle, Ref};
use crate::defects::defect;
use crate::design::{Design, Died, Why};
use crate::sites as site;

/// What an adjustment is to come to.
#[derive(Clone, Copy)]
pub struct Adjust<'a> {
    /// The new start.
    pub start: u64,
    /// The new end.
    pub end: u64,
    /// The new offset in pages.
    pub pgoff: u64,
    /// An area to put into the room that this leaves (a split).
    pub insert: Option<Ref<'a, Vma>>,
    /// The area that is to survive (a merge).
    pub expand: Option<Ref<'a, Vma>>,
    /// The survivor's change goes on when this is done.
    pub keep_locked: bool,
}

/// What becomes of the next area.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Nothing.
    Stays,
    /// Its start moves by so many bytes, up or down (wrapping).
    Moves(u64),
    /// It goes (cases 1 and 7).
    Goes,
    /// It goes, and then the one after it (case 6).
    BothGo,
    /// It goes, and it is the one below that was to be adjusted (case 8: the two were swapped).
    WasBelow,
}

impl<D: Design> Current<'_, D> {
    /// Gives `vma` these bounds. The next area gives way or is removed; if `insert` is given it
    /// takes the room instead.
    ///
    /// # Errors
    /// No memory to import the anon_vma of the area that gives way; nothing has changed then.
    pub fn __vma_adjust(&self, vma: Ref<'_, Vma>, to: &Adjust<'_>) -> Result<(), NoMemory> {
        let mm = self.mm(vma.vm_mm().peek());
        let (mut vma, mut end) = (vma, to.end);
        let mut next = self.next(vma);
        D::change(self, vma, Why::Adjust);
        if let Some(next) = next {
            D::change(self, next, Why::AdjustNext);
        }
        let mut fate = Next::Stays;
        if let Some(mut other) = next
            && to.insert.is_none()
        {
            fate = self.fate_of_next(vma, other, to);
            self.tell_who_gives_way(other, fate, Why::GivesWay);
            if fate == Next::WasBelow {
                std::mem::swap(&mut vma, &mut other);
                next = Some(other);
            } else if matches!(fate, Next::Goes | Next::BothGo) {
                end = other.end();
            }
            if let Err(no_memory) = self.import_anon_vma(vma, other, fate) {
                D::changed(self, other, Why::AdjustFailed);
                D::changed(self, vma, Why::AdjustFailed);
                return Err(no_memory);
            }
            self.tell_who_gives_way(other, fate, Why::AdjustBounds);
        }
        D::change(self, vma, Why::AdjustBounds);
        loop {
            self.move_bounds(mm, vma, next, end, fate, to);
            match (fate, next) {
                (Next::Stays | Next::Moves(_), _) | (_, None) => break,
                (Next::WasBelow, Some(gone)) => {
                    self.vma_merged_away(mm, gone);
                    next = None;
                    break;
                }
                (Next::Goes | Next::BothGo, Some(gone)) => {
                    self.vma_merged_away(mm, gone);
                    next = self.next(vma);
                    if let Some(next) = next {
                        D::change(self, next, Why::AdjustNewNext);
                    }
                }
            }
            match next {
                Some(second) if fate == Next::BothGo => {
                    if defect!(self, SecondNextStays) {
                        break;
                    }
                    (fate, end) = (Next::Goes, second.end());
                }
                _ => break,
            }
        }
        if let Some(next) = next {
            D::changed(self, next, Why::AdjustNext);
        }
        let done = if to.keep_locked {
            Why::AdjustKept
        } else {
            Why::Adjust
        };
        D::changed(self, vma, done);
        Ok(())
    }

    /// Tells the design whom the adjustment is about besides.
    fn tell_who_gives_way(&self, next: Ref<'_, Vma>, fate: Next, why: Why) {
        if fate == Next::Stays {
            return;
        }
        D::change(self, next, why);
        if let Some(second) = self.next(next).filter(|_| fate == Next::BothGo) {
            D::change(self, second, why);
        }
    }

    fn fate_of_next(&self, vma: Ref<'_, Vma>, next: Ref<'_, Vma>, to: &Adjust<'_>) -> Next {
        if to.end >= next.end() {
            if to.expand == Some(next) && !defect!(self, WrongSurvivor) {
                Next::WasBelow
            } else if to.end > next.end() {
                Next::BothGo
            } else {
                Next::Goes
            }
        } else if to.end > next.start() {
            // Case 5.
            Next::Moves(to.end - next.start())
        } else if to.end < vma.end() {
            // Case 4.
            Next::Moves(to.end.wrapping_sub(vma.end()))
        } else {
            Next::Stays
        }
    }

    /// If the side that gives way was faulted and the one that grows was not, the latter takes over
    /// the anon_vma: it will hold the pages.
    fn import_anon_vma(
        &self,
        vma: Ref<'_, Vma>,
        next: Ref<'_, Vma>,
        fate: Next,
    ) -> Result<(), NoMemory> {
        let (exporter, importer) = match fate {
            Next::Stays => return Ok(()),
            // Case 4: the area shrinks and the next one grows.
            Next::Moves(by) if (by as i64) < 0 => (Some(vma), next),
            Next::BothGo if next.anon_vma().peek().is_null() => (self.next(next), vma),
            _ => (Some(next), vma),
        };
        let Some(exporter) = exporter else {
            return Ok(());
        };
        let anon = exporter.anon_vma().peek();
        if anon.is_null() || !importer.anon_vma().peek().is_null() {
            return Ok(());
        }
        importer.anon_vma().set(site::VMA_ADJUST__ANON_VMA, anon);
        self.anon_vma_clone(importer, exporter)
    }

    /// The step under the locks of file and anon_vma: bounds, offset, and who is linked.
    fn move_bounds(
        &self,
        mm: &Mm,
        vma: Ref<'_, Vma>,
        next: Option<Ref<'_, Vma>>,
        end: u64,
        fate: Next,
        to: &Adjust<'_>,
    ) {
        let file = vma.vm_file().peek().some().map(|file| self.files.get(file));
        let _i_mmap = file.map(|file| file.i_mmap_rwsem().write(site::VMA_ADJUST__I_MMAP));
        if let (Some(insert), Some(file)) = (to.insert, file) {
            self.insert_shared_vm_struct(insert, file);
        }
        let _tree = self.lock_anon_vma_of(vma, next.filter(|_| matches!(fate, Next::Moves(_))));
        let highest = next.map_or(vma.end(), Ref::end).max(end);
        mm.holes.changed(vma.start().min(to.start), highest);
        if vma.start() != to.start {
            vma.vm_start().set(site::VMA_ADJUST__VM_START, to.start);
        }
        if vma.end() != end {
            vma.vm_end().set(site::VMA_ADJUST__VM_END, end);
        }
        if vma.vm_pgoff().peek() != to.pgoff {
            vma.vm_pgoff().set(site::VMA_ADJUST__VM_PGOFF, to.pgoff);
        }
        match (fate, next, to.insert) {
            (Next::Moves(by), Some(next), _) => {
                let start = next.start().wrapping_add(by);
                next.vm_start().set(site::VMA_ADJUST__NEXT_START, start);
                let pages = (by as i64 >> 12) as u64;
                let pgoff = next.vm_pgoff().peek().wrapping_add(pages);
                next.vm_pgoff().set(site::VMA_ADJUST__NEXT_PGOFF, pgoff);
            }
            (Next::Stays, _, Some(insert)) => self.__insert_vm_struct(mm, insert),
            (Next::Stays, ..) | (_, None, _) => {}
            (_, Some(gone), _) => {
                self.__vma_unlink_common(mm, gone);
                if let Some(file) = file {
                    self.__remove_shared_vm_struct(gone, file);
                }
            }
        }
        if to.insert.is_none() {
            self.adjusted(vma, to);
        }
    }

    /// Tells what an adjustment without a new area has come to, its locks still held.
    fn adjusted(&self, vma: Ref<'_, Vma>, to: &Adjust<'_>) {
        let (kind, about) = match to.expand {
            Some(survivor) if to.keep_locked => (StepKind::Link, survivor),
            Some(survivor) => (StepKind::Merge, survivor),
            None => (StepKind::Resize, vma),
        };
        self.mark_done(kind, about.about());
    }

    fn lock_anon_vma_of(
        &self,
        vma: Ref<'_, Vma>,
        next: Option<Ref<'_, Vma>>,
    ) -> Option<WriteGuard<'_>> {
        let own = vma.anon_vma().peek();
        let anon = own.some().or_else(|| next?.anon_vma().peek().some())?;
        Some(self.anon_vma_lock(anon))
    }

    /// What remains of an area that was merged away: file, anon_vma links, count.
    ///
    /// Deviation (A24): v12 puts the file here and still names it, unlike in `remove_vma`.
    fn vma_merged_away(&self, mm: &Mm, gone: Ref<'_, Vma>) {
        if let Some(file) = gone.vm_file().peek().some() {
            self.vma_fput(gone, file, false);
            if !defect!(self, MergeKeepsFile) {
                gone.vm_file()
                    .set(site::VMA_ADJUST__FORGET_FILE, Handle::NULL);
            }
        }
        if !gone.anon_vma().peek().is_null() {
            // anon_vma_merge
            self.unlink_anon_vmas(gone, false);
        }
        mm.map_count.set(
            site::VMA_ADJUST__MAP_COUNT,
            mm.map_count.peek().wrapping_sub(1),
        );
        D::removed(self, gone, Died::Merged);
    }
}
