//! The laws of free events: what one manager's events and states must obey by themselves, call by
//! call, whatever the other manager does.
//!
//! [`Laws`] is fed in the order in which things happen: [`Laws::begin`], an [`Laws::event`] for
//! each event, [`Laws::settle`] with the state after the call; at the end [`Laws::quiesced`]. The
//! fast path of a run and the judge feed the same object, so they cannot disagree. Each family of
//! laws has a file of its own. What a design alone can say (what it counts, when it may free) is
//! data that it declares.

mod close;
mod deferred;
mod file;
mod ledger;
mod misuse;
mod references;
mod vma;

use vmadiff_contract::{CallKind, DesignInfo, Event, Frees, Outcome, Parts, Snapshot};

use super::{Divergence, Object, Rule, Side, Signature};
use file::Files;
use ledger::{Ledger, Names};
use vma::Vmas;

/// A law that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which.
    pub rule: Rule,
    /// What it is about.
    pub object: Option<Object>,
    /// What was done last to the object, where that says more than the call at which it shows.
    pub after: Option<&'static str>,
    /// The signature's field: the kind of the object, or what sets this breach apart.
    pub field: &'static str,
    /// What happened, in one sentence without a full stop.
    pub what: String,
}

impl Broken {
    /// The divergence that this is, in one manager and during a call of this name; where in the run
    /// is for the caller to add.
    #[cold]
    pub(crate) fn diverges(self, side: Side, call: &'static str) -> Divergence {
        let Self {
            rule,
            object,
            after,
            field,
            what,
        } = self;
        let mut divergence = Divergence {
            side: Some(side),
            object,
            ..Divergence::of(
                Signature { rule, call, field },
                format!("in the {side}, {what}"),
            )
        };
        if let Some(call) = after {
            divergence.rename(Signature { rule, call, field });
        }
        divergence
    }
}

/// Fine, or the law that was broken; boxed, since it is rare and events are many.
pub type Obeyed = Result<(), Box<Broken>>;

/// The ledgers of one manager's run.
pub struct Laws {
    /// When VMAs are freed; none: this is the reference, which never makes anything wait.
    frees: Option<Frees>,
    call: Option<CallKind>,
    /// An event has told of an object since the last state.
    stirred: bool,
    /// Policies that areas held in the last state.
    held_by_areas: u64,
    vmas: Vmas,
    files: Files,
    anons: Ledger,
    policies: Ledger,
    frames: Ledger,
    tables: Ledger,
}

impl Laws {
    /// Nothing has happened yet in a manager of this design; none: in the reference.
    pub fn new(design: Option<&'static DesignInfo>) -> Self {
        Self {
            frees: design.map(|design| design.frees),
            call: None,
            stirred: false,
            held_by_areas: 0,
            vmas: Vmas::new(design.map_or(&[], |design| design.counts)),
            files: Files::default(),
            anons: Ledger::new(Names::ANON),
            policies: Ledger::new(Names::POLICY),
            frames: Ledger::new(Names::FRAME),
            tables: Ledger::new(Names::TABLE),
        }
    }

    /// Back to a boot, keeping memory.
    pub fn reset(&mut self) {
        let Self {
            frees: _,
            call,
            stirred,
            held_by_areas,
            vmas,
            files,
            anons,
            policies,
            frames,
            tables,
        } = self;
        *call = None;
        (*stirred, *held_by_areas) = (false, 0);
        vmas.reset();
        files.reset();
        anons.reset();
        policies.reset();
        frames.reset();
        tables.reset();
    }

    /// A call begins; none: the deferred work that ends every run.
    pub fn begin(&mut self, call: Option<CallKind>) {
        self.call = call;
    }

    /// Takes one event of the call.
    ///
    /// # Errors
    /// The law that it breaks.
    #[inline]
    pub fn event(&mut self, event: &Event) -> Obeyed {
        if matches!(event, Event::Note(_)) {
            return Ok(());
        }
        self.stirred = true;
        if self.defers() {
            deferred::allowed(self.frees, event)?;
        }
        match *event {
            Event::VmaAlloc { vma, copy_of } => self.vmas.alloc(vma, copy_of),
            Event::VmaLink { vma, mm } => self.vmas.link(vma, mm),
            Event::VmaUnlink { vma } => self.vmas.unlink(vma, self.call),
            Event::VmaGet { vma, refs } => self.vmas.get_ref(vma, refs),
            Event::VmaPut { vma, refs } => self.vmas.put_ref(vma, refs),
            Event::VmaOpen { vma } => self.vmas.open(vma),
            Event::VmaClose { vma } => self.vmas.close(vma),
            Event::VmaFree { vma } => self.vmas.free(vma),
            Event::FilePut { file, vma } => {
                self.vmas.put_file(vma, file)?;
                self.files.put(file)
            }
            Event::FileFree { file } => self.files.free(file),
            Event::AnonAlloc { anon } => self.anons.alloc(anon.0),
            Event::AnonFree { anon } => self.anons.free(anon.0),
            Event::PolicyAlloc { policy } => self.policies.alloc(policy.0),
            Event::PolicyFree { policy } => self.policies.free(policy.0),
            Event::FrameAlloc { frame } => self.frames.alloc(frame.0),
            Event::FrameFree { frame } => self.frames.free(frame.0),
            Event::TableAlloc { table } => self.tables.alloc(table.0),
            Event::TableFree { table } => self.tables.free(table.0),
            Event::Misuse(misuse) => Err(misuse::broken(misuse)),
            Event::Note(_) => Ok(()),
        }
    }

    /// The call has ended with this outcome in this state.
    ///
    /// # Errors
    /// The law that it breaks.
    pub fn settle(&mut self, outcome: Outcome, state: &Snapshot) -> Obeyed {
        self.settle_moved(outcome, state, Parts::ALL)
    }

    /// The same, where of the state only these parts may be other than in the last one: what neither
    /// they nor an event since then is about was asked before.
    ///
    /// # Errors
    /// The law that it breaks.
    pub fn settle_moved(&mut self, outcome: Outcome, state: &Snapshot, moved: Parts) -> Obeyed {
        let stirred = std::mem::take(&mut self.stirred);
        let areas = moved.areas || stirred;
        if areas {
            self.held_by_areas = self.settle_areas(state)?;
        }
        let policies = self.held_by_areas + self.settle_tasks(state)?;
        if areas || self.defers() {
            self.vmas.settle(state, self.nobody_waits(outcome))?;
        }
        self.vmas.settle_references(state)?;
        if areas || moved.files {
            self.files.settle(state)?;
        }
        self.anons.counted(state.anons, "the state counts")?;
        if self.frees.is_none() || self.waited(outcome) {
            self.policies.counted(policies, "areas and tasks hold")?;
        }
        self.settle_frames(state)
    }

    /// Calls that overlapped have all ended, in this state.
    ///
    /// # Errors
    /// The law that it breaks.
    pub fn settle_woven(&mut self, state: &Snapshot) -> Obeyed {
        self.begin(None);
        // What some call succeeded in says nothing about what waits.
        self.settle(Outcome::NoTask, state)
    }

    /// The run has ended in this state.
    ///
    /// # Errors
    /// The law that it breaks.
    pub fn quiesced(&mut self, last: &Snapshot) -> Obeyed {
        self.vmas.ended()?;
        self.policies.ended()?;
        self.anons.ended()?;
        self.frames.ended()?;
        self.tables.ended()?;
        deferred::nothing_left(last)
    }

    /// Whether what happens now was deferred by an earlier call.
    fn defers(&self) -> bool {
        matches!(self.call, None | Some(CallKind::Softirq))
    }

    /// Whether all that waited has waited long enough: a serial run has no readers, so one grace
    /// period ends all waiting.
    fn waited(&self, outcome: Outcome) -> bool {
        self.defers() && outcome.is_success()
    }

    /// The rule under which each VMA must be gone that is not linked; none: some may wait.
    fn nobody_waits(&self, outcome: Outcome) -> Option<Rule> {
        match self.frees {
            None | Some(Frees::AtOnce | Frees::Recycled) => Some(Rule::VmaFreedLate),
            Some(Frees::AfterReaders) => self.waited(outcome).then_some(Rule::VmaLeaked),
        }
    }

    /// Whatever areas name must live. Answers how many policies they hold.
    fn settle_areas(&mut self, state: &Snapshot) -> Result<u64, Box<Broken>> {
        let mut policies = 0;
        for area in &state.vmas {
            self.vmas.shown(area, state)?;
            if let Some(anon) = area.anon {
                self.anons
                    .used(anon.0, Rule::AnonUsedAfterFree, "an area")?;
            }
            if let Some(policy) = area.policy {
                self.policies
                    .used(policy.0, Rule::PolicyUsedAfterFree, "an area")?;
                policies += 1;
            }
        }
        Ok(policies)
    }

    /// The policies that tasks name must live. Answers how many they are.
    fn settle_tasks(&self, state: &Snapshot) -> Result<u64, Box<Broken>> {
        let mut policies = 0;
        for policy in state.tasks.iter().filter_map(|task| task.policy) {
            self.policies
                .used(policy.0, Rule::PolicyUsedAfterFree, "a task")?;
            policies += 1;
        }
        Ok(policies)
    }

    /// Contents that were swapped out count as a frame in use, while the frame itself is freed.
    /// Several entries may share a slot, so how many slots there are is known within bounds.
    fn settle_frames(&self, state: &Snapshot) -> Obeyed {
        let entries: u64 = state.mms.iter().map(|mm| mm.swap_entries).sum();
        let most = state.anon_frames.saturating_sub(u64::from(entries != 0));
        let least = state.anon_frames.saturating_sub(entries);
        if (least..=most).contains(&self.frames.live()) {
            return Ok(());
        }
        Err(self.frames.miscounted(most, "page tables hold"))
    }
}

#[cold]
fn broken(rule: Rule, object: Object, what: impl Into<String>) -> Box<Broken> {
    Box::new(Broken {
        rule,
        object: Some(object),
        after: None,
        field: object.kind(),
        what: what.into(),
    })
}
