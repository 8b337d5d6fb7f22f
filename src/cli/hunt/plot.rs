//! How many of a hunt's tries had found nothing yet, over time, as a picture: SVG that can stand in a
//! text. Beside it may stand earlier hunts.

use std::fmt::Write;

use maud::{Markup, PreEscaped, html};

use super::Hunted;

/// A hunt, and what it is called.
pub struct Curve<'a> {
    pub name: String,
    pub hunted: &'a [Hunted],
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
/// Room for what stands beside the axes: left and right, above and below.
const LEFT: f64 = 56.0;
const RIGHT: f64 = 16.0;
const ABOVE: f64 = 28.0;
const BELOW: f64 = 44.0;
/// The left end of the axis, seconds.
const FIRST: f64 = 0.01;
/// Colours that are told apart by those who see fewer, too (Okabe and Ito).
const COLOURS: [&str; 6] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#000000",
];
/// So that curves differ without colours.
const DASHES: [&str; 6] = ["", "6 3", "2 2", "8 3 2 3", "10 4", "1 3"];

/// Tries that ran to their end: when each found its defect, in order, and how many there are.
fn times(hunted: &[Hunted]) -> (Vec<f64>, usize) {
    let tries = || {
        hunted
            .iter()
            .flat_map(|h| &h.tries)
            .filter(|t| !t.interrupted)
    };
    let mut found: Vec<f64> = tries()
        .filter(|tried| tried.signature.is_some())
        .map(|tried| tried.seconds.max(FIRST))
        .collect();
    found.sort_by(f64::total_cmp);
    (found, tries().count())
}

/// The picture.
pub fn svg(curves: &[Curve<'_>]) -> String {
    let limits = curves.iter().flat_map(|curve| curve.hunted);
    let last = limits.map(|h| h.seconds_each as f64).fold(1.0, f64::max);
    let x = |seconds: f64| {
        let share = (seconds / FIRST).ln() / (last / FIRST).ln();
        LEFT + share * (WIDTH - LEFT - RIGHT)
    };
    let y = |share: f64| HEIGHT - BELOW - share * (HEIGHT - ABOVE - BELOW);
    let picture = html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox=(format!("0 0 {WIDTH} {HEIGHT}"))
            width=(WIDTH) height=(HEIGHT) font-family="sans-serif" font-size="12" {
            title { "Tries that have found nothing yet, over seconds of one core" }
            rect width="100%" height="100%" fill="#fff" {}
            (axes(x, y, last))
            @for (number, curve) in curves.iter().enumerate() {
                (line(curve, number, x, y, last))
            }
        }
    };
    let PreEscaped(text) = picture;
    text + "\n"
}

fn axes(x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64, last: f64) -> Markup {
    let marks = std::iter::successors(Some(FIRST), |mark| Some(mark * 10.0));
    let marks = marks.take_while(|&mark| mark < last * 0.75).chain([last]);
    html! {
        @for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
            line x1=(LEFT) x2=(WIDTH - RIGHT) y1=(y(share)) y2=(y(share)) stroke="#ddd" {}
            text x=(LEFT - 6.0) y=(y(share) + 4.0) text-anchor="end" { (format!("{:.0} %", share * 100.0)) }
        }
        @for mark in marks {
            line x1=(x(mark)) x2=(x(mark)) y1=(y(0.0)) y2=(y(0.0) + 4.0) stroke="#000" {}
            text x=(x(mark)) y=(y(0.0) + 18.0) text-anchor="middle" { (mark.to_string()) }
        }
        text x=(LEFT) y=(ABOVE - 10.0) { "tries that have found nothing yet" }
        text x=((LEFT + WIDTH - RIGHT) / 2.0) y=(HEIGHT - 8.0) text-anchor="middle" {
            "seconds of one core until found"
        }
    }
}

/// One curve, with its name and what it is of.
fn line(
    curve: &Curve<'_>,
    number: usize,
    x: impl Fn(f64) -> f64,
    y: impl Fn(f64) -> f64,
    last: f64,
) -> Markup {
    let (found, tries) = times(curve.hunted);
    let left = |found: usize| 1.0 - found as f64 / tries.max(1) as f64;
    let mut path = format!("M {:.1} {:.1}", x(FIRST), y(1.0));
    for (nth, &seconds) in found.iter().enumerate() {
        let _ = write!(path, " H {:.1} V {:.1}", x(seconds), y(left(nth + 1)));
    }
    let _ = write!(path, " H {:.1}", x(last));
    let (colour, dashes) = (
        COLOURS[number % COLOURS.len()],
        DASHES[number % DASHES.len()],
    );
    let at = ABOVE + 14.0 + 16.0 * number as f64;
    let from = WIDTH - RIGHT - 240.0;
    html! {
        path d=(path) fill="none" stroke=(colour) stroke-width="1.5" stroke-dasharray=(dashes) {}
        line x1=(from) x2=(from + 24.0) y1=(at - 4.0) y2=(at - 4.0) stroke=(colour)
            stroke-width="1.5" stroke-dasharray=(dashes) {}
        text x=(from + 30.0) y=(at) { (curve.name) ": " (found.len()) " of " (tries) " tries" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::hunt::{Try, tests::hunted};
    use crate::engine::Stages;

    #[test]
    fn a_curve_falls_where_something_was_found_and_ends_where_nothing_was() {
        let tried = |seconds, found: bool, interrupted| Try {
            seed: 1,
            signature: found.then(|| "vma-leaked/munmap/vma".to_owned()),
            others: Vec::new(),
            executions: 1,
            seconds,
            stages: Stages::default(),
            interrupted,
        };
        let tries = vec![
            tried(3.0, true, false),
            tried(10.0, false, false),
            tried(0.2, true, false),
            tried(1.0, false, true),
        ];
        let hunted = [hunted(tries)];
        let name = "a & b".to_owned();
        let drawn = svg(&[Curve {
            name,
            hunted: &hunted,
        }]);
        assert!(drawn.contains("a &amp; b: 2 of 3 tries"), "{drawn}");
        let path = drawn.split("path d=\"").nth(1).expect("a curve");
        let path = path.split('"').next().expect("its end");
        assert_eq!(path.matches(" V ").count(), 2, "{path}");
        assert!(
            path.ends_with(&format!(" H {:.1}", WIDTH - RIGHT)),
            "{path}"
        );
    }
}
