//! A lane a thread: its calls, where it ran, what it held, where others went on.

use std::collections::BTreeSet;

use maud::{Markup, html};
use vmadiff_contract::{Event, Lane, Note, TaskId};

use super::lanes::{Lanes, name};
use super::spans::{self, Span};
use super::timeline::Axis;
use super::{Subject, px, told};
use crate::program::Program;
use crate::story::{Happening, words};

/// How high a call is.
const CALL: f64 = 20.0;
/// Half of what a mark takes.
const MARK: f64 = 4.0;
/// Pixels of a letter in a call's box.
const LETTER: f64 = 6.2;

/// The class of what a design has a lane for.
pub const LANE: &str = "inside";

pub fn draw(subject: &Subject<'_>, axis: &Axis<'_>, lanes: &mut Lanes) -> Markup {
    // What the kernel frees at the end is in the lanes of objects.
    let acts = |what| !matches!(what, Happening::Event(_));
    let acting = axis.moments.iter().filter(|moment| acts(moment.what));
    let tasks: BTreeSet<TaskId> = acting.map(|moment| moment.task).collect();
    let mut tops = Vec::new();
    let drawn: Vec<Markup> = tasks
        .iter()
        .map(|&task| {
            let spans = spans::of_task(axis, task);
            let rows = spans.iter().map(|span| span.row + 1).max().unwrap_or(0);
            let top = lanes.add(CALL + rows as f64 * spans::HEIGHT);
            tops.push((task, top));
            thread(subject, axis, task, top, &spans)
        })
        .collect();
    html! {
        @for lane in drawn { (lane) }
        (switches(axis, &tops))
    }
}

fn thread(
    subject: &Subject<'_>,
    axis: &Axis<'_>,
    task: TaskId,
    top: f64,
    spans: &[Span],
) -> Markup {
    let Subject { program, ran, .. } = subject;
    let label = if task.0 == 0 {
        "kernel".to_owned()
    } else {
        format!("task {task}")
    };
    html! {
        g.thread {
            (name(&label, top + 14.0))
            @for (from, until) in calls(axis, task) { (call(program, axis, from, until, top)) }
            @for lane in ran.design.lanes {
                @for (from, until) in inside(axis, task, lane) { (section(axis, lane, from, until, top)) }
            }
            @for span in spans { (spans::draw(axis, span, top + CALL)) }
            @for (index, moment) in axis.moments.iter().enumerate() {
                @if moment.task == task { (mark(program, axis, index, top)) }
            }
        }
    }
}

/// From where to where each call of a task goes.
fn calls(axis: &Axis<'_>, task: TaskId) -> Vec<(usize, usize)> {
    let mut calls = Vec::new();
    let mut open = None;
    let mut last = 0;
    for (index, moment) in axis.moments.iter().enumerate() {
        if moment.task != task {
            continue;
        }
        match moment.what {
            Happening::Begin => open = Some(index),
            Happening::End(_) => calls.extend(open.take().map(|from| (from, index))),
            _ => {}
        }
        last = index;
    }
    calls.extend(open.map(|from| (from, last)));
    calls
}

fn call(program: &Program, axis: &Axis<'_>, from: usize, until: usize, top: f64) -> Markup {
    let begin = axis.moments[from];
    let text = words::call(program, begin.call);
    let number = begin.call.map_or(0, |call| call + 1);
    let answer = words::moment(program, axis.moments[until]).unwrap_or_default();
    let (x, width) = (axis.x(from) - 3.0, axis.x(until) - axis.x(from) + 6.0);
    let short = text.split('(').next().unwrap_or_default();
    let fits = short.len() as f64 * LETTER + 6.0 < width;
    let ran = runs(axis, begin.task, from, until);
    told(
        "call",
        &format!("{number}. {text} {answer}"),
        &html! {
            rect.waits x=(px(x)) y=(px(top)) width=(px(width)) height=(px(CALL)) rx="3" {}
            @for (from, until) in ran {
                @let (x, width) = (axis.x(from) - 3.0, axis.x(until) - axis.x(from) + 6.0);
                rect.runs x=(px(x)) y=(px(top)) width=(px(width)) height=(px(CALL)) rx="3" {}
            }
            @if fits { text.in x=(px(x + 5.0)) y=(px(top + 14.0)) { (short) } }
        },
    )
}

/// The parts of a call in which its task ran, and nobody else.
fn runs(axis: &Axis<'_>, task: TaskId, from: usize, until: usize) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for index in from..=until {
        if axis.moments[index].task != task {
            continue;
        }
        match runs.last_mut() {
            Some(run) if run.1 + 1 == index => run.1 = index,
            _ => runs.push((index, index)),
        }
    }
    runs
}

/// From where to where a task was inside of what its design has a lane for.
fn inside(axis: &Axis<'_>, task: TaskId, lane: &Lane) -> Vec<(usize, usize)> {
    let mut sections = Vec::new();
    let mut open = None;
    let own = axis.moments.iter().enumerate();
    for (index, moment) in own.filter(|(_, moment)| moment.task == task) {
        match moment.what {
            Happening::Access { site, .. }
                if lane.begins.iter().any(|start| site.name.starts_with(start)) =>
            {
                open = open.or(Some(index));
            }
            Happening::Event(Event::Note(Note::Speculative | Note::GiveUp(_))) => {
                sections.extend(open.take().map(|from| (from, index)));
            }
            _ => {}
        }
    }
    sections
}

fn section(axis: &Axis<'_>, lane: &Lane, from: usize, until: usize, top: f64) -> Markup {
    let (x, width) = (axis.x(from), axis.x(until) - axis.x(from));
    told(
        LANE,
        lane.name,
        &html! {
            rect x=(px(x)) y=(px(top + CALL - 4.0)) width=(px(width)) height="4" {}
        },
    )
}

/// What is marked in a call: where it took effect, and how its faults were served.
fn mark(program: &Program, axis: &Axis<'_>, index: usize, top: f64) -> Markup {
    let moment = axis.moments[index];
    let class = match moment.what {
        Happening::Mark(_) => "effect",
        Happening::Event(Event::Note(Note::Speculative)) => "served",
        Happening::Event(Event::Note(Note::Classic)) => "classic",
        Happening::Event(Event::Note(Note::GiveUp(_))) => "gave-up",
        Happening::Event(Event::Misuse(_)) => "misuse",
        _ => return html! {},
    };
    let text = words::moment(program, moment).unwrap_or_default();
    let (x, y) = (axis.x(index), top + CALL);
    told(
        class,
        &text,
        &html! {
            path d=(format!(
                "M{} {} l{MARK} -{MARK} l{MARK} {MARK} l-{MARK} {MARK} z", px(x - MARK), px(y)
            )) {}
        },
    )
}

/// From whom to whom the run went while a call was not over.
fn switches(axis: &Axis<'_>, tops: &[(TaskId, f64)]) -> Markup {
    let top = |task: TaskId| {
        let lane = tops.iter().find(|(other, _)| *other == task);
        lane.map_or(0.0, |(_, top)| top + CALL / 2.0)
    };
    let between = axis.moments.windows(2).enumerate();
    let unasked = between.filter_map(|(index, pair)| {
        let over = matches!(pair[0].what, Happening::End(_)) || pair[0].call.is_none();
        let asked = axis.switched.iter().any(|(at, _)| *at == index + 1);
        (pair[0].task != pair[1].task && !over && !asked).then_some((index + 1, pair[0].task))
    });
    let all = axis.switched.iter().copied().chain(unasked);
    html! {
        @for (index, task) in all {
            @let next = axis.moments[index].task;
            @let x = (axis.x(index - 1) + axis.x(index)) / 2.0;
            @let (from, to) = (top(task), top(next));
            @let text = format!("switch: task {next} goes on after task {task}");
            @let point = if from < to { -5.0 } else { 5.0 };
            (told("switch", &text, &html! {
                path d=(format!(
                    "M{0} {1} V{2} m-3 {3} l3 {4} l3 {3}", px(x), px(from), px(to), px(point),
                    px(-point)
                )) {}
            }))
        }
    }
}
