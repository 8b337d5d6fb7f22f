//! What a woven run consists of: parts of calls, each with the moment at which it took effect and
//! the window in which it may have.
//!
//! A call is a section (what it does under `mmap_sem` held for writing, or at one moment without),
//! faults, and an access; the marks of [`vmadiff_interleave::at`] say where each took effect. A call
//! without a mark took effect somewhere between its begin and its end.

use vmadiff_contract::{Advice, Call, Event, MapFlags, Outcome, PAGE_SIZE, Prot, Touch};
use vmadiff_interleave::sim::{Step, TASKS, What};
use vmadiff_interleave::{Kind, at};

use crate::program::Program;
use crate::run::Woven;

/// A part of a call, replayed as one.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// The call's index in the program.
    pub call: usize,
    /// What is replayed.
    pub act: Act,
    /// The address space: 1 for the first, else the number of the task it was made for.
    pub mm: u8,
    /// The page that it is about; none: a section.
    pub page: Option<u64>,
    /// The step at which it was marked; without a mark the last of its window.
    pub at: u32,
    /// It can have had no effect before this step, and none after the other.
    pub window: (u32, u32),
    /// How it held mmap_sem when it was marked.
    pub holds: Holds,
}

/// What a part does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// All that a call does at one moment.
    Section,
    /// A fault that was served.
    Fault(Touch),
    /// An access that was made.
    Access,
    /// An access that got a signal, or no memory.
    Refused(Touch),
    /// A fault of a call that populates, which got no page.
    Unserved(Touch),
}

/// How mmap_sem is held, by which sections of one address space exclude each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Not at all, or not for the whole of the section.
    Nothing,
    /// For reading.
    Read,
    /// For writing.
    Write,
}

/// The parts of a run, in the order of their marks.
#[derive(Default)]
pub struct Parts {
    pub list: Vec<Part>,
    spans: Vec<Span>,
    /// Events about VMAs and their files, by call.
    life: Vec<(u32, Event)>,
    /// Calls in which a fault allocated an anon_vma that it kept.
    fresh: Vec<u32>,
    /// Faults that were served, by task.
    pub faults: [u64; TASKS + 1],
}

/// Where a call stands in the trace.
#[derive(Clone, Copy, Default)]
struct Span {
    begin: u32,
    end: u32,
    /// The first step that can have changed anything.
    effect: Option<u32>,
    /// The last mark of a section, and how many there were.
    section: Option<u32>,
    sections: u32,
    /// Its access was marked.
    accessed: bool,
}

/// What a thread is at.
#[derive(Clone, Copy, Default)]
struct Thread {
    call: Option<u32>,
    /// Where its current part begins.
    since: u32,
    /// Interrupts were last turned off.
    irq_off: u32,
}

impl Parts {
    /// Reads the parts of a run that came to its end.
    pub fn read(&mut self, program: &Program, woven: &Woven) {
        self.list.clear();
        self.spans.clear();
        self.spans.resize(program.calls.len(), Span::default());
        self.faults = [0; TASKS + 1];
        let mut threads = [Thread::default(); TASKS + 1];
        for (i, step) in woven.trace.steps().iter().enumerate() {
            self.step(program, woven, &mut threads, i as u32, step);
        }
        for call in 0..program.calls.len() {
            self.close(program, woven, call);
        }
        self.list.sort_by_key(|part| part.at);
        self.read_life(woven);
    }

    fn step(
        &mut self,
        program: &Program,
        woven: &Woven,
        threads: &mut [Thread; TASKS + 1],
        i: u32,
        step: &Step,
    ) {
        let thread = &mut threads[usize::from(step.task)];
        if let What::Begin(call) = step.what {
            *thread = Thread {
                call: Some(call),
                since: i,
                irq_off: i,
            };
            self.spans[call as usize].begin = i;
            return;
        }
        let Some(call) = thread.call.map(|call| call as usize) else {
            return;
        };
        let span = &mut self.spans[call];
        match step.what {
            What::End(_) => {
                span.end = i;
                thread.call = None;
            }
            What::Access { kind, .. } => {
                if kind == Kind::IrqOff {
                    thread.irq_off = i;
                } else if changes(kind) && span.effect.is_none() {
                    span.effect = Some(i);
                }
            }
            What::Mark(_) if step.site == at::SECTION => {
                span.section = Some(i);
                span.sections += 1;
            }
            What::Mark(word) => {
                let since = std::mem::replace(&mut thread.since, i);
                let irq_off = thread.irq_off;
                if step.site == at::ACCESS {
                    span.accessed = true;
                    self.access(program, woven, call, i, since, irq_off);
                } else if step.site == at::FAULT {
                    self.fault(program, call, i, since, word);
                } else if step.site == at::REFUSED {
                    let touch = touch_by(word);
                    self.list.push(Part {
                        act: Act::Unserved(touch),
                        page: Some(word & !(PAGE_SIZE - 1)),
                        at: i,
                        window: (since, i),
                        ..section(program, call)
                    });
                }
            }
            What::Begin(_) | What::Chose(_) => {}
        }
    }

    fn fault(&mut self, program: &Program, call: usize, i: u32, since: u32, word: u64) {
        let touch = touch_of(&program.calls[call].call).unwrap_or_else(|| touch_by(word));
        self.faults[usize::from(program.calls[call].task.0).min(TASKS)] += 1;
        let part = Part {
            act: Act::Fault(touch),
            page: Some(word & !(PAGE_SIZE - 1)),
            at: i,
            window: (since, i),
            ..section(program, call)
        };
        self.list.push(part);
    }

    /// The processor answers no interrupt while it makes an access, so what a TLB held before it
    /// turned them off is what it may use.
    fn access(
        &mut self,
        program: &Program,
        woven: &Woven,
        call: usize,
        i: u32,
        since: u32,
        irq_off: u32,
    ) {
        let made = matches!(woven.outcomes[call], Some(Outcome::Value(_)));
        let Some(touch) = touch_of(&program.calls[call].call) else {
            return;
        };
        let (act, since) = if made {
            (Act::Access, since.max(irq_off))
        } else {
            (Act::Refused(touch), since)
        };
        let part = Part {
            act,
            page: page_of(&program.calls[call].call),
            at: i,
            window: (since, i),
            ..section(program, call)
        };
        self.list.push(part);
    }

    /// The call's own part, now that all of it is known.
    fn close(&mut self, program: &Program, woven: &Woven, call: usize) {
        let span = self.spans[call];
        let unmade = matches!(woven.outcomes[call], None | Some(Outcome::Unsupported));
        if unmade || span.accessed || program.calls[call].task.0 == 0 {
            return;
        }
        let part = section(program, call);
        self.list.push(match span.section {
            Some(at) => Part {
                at,
                window: (span.effect.unwrap_or(span.begin).min(at), span.end),
                ..part
            },
            None => Part {
                at: span.end,
                window: (span.begin, span.end),
                holds: Holds::Nothing,
                ..part
            },
        });
    }

    fn read_life(&mut self, woven: &Woven) {
        self.life.clear();
        for raised in &woven.events {
            let about = matches!(
                raised.event,
                Event::VmaAlloc { .. }
                    | Event::VmaLink { .. }
                    | Event::VmaUnlink { .. }
                    | Event::VmaOpen { .. }
                    | Event::VmaClose { .. }
                    | Event::FilePut { .. }
            );
            if let (true, Some(call)) = (about, raised.call) {
                self.life.push((call, raised.event));
            }
        }
        self.life.sort_by_key(|&(call, _)| call);
        self.fresh.clear();
        for raised in &woven.events {
            match (raised.call, raised.event) {
                (Some(call), Event::AnonAlloc { .. }) => self.fresh.push(call),
                // Another fault was faster.
                (Some(call), Event::AnonFree { .. }) => self.fresh.retain(|&c| c != call),
                _ => {}
            }
        }
    }

    /// Whether the call allocated an anon_vma and kept it.
    pub fn took_fresh_anon(&self, call: usize) -> bool {
        self.fresh.contains(&(call as u32))
    }

    /// What a call raised about VMAs and their files, in order.
    pub fn life_of(&self, call: usize) -> &[(u32, Event)] {
        let from = self.life.partition_point(|&(c, _)| (c as usize) < call);
        let to = self.life.partition_point(|&(c, _)| c as usize <= call);
        &self.life[from..to]
    }

    /// How often a call's section was marked: more than once where it gives mmap_sem up on the way.
    pub fn sections_of(&self, call: usize) -> u32 {
        self.spans[call].sections
    }

    /// Whether two calls were under way at the same time.
    pub fn calls_overlap(&self, a: usize, b: usize) -> bool {
        let (a, b) = (self.spans[a], self.spans[b]);
        a.begin < b.end && b.begin < a.end
    }
}

impl Part {
    /// Whether the two can have taken effect in either order, as far as time goes.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.window.0 <= other.window.1 && other.window.0 <= self.window.1
    }

    /// Sections that exclude each other by mmap_sem: the order of their marks is theirs.
    pub fn excludes(&self, other: &Self) -> bool {
        self.mm == other.mm
            && self.holds != Holds::Nothing
            && other.holds != Holds::Nothing
            && (self.holds == Holds::Write || other.holds == Holds::Write)
    }

    /// Whether it is a whole call or a section of one.
    pub fn is_section(&self) -> bool {
        self.act == Act::Section
    }

    /// Whether a section of this call may change what becomes of a page.
    pub fn may_reach(&self, program: &Program, woven: &Woven, other: &Self) -> bool {
        let Some(page) = other.page else {
            return true;
        };
        if self.holds != Holds::Nothing && self.mm != other.mm {
            // A child maps its parent's pages, and these ask who else does.
            let call = &program.calls[self.call].call;
            return matches!(
                call,
                Call::Fork | Call::NumaScan { .. } | Call::Collapse { .. }
            );
        }
        let within = |addr: u64, len: u64| {
            page >= addr & !(PAGE_SIZE - 1) && page < addr.saturating_add(len)
        };
        match program.calls[self.call].call {
            Call::Munmap { addr, len } => within(addr, len),
            Call::Madvise { addr, len, advice } if advice != Advice::Remove => within(addr, len),
            Call::Mprotect { addr, len, prot } => {
                within(addr, len) || prot.contains(Prot::GROWSDOWN)
            }
            Call::Mmap { len, flags, .. } => match woven.outcomes[self.call] {
                // A stack's neighbours may reach further.
                Some(Outcome::Value(addr)) if !flags.contains(MapFlags::GROWSDOWN) => {
                    within(addr, len)
                }
                _ => true,
            },
            _ => true,
        }
    }
}

/// Whether an access to shared memory may change it, or keeps others from doing so.
fn changes(kind: Kind) -> bool {
    use Kind::{CallRcu, Lock, LockShared, TryLock, Update, Write};
    matches!(kind, Write | Update | Lock | LockShared | TryLock | CallRcu)
}

/// What an access does with its byte; none: it is no access.
fn touch_of(call: &Call) -> Option<Touch> {
    match call {
        Call::Load { .. } => Some(Touch::Load),
        Call::Store { .. } => Some(Touch::Store),
        Call::Exec { .. } => Some(Touch::Exec),
        _ => None,
    }
}

/// What a marked fault was for, where that is not the call's own access.
fn touch_by(word: u64) -> Touch {
    if word & 1 == 1 {
        Touch::Store
    } else {
        Touch::Load
    }
}

fn page_of(call: &Call) -> Option<u64> {
    match *call {
        Call::Load { addr } | Call::Store { addr, .. } | Call::Exec { addr } => {
            Some(addr & !(PAGE_SIZE - 1))
        }
        _ => None,
    }
}

/// A section of this call, its place in time still open.
fn section(program: &Program, call: usize) -> Part {
    let step = &program.calls[call];
    let first = step.task.0 <= program.config.tasks.clamp(1, 8);
    Part {
        call,
        act: Act::Section,
        mm: if first { 1 } else { step.task.0 },
        page: None,
        at: 0,
        window: (0, 0),
        holds: holds(&step.call),
    }
}

fn holds(call: &Call) -> Holds {
    match call {
        Call::Mmap { .. }
        | Call::Munmap { .. }
        | Call::Mremap { .. }
        | Call::Brk { .. }
        | Call::Mprotect { .. }
        | Call::Fork
        | Call::Mlock { .. }
        | Call::Mlock2 { .. }
        | Call::Munlock { .. }
        | Call::Mlockall { .. }
        | Call::Munlockall
        | Call::Mbind { .. }
        | Call::UffdRegister { .. }
        | Call::UffdUnregister { .. }
        | Call::Collapse { .. } => Holds::Write,
        Call::Madvise { advice, .. } => match advice {
            Advice::DontNeed | Advice::Free => Holds::Read,
            // It is given up on the way.
            Advice::Remove => Holds::Nothing,
            _ => Holds::Write,
        },
        Call::NumaScan { .. } | Call::Mincore { .. } | Call::Msync { .. } => Holds::Read,
        _ => Holds::Nothing,
    }
}
