//! The one trait that a design implements, and the words that the machine has for what it tells it.

use vmadiff_contract::{COUNTS, DesignInfo, Reason};

use crate::area::vma::Vma;
use crate::core::current::Current;
use crate::core::machine::Machine;
use crate::core::mm::Mm;
use crate::core::policy::Policy;
use crate::core::slab::{Handle, Ref};
use crate::page::pte::{Need, Pte};
use crate::page::vmf::{Fault, Vmf};

/// What a designer writes: how a fault finds and holds its area without mmap_sem, how a writer shuts
/// faults out, and how an area dies. All else is the machine's. `docs/designs.md` walks through it.
///
/// # The world that a design lives in
///
/// Areas ([`Vma`]) stand in a list and a tree of their address space ([`Mm`]). Whoever changes areas
/// holds `mmap_sem` for writing ([`Section`](crate::core::section::Section)); a fault that the design
/// does not serve holds it for reading. Some changes are made with less, as in Linux 5.1:
///
/// - pages are taken out under the read lock (madvise), or no lock of the address space (truncation);
/// - a stack grows under the read lock and `page_table_lock`;
/// - an area gets its first anon_vma under the read lock and `page_table_lock`;
/// - an address space without users is torn down without any.
///
/// Page tables are walked with interrupts off where no lock keeps them; a table that was unhooked is
/// freed after every processor that had interrupts off has had them on. An entry is written under the
/// lock of its table.
///
/// # The life of an area, and the hooks on its way
///
/// ```text
/// born ──► change_tree(Link) ──► change ⇄ changed, over and over
///   │                              │  mremap: moved ──► stays, or ▼
///   │                              └──► change_tree(Erase) ──► erased ──► removed ──► free_vma
///   │                                   exit:                  erased ──► removed ──► free_vma
///   └──► vm_area_free: it was never linked
/// ```
///
/// # Rules for all hooks
///
/// - Shared words are cells of `vmadiff-interleave`, in [`Design::Area`] and [`Design::Space`] too;
///   each access names a site that [`Design::INFO`] lists. Without a site an access is invisible to
///   schedules: only for words that nobody else can see, or that a lock keeps from all others.
/// - A hook may wait for a lock only where its text says so.
/// - A hook gets areas by name ([`Ref`]). A dead one is reported and never followed, so that a design
///   that goes wrong is a finding and not a crash.
/// - Every hook has a default that does nothing, and with all defaults every fault takes mmap_sem.
pub trait Design: Sized + Send + Sync + 'static {
    /// What the design says of itself, as data: its name, sites, defects, reasons to give up, what
    /// holds between calls, when a free is early, what races aim at. The harness judges by it.
    const INFO: &'static DesignInfo;

    /// A fault that holds an area without mmap_sem makes no page table, waits for no lock, and asks
    /// [`Design::still`] before it writes an entry. If false, what it holds is a lock that keeps the
    /// writers of the area out, and it goes on as a fault under mmap_sem does.
    const OPTIMISTIC: bool = true;

    /// A fault below a stack takes mmap_sem for writing before the stack grows, as since Linux 6.5
    /// (`lock_mm_and_find_vma`), for designs whose [`Design::change`] wants it so of every change of an
    /// area's bounds. If false, stacks grow under mmap_sem for reading, as in 5.1.
    const STACKS_GROW_WRITTEN: bool = false;

    /// What the design keeps beside each area: counts, locks, marks. It lies in the area's slot and
    /// stays there when the slot is used again; [`Design::born`] sets it up.
    type Area: Default + Send + Sync;

    /// What the design keeps beside each address space; [`Design::space_init`] sets it up.
    type Space: Default + Send + Sync;

    /// What a fault without mmap_sem holds of its area, or remembers of it to compare by.
    type Hold<'a>;

    // -- Faults --------------------------------------------------------------------------------

    /// Serves a fault without mmap_sem, or gives up.
    ///
    /// Held: nothing. [`Fault::Retry`] sends the fault on under mmap_sem; each way to give up names
    /// its reason ([`Current::give_up`]). To serve, the design finds the area, makes sure that it
    /// stays an area for as long as it is looked at, fills a [`Vmf`] and lets the machine do the page
    /// work: an optimistic design by [`Current::walk_irqs_off`] and [`Current::handle_pte_fault`], one
    /// that holds a lock by [`Current::handle_held_fault`]. The machine counts a fault that was served;
    /// whatever was taken the design gives back before it returns. A design that refuses an access
    /// itself does so by [`Current::refuse`]. `refused` is the entry that the processor was refused by: of a
    /// fetch it may say more than the area ([`refused_by_code`](crate::call::fault::refused_by_code)).
    ///
    /// A judge follows the fault by what it read, which the machine tells once [`Design::still`] has
    /// confirmed it: of when that was, [`Found::moment`](crate::Found) is to say.
    ///
    /// An area without an anon_vma is not for stores without mmap_sem: to find one its neighbours are
    /// read.
    fn fault(_cx: &Current<'_, Self>, _addr: u64, _need: Need, _refused: Pte) -> Fault {
        Fault::Retry
    }

    /// Whether what the fault went by still holds. Only of [`Design::OPTIMISTIC`] designs.
    ///
    /// Asked twice for each page-table lock: before it is tried, with interrupts off, and
    /// (`locked`) when it is held. Whoever answers `Ok` the second time promises that the entry may
    /// be written: every writer that changes the area from now on takes this lock before it is done.
    ///
    /// # Errors
    /// Why the fault gives up.
    fn still(
        _cx: &Current<'_, Self>,
        _vmf: &Vmf<'_, Self>,
        _locked: bool,
    ) -> Result<(), &'static Reason> {
        Ok(())
    }

    /// A fault without mmap_sem, of an area that it did not copy, needs the area's anon_vma
    /// (`vmf_anon_prepare`). Held: what [`Design::fault`] took.
    ///
    /// # Errors
    /// What becomes of the fault: it gives up, or there is no memory.
    fn vmf_anon_prepare(cx: &Current<'_, Self>, vmf: &Vmf<'_, Self>) -> Result<(), Fault> {
        let prepared = cx.anon_vma_prepare(vmf.vma);
        prepared.map_err(|_| Fault::Oom)
    }

    /// A fault is about to be served in this area, under mmap_sem, which is held, maybe for writing
    /// (mprotect populates a locked area that became writable).
    fn classic(_cx: &Current<'_, Self>, _vma: Ref<'_, Vma>) {}

    // -- Writers of mmap_sem -------------------------------------------------------------------

    /// Sets up what is kept beside a new, empty address space, while nobody else can see it.
    fn space_init(_space: &Self::Space) {}

    /// mmap_sem has just been taken for writing.
    fn write_begin(_m: &Machine<Self>, _mm: &Mm) {}

    /// mmap_sem, held for writing, is about to be given back or downgraded: what is to be seen of
    /// the call's changes is there.
    fn write_end(_m: &Machine<Self>, _mm: &Mm) {}

    // -- Changes of an area --------------------------------------------------------------------

    /// An area is about to be changed: no fault may go on by what it has seen of it, and none may
    /// begin, until the change has [ended](Design::changed). What is held `why` says
    /// ([`Why::written`]); designs that wait for faults under way may wait here where mmap_sem is
    /// held for writing.
    fn change(_m: &Machine<Self>, _vma: Ref<'_, Vma>, _why: Why) {}

    /// The change is made; comes once for each [`Design::change`] whose end is known
    /// ([`Why::is_bracket`]), maybe by another name, as [`Why`] says, and not for an area that was merged
    /// away.
    fn changed(_m: &Machine<Self>, _vma: Ref<'_, Vma>, _why: Why) {}

    /// mremap has moved the entries of `source` to `new` (which may be the same area), and unmaps the
    /// old place next. mmap_sem is held for writing. A fault at the old place must not find it empty
    /// and fill it: designs whose writers shut faults out area by area keep `source` shut until its
    /// pieces are erased or [stay](Design::stays). Ends [`Why::MoveFrom`].
    fn moved(_m: &Machine<Self>, _source: Ref<'_, Vma>, _new: Ref<'_, Vma>) {}

    /// A piece of what mremap moved away from is still mapped when all is done.
    fn stays(_m: &Machine<Self>, _piece: Ref<'_, Vma>) {}

    // -- Life and death ------------------------------------------------------------------------

    /// An area was allocated; nobody else can see it. `copy_of`: the area that it is a copy of (a
    /// split, a move, fork), whose fields it has by now.
    fn born(_m: &Machine<Self>, _vma: Ref<'_, Vma>, _copy_of: Option<Ref<'_, Vma>>) {}

    /// The tree of an address space is about to be changed by `how`, which links or erases `vma`.
    /// mmap_sem is held for writing; lookups without it may be walking the tree, which never has
    /// a cycle, and may miss areas meanwhile.
    fn change_tree(
        _m: &Machine<Self>,
        _mm: &Mm,
        _vma: Ref<'_, Vma>,
        _change: InTree,
        how: impl FnOnce(),
    ) {
        how();
    }

    /// An area left its tree: lookups that begin now do not find it, others may still come to it. At
    /// [`Died::Exit`] nothing was erased: the tree goes as a whole, and nobody is left to look.
    fn erased(_m: &Machine<Self>, _vma: Ref<'_, Vma>, _how: Died) {}

    /// Whoever removed an area is done with it: its pages, file and links are gone, its policy is
    /// not. To be freed ([`Machine::free_vma`]) now, or as soon as no fault can be looking at it.
    fn removed(m: &Machine<Self>, vma: Ref<'_, Vma>, _how: Died) {
        m.free_vma(vma);
    }

    /// The last user of an address space has left, and all that was in it is gone; what remains is the
    /// address space's own memory (`mmdrop`). To be freed ([`Machine::free_mm`]) now, or when nobody names
    /// it any more.
    fn mm_unused(m: &Machine<Self>, mm: Handle<Mm>) {
        m.free_mm(mm);
    }

    /// A grace period has ended that the design asked for ([`Machine::call_rcu`]): every task has
    /// left that was inside an RCU read section, or had interrupts off, at that time.
    fn grace(_m: &Machine<Self>, _vma: Ref<'_, Vma>) {}

    /// The last reference to a policy is gone. A design whose faults read an area's policy without a
    /// lock that keeps mbind out frees it ([`Machine::free_policy`]) after a grace period
    /// ([`Machine::call_rcu_policy`]), and takes its references with `get_unless_zero`.
    fn policy_unused(m: &Machine<Self>, policy: Handle<Policy>) {
        m.free_policy(policy);
    }

    /// The counts that an area has between calls, as [`Design::INFO`] lists them.
    fn counts(_m: &Machine<Self>, _vma: Ref<'_, Vma>) -> [u32; COUNTS] {
        [0; COUNTS]
    }
}

/// A change of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InTree {
    /// An area enters (`__vma_link_rb`).
    Link,
    /// An area leaves (`__vma_rb_erase`), for this reason.
    Erase(Died),
}

/// How an area left its address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Died {
    /// Its range was unmapped (`remove_vma`).
    Unmapped,
    /// A neighbour took its range (`__vma_adjust`).
    Merged,
    /// Its address space has no users any more (`exit_mmap`).
    Exit,
}

/// Why an area changes, by the kernel's function that does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Its bounds move (`__vma_adjust`).
    Adjust,
    /// The bounds of the area before it move, and so may its own.
    AdjustNext,
    /// The area between it and one that grows was merged away. Ends as [`Why::AdjustNext`].
    AdjustNewNext,
    /// Its bounds, or those of an area that gives way to it, move now: nothing can fail any more, and no lock
    /// of a file or an anon_vma is held yet.
    AdjustBounds,
    /// Ends [`Why::Adjust`] and [`Why::AdjustNext`] where the memory to do it was missing.
    AdjustFailed,
    /// Ends [`Why::Adjust`] of an area that mremap moves to: its change goes on, as [`Why::MoveTo`].
    AdjustKept,
    /// It takes part in the adjustment of the area before or after: its bounds move, or it goes. Told of
    /// each before anything of them changes.
    GivesWay,
    /// It, or a piece of it, is about to be copied to another place (`move_vma`).
    Move,
    /// Entries are moved into its range; it may not be linked yet (`copy_vma`, `move_vma`).
    MoveTo,
    /// Entries are moved out of its range (`move_vma`). Ended by [`Design::moved`].
    MoveFrom,
    /// It was just mapped or merged with what was: what entries allow (`mmap_region`).
    Map,
    /// Its flags, what entries allow, and its entries (`mprotect_fixup`).
    Protect,
    /// Its flags (`madvise_behavior`).
    Advise,
    /// Its lock flags (`mlock_fixup`).
    Lock,
    /// Its lock flags go (`munlock_vma_pages_range`).
    Unlock,
    /// mbind looks at it before it changes any area of the range (`queue_pages_range`).
    Bind,
    /// Its policy (`vma_replace_policy`).
    Policy,
    /// Its registration with userfaultfd, and the flag for it.
    Userfault,
    /// fork comes to it, and is about to copy it or to leave it out (`dup_mmap`).
    Dup,
    /// Its entries are write-protected and copied to a child, from the first entry until the TLBs
    /// are flushed, over all areas (`dup_mmap`).
    Fork,
    /// Its pages are replaced by fresh ones (`collapse_huge_page`).
    Collapse,
    /// Its links to anon_vmas go (`free_pgtables`). It has left its tree, and mmap_sem may have been
    /// downgraded since.
    Unlink,
    /// Its pages are taken out (`unmap_page_range`), by munmap and exit, madvise, or truncation.
    Zap,
    /// Its swapped-out pages are given up (`madvise_free_page_range`).
    Free,
    /// Its entries are made inaccessible to learn who uses them (`change_prot_numa`).
    Numa,
    /// Its start moves down to a fault (`expand_downwards`), under `page_table_lock` besides.
    Grow,
}

impl Why {
    /// Whether mmap_sem is held for writing, so that no other writer is at the same area; without,
    /// two changes of one area may overlap. (At exit nothing is held, and nobody else is there.)
    pub fn written(self) -> bool {
        !matches!(
            self,
            Self::Zap | Self::Free | Self::Numa | Self::Grow | Self::Unlink
        )
    }

    /// Whether a [`Design::changed`] tells when the change is made; otherwise it may last until mmap_sem
    /// is given back.
    pub fn is_bracket(self) -> bool {
        !matches!(
            self,
            Self::AdjustBounds | Self::GivesWay | Self::Move | Self::Bind | Self::Dup
        )
    }
}
