//! A program's schedule as a policy of the simulation: its switches, and where they say nothing,
//! the policy that it names. One that draws begins to draw at the first switch, if there are any.

use vmadiff_interleave::policy::{
    self as sim, Choice, Pct, Pending, Pos, Preemptions, RandomWalk, Surw,
};

use vmadiff_interleave::sim::Step;

use crate::program::{Moment, Policy, Schedule, Switch};

/// Ordered events of the bugs that PCT looks for, and scheduling points of the runs it looks in:
/// those of a few calls of two or three tasks.
const PCT_DEPTH: u32 = 3;
const PCT_POINTS: u32 = 200;

/// The policy of a schedule; made once and used for one after another.
pub(super) struct Chooser {
    policy: Policy,
    list: Preemptions,
    walk: RandomWalk,
    pct: Pct,
    pos: Pos,
    surw: Surw,
    /// The point that is being decided is one of the list's.
    listed: bool,
    /// The policy draws from here on.
    draws: bool,
    switches: Vec<sim::Switch>,
}

impl Default for Chooser {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            list: Preemptions::default(),
            walk: RandomWalk::new(0),
            pct: Pct::new(0, PCT_DEPTH, PCT_POINTS),
            pos: Pos::new(0),
            surw: Surw::new(0),
            listed: false,
            draws: false,
            switches: Vec::new(),
        }
    }
}

impl Chooser {
    /// From here on that of this schedule.
    pub fn set(&mut self, schedule: &Schedule) {
        self.policy = schedule.policy;
        self.switches.clear();
        self.switches.extend(schedule.switches.iter().map(switch));
        self.list.set(&self.switches);
        match schedule.policy {
            Policy::Preemptions => {}
            Policy::RandomWalk => self.walk.reseed(schedule.seed),
            Policy::Pct => self.pct.reseed(schedule.seed),
            Policy::Pos => self.pos.reseed(schedule.seed),
            Policy::Surw => self.surw.reseed(schedule.seed),
        }
    }

    /// From here on the accesses of this run are those that SURW weighs.
    pub fn measure(&mut self, steps: &[Step]) {
        self.surw.measure(steps);
    }

    /// The switches whose moments did not come in the last run.
    pub fn missed(&self) -> impl Iterator<Item = sim::Missed> {
        self.list.missed()
    }

    fn drawing(&mut self) -> Option<&mut dyn sim::Policy> {
        match self.policy {
            Policy::Preemptions => None,
            Policy::RandomWalk => Some(&mut self.walk),
            Policy::Pct => Some(&mut self.pct),
            Policy::Pos => Some(&mut self.pos),
            Policy::Surw => Some(&mut self.surw),
        }
    }
}

fn switch(switch: &Switch) -> sim::Switch {
    let at = match switch.at {
        Moment::Gap(points) => sim::Moment::Gap(points),
        Moment::Site { task, site, nth } => sim::Moment::Site {
            task: task.0,
            site,
            nth,
        },
        Moment::Callback { nth } => sim::Moment::Callback { nth },
    };
    sim::Switch {
        at,
        to: switch.to.0,
    }
}

impl sim::Policy for Chooser {
    fn begin(&mut self) {
        self.list.begin();
        self.draws = self.switches.is_empty();
        if let Some(policy) = self.drawing() {
            policy.begin();
        }
    }

    #[inline]
    fn asks(&mut self, arrived: &Pending) -> bool {
        self.listed = self.list.asks(arrived);
        self.draws |= self.listed;
        if !self.draws && self.policy == Policy::Surw {
            self.surw.passed(arrived);
        }
        self.listed || self.draws && self.policy != Policy::Preemptions
    }

    fn pick(&mut self, choice: &Choice<'_>) -> usize {
        if self.listed {
            return self.list.pick(choice);
        }
        match self.drawing() {
            Some(policy) => policy.pick(choice),
            None => choice.default,
        }
    }

    fn pick_callback(&mut self, ready: usize) -> usize {
        match self.drawing() {
            Some(policy) => policy.pick_callback(ready),
            None => self.list.pick_callback(ready),
        }
    }
}
