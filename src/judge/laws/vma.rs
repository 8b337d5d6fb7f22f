//! The life of a VMA: allocated, linked, unlinked, freed; each once and in this order.
//!
//! The record of each VMA serves three more families: counted references (`references`),
//! `vm_ops->open` and `close` (`close`), and the reference to its file (`file`).

use vmadiff_contract::{
    AtRest, CallKind, Count, FileId, FileKind, MmId, Snapshot, VmaId, VmaState,
};

use super::{Broken, Obeyed, broken};
use crate::judge::{Object, Rule};

/// All VMAs of a run; the one with ordinal `n` is at `n - 1`.
pub struct Vmas {
    /// What each linked VMA carries.
    pub(super) counts: &'static [Count],
    /// Counted references of a VMA that was just allocated.
    fresh_refs: u32,
    records: Vec<Record>,
    live: usize,
    /// How many are linked, in all address spaces together.
    linked: usize,
    /// Allocated in this call.
    fresh: Vec<VmaId>,
    /// Unlinked in this call.
    pub(super) removed: Vec<VmaId>,
    /// Freed in this call without having been unlinked, and in which address space.
    torn: Vec<(VmaId, MmId)>,
}

/// What is known of one VMA.
#[derive(Clone, Copy)]
pub struct Record {
    pub live: bool,
    pub tree: Tree,
    /// Counted references, by events.
    pub refs: u32,
    /// Its references were seen to be counted.
    pub counted: bool,
    /// What was done last that its counts go by: it was mapped or copied, then its references were taken
    /// and put, and it was unlinked.
    pub last: &'static str,
    /// Its `vm_ops` have `close`: it was opened, or it maps such a file.
    pub has_close: bool,
    pub opened: bool,
    pub closed: bool,
    /// The file that a state showed it to map.
    pub file: Option<FileId>,
    pub put: bool,
    /// The call that unlinked it.
    by: Option<CallKind>,
}

/// Where a VMA stands towards its tree.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tree {
    Never,
    In(MmId),
    Left,
}

impl Vmas {
    /// Of a manager whose linked VMAs carry these counts.
    pub fn new(counts: &'static [Count]) -> Self {
        let fresh_refs = counts.iter().find_map(|count| match count.at_rest {
            AtRest::References { fresh, .. } => Some(fresh),
            AtRest::Even => None,
        });
        Self {
            counts,
            fresh_refs: fresh_refs.unwrap_or(0),
            records: Vec::new(),
            live: 0,
            linked: 0,
            fresh: Vec::new(),
            removed: Vec::new(),
            torn: Vec::new(),
        }
    }

    pub fn reset(&mut self) {
        let Self {
            counts: _,
            fresh_refs: _,
            records,
            live,
            linked,
            fresh,
            removed,
            torn,
        } = self;
        records.clear();
        *live = 0;
        *linked = 0;
        fresh.clear();
        removed.clear();
        torn.clear();
    }

    pub fn alloc(&mut self, vma: VmaId, copy_of: Option<VmaId>) -> Obeyed {
        if let Some(original) = copy_of {
            self.live_record(original)?;
        }
        let next = VmaId(self.records.len() as u32 + 1);
        if vma != next {
            let what = format!("{vma} was allocated where the next is {next}");
            return Err(broken(Rule::Ordinal, Object::Vma(vma), what));
        }
        self.records.push(Record {
            live: true,
            tree: Tree::Never,
            refs: self.fresh_refs,
            counted: false,
            last: if copy_of.is_some() {
                "copied"
            } else {
                "mapped"
            },
            has_close: false,
            opened: false,
            closed: false,
            file: None,
            put: false,
            by: None,
        });
        self.live += 1;
        self.fresh.push(vma);
        Ok(())
    }

    pub fn link(&mut self, vma: VmaId, mm: MmId) -> Obeyed {
        let record = self.live_record(vma)?;
        if record.tree != Tree::Never {
            return Err(about(
                Rule::VmaTree,
                vma,
                "entered a tree for the second time",
            ));
        }
        record.tree = Tree::In(mm);
        self.linked += 1;
        Ok(())
    }

    pub fn unlink(&mut self, vma: VmaId, by: Option<CallKind>) -> Obeyed {
        let record = self.live_record(vma)?;
        if !matches!(record.tree, Tree::In(_)) {
            return Err(about(
                Rule::VmaTree,
                vma,
                "left its tree without being in one",
            ));
        }
        record.tree = Tree::Left;
        record.last = "unlinked";
        record.by = by;
        self.linked -= 1;
        self.removed.push(vma);
        Ok(())
    }

    pub fn free(&mut self, vma: VmaId) -> Obeyed {
        let record = *self.record(vma)?;
        if !record.live {
            return Err(about(Rule::VmaFreedOnce, vma, "was freed twice"));
        }
        let kept = match record.tree {
            Tree::Never => self.fresh_refs,
            Tree::In(_) | Tree::Left => 0,
        };
        if record.counted && record.refs > kept {
            let left = match record.refs {
                1 => "a reference".to_owned(),
                refs => format!("{refs} references"),
            };
            let what = format!("was freed with {left} left");
            let broken = about(Rule::VmaFreedReferenced, vma, &what);
            return Err(after(record.last, broken));
        }
        record.owes_nothing(vma)?;
        if let Tree::In(mm) = record.tree {
            self.linked -= 1;
            self.torn.push((vma, mm));
        }
        self.live -= 1;
        self.records[vma.0 as usize - 1].live = false;
        Ok(())
    }

    /// The call has ended, and each area was [`shown`](Self::shown). `at_once`: whoever is not
    /// linked must be gone, under this rule.
    pub fn settle(&mut self, state: &Snapshot, at_once: Option<Rule>) -> Obeyed {
        self.settle_trees(state)?;
        for &vma in &self.fresh {
            let record = &self.records[vma.0 as usize - 1];
            if record.live && record.tree == Tree::Never {
                return Err(leaked(vma, record, Rule::VmaLeaked));
            }
        }
        self.fresh.clear();
        for &vma in &self.removed {
            self.records[vma.0 as usize - 1].owes_nothing(vma)?;
        }
        self.removed.clear();
        match at_once {
            Some(rule) if self.live != state.vmas.len() => self.nobody_waits(rule),
            _ => Ok(()),
        }
    }

    /// Every task has exited and nothing waits: nobody may live.
    pub fn ended(&self) -> Obeyed {
        match self.find(|record| record.live) {
            Some((vma, record)) => Err(leaked(vma, record, Rule::VmaLeaked)),
            None => Ok(()),
        }
    }

    /// An area that the state shows: it must live in the tree that shows it, with its file.
    #[inline]
    pub fn shown(&mut self, shown: &VmaState, state: &Snapshot) -> Obeyed {
        let vma = shown.vma;
        let record = self.live_record(vma)?;
        if record.tree != Tree::In(shown.mm) {
            let what = format!("is shown in {} and was not linked there", shown.mm);
            return Err(about(Rule::VmaTree, vma, &what));
        }
        if record.closed {
            return Err(about(Rule::VmaClose, vma, "was closed and lives on"));
        }
        if record.put {
            return Err(about(Rule::FilePut, vma, "put its file and lives on"));
        }
        if record.file.is_none() && shown.file.is_some() {
            record.file = shown.file;
            let kind = state.files.iter().find(|f| Some(f.file) == shown.file);
            record.has_close |= kind.is_some_and(|f| f.kind == Some(FileKind::WithClose));
        }
        Ok(())
    }

    /// The trees hold what is shown, and those of address spaces that are gone hold nothing.
    fn settle_trees(&mut self, state: &Snapshot) -> Obeyed {
        let lives = |mm: MmId| state.mms.iter().any(|m| m.mm == mm);
        if let Some(&(vma, mm)) = self.torn.iter().find(|&&(_, mm)| lives(mm)) {
            let what = format!("was freed while linked in {mm}, which lives on");
            return Err(about(Rule::VmaFreedLinked, vma, &what));
        }
        self.torn.clear();
        if self.linked == state.vmas.len() {
            return Ok(());
        }
        Err(self.hidden(state))
    }

    /// More are linked than are shown, or fewer.
    #[cold]
    fn hidden(&self, state: &Snapshot) -> Box<Broken> {
        let lives = |mm: MmId| state.mms.iter().any(|m| m.mm == mm);
        let hidden = self.find(|r| match r.tree {
            Tree::In(mm) => r.live && !state.vmas.iter().any(|v| v.mm == mm && self.is(r, v.vma)),
            Tree::Never | Tree::Left => false,
        });
        let Some((vma, record)) = hidden else {
            let vma = state.vmas.last().map_or(VmaId(0), |v| v.vma);
            return about(Rule::VmaTree, vma, "or another is shown twice");
        };
        match record.tree {
            Tree::In(mm) if !lives(mm) => leaked(vma, record, Rule::VmaLeaked),
            _ => about(
                Rule::VmaTree,
                vma,
                "is in its tree and the state does not show it",
            ),
        }
    }

    fn is(&self, record: &Record, vma: VmaId) -> bool {
        self.records
            .get((vma.0 as usize).wrapping_sub(1))
            .is_some_and(|r| std::ptr::eq(r, record))
    }

    fn nobody_waits(&self, rule: Rule) -> Obeyed {
        match self.find(|r| r.live && !matches!(r.tree, Tree::In(_))) {
            Some((vma, record)) => Err(leaked(vma, record, rule)),
            None => Ok(()),
        }
    }

    fn find(&self, is: impl Fn(&Record) -> bool) -> Option<(VmaId, &Record)> {
        let at = self.records.iter().position(is)?;
        Some((VmaId(at as u32 + 1), &self.records[at]))
    }

    pub(super) fn record(&mut self, vma: VmaId) -> Result<&mut Record, Box<Broken>> {
        self.records
            .get_mut((vma.0 as usize).wrapping_sub(1))
            .ok_or_else(|| about(Rule::Ordinal, vma, "is named and was never allocated"))
    }

    /// The record of a VMA that is being used.
    pub(super) fn live_record(&mut self, vma: VmaId) -> Result<&mut Record, Box<Broken>> {
        let record = self.record(vma)?;
        if record.live {
            return Ok(record);
        }
        Err(about(
            Rule::VmaUsedAfterFree,
            vma,
            "was used after it was freed",
        ))
    }
}

/// A count is wrong since what was done last to it, and shows at any call.
#[cold]
pub(super) fn after(last: &'static str, mut broken: Box<Broken>) -> Box<Broken> {
    broken.after = Some(last);
    broken
}

/// Says what broke the rule, with the VMA for a subject.
#[cold]
pub(super) fn about(rule: Rule, vma: VmaId, what: &str) -> Box<Broken> {
    broken(rule, Object::Vma(vma), format!("{vma} {what}"))
}

/// A leak's field is the call that should have led to the free: leaks show late, and all alike.
#[cold]
fn leaked(vma: VmaId, record: &Record, rule: Rule) -> Box<Broken> {
    let (field, what) = match (record.tree, record.by) {
        (Tree::Never, _) => (
            "never-linked",
            "was never linked and never freed".to_owned(),
        ),
        (Tree::In(mm), _) => ("exit", format!("was not freed when {mm} was torn down")),
        (Tree::Left, None) => ("quiescence", "left its tree and was never freed".to_owned()),
        (Tree::Left, Some(call)) => (
            call.name(),
            format!("was unlinked by {} and never freed", call.name()),
        ),
    };
    Box::new(Broken {
        field,
        ..*about(rule, vma, &what)
    })
}
