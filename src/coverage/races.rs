//! The features of a woven run: what each call came to, which calls overlapped, while which call a
//! speculative fault gave up, and how areas outlived their readers.

use vmadiff_contract::{CallKind, Event, Note, VmaId};
use vmadiff_interleave::Kind;
use vmadiff_interleave::sim::{Step, TASKS, What};

use super::features::{Features, feature, sizes};
use super::layout::{self, Freed};
use crate::program::Program;
use crate::run::{Raised, Woven};

const THREADS: usize = TASKS + 1;

/// Walks over the steps of a run.
#[derive(Default)]
pub struct Races {
    /// The call that each thread is in.
    inside: [Option<CallKind>; THREADS],
    /// How deep each thread is in sections that grace periods wait for.
    sections: [u8; THREADS],
    /// Areas that were erased: by whom, and how many were in sections.
    erased: Vec<(VmaId, u8, u32)>,
    steps: usize,
}

impl Features {
    /// Tells `hit` each feature of a woven run; one that occurs twice, twice.
    pub fn woven(&mut self, program: &Program, woven: &Woven, mut hit: impl FnMut(usize)) {
        let kind = |call: usize| program.calls.get(call).map(|step| step.call.kind());
        for (call, outcome) in woven.outcomes.iter().enumerate() {
            if let (Some(call), Some(outcome)) = (kind(call), *outcome) {
                hit(layout::outcome(call, outcome));
            }
        }
        let races = &mut self.races;
        races.begin();
        let steps = woven.trace.steps();
        for raised in &woven.events {
            races.advance(program, &steps[..raised.step as usize], &mut hit);
            if let (Event::Note(note), Some(call)) = (raised.event, raised.call)
                && let Some(call) = kind(call as usize)
            {
                hit(feature(call, note));
            }
            races.event(raised, &mut hit);
        }
        races.advance(program, steps, &mut hit);
        for (_, _, readers) in races.erased.drain(..) {
            hit(layout::grace(readers, Freed::Later));
        }
        sizes(&woven.state, &mut hit);
    }
}

impl Races {
    fn begin(&mut self) {
        self.inside = [None; THREADS];
        self.sections = [0; THREADS];
        self.erased.clear();
        self.steps = 0;
    }

    /// Goes on to the end of these steps.
    fn advance(&mut self, program: &Program, steps: &[Step], hit: &mut impl FnMut(usize)) {
        for step in steps.get(self.steps..).unwrap_or_default() {
            let task = usize::from(step.task);
            match step.what {
                What::Begin(call) => {
                    let kind = program.calls.get(call as usize).map(|s| s.call.kind());
                    if let Some(kind) = kind {
                        let others = self.inside.iter().flatten();
                        others.for_each(|&other| hit(layout::overlap(other, kind)));
                    }
                    self.inside[task] = kind;
                }
                What::End(_) => self.inside[task] = None,
                What::Access { kind, .. } => self.section(task, kind),
                What::Mark(_) | What::Chose(_) => {}
            }
        }
        self.steps = steps.len();
    }

    fn section(&mut self, task: usize, kind: Kind) {
        let depth = &mut self.sections[task];
        match kind {
            Kind::ReadSection | Kind::IrqOff => *depth = depth.saturating_add(1),
            Kind::ReadSectionEnd | Kind::IrqOn => *depth = depth.saturating_sub(1),
            _ => {}
        }
    }

    fn event(&mut self, raised: &Raised, hit: &mut impl FnMut(usize)) {
        let task = raised.task.0;
        match raised.event {
            Event::Note(Note::GiveUp(reason)) => {
                let others = (0..).zip(&self.inside).filter(|&(other, _)| other != task);
                let calls = others.filter_map(|(_, call)| *call);
                calls.for_each(|call| hit(layout::raced(reason, call)));
            }
            Event::VmaUnlink { vma } => {
                let readers = self.sections.iter().filter(|&&depth| depth != 0).count();
                self.erased.push((vma, task, readers as u32));
            }
            Event::VmaFree { vma } => {
                let index = self.erased.iter().position(|&(erased, ..)| erased == vma);
                if let Some(index) = index {
                    let (_, eraser, readers) = self.erased.swap_remove(index);
                    let freed = match task {
                        0 => Freed::Softirq,
                        _ if task == eraser => Freed::Eraser,
                        _ => Freed::Other,
                    };
                    hit(layout::grace(readers, freed));
                }
            }
            _ => {}
        }
    }
}
