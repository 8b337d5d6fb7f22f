//! A lane an object: its references rising and falling to its free.

use std::collections::BTreeSet;

use maud::{Markup, html};
use vmadiff_contract::Event;

use super::lanes::{Lanes, name};
use super::timeline::Axis;
use super::{px, told};
use crate::judge::Object;
use crate::story::{Happening, words::of_life};

/// How high a lane is.
const HEIGHT: f64 = 30.0;
/// How high a reference is, as far as they fit.
const REFERENCE: f64 = 8.0;
/// Lanes of objects at most; that of the object that the verdict is about comes first.
const MOST: usize = 16;

/// A change in an object's life.
struct Change {
    index: usize,
    refs: f64,
    text: String,
    class: &'static str,
}

pub fn draw(axis: &Axis<'_>, about: Option<Object>, lanes: &mut Lanes) -> Markup {
    let mut objects: Vec<Object> = about.into_iter().collect();
    let vmas: BTreeSet<Object> = axis
        .moments
        .iter()
        .filter_map(|moment| match moment.what {
            Happening::Event(Event::VmaAlloc { vma, .. }) => Some(Object::Vma(vma)),
            _ => None,
        })
        .filter(|object| Some(*object) != about)
        .collect();
    objects.extend(vmas);
    let left = objects.len().saturating_sub(MOST);
    objects.truncate(MOST);
    html! {
        @for object in objects { (life(axis, object, lanes.add(HEIGHT))) }
        @if left != 0 { (name(&format!("and {left} more VMAs"), lanes.add(12.0) + 10.0)) }
    }
}

fn life(axis: &Axis<'_>, object: Object, top: f64) -> Markup {
    let changes = changes(axis, object);
    let most = changes.iter().map(|change| change.refs).fold(1.0, f64::max);
    let unit = REFERENCE.min((HEIGHT - 6.0) / most);
    let ground = top + HEIGHT;
    html! {
        g.object {
            (name(&object.to_string(), ground - 4.0))
            path.refs d=(stairs(axis, &changes, ground, unit)) {}
            @for change in &changes {
                @let (x, y) = (axis.x(change.index), ground - change.refs * unit);
                (told(change.class, &format!("{object} {}", change.text), &html! {
                    circle cx=(px(x)) cy=(px(y)) r="3" {}
                }))
            }
        }
    }
}

/// What happened to an object, and the references it had then.
fn changes(axis: &Axis<'_>, object: Object) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut now = 0.0;
    for (index, moment) in axis.moments.iter().enumerate() {
        let Happening::Event(event) = moment.what else {
            continue;
        };
        let Some(text) = of_life(object, &event) else {
            continue;
        };
        let (refs, class) = match event {
            Event::VmaGet { refs, .. } => (f64::from(refs), "get"),
            Event::VmaPut { refs, .. } => (f64::from(refs), "put"),
            Event::VmaUnlink { .. } => (now, "unlink"),
            Event::Misuse(_) => (now, "misuse"),
            _ if text == "freed" => (0.0, "free"),
            _ if text.starts_with("allocated") => (1.0, "alloc"),
            _ => (now, "other"),
        };
        let class = if moment.offends { "misuse" } else { class };
        now = refs;
        changes.push(Change {
            index,
            refs,
            text,
            class,
        });
    }
    changes
}

/// The staircase of the references, from the first change to the last, or on to the end.
fn stairs(axis: &Axis<'_>, changes: &[Change], ground: f64, unit: f64) -> String {
    let Some(first) = changes.first() else {
        return String::new();
    };
    let mut path = format!("M{} {}", px(axis.x(first.index)), px(ground));
    for change in changes {
        let (x, y) = (axis.x(change.index), ground - change.refs * unit);
        path += &format!(" H{} V{}", px(x), px(y));
    }
    let is_gone = changes.last().is_some_and(|change| change.refs == 0.0);
    let end = if is_gone {
        String::new()
    } else {
        format!(" H{}", px(axis.end()))
    };
    path + &end + &format!(" V{} Z", px(ground))
}
