//! Finds for each mark the step that it tells.

use std::collections::HashMap;

use vmadiff_contract::{About, Mark, PageState, Snapshot, StepKind, Told, VmaState};

use crate::follow::Step;
use crate::rules::{self, AGAIN, EARLIER, GOES_ON, LATER, NEED_NONE, SUPERFLUOUS};

/// The names that both managers have for the same objects: of each kind, the candidate's to the
/// reference's and back.
#[derive(Default)]
pub struct Matching {
    names: HashMap<(u8, u32), u32>,
    back: HashMap<(u8, u32), u32>,
}

/// Where in a call's list the marks are.
#[derive(Default)]
struct Place {
    /// The step that was told last; those before it are done or `late`.
    told: Option<usize>,
    /// What it was told by.
    by: Vec<About>,
    /// Steps that may come later, with what they were told by since.
    late: Vec<(usize, Vec<About>)>,
    /// Steps that came before their turn.
    early: Vec<usize>,
    /// What was told of them.
    early_by: Vec<(usize, About)>,
    /// A read has refused the call: what follows undoes.
    refused: bool,
    /// What passes have told of: the step, and the range.
    seen: Vec<(usize, u64, u64)>,
}

impl Place {
    fn begin(&mut self, at: usize, mark: &Mark, skipped: Vec<usize>) {
        self.told = Some(at);
        self.by = vec![mark.about];
        self.late
            .extend(skipped.into_iter().map(|at| (at, Vec::new())));
    }
}

impl Matching {
    /// Whether these are the marks of these steps.
    pub fn call(&mut self, steps: &[Step], marks: &[Mark]) -> Result<(), String> {
        let mut place = Place::default();
        for (number, mark) in marks.iter().enumerate() {
            let Some(at) = self.step_of(&mut place, steps, mark) else {
                if place.refused || rules_allow(mark) {
                    continue;
                }
                return Err(unmatched(&place, steps, marks, number));
            };
            self.bind(&steps[at], mark);
            let last = covered(&mut place, steps, mark);
            place.refused |= mark.told == Told::Refused && mark.kind != StepKind::Allocate;
            if let Some((start, end)) = range_of(mark.about) {
                place
                    .seen
                    .extend((at..=last.max(at)).map(|at| (at, start, end)));
            }
            value_of(&steps[at], mark)
                .map_err(|wrong| format!("{wrong}; {}", unmatched(&place, steps, marks, number)))?;
        }
        let left = place.told.map_or(0, |at| at + 1);
        let done = |at: &usize| needs_none(&steps[*at], &steps[0]) || place.early.contains(at);
        let untold = (left..steps.len()).find(|at| !done(at));
        let mut late = place.late.iter().filter(|(_, by)| by.is_empty());
        let untold = untold.or(late.next().map(|&(at, _)| at));
        if let Some(at) = untold.filter(|_| !place.refused) {
            return Err(format!("{} was not told; {}", row(&steps[at]), all(marks)));
        }
        passed(steps, &place.seen)
    }

    /// The step that a mark tells: the last one once more, one that may come late, or the next.
    fn step_of(&self, place: &mut Place, steps: &[Step], mark: &Mark) -> Option<usize> {
        let once_more = place.told.filter(|&at| {
            let named = !steps[at].about.is_empty();
            self.tells(&steps[at], mark, named)
        });
        let told = place.by.iter().any(|&about| meets(about, mark.about));
        if once_more.is_some() && !told {
            place.by.push(mark.about);
            return once_more;
        }
        for (at, by) in &mut place.late {
            let met = by.iter().any(|&about| meets(about, mark.about));
            if !met && self.tells(&steps[*at], mark, true) {
                by.push(mark.about);
                return Some(*at);
            }
        }
        let goes_on = |&at: &usize| {
            let step = &steps[at];
            rules::names(GOES_ON, step.list, step.row) && self.tells(step, mark, true)
        };
        if let Some(at) = (0..place.told.unwrap_or(0)).find(goes_on) {
            return Some(at);
        }
        let next = place.told.map_or(0, |at| at + 1);
        let reach = |named: bool| {
            let mut skipped = Vec::new();
            for at in next..steps.len() {
                let step = &steps[at];
                let early = place.early.contains(&at);
                if !early && self.tells(step, mark, named) {
                    return Some((at, skipped));
                }
                if early || needs_none(step, &steps[0]) {
                    continue;
                }
                if !rules::names(LATER, step.list, step.row) {
                    break;
                }
                skipped.push(at);
            }
            None
        };
        let Some((at, skipped)) = reach(true) else {
            let unnamed = once_more.is_none().then(|| reach(false)).flatten();
            let Some((at, skipped)) = unnamed else {
                let found = once_more.or_else(|| self.early(place, steps, mark));
                return found.or_else(|| self.again(place, steps, mark));
            };
            place.begin(at, mark, skipped);
            return Some(at);
        };
        place.begin(at, mark, skipped);
        Some(at)
    }

    /// A step ahead that may come before its turn.
    fn early(&self, place: &mut Place, steps: &[Step], mark: &Mark) -> Option<usize> {
        let ahead = place.told.map_or(0, |at| at + 1)..steps.len();
        let may = |&at: &usize| {
            let step = &steps[at];
            let told = place.early_by.contains(&(at, mark.about));
            let early = rules::names(EARLIER, step.list, step.row) && !told;
            early && self.tells(step, mark, true)
        };
        let same = |&at: &usize| may(&at) && steps[at].about.contains(&mark.about);
        let at = ahead
            .clone()
            .find(same)
            .or_else(|| ahead.into_iter().find(may))?;
        place.early.push(at);
        place.early_by.push((at, mark.about));
        Some(at)
    }

    /// A step behind from which the call begins again.
    fn again(&self, place: &mut Place, steps: &[Step], mark: &Mark) -> Option<usize> {
        let at = (0..place.told?).rev().find(|&at| {
            let step = &steps[at];
            rules::names(AGAIN, step.list, step.row) && self.tells(step, mark, true)
        })?;
        place.begin(at, mark, Vec::new());
        Some(at)
    }

    /// Whether a mark may tell of a step. `named`: by an object that the step is about.
    fn tells(&self, step: &Step, mark: &Mark, named: bool) -> bool {
        let undone = mark.kind == StepKind::Uncharge && mark.about == About::Committed;
        if step.kind != mark.kind && !undone {
            return false;
        }
        let about = step.about.iter().any(|&about| self.same(mark.about, about));
        let nothing = step.about.is_empty() || mark.told == Told::Refused;
        about || (!named && nothing && !undone && !rules_allow(mark))
    }

    fn same(&self, told: About, about: About) -> bool {
        let (Some((kind, ours)), Some((other, theirs))) = (name(told), name(about)) else {
            return told == about || inside(told, about);
        };
        let bound = self.names.get(&(kind, ours));
        let back = self.back.get(&(kind, theirs));
        kind == other && bound.is_none_or(|&name| name == theirs) && back.is_none_or(|&n| n == ours)
    }

    /// From now on the two names are one object's.
    fn bind(&mut self, step: &Step, mark: &Mark) {
        let mut same = step
            .about
            .iter()
            .filter(|&&about| self.same(mark.about, about));
        // Where it is any of several: by age.
        let same = same
            .clone()
            .find(|&&about| about == mark.about)
            .or(same.next());
        if let Some((kind, ours)) = name(mark.about)
            && let Some((_, theirs)) = same.and_then(|&about| name(about))
        {
            self.names.insert((kind, ours), theirs);
            self.back.insert((kind, theirs), ours);
        }
    }
}

/// A stretch that a mark tells of may be several steps': the last one that begins in it.
fn covered(place: &mut Place, steps: &[Step], mark: &Mark) -> usize {
    let About::Range { mm, start, end } = mark.about else {
        return 0;
    };
    let begins = |about: &About| match *about {
        About::Range {
            mm: of, start: at, ..
        } => of == mm && start <= at && at < end,
        _ => false,
    };
    while let Some(told) = place.told
        && let Some(next) = steps.get(told + 1)
        && next.kind == mark.kind
        && next.about.iter().any(begins)
    {
        place.told = Some(told + 1);
        place.by = vec![mark.about];
    }
    place.told.unwrap_or(0)
}

/// The name in an object, with the number of its kind.
fn name(about: About) -> Option<(u8, u32)> {
    match about {
        About::Area(id) => Some((0, id.0)),
        About::Frame(id) => Some((1, id.0)),
        About::Anon(id) => Some((2, id.0)),
        About::Policy(id) => Some((3, id.0)),
        About::File(id) => Some((4, id.0)),
        _ => None,
    }
}

/// The range of an entry, or of several.
fn range_of(about: About) -> Option<(u64, u64)> {
    match about {
        About::Entry { addr, .. } => Some((addr, addr.saturating_add(4096))),
        About::Range { start, end, .. } => Some((start, end)),
        _ => None,
    }
}

fn mm_of(about: About) -> Option<u8> {
    match about {
        About::Entry { mm, .. } | About::Range { mm, .. } => Some(mm.0),
        _ => None,
    }
}

/// Whether two marks are about the same, or about the same entry.
fn meets(a: About, b: About) -> bool {
    match (range_of(a), range_of(b)) {
        (Some((start, end)), Some((from, to))) => mm_of(a) == mm_of(b) && start < to && from < end,
        _ => a == b,
    }
}

/// Whether an entry, or a stretch, lies in a range.
fn inside(told: About, about: About) -> bool {
    let (Some((start, end)), Some((from, to))) = (range_of(told), range_of(about)) else {
        return false;
    };
    let stretch = matches!(told, About::Range { .. });
    mm_of(told) == mm_of(about) && from <= start && start < to && (stretch || end <= to)
}

/// Whether a step of a call need not be told: it did nothing, or `rules` say so.
fn needs_none(step: &Step, first: &Step) -> bool {
    let areas = &first.before.vmas;
    let nothing = |about: &About| match *about {
        About::Committed => step.before.committed == step.after.committed,
        About::Range { mm, start, end } => {
            let here = |vma: &VmaState| vma.mm == mm && vma.start < end && start < vma.end;
            start == end || !areas.iter().any(here)
        }
        // Only which areas there are was looked at, under mmap_sem, which keeps them.
        About::Areas(_) => true,
        _ => false,
    };
    step.idle || step.about.iter().all(nothing) || rules::names(NEED_NONE, step.list, step.row)
}

fn rules_allow(mark: &Mark) -> bool {
    SUPERFLUOUS.iter().any(|(kind, _)| *kind == mark.kind)
}

/// Whether a mark tells what the reference has read and written there.
fn value_of(step: &Step, mark: &Mark) -> Result<(), String> {
    let (About::Entry { mm, addr }, Told::Entry { before, after }) = (mark.about, mark.told) else {
        return Ok(());
    };
    let entry = |state: &Snapshot| {
        let pages = state.pages.iter();
        pages
            .copied()
            .find(|page| page.mm == mm && page.addr == addr)
    };
    let shown = step.before.mms.iter().any(|space| space.mm == mm);
    if !shown {
        return Ok(());
    }
    let (was, is) = (entry(&step.before), entry(&step.after));
    let between = |told: Option<PageState>| told == was || told == is || told.is_none();
    if between(before) && between(after) {
        return Ok(());
    }
    Err(format!("{} has {was:?} -> {is:?}", row(step)))
}

/// Whether passes have told of all that there is in their ranges: each page of an area.
fn passed(steps: &[Step], seen: &[(usize, u64, u64)]) -> Result<(), String> {
    for (at, step) in steps.iter().enumerate() {
        let told: Vec<(u64, u64)> = seen
            .iter()
            .filter(|&&(of, ..)| of <= at)
            .map(|&(_, start, end)| (start, end))
            .collect();
        for &about in &step.about {
            let About::Range { mm, start, end } = about else {
                continue;
            };
            if !seen.iter().any(|&(of, ..)| of == at) {
                continue;
            }
            let areas = steps[0].before.vmas.iter().filter(|vma| vma.mm == mm);
            for vma in areas {
                if let Some(addr) = uncovered(start.max(vma.start), end.min(vma.end), &told) {
                    return Err(format!(
                        "{} passes {addr:#x}, which was not told",
                        row(step)
                    ));
                }
            }
        }
    }
    Ok(())
}

/// The first address of a range that lies in none of these.
fn uncovered(start: u64, end: u64, told: &[(u64, u64)]) -> Option<u64> {
    let mut addr = start;
    while addr < end {
        let next = told.iter().filter(|&&(from, to)| from <= addr && addr < to);
        match next.map(|&(_, to)| to).max() {
            Some(to) => addr = to,
            None => return Some(addr),
        }
    }
    None
}

fn row(step: &Step) -> String {
    format!(
        "{}.{} {} {:x?}",
        step.list,
        step.row,
        step.kind.name(),
        step.about
    )
}

fn all(marks: &[Mark]) -> String {
    let lines: Vec<String> = marks
        .iter()
        .map(|mark| format!("\n    {mark:x?}"))
        .collect();
    format!("told was{}", lines.concat())
}

fn unmatched(place: &Place, steps: &[Step], marks: &[Mark], number: usize) -> String {
    let next = place.told.map_or(0, |at| at + 1);
    let expected: Vec<String> = steps.iter().skip(next).take(6).map(row).collect();
    let mark = &marks[number];
    let refused = if place.refused { " (refused)" } else { "" };
    format!(
        "mark {number} {} {:x?} {:x?}{refused} is none of\n    {}\n  after {}",
        mark.kind.name(),
        mark.about,
        mark.told,
        expected.join("\n    "),
        place
            .told
            .map_or("nothing".to_owned(), |at| row(&steps[at])),
    )
}
