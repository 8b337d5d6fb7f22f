//! Colours, for terminals that want them: `anstream` takes them out elsewhere, and where NO_COLOR
//! is set.

use anstyle::{AnsiColor, Style};

const BAD: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();

fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// An error, or a divergence.
pub fn bad(text: &str) -> String {
    paint(BAD, text)
}

/// Something to be noticed.
pub fn warning(text: &str) -> String {
    paint(WARNING, text)
}
