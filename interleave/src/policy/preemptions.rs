//! Preemption lists: the earliest unfinished call goes on, but for the switches that are listed.

use super::{Choice, Pending, Policy};
use crate::Site;
use crate::sim::{BEGIN, SOFTIRQ_WAIT};

/// A switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Switch {
    /// When.
    pub at: Moment,
    /// Which task goes on; for [`Moment::Callback`], which callback is taken.
    pub to: u8,
}

/// When a switch happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Moment {
    /// After so many scheduling points, counted from the last switch of the list that came; 0 is
    /// the very next one. Switches of this form come one after another, and one that is listed
    /// right behind a switch by site comes after that.
    Gap(u32),
    /// When this task arrives at the site of this number for the `nth` time, from 1, in the run.
    /// Switches of this form come whenever their moment does. Each task stands at the begin of its
    /// first call when the run starts; the switch that chooses one of them is at `run.start`.
    Site {
        /// Who; 0 is the softirq.
        task: u8,
        /// See [`SiteInfo::number`](crate::SiteInfo::number).
        site: u32,
        /// Which time.
        nth: u32,
    },
    /// When one of several ready callbacks is taken for the `nth` time, from 1, in the run.
    Callback {
        /// Which time.
        nth: u32,
    },
}

/// Where tasks stand when a run starts. They have not arrived there, and yet it is the first time.
static FIRST: [Site; 2] = [BEGIN, SOFTIRQ_WAIT];

/// A switch by site, and how often its site was passed.
#[derive(Clone, Copy, Debug)]
struct AtSite {
    task: u8,
    site: u32,
    nth: u32,
    passed: u32,
    to: u8,
}

impl AtSite {
    /// It has not come yet.
    fn is_ahead(&self) -> bool {
        self.passed < self.nth
    }
}

/// A switch by gap, and the switch by site that must have come before it.
#[derive(Clone, Copy, Debug)]
struct AtGap {
    points: u32,
    to: u8,
    behind: Option<usize>,
}

/// The policy of a list of switches. A switch to a task that cannot move is passed over. Every
/// list is a schedule, and so is every part of it; the empty one runs call after call.
#[derive(Clone, Debug, Default)]
pub struct Preemptions {
    gaps: Vec<AtGap>,
    sites: Vec<AtSite>,
    callbacks: Vec<(u32, u8)>,
    next_gap: usize,
    points: u32,
    choices: u32,
    to: u8,
}

impl Preemptions {
    /// The policy of these switches.
    pub fn new(switches: &[Switch]) -> Self {
        let mut policy = Self::default();
        policy.set(switches);
        policy
    }

    /// Replaces the list and keeps the memory.
    pub fn set(&mut self, switches: &[Switch]) {
        self.gaps.clear();
        self.sites.clear();
        self.callbacks.clear();
        let mut behind = None;
        for &Switch { at, to } in switches {
            match at {
                Moment::Gap(points) => self.gaps.push(AtGap {
                    points,
                    to,
                    behind: behind.take(),
                }),
                Moment::Site { task, site, nth } => {
                    behind = Some(self.sites.len());
                    self.sites.push(AtSite {
                        task,
                        site,
                        nth,
                        passed: 0,
                        to,
                    });
                }
                Moment::Callback { nth } => self.callbacks.push((nth, to)),
            }
        }
    }
}

impl Policy for Preemptions {
    fn begin(&mut self) {
        self.next_gap = 0;
        self.points = 0;
        self.choices = 0;
        for at in &mut self.sites {
            at.passed = u32::from(FIRST.iter().any(|site| site.number() == at.site));
        }
    }

    #[inline]
    fn asks(&mut self, arrived: &Pending) -> bool {
        let mut to = None;
        for at in &mut self.sites {
            if at.task == arrived.task && at.site == arrived.site.number() {
                at.passed += 1;
                if at.passed == at.nth {
                    to = to.or(Some(at.to));
                }
            }
        }
        if to.is_none() {
            match self.gaps.get(self.next_gap) {
                Some(gap) if gap.behind.is_some_and(|site| self.sites[site].is_ahead()) => {}
                Some(gap) if gap.points == self.points => {
                    self.next_gap += 1;
                    to = Some(gap.to);
                }
                _ => self.points += 1,
            }
        }
        let Some(to) = to else { return false };
        self.points = 0;
        self.to = to;
        true
    }

    fn pick(&mut self, choice: &Choice<'_>) -> usize {
        let wanted = choice.pending.iter().position(|at| at.task == self.to);
        wanted.unwrap_or(choice.default)
    }

    fn pick_callback(&mut self, _ready: usize) -> usize {
        self.choices += 1;
        let listed = self.callbacks.iter().find(|(nth, _)| *nth == self.choices);
        listed.map_or(0, |&(_, index)| usize::from(index))
    }
}
