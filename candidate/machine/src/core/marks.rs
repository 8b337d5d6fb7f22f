//! Marks: what the machine tells whoever follows it step by step (`docs/steps.md`, section "Marks").
//!
//! A mark stands where a step takes effect, or right behind the read that decides, with no scheduling
//! point between. Where nobody listens it costs a look at a flag.

use vmadiff_contract::{
    About, AnonId, Fd, FileId, FrameId, Mark, PageState, StepKind, TaskId, Told, VmaId,
};

use crate::area::anon_vma::AnonVma;
use crate::area::vma::Vma;
use crate::core::current::Current;
use crate::core::file::File;
use crate::core::machine::Machine;
use crate::core::mm::{Mm, mm_id};
use crate::core::slab::{Handle, Ref};
use crate::core::task::Task;
use crate::design::Design;
use crate::page::frame::Frame;
use crate::page::pte::{Maps, Pte};
use crate::page::table::Table;

impl<D: Design> Machine<D> {
    /// Tells a mark, if anybody listens.
    #[inline]
    pub fn mark(&self, kind: StepKind, about: About, told: Told) {
        if self.listens() {
            self.tell(Mark { kind, about, told });
        }
    }

    /// Tells that a step was done.
    #[inline]
    pub fn mark_done(&self, kind: StepKind, about: About) {
        self.mark(kind, about, Told::Done);
    }

    /// Names this moment, for [`Machine::mark_since`].
    #[inline]
    pub fn moment(&self) -> u64 {
        if self.listens() {
            self.sink().moment()
        } else {
            0
        }
    }

    /// Tells a mark of what was so from `moment` on and counts from now on.
    #[inline]
    pub fn mark_since(&self, moment: u64, kind: StepKind, about: About, told: Told) {
        if self.listens() {
            self.tell_since(moment, Mark { kind, about, told });
        }
    }

    /// Tells by which read a call is refused, if it is.
    ///
    /// # Errors
    /// What `answer` says.
    #[inline]
    pub fn decided<T, E>(&self, about: About, answer: Result<T, E>) -> Result<T, E> {
        let told = if answer.is_ok() {
            Told::Done
        } else {
            Told::Refused
        };
        self.mark(StepKind::Decide, about, told);
        answer
    }

    #[cold]
    fn tell(&self, mark: Mark) {
        self.sink().mark(mark);
    }

    #[cold]
    fn tell_since(&self, moment: u64, mark: Mark) {
        self.sink().mark_since(moment, mark);
    }

    /// Tells an entry of a lowest table that hangs in a tree: before and after.
    #[inline]
    pub fn mark_entry(&self, kind: StepKind, table: Ref<'_, Table>, at: usize, ptes: (Pte, Pte)) {
        if self.listens() {
            self.tell_entry(kind, table, at, ptes);
        }
    }

    #[cold]
    fn tell_entry(&self, kind: StepKind, table: Ref<'_, Table>, at: usize, ptes: (Pte, Pte)) {
        if let Some((mm, base)) = table.place().filter(|_| !table.is_gone(at)) {
            self.tell_pte(None, kind, mm, base + (at as u64) * 4096, ptes);
        }
    }

    /// Tells an entry by its address; `since`: when it was read, if not now.
    #[cold]
    pub fn tell_pte(
        &self,
        since: Option<u64>,
        kind: StepKind,
        mm: Handle<Mm>,
        addr: u64,
        (before, after): (Pte, Pte),
    ) {
        let (mm, addr) = (mm_id(mm), addr & !4095);
        let state = |pte| page_state(mm, addr, pte);
        let mark = Mark {
            kind,
            about: About::Entry { mm, addr },
            told: Told::Entry {
                before: state(before),
                after: state(after),
            },
        };
        match since {
            Some(moment) => self.tell_since(moment, mark),
            None => self.tell(mark),
        }
    }

    /// Tells that a pass has found nothing from `start` to `end`.
    #[inline]
    pub fn mark_gap(&self, kind: StepKind, mm: Handle<Mm>, start: u64, end: u64) {
        if self.listens() && start < end {
            let mm = mm_id(mm);
            self.mark_done(kind, About::Range { mm, start, end });
        }
    }

    /// The name of a task.
    pub fn task_id(&self, task: &Task) -> TaskId {
        let same = |other: &Task| std::ptr::eq(other, task);
        let at = self.tasks().iter().position(same);
        TaskId(at.unwrap_or_default() as u8)
    }
}

impl<D: Design> Current<'_, D> {
    /// The areas of the address space.
    #[inline]
    pub fn areas(&self) -> About {
        About::Areas(mm_id(self.mm))
    }

    /// The counters of the address space.
    #[inline]
    pub fn counters(&self) -> About {
        About::Counters(mm_id(self.mm))
    }

    /// A descriptor of the process.
    #[inline]
    pub fn descriptor(&self, fd: Fd) -> About {
        About::Descriptor {
            mm: mm_id(self.mm),
            fd,
        }
    }
}

impl Ref<'_, Vma> {
    /// The area as what a step is about.
    #[inline]
    pub fn about(self) -> About {
        About::Area(VmaId(self.ordinal()))
    }
}

impl Ref<'_, AnonVma> {
    /// The anon_vma as what a step is about.
    #[inline]
    pub fn about(self) -> About {
        About::Anon(AnonId(self.ordinal()))
    }
}

impl Ref<'_, File> {
    /// The file as what a step is about.
    #[inline]
    pub fn about(self) -> About {
        About::File(FileId(self.ordinal()))
    }

    /// One of its pages.
    #[inline]
    pub fn page(self, index: u64) -> About {
        About::FilePage {
            file: FileId(self.ordinal()),
            index,
        }
    }
}

impl Ref<'_, Frame> {
    /// The frame as what a step is about.
    #[inline]
    pub fn about(self) -> About {
        About::Frame(FrameId(self.ordinal()))
    }
}

/// An entry as others see it; none: there is none.
pub fn page_state(mm: vmadiff_contract::MmId, addr: u64, pte: Pte) -> Option<PageState> {
    let maps = pte.maps()?;
    Some(PageState {
        mm,
        addr,
        present: pte.present(),
        readable: pte.readable(),
        writable: pte.writable(),
        executable: pte.executable(),
        anon: matches!(maps, Maps::Anon(_) | Maps::Swap(_)),
        zero: maps == Maps::Zero,
    })
}
