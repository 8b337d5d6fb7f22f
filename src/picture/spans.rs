//! What a thread holds: locks, shares of locks and sections, each a bar below its calls.

use std::collections::BTreeSet;

use maud::{Markup, html};
use vmadiff_contract::TaskId;
use vmadiff_interleave::Kind;

use super::timeline::Axis;
use super::{px, told};
use crate::story::{Happening, words};

/// How high a bar is, with the space below it.
pub const HEIGHT: f64 = 12.0;

/// What a thread can be in for a while.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Held {
    /// A lock, by the object's number; and whether it was only tried.
    Lock { object: u32, tried: bool },
    /// A share of one, and whether it was only tried.
    Share { object: u32, tried: bool },
    /// A read-side section of RCU.
    Rcu,
    /// Interrupts are off.
    Irq,
}

impl Held {
    fn begun(kind: Kind, object: u32) -> Option<Self> {
        match kind {
            Kind::Lock | Kind::TryLock => {
                let tried = kind == Kind::TryLock;
                Some(Self::Lock { object, tried })
            }
            Kind::LockShared | Kind::TryLockShared | Kind::Downgrade => {
                let tried = kind == Kind::TryLockShared;
                Some(Self::Share { object, tried })
            }
            Kind::ReadSection => Some(Self::Rcu),
            Kind::IrqOff => Some(Self::Irq),
            _ => None,
        }
    }

    fn is_ended_by(self, kind: Kind, with: u32) -> bool {
        match self {
            Self::Lock { object, .. } => {
                matches!(kind, Kind::Unlock | Kind::Downgrade) && object == with
            }
            Self::Share { object, .. } => kind == Kind::UnlockShared && object == with,
            Self::Rcu => kind == Kind::ReadSectionEnd,
            Self::Irq => kind == Kind::IrqOn,
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Lock { .. } => "lock",
            Self::Share { .. } => "share",
            Self::Rcu => "rcu",
            Self::Irq => "irq",
        }
    }

    fn name(self, lock: &str) -> String {
        match self {
            Self::Lock { .. } => lock.to_owned(),
            Self::Share { .. } => format!("{lock}, shared"),
            Self::Rcu => "RCU read section".to_owned(),
            Self::Irq => "interrupts off".to_owned(),
        }
    }
}

/// From where to where a thread is in something, and in which row below its calls.
pub struct Span {
    held: Held,
    /// What it is called at the site where it is taken.
    lock: &'static str,
    from: usize,
    until: Option<usize>,
    pub row: usize,
}

/// Locks and sections of a task, each in the first row that is free.
pub fn of_task(axis: &Axis<'_>, task: TaskId) -> Vec<Span> {
    let mut all: Vec<Span> = Vec::new();
    for (index, moment) in axis.moments.iter().enumerate() {
        let Happening::Access {
            kind, object, site, ..
        } = moment.what
        else {
            continue;
        };
        if moment.task != task {
            continue;
        }
        let mut open = all.iter_mut().rev().filter(|span| span.until.is_none());
        let ended = open.find(|span| span.held.is_ended_by(kind, object));
        let mut lock = words::thing(site);
        if let Some(span) = ended {
            span.until = Some(index);
            // A lock that is downgraded keeps its name.
            lock = span.lock;
        }
        if let Some(held) = Held::begun(kind, object) {
            let open = all.iter().filter(|span| span.until.is_none());
            let used: BTreeSet<usize> = open.map(|span| span.row).collect();
            all.push(Span {
                held,
                lock,
                from: index,
                until: None,
                row: (0..).find(|row| !used.contains(row)).unwrap_or(0),
            });
        }
    }
    // A try that no unlock follows has failed.
    all.retain(|span| {
        let tried = matches!(
            span.held,
            Held::Lock { tried: true, .. } | Held::Share { tried: true, .. }
        );
        span.until.is_some() || !tried
    });
    all
}

pub fn draw(axis: &Axis<'_>, span: &Span, top: f64) -> Markup {
    let name = span.held.name(span.lock);
    let x = axis.x(span.from);
    let end = span.until.map_or(axis.end(), |until| axis.x(until));
    let width = (end - x).max(2.0);
    let y = top + 4.0 + span.row as f64 * HEIGHT;
    told(
        span.held.class(),
        &name,
        &html! {
            rect x=(px(x)) y=(px(y)) width=(px(width)) height="10" rx="2" {}
            @if name.len() as f64 * 4.8 + 6.0 < width {
                text.held x=(px(x + 3.0)) y=(px(y + 7.8)) { (name) }
            }
        },
    )
}
