//! Totals over many runs: what a summary says, and what a campaign never saw.

use vmadiff_contract::{CallKind, Config, DesignInfo, Errno, Frees, Outcome, Reason, SegvCode};

use super::features::Features;
use super::layout::{self, Freed, PAIRS, Served};
use crate::program::Program;
use crate::run::{Seen, Watch, Woven};

/// Counts every feature over all runs.
pub struct Stats {
    executions: u64,
    hits: Box<[u64; PAIRS]>,
    features: Features,
}

/// What a summary says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "command", derive(serde::Serialize))]
pub struct Summary {
    /// Programs.
    pub executions: u64,
    /// Calls of programs; the exits that end every run do not count.
    pub calls: u64,
    /// Calls that answered a value.
    pub succeeded: u64,
    /// Faults that were served speculatively.
    pub speculative: u64,
    /// Faults that were served under mmap_sem.
    pub classic: u64,
    /// Why faults were not served speculatively, the most frequent first.
    pub gave_up: Vec<(&'static str, u64)>,
    /// In woven runs, while which call of another task they were not, the most frequent first.
    pub raced: Vec<(&'static str, u64)>,
    /// By call, those that were made.
    pub by_call: Vec<CallStats>,
    /// By vma_merge's cases 1 to 8: how often each was taken.
    pub merges: [u64; 8],
    /// What should happen now and then, and never did.
    pub never: Vec<String>,
}

/// What a summary says of one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "command", derive(serde::Serialize))]
pub struct CallStats {
    /// Its name.
    pub call: &'static str,
    /// How often it was made.
    pub made: u64,
    /// How often it answered a value.
    pub succeeded: u64,
    /// What it answered else, by name: errors, and the signals and the like of the text form.
    pub errors: Vec<(&'static str, u64)>,
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            executions: 0,
            hits: Box::new([0; PAIRS]),
            features: Features::default(),
        }
    }
}

impl Watch for Stats {
    fn begin(&mut self, _config: &Config) {
        Stats::begin(self);
    }

    fn call(&mut self, seen: &Seen<'_>) {
        let Self { hits, features, .. } = self;
        features.of(seen, |feature| hits[feature] += 1);
    }

    fn woven(&mut self, program: &Program, woven: &Woven) {
        let Self { hits, features, .. } = self;
        features.woven(program, woven, |feature| hits[feature] += 1);
    }
}

impl Stats {
    pub(super) fn begin(&mut self) {
        self.executions += 1;
        self.features.begin();
    }

    #[inline]
    pub(super) fn hit(&mut self, feature: usize) {
        self.hits[feature] += 1;
    }

    /// Programs so far.
    pub fn executions(&self) -> u64 {
        self.executions
    }

    /// Features that were ever reached.
    pub fn reached(&self) -> usize {
        self.hits.iter().filter(|&&hits| hits != 0).count()
    }

    /// Takes in what another counted.
    pub fn add(&mut self, other: &Self) {
        self.executions += other.executions;
        for (total, more) in self.hits.iter_mut().zip(other.hits.iter()) {
            *total += more;
        }
    }

    /// The features that were reached and how often, by their places in the counters. With the
    /// programs, all there is to send to another process.
    pub fn counts(&self) -> impl Iterator<Item = (usize, u64)> {
        self.hits
            .iter()
            .copied()
            .enumerate()
            .filter(|&(_, hits)| hits != 0)
    }

    /// What [`Stats::counts`] of so many programs came from. Places that are none are left out.
    pub fn from_counts(executions: u64, counts: impl IntoIterator<Item = (usize, u64)>) -> Self {
        let mut stats = Self {
            executions,
            ..Self::default()
        };
        for (feature, hits) in counts {
            if let Some(total) = stats.hits.get_mut(feature) {
                *total += hits;
            }
        }
        stats
    }

    /// Puts the totals into words; why faults gave up is in those of the candidate's design.
    pub fn summary(&self, design: &'static DesignInfo) -> Summary {
        let by_call: Vec<_> = CallKind::ALL
            .iter()
            .filter_map(|&kind| self.of_call(kind))
            .collect();
        let served = |how| {
            ACCESSES
                .iter()
                .map(|&call| self.hits[layout::served(call, how)])
                .sum()
        };
        let merges = std::array::from_fn(|case| {
            let case = case as u8 + 1;
            CallKind::ALL
                .iter()
                .map(|&call| self.hits[layout::merge(call, case)])
                .sum()
        });
        Summary {
            executions: self.executions,
            calls: by_call.iter().map(|c| c.made).sum(),
            succeeded: by_call.iter().map(|c| c.succeeded).sum(),
            speculative: served(Served::Speculative),
            classic: served(Served::Classic),
            gave_up: self.gave_up(design),
            raced: self.raced(design),
            never: self.never(design, &by_call, &merges),
            by_call,
            merges,
        }
    }

    fn of_call(&self, kind: CallKind) -> Option<CallStats> {
        let hits = |outcome| self.hits[layout::outcome(kind, outcome)];
        let errnos = Errno::ALL.iter().map(|&e| (e.name(), Outcome::Errno(e)));
        let errors: Vec<_> = errnos
            .chain(OTHERS.iter().copied())
            .map(|(name, outcome)| (name, hits(outcome)))
            .filter(|&(_, count)| count != 0)
            .collect();
        let first = layout::outcome(kind, Outcome::Value(0));
        let made = self.hits[first..first + layout::OUTCOMES].iter().sum();
        (made != 0).then(|| CallStats {
            call: kind.name(),
            made,
            succeeded: hits(Outcome::Value(0)),
            errors,
        })
    }

    fn gave_up(&self, design: &'static DesignInfo) -> Vec<(&'static str, u64)> {
        let mut reasons: Vec<_> = reasons(design)
            .map(|reason| (reason.name, self.reason(reason)))
            .filter(|&(_, count)| count != 0)
            .collect();
        reasons.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
        reasons
    }

    fn raced(&self, design: &'static DesignInfo) -> Vec<(&'static str, u64)> {
        let of_call = |&call: &CallKind| {
            let hits = reasons(design).map(|reason| self.hits[layout::raced(reason, call)]);
            (call.name(), hits.sum())
        };
        let calls = CallKind::ALL.iter().map(of_call);
        let mut raced: Vec<_> = calls.filter(|&(_, count)| count != 0).collect();
        raced.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
        raced
    }

    fn reason(&self, reason: &Reason) -> u64 {
        ACCESSES
            .iter()
            .map(|&call| self.hits[layout::give_up(call, reason)])
            .sum()
    }

    fn never(
        &self,
        design: &'static DesignInfo,
        by_call: &[CallStats],
        merges: &[u64; 8],
    ) -> Vec<String> {
        let succeeds = |name: &str| by_call.iter().any(|c| c.call == name && c.succeeded != 0);
        let calls = CallKind::ALL.iter().map(|kind| kind.name());
        let mut never: Vec<_> = calls
            .filter(|name| !succeeds(name))
            .map(|name| format!("a call that succeeds: {name}"))
            .collect();
        let cases = (1..).zip(merges).filter(|&(_, &taken)| taken == 0);
        never.extend(cases.map(|(case, _)| format!("vma_merge: case {case}")));
        let raced = self.overlaps().any(|(_, _, hits)| hits != 0);
        let reasons = reasons(design).filter(|reason| reason.serial || raced);
        let reasons = reasons.filter(|reason| self.reason(reason) == 0);
        never.extend(reasons.map(|r| format!("a speculative fault giving up: {}", r.name)));
        if raced {
            self.never_raced(design, &mut never);
        }
        never
    }

    /// What should happen now and then where calls race, and never did.
    fn never_raced(&self, design: &'static DesignInfo, never: &mut Vec<String>) {
        for &kind in CallKind::ALL {
            let met = |of: fn(CallKind) -> bool| {
                let pairs = self.overlaps().filter(|&(first, second, _)| {
                    first == kind && of(second) || second == kind && of(first)
                });
                pairs.map(|(_, _, hits)| hits).sum::<u64>() != 0
            };
            if !met(|_| true) {
                never.push(format!(
                    "a call that another is made beside: {}",
                    kind.name()
                ));
            } else if !met(is_access) {
                never.push(format!("an access beside a call: {}", kind.name()));
            }
        }
        let waited = |readers| self.hits[layout::grace(readers, Freed::Softirq)];
        if design.frees == Frees::AfterReaders && (1..=3).map(waited).sum::<u64>() == 0 {
            never.push("an erased area that outlives a reader".to_owned());
        }
    }

    /// The calls that met: one was under way when the other began.
    fn overlaps(&self) -> impl Iterator<Item = (CallKind, CallKind, u64)> {
        let pairs = CallKind::ALL.iter().flat_map(|&first| {
            let seconds = CallKind::ALL.iter();
            seconds.map(move |&second| (first, second))
        });
        pairs.map(|(first, second)| {
            let hits = self.hits[layout::overlap(first, second)];
            (first, second, hits)
        })
    }
}

/// What is neither a value nor an error.
const OTHERS: &[(&str, Outcome)] = &[
    ("MAPERR", Outcome::Segv(SegvCode::MapErr)),
    ("ACCERR", Outcome::Segv(SegvCode::AccErr)),
    ("SIGBUS", Outcome::Bus),
    ("OOM", Outcome::Oom),
    ("LIVELOCK", Outcome::Livelock),
    ("NOTASK", Outcome::NoTask),
    ("UNSUPPORTED", Outcome::Unsupported),
];

/// One call of each kind of access that the counters tell apart; munmap stands for the rest.
const ACCESSES: [CallKind; layout::ACCESSES] = [
    CallKind::Load,
    CallKind::Store,
    CallKind::Exec,
    CallKind::Munmap,
];

fn is_access(call: CallKind) -> bool {
    matches!(call, CallKind::Load | CallKind::Store | CallKind::Exec)
}

/// Why faults give up.
fn reasons(design: &'static DesignInfo) -> impl Iterator<Item = &'static Reason> {
    design.reasons.iter().copied().flatten().copied()
}
