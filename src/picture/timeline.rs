//! The timeline: moments from left to right, lanes from top to bottom.

use maud::{Markup, html};

use super::lanes::{Lanes, name};
use super::{Subject, objects, px, style, threads};
use crate::counted::counted;
use crate::judge::Object;
use crate::story::{Happening, Moment, words};
use vmadiff_contract::{Event, TaskId};
use vmadiff_interleave::Kind;

/// Room for the lanes' names.
const LEFT: f64 = 64.0;
/// Room behind the last moment.
const RIGHT: f64 = 24.0;
/// Between two moments.
const STEP: f64 = 16.0;
/// Above the first lane.
const TOP: f64 = 22.0;

/// Moments that are drawn.
const MOMENTS: usize = 2000;
/// Of these, how many before the one at which the run was found wanting.
const BEFORE: usize = 1500;

/// The moments that are drawn, and where.
pub struct Axis<'a> {
    pub moments: Vec<&'a Moment>,
    /// Where the schedule had another task go on: the index of its first moment, and who had arrived.
    pub switched: Vec<(usize, TaskId)>,
}

impl Axis<'_> {
    /// Where the moment of this index is.
    pub fn x(&self, index: usize) -> f64 {
        LEFT + (index as f64 + 0.5) * STEP
    }

    /// Where the last one ends.
    pub fn end(&self) -> f64 {
        LEFT + self.moments.len() as f64 * STEP
    }
}

/// Draws it; `css` makes it a file of its own.
pub fn draw(subject: &Subject<'_>, css: Option<&str>) -> Markup {
    let story = subject.story();
    let object = subject.divergence().and_then(|found| found.object);
    let switched = switched(subject, &story);
    let drawn = story.iter().enumerate().filter(|(index, moment)| {
        // Each switch has an arrow from a moment to a moment.
        let beside = |at: usize| at == *index || at == index + 1;
        is_drawn(moment, object) || switched.iter().any(|(at, _)| beside(*at))
    });
    let (indexes, mut moments): (Vec<usize>, Vec<&Moment>) = drawn.unzip();
    let all = moments.len();
    let wrong = moments.iter().position(|moment| moment.offends);
    let from = wrong.map_or(0, |at| at.saturating_sub(BEFORE));
    moments.drain(..from);
    moments.truncate(MOMENTS);
    let behind = all - from - moments.len();
    let place = |at: usize| indexes.binary_search(&at).ok()?.checked_sub(from);
    let switched = switched
        .iter()
        .filter_map(|&(at, task)| Some((place(at)?, task)));
    let switched = switched.filter(|(at, _)| *at > 0 && *at < moments.len());
    let axis = Axis {
        switched: switched.collect(),
        moments,
    };
    let mut lanes = Lanes::new(TOP);
    let threads = threads::draw(subject, &axis, &mut lanes);
    let objects = objects::draw(&axis, object, &mut lanes);
    let folded = (from + behind > 0).then(|| {
        let text = format!(
            "{} before these and {behind} after them are left out",
            counted(from, "moment")
        );
        name(&text, lanes.add(12.0) + 10.0)
    });
    let (width, height) = (axis.end() + RIGHT, lanes.bottom() + 6.0);
    html! {
        svg.timeline xmlns="http://www.w3.org/2000/svg" role="img" aria-label="timeline"
            viewBox=(format!("0 0 {} {}", px(width), px(height))) width=(px(width))
            height=(px(height)) font-family="ui-sans-serif, system-ui, sans-serif" {
            @if let Some(css) = css { (style(css)) }
            @if css.is_some() { rect.ground width=(px(width)) height=(px(height)) {} }
            (calls(&axis, lanes.bottom()))
            (offence(&axis, lanes.bottom()))
            (threads)
            (objects)
            @if let Some(folded) = folded { (folded) }
        }
    }
}

/// Where the schedule switched, in the story, and who had arrived there.
fn switched(subject: &Subject<'_>, story: &[Moment]) -> Vec<(usize, TaskId)> {
    let Some(woven) = &subject.ran.woven else {
        return Vec::new();
    };
    let place = |step: usize| story.iter().position(|moment| moment.at >= Some(step));
    let switched = woven.trace.switched();
    switched
        .filter_map(|(step, task)| Some((place(step)?, TaskId(task))))
        .collect()
}

/// Plain accesses are too many to be drawn, and so are frames and tables that nobody asks for.
fn is_drawn(moment: &Moment, object: Option<Object>) -> bool {
    if moment.offends {
        return true;
    }
    match moment.what {
        Happening::Begin | Happening::End(_) | Happening::Mark(_) => true,
        Happening::Access { kind, .. } => !matches!(kind, Kind::Read | Kind::Write | Kind::Update),
        Happening::Event(Event::Note(note)) => words::note(note).is_some(),
        Happening::Event(event) => words::event(&event).is_some_and(|(about, _)| {
            matches!(about, Object::Vma(_) | Object::File(_)) || Some(about) == object
        }),
    }
}

/// Where calls begin, numbered.
fn calls(axis: &Axis<'_>, bottom: f64) -> Markup {
    let begins = axis.moments.iter().enumerate();
    let begins = begins.filter(|(_, moment)| moment.what == Happening::Begin);
    html! {
        @for (index, moment) in begins {
            @let x = px(axis.x(index));
            line.begin x1=(x) x2=(x) y1=(px(TOP - 6.0)) y2=(px(bottom)) {}
            @if let Some(call) = moment.call {
                text.number x=(x) y=(px(TOP - 10.0)) { (call + 1) }
            }
        }
    }
}

/// The moment at which the run was found wanting, through all lanes.
fn offence(axis: &Axis<'_>, bottom: f64) -> Markup {
    let at = axis.moments.iter().position(|moment| moment.offends);
    html! {
        @if let Some(at) = at {
            @let x = px(axis.x(at));
            line.offence x1=(x) x2=(x) y1="2" y2=(px(bottom)) {}
        }
    }
}
