//! Which sites a woven run passed, in order: what switches are named by, so what tells how they are
//! called in a program that has a call less, and where else in a call they could come.

use std::ops::Range;

use vmadiff_contract::TaskId;
use vmadiff_interleave::sim::What;

use crate::program::{Moment, Switch};
use crate::run::Woven;

/// The sites that the tasks of a run passed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passes {
    all: Vec<Pass>,
    switches: Vec<Switch>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pass {
    task: TaskId,
    site: u32,
    call: Option<usize>,
}

impl Passes {
    /// Those of a run.
    pub fn of(woven: &Woven) -> Self {
        let mut inside = [None; 32];
        let mut all = Vec::new();
        for step in woven.trace.steps() {
            let place = usize::from(step.task) % inside.len();
            match step.what {
                What::Begin(call) => inside[place] = Some(call as usize),
                What::Access { .. } => {}
                What::Mark(_) | What::End(_) | What::Chose(_) => continue,
            }
            all.push(Pass {
                task: TaskId(step.task),
                site: step.site.number(),
                call: inside[place],
            });
        }
        let switches = woven.trace.switches();
        Self {
            all,
            switches: switches.into_iter().map(Switch::from).collect(),
        }
    }

    /// The switches that make this run again, each by the name of its place.
    pub fn switches(&self) -> &[Switch] {
        &self.switches
    }

    /// The switches in a program without these calls. Those within them are gone.
    pub fn without(&self, switches: &[Switch], calls: &Range<usize>) -> Vec<Switch> {
        let is_gone = |pass: &Pass| pass.call.is_some_and(|call| calls.contains(&call));
        let lower = |switch: &Switch| {
            let Moment::Site { task, site, nth } = switch.at else {
                return Some(*switch);
            };
            let (index, at) = self.find(task, site, nth)?;
            let before = self.all[..index].iter().filter(|pass| is_gone(pass));
            let gone = before.filter(|pass| pass.is_at(task, site)).count() as u32;
            let nth = nth - gone;
            (!is_gone(at)).then_some(Switch {
                at: Moment::Site { task, site, nth },
                ..*switch
            })
        };
        switches.iter().filter_map(lower).collect()
    }

    /// The places behind a switch's own in the same call, the last one first.
    pub fn later(&self, switch: &Switch) -> Vec<Moment> {
        let Moment::Site { task, site, nth } = switch.at else {
            return Vec::new();
        };
        let Some((index, at)) = self.find(task, site, nth) else {
            return Vec::new();
        };
        let rest = self.all.iter().enumerate().skip(index + 1);
        let own = rest.filter(|(_, pass)| pass.task == task && pass.call == at.call);
        let mut later: Vec<Moment> = own.map(|(index, pass)| self.moment(index, pass)).collect();
        later.reverse();
        later
    }

    fn moment(&self, index: usize, pass: &Pass) -> Moment {
        let Pass { task, site, .. } = *pass;
        let before = self.all[..=index].iter();
        Moment::Site {
            task,
            site,
            nth: before.filter(|other| other.is_at(task, site)).count() as u32,
        }
    }

    fn find(&self, task: TaskId, site: u32, nth: u32) -> Option<(usize, &Pass)> {
        let passes = self.all.iter().enumerate();
        let mut same = passes.filter(|(_, pass)| pass.is_at(task, site));
        same.nth((nth as usize).checked_sub(1)?)
    }
}

impl Pass {
    fn is_at(&self, task: TaskId, site: u32) -> bool {
        self.task == task && self.site == site
    }
}
