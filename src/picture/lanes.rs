//! Lanes from top to bottom.

use maud::{Markup, html};

use super::px;

/// Between two lanes.
const GAP: f64 = 8.0;

/// Gives lanes their places.
pub struct Lanes {
    bottom: f64,
}

impl Lanes {
    /// The first begins here.
    pub fn new(top: f64) -> Self {
        Self { bottom: top }
    }

    /// The top of the next lane, which is this high.
    pub fn add(&mut self, height: f64) -> f64 {
        let top = self.bottom;
        self.bottom += height + GAP;
        top
    }

    /// Where the last lane ends.
    pub fn bottom(&self) -> f64 {
        self.bottom
    }
}

/// The name of a lane, at its left.
pub fn name(text: &str, y: f64) -> Markup {
    html! { text.lane x="4" y=(px(y)) { (text) } }
}
