//! Policies of ranges and of tasks: mbind, set_mempolicy. What a policy is, `policy` says.

use vmadiff_contract::{About, Errno, Mode, PolicyFlags, StepKind, Told};
use vmadiff_interleave::at;

use crate::area::merge::Range;
use crate::area::split::SplitError;
use crate::area::vma::Vma;
use crate::call::mmap::page_align;
use crate::core::current::Current;
use crate::core::policy::{Policy, PolicyKind};
use crate::core::section::Section;
use crate::core::slab::{Handle, Ref};
use crate::defects::defect;
use crate::design::{Design, Why};
use crate::sites as site;

/// The node flags, which go with the mode (MPOL_MODE_FLAGS).
const MODE_FLAGS: PolicyFlags = PolicyFlags::STATIC_NODES.union(PolicyFlags::RELATIVE_NODES);

/// MPOL_MF_MOVE_ALL, which takes a privilege that no task has.
const MOVE_ALL: u32 = 4;

/// A policy as it is asked for.
#[derive(Clone, Copy)]
pub struct Asked {
    /// The mode.
    pub mode: Mode,
    /// The node mask.
    pub nodes: u64,
    /// Node flags, and for mbind what to do with pages.
    pub flags: PolicyFlags,
}

impl Asked {
    /// What both calls refuse first: an unknown mode, node flags that exclude each other.
    fn check_mode(&self) -> Result<(), Errno> {
        if matches!(self.mode, Mode::Other(_)) || self.flags.contains(MODE_FLAGS) {
            return Err(Errno::EINVAL);
        }
        Ok(())
    }
}

impl<D: Design> Current<'_, D> {
    /// `mbind`. No page is on a wrong node, so none is moved, and MPOL_MF_STRICT finds nothing.
    pub fn sys_mbind(&self, start: u64, len: u64, asked: Asked) -> Result<u64, Errno> {
        asked.check_mode()?;
        let moves = PolicyFlags::STRICT | PolicyFlags::MOVE;
        let unknown = (asked.flags - MODE_FLAGS - moves).bits();
        if unknown & !MOVE_ALL != 0 {
            return Err(Errno::EINVAL);
        }
        if unknown & MOVE_ALL != 0 {
            return Err(Errno::EPERM);
        }
        if start & 4095 != 0 {
            return Err(Errno::EINVAL);
        }
        let end = start.wrapping_add(page_align(len));
        if end < start {
            return Err(Errno::EINVAL);
        }
        if end == start {
            return Ok(0);
        }
        let policy = self.mpol_new(asked)?;
        let bound = {
            let _write = Section::enter(self, self.mm_struct(), site::MBIND__MMAP_SEM);
            self.mpol_set_nodemask(policy, asked.nodes)
                .and_then(|()| self.queue_pages_range(start, end, policy.is_null()))
                .and_then(|()| self.mbind_range(start, end, policy))
        };
        self.mpol_put(site::MBIND__MPOL_PUT, policy);
        bound.map(|()| 0)
    }

    /// `set_mempolicy`: the task's own policy, which nobody else reads.
    pub fn sys_set_mempolicy(&self, asked: Asked) -> Result<u64, Errno> {
        asked.check_mode()?;
        if !(asked.flags - MODE_FLAGS).is_empty() {
            return Err(Errno::EINVAL);
        }
        let policy = self.mpol_new(asked)?;
        self.mpol_set_nodemask(policy, asked.nodes)
            .inspect_err(|_| self.mpol_put(site::SET_MEMPOLICY__MPOL_PUT, policy))?;
        let old = self.task.mempolicy.peek();
        self.task
            .mempolicy
            .set(site::SET_MEMPOLICY__MEMPOLICY, policy);
        at::section();
        let task = About::Task(self.task_id(self.task));
        self.mark_done(StepKind::Policy, task);
        self.mpol_put(site::SET_MEMPOLICY__MPOL_PUT, old);
        Ok(0)
    }

    /// A policy of that mode, its nodes yet to be set (`mpol_new`); MPOL_DEFAULT is none.
    fn mpol_new(&self, asked: Asked) -> Result<Handle<Policy>, Errno> {
        let empty = asked.nodes == 0;
        let flags = asked.flags & MODE_FLAGS;
        let mut mode = asked.mode;
        let refused = match mode {
            Mode::Default => !empty,
            Mode::Preferred => empty && !flags.is_empty(),
            Mode::Local => !empty || !flags.is_empty(),
            _ => empty,
        };
        if refused {
            return Err(Errno::EINVAL);
        }
        match mode {
            Mode::Default => return Ok(Handle::NULL),
            Mode::Local => mode = Mode::Preferred,
            _ => {}
        }
        let kind = PolicyKind {
            mode,
            flags,
            user_nodes: 0,
            nodes: 0,
        };
        self.mpol_alloc(kind).map_err(|_| Errno::ENOMEM)
    }

    /// Gives a policy those of the nodes that there are (`mpol_set_nodemask`), while nobody else
    /// can see it. Relative ones count round and round the nodes that there are.
    ///
    /// # Errors
    /// EINVAL: a mask that had nodes has none left.
    fn mpol_set_nodemask(&self, policy: Handle<Policy>, asked: u64) -> Result<(), Errno> {
        let Some(policy) = policy.some().map(|policy| self.policies.get(policy)) else {
            return Ok(());
        };
        let kind = policy.kind();
        let online = self.nodes_online();
        let count = online.count_ones();
        let nodes = if kind.flags.contains(PolicyFlags::RELATIVE_NODES) {
            let bits = (0..64).filter(|bit| asked >> bit & 1 != 0);
            bits.fold(0, |nodes, bit| nodes | 1 << (bit % count))
        } else {
            asked & online
        };
        if asked != 0 && nodes == 0 {
            return Err(Errno::EINVAL);
        }
        policy.init_kind(PolicyKind {
            user_nodes: asked,
            nodes,
            ..kind
        });
        Ok(())
    }

    /// Looks at the areas of a range before any is changed (`queue_pages_range`): holes between
    /// them, and at the end if nothing follows, are refused unless `holes` are allowed. The first
    /// area is `mbind_range`'s business.
    fn queue_pages_range(&self, start: u64, end: u64, holes: bool) -> Result<(), Errno> {
        let mut prev: Option<Ref<'_, Vma>> = None;
        let mut next = self.find_vma(start);
        while let Some(vma) = next.filter(|vma| vma.start() < end) {
            D::change(self, vma, Why::Bind);
            next = self.next(vma);
            let last = next.is_none() && vma.end() < end;
            let hole = last || prev.is_some_and(|prev| prev.end() < vma.start());
            if hole && !holes {
                self.mark(StepKind::Decide, self.areas(), Told::Refused);
                return Err(Errno::EFAULT);
            }
            prev = Some(vma);
        }
        Ok(())
    }

    /// Gives the areas of a range a policy (`mbind_range`).
    fn mbind_range(&self, start: u64, end: u64, policy: Handle<Policy>) -> Result<(), Errno> {
        let first = self.find_vma(start).filter(|vma| vma.start() <= start);
        if first.is_none() {
            self.mark(StepKind::Decide, self.areas(), Told::Refused);
        }
        let first = first.ok_or(Errno::EFAULT)?;
        self.mark_done(StepKind::Decide, self.areas());
        let mut prev = if start > first.start() {
            Some(first)
        } else {
            self.prev(first)
        };
        let mut next = Some(first);
        while let Some(vma) = next.filter(|vma| vma.start() < end) {
            let (from, to) = (start.max(vma.start()), end.min(vma.end()));
            let bound = self.mbind_area(vma, prev, from, to, policy)?;
            prev = Some(bound);
            next = self.next(bound);
        }
        Ok(())
    }

    /// One area, or a piece of it; answers the area that it is in then.
    fn mbind_area<'a>(
        &'a self,
        vma: Ref<'a, Vma>,
        prev: Option<Ref<'a, Vma>>,
        from: u64,
        to: u64,
        policy: Handle<Policy>,
    ) -> Result<Ref<'a, Vma>, Errno> {
        if self.mpol_equal(vma.vm_policy().peek(), policy) {
            return Ok(vma);
        }
        let first = if defect!(self, MbindWrongOffset) {
            vma.start()
        } else {
            from
        };
        let range = Range {
            policy,
            pgoff: vma.pgoff_of(first),
            ..Range::of(vma, from, to)
        };
        if let Some(merged) = self.vma_merge(prev, &range) {
            let kept = if defect!(self, MbindKeepsMerged) {
                vma
            } else {
                merged
            };
            if !self.mpol_equal(kept.vm_policy().peek(), policy) {
                self.vma_replace_policy(kept, policy)?;
            }
            return Ok(kept);
        }
        self.split_around(vma, from, to)
            .map_err(|_: SplitError| Errno::ENOMEM)?;
        self.vma_replace_policy(vma, policy)?;
        Ok(vma)
    }

    /// Gives an area a policy of its own that says the same (`vma_replace_policy`), as a
    /// change; the old one goes when no fault holds it any more.
    fn vma_replace_policy(&self, vma: Ref<'_, Vma>, policy: Handle<Policy>) -> Result<(), Errno> {
        let new = self.mpol_dup(policy).map_err(|_| Errno::ENOMEM)?;
        D::change(self, vma, Why::Policy);
        let old = vma.vm_policy().peek();
        vma.vm_policy()
            .set(site::VMA_REPLACE_POLICY__VM_POLICY, new);
        self.mark_done(StepKind::Policy, vma.about());
        D::changed(self, vma, Why::Policy);
        self.mpol_put(site::VMA_REPLACE_POLICY__MPOL_PUT, old);
        Ok(())
    }
}
