//! Objects that are allocated once and freed once: anon_vmas, policies, page frames, page tables.

use vmadiff_contract::{AnonId, FrameId, PolicyId, TableId};

use super::{Broken, Obeyed, broken};
use crate::judge::{Object, Rule};

/// What the objects of a ledger are called, and the rules that they fall under.
pub struct Names {
    object: fn(u32) -> Object,
    freed_once: Rule,
    leaked: Rule,
}

impl Names {
    pub const ANON: Self = Self {
        object: |id| Object::Anon(AnonId(id)),
        freed_once: Rule::AnonFreedOnce,
        leaked: Rule::AnonLeaked,
    };
    pub const POLICY: Self = Self {
        object: |id| Object::Policy(PolicyId(id)),
        freed_once: Rule::PolicyFreedOnce,
        leaked: Rule::PolicyLeaked,
    };
    pub const FRAME: Self = Self {
        object: |id| Object::Frame(FrameId(id)),
        freed_once: Rule::FrameFreedOnce,
        leaked: Rule::FrameLeaked,
    };
    pub const TABLE: Self = Self {
        object: |id| Object::Table(TableId(id)),
        freed_once: Rule::TableFreedOnce,
        leaked: Rule::TableLeaked,
    };
}

/// Who lives. The object with ordinal `n` is at `n - 1`.
pub struct Ledger {
    names: Names,
    lives: Vec<bool>,
    live: u64,
}

impl Ledger {
    pub fn new(names: Names) -> Self {
        Self {
            names,
            lives: Vec::new(),
            live: 0,
        }
    }

    pub fn reset(&mut self) {
        self.lives.clear();
        self.live = 0;
    }

    pub fn live(&self) -> u64 {
        self.live
    }

    pub fn alloc(&mut self, id: u32) -> Obeyed {
        let next = self.lives.len() as u32 + 1;
        if id != next {
            let object = (self.names.object)(id);
            let what = format!("{object} was allocated where the next is number {next}");
            return Err(broken(Rule::Ordinal, object, what));
        }
        self.lives.push(true);
        self.live += 1;
        Ok(())
    }

    pub fn free(&mut self, id: u32) -> Obeyed {
        match self.slot(id) {
            Some(lives @ true) => {
                *lives = false;
                self.live -= 1;
                Ok(())
            }
            Some(false) => Err(self.broken(self.names.freed_once, id, "was freed twice")),
            None => Err(self.broken(Rule::Ordinal, id, "was freed and never allocated")),
        }
    }

    /// The state names it: it must live.
    #[inline]
    pub fn used(&self, id: u32, rule: Rule, by: &str) -> Obeyed {
        match self.lives.get((id as usize).wrapping_sub(1)) {
            Some(true) => Ok(()),
            known => Err(self.misnamed(id, known.is_some(), rule, by)),
        }
    }

    #[cold]
    fn misnamed(&self, id: u32, known: bool, rule: Rule, by: &str) -> Box<Broken> {
        if known {
            self.broken(rule, id, &format!("was freed and {by} still names it"))
        } else {
            self.broken(Rule::Ordinal, id, &format!("is named by {by} and unknown"))
        }
    }

    /// So many live, as far as another account goes.
    #[inline]
    pub fn counted(&self, held: u64, by: &str) -> Obeyed {
        if held == self.live {
            return Ok(());
        }
        Err(self.miscounted(held, by))
    }

    /// The account differs; the youngest that lives is the likeliest to be the one too many.
    #[cold]
    pub fn miscounted(&self, held: u64, by: &str) -> Box<Broken> {
        let youngest = self.lives.iter().rposition(|&lives| lives);
        let object = youngest.map(|i| (self.names.object)(i as u32 + 1));
        let kind = (self.names.object)(0).kind();
        let what = format!("by its events {} {kind}s live, and {by} {held}", self.live);
        Box::new(Broken {
            rule: self.names.leaked,
            object,
            after: None,
            field: kind,
            what,
        })
    }

    /// Nobody may live any more.
    pub fn ended(&self) -> Obeyed {
        match self.lives.iter().position(|&lives| lives) {
            None => Ok(()),
            Some(i) => Err(self.broken(self.names.leaked, i as u32 + 1, "was never freed")),
        }
    }

    fn slot(&mut self, id: u32) -> Option<&mut bool> {
        self.lives.get_mut((id as usize).wrapping_sub(1))
    }

    #[cold]
    fn broken(&self, rule: Rule, id: u32, what: &str) -> Box<Broken> {
        let object = (self.names.object)(id);
        broken(rule, object, format!("{object} {what}"))
    }
}
