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
    which: usize,
    task: u8,
    site: u32,
    nth: u32,
    passed: u32,
    /// It came.
    came: bool,
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
    which: usize,
    points: u32,
    to: u8,
    behind: Option<usize>,
}

/// A switch that takes a callback.
#[derive(Clone, Copy, Debug)]
struct AtCallback {
    which: usize,
    nth: u32,
    index: u8,
}

/// A switch whose moment never came in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missed {
    /// Its index in the list.
    pub switch: usize,
    /// How often its moment was near: its task arrived at its site, that many points were counted
    /// for it, or that many callbacks were chosen.
    pub passed: u32,
}

/// The policy of a list of switches. A switch to a task that cannot move is passed over. Every
/// list is a schedule, and so is every part of it; the empty one runs call after call.
#[derive(Clone, Debug, Default)]
pub struct Preemptions {
    gaps: Vec<AtGap>,
    sites: Vec<AtSite>,
    /// The sites of `sites`, each a bit by its number's last six: nearly every point is at none of them.
    near: u64,
    callbacks: Vec<AtCallback>,
    next_gap: usize,
    points: u32,
    choices: u32,
    to: u8,
}

/// The bit of a site's number.
fn near(site: u32) -> u64 {
    1 << (site % 64)
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
        self.near = 0;
        self.callbacks.clear();
        let mut behind = None;
        for (which, &Switch { at, to }) in switches.iter().enumerate() {
            match at {
                Moment::Gap(points) => self.gaps.push(AtGap {
                    which,
                    points,
                    to,
                    behind: behind.take(),
                }),
                Moment::Site { task, site, nth } => {
                    behind = Some(self.sites.len());
                    self.near |= near(site);
                    self.sites.push(AtSite {
                        which,
                        task,
                        site,
                        nth,
                        passed: 0,
                        came: false,
                        to,
                    });
                }
                Moment::Callback { nth } => self.callbacks.push(AtCallback {
                    which,
                    nth,
                    index: to,
                }),
            }
        }
    }

    /// A task has arrived at what may be the site of a switch; where the first one goes that has come.
    fn passed(&mut self, arrived: &Pending) -> Option<u8> {
        let mut to = None;
        for at in &mut self.sites {
            if at.task == arrived.task && at.site == arrived.site.number() {
                at.passed += 1;
                if at.passed == at.nth {
                    at.came = true;
                    to = to.or(Some(at.to));
                }
            }
        }
        to
    }

    /// The switches whose moments did not come in the run since [`Policy::begin`].
    pub fn missed(&self) -> impl Iterator<Item = Missed> {
        let sites = self.sites.iter().filter(|at| !at.came);
        let sites = sites.map(|at| (at.which, at.passed));
        let gaps = self.gaps[self.next_gap..].iter().enumerate();
        // Points are counted for one switch at a time.
        let gaps = gaps.map(|(later, at)| (at.which, if later == 0 { self.points } else { 0 }));
        let callbacks = self.callbacks.iter().filter(|at| at.nth > self.choices);
        let callbacks = callbacks.map(|at| (at.which, self.choices));
        let all = sites.chain(gaps).chain(callbacks);
        all.map(|(switch, passed)| Missed { switch, passed })
    }
}

impl Policy for Preemptions {
    fn begin(&mut self) {
        self.next_gap = 0;
        self.points = 0;
        self.choices = 0;
        for at in &mut self.sites {
            at.came = false;
            at.passed = u32::from(FIRST.iter().any(|site| site.number() == at.site));
        }
    }

    #[inline]
    fn asks(&mut self, arrived: &Pending) -> bool {
        let mut to = None;
        if self.near & near(arrived.site.number()) != 0 {
            to = self.passed(arrived);
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
        let listed = self.callbacks.iter().find(|at| at.nth == self.choices);
        listed.map_or(0, |at| usize::from(at.index))
    }
}
