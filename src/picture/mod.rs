//! Draws a run: the address space over time for both managers, side by side, and a timeline with a
//! lane for each thread and each object. One HTML file that needs nothing else, or an SVG of the
//! timeline alone.

mod lanes;
mod objects;
mod page;
mod rows;
mod space;
mod spans;
mod text;
mod threads;
mod timeline;

use maud::{Markup, PreEscaped, html};

use crate::judge::steps::Scene;
use crate::judge::{Divergence, Verdict};
use crate::pair::Ran;
use crate::program::Program;
use crate::story;

/// What is drawn.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The program's name, as a title.
    pub name: &'a str,
    /// The program.
    pub program: &'a Program,
    /// What was observed of it.
    pub ran: &'a Ran,
    /// Of a woven run, what its parts did to the states.
    pub scenes: &'a [Scene],
    /// The command that runs it again.
    pub replay: &'a str,
}

impl Subject<'_> {
    fn divergence(&self) -> Option<&Divergence> {
        match &self.ran.verdict {
            Verdict::Diverge(divergence) => Some(divergence),
            Verdict::Agree | Verdict::Skip(_) => None,
        }
    }

    fn story(&self) -> Vec<story::Moment> {
        story::of(self.program, self.ran, self.divergence())
    }
}

/// The page: one file, without anything from elsewhere.
pub fn html(subject: &Subject<'_>) -> String {
    page::draw(subject).into_string()
}

/// The timeline alone, as a file of its own.
pub fn svg(subject: &Subject<'_>) -> String {
    let drawn = timeline::draw(subject, Some(include_str!("timeline.css")));
    drawn.into_string() + "\n"
}

/// Something to hover over or to tap, with what is said of it then.
fn told(class: &str, text: &str, shapes: &Markup) -> Markup {
    html! { g class=(format!("t {class}")) tabindex="0" { title { (text) } (shapes) } }
}

/// A number of pixels, short.
fn px(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

fn style(css: &str) -> Markup {
    html! { style { (PreEscaped(css)) } }
}
