//! Grace periods: a VMA that was erased from its tree outlives everybody who was inside a section
//! at that moment.

use vmadiff_contract::{Event, TaskId, VmaId};
use vmadiff_interleave::Kind;
use vmadiff_interleave::sim::{Step, TASKS, Trace, What};

use crate::judge::laws::{Broken, Obeyed};
use crate::judge::{Object, Rule};
use crate::run::Raised;

/// Threads of a run: those of tasks, and the softirq.
const THREADS: usize = TASKS + 1;

/// Who is inside, as a run goes on, and who was when VMAs left their trees.
///
/// RCU read sections and sections with interrupts off are told apart, a set of tasks each: one that
/// is entered in the other after the erase, and outlasts it, waits for nobody.
#[derive(Default)]
pub(super) struct Readers {
    /// Steps of the trace that have been seen.
    seen: usize,
    /// How deep each thread is, by kind of section.
    depth: [[u8; THREADS]; 2],
    /// Threads that are inside, a bit each.
    inside: [u32; 2],
    /// VMAs that were erased, and those of `inside` that have been there ever since.
    erased: Vec<(VmaId, [u32; 2])>,
}

impl Readers {
    pub fn reset(&mut self) {
        self.seen = 0;
        self.depth = Default::default();
        self.inside = [0; 2];
        self.erased.clear();
    }

    /// Takes an event. A VMA that is freed must have waited for those who were inside.
    pub fn event(&mut self, trace: &Trace, raised: &Raised) -> Obeyed {
        match raised.event {
            Event::VmaUnlink { vma } => {
                self.advance(trace, raised.step);
                self.erased.push((vma, self.inside));
                Ok(())
            }
            Event::VmaFree { vma } => {
                self.advance(trace, raised.step);
                self.freed(vma)
            }
            _ => Ok(()),
        }
    }

    fn freed(&mut self, vma: VmaId) -> Obeyed {
        let Some(index) = self.erased.iter().position(|&(erased, _)| erased == vma) else {
            return Ok(());
        };
        let (_, waits) = self.erased.swap_remove(index);
        let inside = waits[0] | waits[1];
        if inside == 0 {
            return Ok(());
        }
        let reader = TaskId(inside.trailing_zeros() as u8);
        Err(Box::new(Broken {
            rule: Rule::GracePeriod,
            object: Some(Object::Vma(vma)),
            after: Some("unlinked"),
            field: "vma",
            what: format!(
                "{vma} was freed while task {reader} still reads since before it was erased"
            ),
        }))
    }

    fn advance(&mut self, trace: &Trace, to: u32) {
        let to = to as usize;
        for step in &trace.steps()[self.seen.min(to)..to] {
            self.step(step);
        }
        self.seen = to;
    }

    fn step(&mut self, step: &Step) {
        let What::Access { kind, .. } = step.what else {
            return;
        };
        let (section, enters) = match kind {
            Kind::ReadSection => (0, true),
            Kind::ReadSectionEnd => (0, false),
            Kind::IrqOff => (1, true),
            Kind::IrqOn => (1, false),
            _ => return,
        };
        let depth = &mut self.depth[section][usize::from(step.task)];
        *depth = depth.saturating_add_signed(if enters { 1 } else { -1 });
        let bit = 1 << step.task;
        if enters {
            self.inside[section] |= bit;
        } else if *depth == 0 {
            self.inside[section] &= !bit;
            for (_, waits) in &mut self.erased {
                waits[section] &= !bit;
            }
        }
    }
}
