//! Reads the parts of a woven run out of its trace: marks, and what each call did around them.

use vmadiff_contract::{Call, Errno, Event, Outcome, PAGE_SIZE, Touch};
use vmadiff_interleave::sim::{Step, TASKS, What};
use vmadiff_interleave::{Kind, at};

use super::parts::{Act, Holds, Part, Parts, Span, has_stack, section};
use crate::program::Program;
use crate::run::Woven;

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
        let stack = has_stack(program);
        for part in &mut self.list {
            part.wants_anon = match part.act {
                Act::Fault(touch) | Act::Refused(touch) | Act::Unserved(touch) => {
                    stack || touch == Touch::Store
                }
                _ => false,
            };
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
                // What the call populates, it populates afterwards.
                thread.since = i;
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
        let mut part = section(program, call);
        if woven.outcomes[call] == Some(Outcome::Errno(Errno::EAGAIN))
            && program.calls[call].call == Call::Fork
        {
            // Numbers for tasks are short, which is asked for last, without mmap_sem.
            part.holds = Holds::Nothing;
        }
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
                (Some(call), Event::AnonAlloc { anon }) => {
                    self.fresh.push((call, raised.step, anon));
                }
                // Another fault was faster.
                (Some(call), Event::AnonFree { anon }) => {
                    self.fresh.retain(|&(c, _, a)| (c, a) != (call, anon));
                }
                _ => {}
            }
        }
    }
}

/// Whether an access to shared memory may change it, or keeps others from doing so.
fn changes(kind: Kind) -> bool {
    use Kind::{CallRcu, Lock, LockShared, TryLock, TryLockShared, Update, Write};
    matches!(
        kind,
        Write | Update | Lock | LockShared | TryLock | TryLockShared | CallRcu
    )
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
