//! A race as a table: a column a thread, switches marked, and the story numbered: (1) looked up
//! here, (2) unlinked here, (3) used here.

use std::collections::{BTreeMap, BTreeSet};

use vmadiff_contract::{About, Event, Misuse, TaskId, VmaId};
use vmadiff_interleave::{Kind, Owner, at};

use super::{Report, Role};
use crate::judge::steps::StepAt;
use crate::judge::{Divergence, Object};
use crate::program::Program;
use crate::story::{Happening, Moment, words};

/// Columns that are left for the numbers of the story.
const NOTES: usize = 24;
/// The narrowest and the widest that a thread's column gets.
const COLUMN: (usize, usize) = (20, 44);
/// Rows above which accesses to what threads share are left out.
const MANY: usize = 60;

pub fn add(
    report: &mut Report,
    program: &Program,
    divergence: Option<&Divergence>,
    story: &[Moment],
    width: usize,
) {
    let notes = divergence.map_or_else(BTreeMap::new, |found| notes(story, found));
    let deciding = divergence.map_or_else(BTreeSet::new, |found| deciding(story, found));
    let mut rows = repeats(pairs(rows(
        program,
        story,
        &notes,
        &deciding,
        &shared(story),
    )));
    if rows.len() > MANY {
        rows = repeats(pairs(self::rows(
            program,
            story,
            &notes,
            &deciding,
            &BTreeSet::new(),
        )));
    }
    let told = rows.iter().rposition(|row| !row.note.is_empty());
    let cut = told.map_or(rows.len(), |last| last + AFTERWARDS);
    let is_cut = cut < rows.len();
    rows.truncate(cut);
    let tasks: BTreeSet<TaskId> = rows.iter().map(|row| row.task).collect();
    let mut tasks: Vec<TaskId> = tasks.into_iter().collect();
    if tasks.is_empty() {
        return;
    }
    // The kernel itself, which is 0, has the last column.
    tasks.sort_by_key(|task| (task.0 == 0, task.0));
    let width = width.saturating_sub(NOTES + 2) / tasks.len();
    let width = width.saturating_sub(2).clamp(COLUMN.0, COLUMN.1);
    report.heading("threads, a column each");
    let heads: String = tasks
        .iter()
        .map(|task| match task.0 {
            0 => format!("  {:<width$}", "kernel"),
            task => format!("  {:<width$}", format!("task {task}")),
        })
        .collect();
    report.line(Role::Plain, heads.trim_end().to_owned());
    let ruler = format!("  {}", "-".repeat(width)).repeat(tasks.len());
    report.line(Role::Plain, ruler);
    for row in rows {
        let place = tasks.iter().position(|task| *task == row.task).unwrap_or(0);
        let before = " ".repeat(2 + place * (width + 2));
        let after = (tasks.len() - place) * (width + 2) - 2;
        let text = fitted(&row.text, width);
        let line = format!("{before}{text:after$}  {}", row.note);
        let role = if row.note.is_empty() {
            Role::Plain
        } else {
            Role::Marked
        };
        report.line(role, line.trim_end().to_owned());
    }
    if is_cut {
        report.line(Role::Plain, "  and so on".to_owned());
    }
}

/// Rows shown behind the last that is told.
const AFTERWARDS: usize = 4;

/// A line of the table.
struct Row {
    task: TaskId,
    text: String,
    note: String,
}

fn rows(
    program: &Program,
    story: &[Moment],
    notes: &BTreeMap<usize, String>,
    deciding: &BTreeSet<usize>,
    shared: &BTreeSet<u32>,
) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let misused = misused(story);
    let mut skip_to = 0;
    for (index, moment) in story.iter().enumerate() {
        let mut row = |task, text: String| {
            let note = notes.get(&index).cloned().unwrap_or_default();
            rows.push(Row { task, text, note });
        };
        if index < skip_to {
            continue;
        }
        if let Some(end) = alone(story, index, notes) {
            let answer = words::moment(program, &story[end]).unwrap_or_default();
            let call = numbered(program, moment.call);
            row(moment.task, format!("{call} {answer}"));
            skip_to = end + 1;
            continue;
        }
        let begins = moment.what == Happening::Begin;
        let came = index > 0 && switches(&story[index - 1], moment) && !begins;
        let left = story
            .get(index + 1)
            .is_some_and(|next| switches(moment, next));
        let told =
            notes.contains_key(&index) || deciding.contains(&index) || is_of(moment, &misused);
        if told || came || left || is_shown(moment, shared) {
            let text = if begins {
                Some(numbered(program, moment.call))
            } else {
                words::moment(program, moment)
            };
            row(
                moment.task,
                text.unwrap_or_else(|| format!("{:?}", moment.what)),
            );
        }
        if let Some(next) = story.get(index + 1).filter(|_| left) {
            let to = match next.task.0 {
                0 => "the kernel".to_owned(),
                task => format!("task {task}"),
            };
            rows.push(Row {
                task: moment.task,
                text: format!("-- switch to {to}"),
                note: String::new(),
            });
        }
    }
    rows
}

/// A call, with its number in the program.
fn numbered(program: &Program, call: Option<usize>) -> String {
    let text = words::call(program, call);
    call.map_or_else(|| text.clone(), |call| format!("{}. {text}", call + 1))
}

/// Puts what begins and ends at once on one line.
fn pairs(rows: Vec<Row>) -> Vec<Row> {
    let mut short: Vec<Row> = Vec::new();
    for row in rows {
        let before = short.last_mut().filter(|before| before.task == row.task);
        let both = before.as_ref().and_then(|before| {
            let both = match (before.text.as_str(), row.text.as_str()) {
                ("interrupts off", "interrupts on") => "interrupts off, on".to_owned(),
                ("rcu_read_lock", "rcu_read_unlock") => "rcu_read_lock, unlock".to_owned(),
                (taken, given) => {
                    let lock = taken.strip_prefix("takes ")?.trim_end_matches(", shared");
                    (given.strip_prefix("gives back ")? == lock)
                        .then(|| format!("{taken}, gives it back"))?
                }
            };
            (before.note.is_empty() && row.note.is_empty()).then_some(both)
        });
        match (before, both) {
            (Some(before), Some(both)) => before.text = both,
            _ => short.push(row),
        }
    }
    short
}

/// Puts what a thread does several times in a row on one line.
fn repeats(rows: Vec<Row>) -> Vec<Row> {
    let mut short: Vec<(usize, Row)> = Vec::new();
    for row in rows {
        let same = |before: &Row| {
            let plain = before.note.is_empty() && row.note.is_empty();
            plain && before.task == row.task && before.text == row.text
        };
        match short.last_mut() {
            Some((times, before)) if same(before) => *times += 1,
            _ => short.push((1, row)),
        }
    }
    let folded = short.into_iter().map(|(times, mut row)| {
        if times > 1 {
            row.text = format!("{times}× {}", row.text);
        }
        row
    });
    folded.collect()
}

/// Whether the run goes from an unfinished call to another thread.
fn switches(from: &Moment, to: &Moment) -> bool {
    from.task != to.task && from.call.is_some() && !matches!(from.what, Happening::End(_))
}

/// The end of the call that begins here, if nobody came in between and nothing of it is told.
fn alone(story: &[Moment], begin: usize, notes: &BTreeMap<usize, String>) -> Option<usize> {
    let first = &story[begin];
    if first.what != Happening::Begin {
        return None;
    }
    let mut rest = story.iter().enumerate().skip(begin + 1);
    let (end, _) = rest.find(|(_, moment)| {
        moment.call != first.call || matches!(moment.what, Happening::End(_))
    })?;
    let whole = story[end].call == first.call;
    let told = notes.range(begin..=end).next().is_some();
    (whole && !told).then_some(end)
}

/// What is told of calls that others came into.
fn is_shown(moment: &Moment, shared: &BTreeSet<u32>) -> bool {
    match moment.what {
        Happening::Begin | Happening::End(_) => true,
        Happening::Mark(site) => site == at::SECTION,
        Happening::Access { kind, object, .. } => match kind {
            Kind::Read | Kind::Write | Kind::Update => shared.contains(&object),
            _ => true,
        },
        Happening::Event(Event::Note(note)) => words::note(note).is_some(),
        Happening::Event(event) => matches!(
            event,
            Event::VmaUnlink { .. }
                | Event::VmaLink { .. }
                | Event::VmaGet { .. }
                | Event::VmaPut { .. }
                | Event::VmaFree { .. }
                | Event::Misuse(_)
        ),
    }
}

/// Objects that were used and must not have been: whatever became of them is told.
fn misused(story: &[Moment]) -> BTreeSet<Object> {
    let events = story.iter().filter_map(|moment| match moment.what {
        Happening::Event(event @ Event::Misuse(_)) => words::event(&event),
        _ => None,
    });
    events.map(|(object, _)| object).collect()
}

/// Whether one of these objects is freed here.
fn is_of(moment: &Moment, objects: &BTreeSet<Object>) -> bool {
    let Happening::Event(event) = moment.what else {
        return false;
    };
    words::is_free(&event)
        && words::event(&event).is_some_and(|(object, _)| objects.contains(&object))
}

/// What the call read, before it parts from the reference, of the area that it went by.
pub(super) fn deciding(story: &[Moment], divergence: &Divergence) -> BTreeSet<usize> {
    let Some(parting) = &divergence.parting else {
        return BTreeSet::new();
    };
    let Some(About::Area(VmaId(area))) = parting.by else {
        return BTreeSet::new();
    };
    let moments = story.iter().enumerate();
    let decides = |moment: &Moment| match moment.what {
        Happening::Access {
            kind: Kind::Read,
            value: Some(value),
            ..
        } => {
            let own = |owner: Owner| (owner.object, owner.ordinal) == ("Vma", area);
            value.owner.is_some_and(own) && DECIDE.contains(&value.owner.map_or("", |o| o.word))
        }
        _ => false,
    };
    let own = moments.filter(|(_, moment)| moment.call == Some(parting.step.call));
    own.filter(|(_, moment)| decides(moment))
        .map(|(index, _)| index)
        .collect()
}

/// Words of an area by which a fault decides.
const DECIDE: [&str; 4] = ["vm_flags", "vm_start", "vm_end", "vm_page_prot"];

/// Objects that one thread writes and another uses while calls of both are not over.
fn shared(story: &[Moment]) -> BTreeSet<u32> {
    let mut users: BTreeMap<u32, (BTreeSet<TaskId>, bool)> = BTreeMap::new();
    let mut open: BTreeSet<TaskId> = BTreeSet::new();
    for moment in story {
        match moment.what {
            Happening::Begin => _ = open.insert(moment.task),
            Happening::End(_) => _ = open.remove(&moment.task),
            Happening::Access { kind, object, .. } if open.len() > 1 => {
                let (tasks, written) = users.entry(object).or_default();
                tasks.insert(moment.task);
                *written |= matches!(kind, Kind::Write | Kind::Update);
            }
            _ => {}
        }
    }
    let raced = users.into_iter();
    raced
        .filter(|(_, (tasks, written))| tasks.len() > 1 && *written)
        .map(|(object, _)| object)
        .collect()
}

/// How an object goes out of use.
const ENDED: [&str; 2] = ["unlinked here", "freed here"];

/// What the story's numbered points are, by the moment's index.
fn notes(story: &[Moment], divergence: &Divergence) -> BTreeMap<usize, String> {
    let Some(wrong) = story.iter().position(|moment| moment.offends) else {
        return BTreeMap::new();
    };
    let mut points: BTreeMap<usize, &str> = BTreeMap::new();
    let own = |moment: &Moment| moment.call == story[wrong].call;
    let parting = divergence.parting.as_ref();
    let misused = matches!(story[wrong].what, Happening::Event(_));
    if let Some(object) = divergence.object.filter(|_| misused || parting.is_none()) {
        let about = |moment: &Moment| match moment.what {
            Happening::Event(event) => {
                let (subject, _) = words::event(&event)?;
                (subject == object).then_some(event)
            }
            _ => None,
        };
        for (index, moment) in story[..wrong].iter().enumerate() {
            match about(moment) {
                Some(Event::VmaUnlink { .. }) => _ = points.insert(index, "unlinked here"),
                Some(event) if words::is_free(&event) => {
                    _ = points.insert(index, "freed here");
                }
                _ => {}
            }
        }
        let used = story
            .iter()
            .skip(wrong)
            .position(|moment| matches!(about(moment), Some(Event::Misuse(_))));
        let used = used.map(|after| wrong + after);
        points.extend(
            used.filter(|&used| used != wrong)
                .map(|used| (used, "used here")),
        );
        let first = points.keys().next().copied().unwrap_or(wrong);
        let reader = used.and_then(|used| story[used].call);
        let before = story[..first].iter().enumerate().rev();
        let mut own = before.filter(|(_, moment)| moment.call.is_some() && moment.call == reader);
        let looks = |moment: &Moment| match moment.what {
            Happening::Access { .. } => true,
            _ => matches!(about(moment), Some(Event::VmaGet { .. })),
        };
        let looked = own.find(|(_, moment)| looks(moment));
        let found = match object {
            Object::Vma(_) => "looked up here",
            _ => "found here",
        };
        points.extend(looked.map(|(index, _)| (index, found)));
    } else if parting.is_none() {
        let effect = story[..wrong].iter().rposition(|moment| {
            matches!(moment.what, Happening::Mark(site) if site == at::SECTION) && !own(moment)
        });
        if let Some(index) = effect {
            points.insert(index, "takes effect here");
        }
    }
    // What the headline says of where they part stands in the table, too: of an object that was used too
    // late, who ended it is told by its own events, if it has any.
    if let Some(parting) = parting {
        let parts = parting.legal.is_some();
        let ended = points.values().any(|text| ENDED.contains(text));
        let mut point = |step: &StepAt, text| {
            let index = story.iter().position(|moment| moment.at >= Some(step.at));
            points.extend(index.map(|index| (index, text)));
        };
        if let Some(cause) = parting.cause.as_ref().filter(|_| parts || !ended) {
            point(cause, "made so here");
        }
        if parts {
            point(&parting.step, "they part here");
        } else if !misused {
            point(&parting.step, "it shows here");
        }
    }
    let last = match story[wrong].what {
        Happening::Event(Event::Misuse(Misuse::OpenInvalidation(_))) => "noticed here",
        Happening::Event(Event::Misuse(_)) => "used here",
        Happening::Event(Event::VmaFree { .. }) => "freed here",
        _ => "wrong here",
    };
    points.entry(wrong).or_insert(last);
    let in_order = points.into_iter().zip(1..);
    in_order
        .map(|((index, text), number)| (index, format!("({number}) {text}")))
        .collect()
}

/// Text that is no wider than its column.
fn fitted(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width - 1).collect();
    short.push('…');
    short
}
