//! Colours, for terminals that want them: `anstream` takes them out elsewhere, and where NO_COLOR
//! is set.

use anstyle::AnsiColor;
pub use anstyle::Style;

/// An error, or what only the candidate does.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// Agreement, or what only the reference does.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
/// What should be noticed.
pub const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// A heading.
pub const STRONG: Style = Style::new().bold();
/// As it is.
pub const PLAIN: Style = Style::new();

/// Text in a style.
pub fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// A line in a style; the line's end is outside of it.
pub fn line(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}\n")
}

/// An error, or a divergence.
pub fn bad(text: &str) -> String {
    paint(BAD, text)
}

/// Agreement.
pub fn good(text: &str) -> String {
    paint(GOOD, text)
}

/// Something to be noticed.
pub fn warning(text: &str) -> String {
    paint(WARNING, text)
}

/// A heading.
pub fn strong(text: &str) -> String {
    paint(STRONG, text)
}
