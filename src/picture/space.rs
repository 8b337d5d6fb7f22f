//! The address space over time: a row a call, the two managers side by side, differences marked.

use maud::{Markup, html};
use vmadiff_contract::{ByteState, MmId, PageState, Snapshot, VmaId, VmaState};

use super::rows::{Row, rows};
use super::{Subject, px, told};
use crate::compare::View;
use crate::judge::{Side, same_state};
use crate::program::text::maps_line;
use crate::views::columns::{Columns, Stretch};
use crate::views::{fold, states};

/// A page's width where there are few.
const PAGE: f64 = 22.0;
/// The width of a stretch of nothing.
const GAP: f64 = 16.0;
/// On a screen that has room, all is so much larger.
const SCALE: f64 = 1.6;
/// The width of an address.
const LABEL: f64 = 40.0;
/// How high an area is.
const HEIGHT: f64 = 31.0;
/// Lines of what differs between two states.
const DIFFERING: usize = 200;
/// How many colours areas have.
const COLOURS: u32 = 8;

pub fn draw(subject: &Subject<'_>) -> Markup {
    let rows = rows(subject);
    // Each stretch between calls that are left out has columns of its own.
    let mut stretches: Vec<&[Row<'_>]> = Vec::new();
    let mut from = 0;
    for at in 1..=rows.len() {
        if rows.get(at).is_none_or(|row| row.folded > 0) {
            stretches.push(&rows[from..at]);
            from = at;
        }
    }
    html! { @for stretch in stretches { (draw_stretch(subject.ran.view, stretch)) } }
}

fn draw_stretch(view: View, rows: &[Row<'_>]) -> Markup {
    let snapshots = || rows.iter().flat_map(|row| row.states.iter());
    let states: Vec<&[VmaState]> = snapshots()
        .filter_map(|(_, state)| state.map(|state| &state.vmas[..]))
        .collect();
    let (drawn, hidden) = fold::changing(&states);
    let all: Vec<&[VmaState]> = drawn.iter().map(Vec::as_slice).collect();
    let mut mms: Vec<MmId> = all
        .iter()
        .flat_map(|vmas| vmas.iter().map(|v| v.mm))
        .collect();
    mms.sort_unstable();
    mms.dedup();
    let columns: Vec<(MmId, Columns)> = mms
        .into_iter()
        .map(|mm| (mm, Columns::of(mm, &all, &[])))
        .collect();
    let widths = columns
        .iter()
        .map(|(_, columns)| width_of(&places(columns.stretches())));
    let width = SCALE * widths.fold(LABEL, f64::max);
    let folded = rows.first().map_or(0, |row| row.folded);
    html! {
        @if folded > 0 { p.note { (fold::left_out(folded)) } }
        @if hidden > 0 {
            p.note { "Areas that change here are drawn; up to " (hidden) " others are not." }
        }
        ol.space { @for row in rows { (draw_row(view, row, &columns, width)) } }
    }
}

fn draw_row(view: View, row: &Row<'_>, columns: &[(MmId, Columns)], width: f64) -> Markup {
    let differing = match row.states[..] {
        [(_, Some(ours)), (_, Some(theirs))] if !same_state(ours, theirs) => {
            states::differences(view, ours, theirs)
        }
        _ => Vec::new(),
    };
    let more = differing.len().saturating_sub(DIFFERING);
    let class = match (row.offends, differing.is_empty(), row.quiet) {
        (true, _, _) => "offends",
        (false, true, _) => "same",
        (false, false, true) => "differs",
        (false, false, false) => "passing",
    };
    html! {
        li class=(class) {
            p.says {
                span.no { @if let Some(number) = row.number { (number) } }
                span {
                    code { (row.says) }
                    @if let Some(did) = row.did { " " span.did { (did) } }
                    @for (side, outcome) in &row.outcomes {
                        " " span class=(format!("answer {side}")) { (side) " = " (outcome) }
                    }
                }
            }
            @if !row.states.is_empty() {
                div.sides {
                    @for (index, (side, state)) in row.states.iter().enumerate() {
                        @let other = row.states.get(1 - index.min(1)).and_then(|(_, state)| *state);
                        (side_of(view, side, *state, other, columns, width))
                    }
                }
            }
            @if !differing.is_empty() {
                details open[row.offends] {
                    summary {
                        "what differs"
                        @if !row.quiet { ", while calls are under way" }
                    }
                    pre {
                        @for (side, line) in differing.iter().take(DIFFERING) {
                            (diff_line(*side, line))
                        }
                        @if more > 0 { "and " (more) " more lines\n" }
                    }
                }
            }
        }
    }
}

fn diff_line(side: Option<Side>, line: &str) -> Markup {
    let class = match side {
        Some(Side::Reference) => "reference",
        Some(Side::Candidate) => "candidate",
        None => "both",
    };
    html! { span class=(class) { (line) } "\n" }
}

fn side_of(
    view: View,
    side: &str,
    state: Option<&Snapshot>,
    other: Option<&Snapshot>,
    columns: &[(MmId, Columns)],
    width: f64,
) -> Markup {
    html! {
        figure class=(side) style=(format!("flex-basis:{}px", px(width))) {
            @match state {
                None => { (caption(side, None)) p.none { "no state" } },
                Some(state) => {
                    @let mms = columns.iter().filter(|(mm, _)| state.vmas.iter().any(|v| v.mm == *mm));
                    @for (mm, columns) in mms {
                        (caption(side, (state.mms.len() > 1).then_some(*mm)))
                        (strip(view, *mm, columns, state, other))
                    }
                    @if state.vmas.is_empty() {
                        (caption(side, None))
                        p.none { "no areas" }
                    }
                }
            }
        }
    }
}

fn caption(side: &str, mm: Option<MmId>) -> Markup {
    html! { figcaption { (side) @if let Some(mm) = mm { ", " (mm) } } }
}

/// One address space of one manager.
fn strip(
    view: View,
    mm: MmId,
    columns: &Columns,
    state: &Snapshot,
    other: Option<&Snapshot>,
) -> Markup {
    let places = places(columns.stretches());
    let width = width_of(&places);
    let axis = 12.0;
    html! {
        @if !places.is_empty() {
            svg.strip viewBox=(format!("0 0 {} {}", px(width), px(HEIGHT + axis + 2.0)))
                style=(format!("max-width:{}px", px(width * SCALE))) role="img"
                aria-label=(format!("areas of {mm}")) {
                (addresses(&places))
                @for place in &places {
                    @if let Some(area) = drawn(state, mm, place) {
                        (draw_area(view, area, place, columns, state, axis))
                    }
                }
                @for (from, until) in wrong(&places, state, other, mm) {
                    rect.wrong x=(px(from + 1.0)) y=(px(axis + 1.0)) width=(px(until - from - 2.0))
                        height=(px(HEIGHT - 2.0)) {}
                }
            }
        }
    }
}

/// From where to where two managers differ.
fn wrong(
    places: &[Place<'_>],
    state: &Snapshot,
    other: Option<&Snapshot>,
    mm: MmId,
) -> Vec<(f64, f64)> {
    let mut frames: Vec<(f64, f64)> = Vec::new();
    let Some(other) = other else {
        return frames;
    };
    for place in places {
        let end = place.x + place.width;
        match frames.last_mut() {
            _ if !differs(state, other, mm, place.stretch) => {}
            Some(frame) if frame.1 == place.x => frame.1 = end,
            _ => frames.push((place.x, end)),
        }
    }
    frames
}

/// A stretch on paper.
struct Place<'a> {
    stretch: &'a Stretch,
    x: f64,
    width: f64,
}

fn places(stretches: &[Stretch]) -> Vec<Place<'_>> {
    let mut x = 0.0;
    stretches
        .iter()
        .map(|stretch| {
            let pages = stretch.pages() as f64;
            let width = match (stretch.used, pages > 4.0) {
                (false, _) => GAP.min(PAGE * pages),
                (true, false) => PAGE * pages,
                // Long areas grow by the logarithm of their pages.
                (true, true) => PAGE * 4.0 + PAGE * (pages / 4.0).log2(),
            };
            let place = Place { stretch, x, width };
            x += width;
            place
        })
        .collect()
}

fn width_of(places: &[Place<'_>]) -> f64 {
    let end = places.last().map_or(1.0, |place| place.x + place.width);
    // The last address may need more room than its area.
    let labels = labelled(places).map(|place| place.x + LABEL);
    labels.fold(end, f64::max)
}

/// The stretches above which there is room for an address.
fn labelled<'a>(places: &'a [Place<'a>]) -> impl Iterator<Item = &'a Place<'a>> {
    let mut free_from = 0.0;
    places.iter().filter(move |place| {
        let fits = place.stretch.used && place.x >= free_from;
        if fits {
            free_from = place.x + LABEL;
        }
        fits
    })
}

fn addresses(places: &[Place<'_>]) -> Markup {
    html! {
        @for place in labelled(places) {
            text.address x=(px(place.x)) y="9" { (format!("{:x}", place.stretch.range.start)) }
        }
    }
}

/// The area of a stretch. One that is left out may lie where nothing is drawn.
fn drawn<'a>(state: &'a Snapshot, mm: MmId, place: &Place<'_>) -> Option<&'a VmaState> {
    let area = at(state, mm, place.stretch.range.start);
    area.filter(|_| place.stretch.used)
}

fn at(state: &Snapshot, mm: MmId, addr: u64) -> Option<&VmaState> {
    let mut areas = state.vmas.iter().filter(|area| area.mm == mm);
    areas.find(|area| area.start <= addr && addr < area.end)
}

/// Whether areas, pages or bytes of a stretch differ.
fn differs(ours: &Snapshot, theirs: &Snapshot, mm: MmId, stretch: &Stretch) -> bool {
    let range = &stretch.range;
    let pages = |state: &Snapshot| -> Vec<PageState> {
        let pages = state.pages.iter();
        let here = pages.filter(|page| page.mm == mm && range.contains(&page.addr));
        here.copied().collect()
    };
    let bytes = |state: &Snapshot| -> Vec<ByteState> {
        let bytes = state.bytes.iter();
        let here = bytes.filter(|byte| byte.mm == mm && range.contains(&byte.addr));
        here.copied().collect()
    };
    at(ours, mm, range.start) != at(theirs, mm, range.start)
        || pages(ours) != pages(theirs)
        || bytes(ours) != bytes(theirs)
}

fn draw_area(
    view: View,
    area: &VmaState,
    place: &Place<'_>,
    columns: &Columns,
    state: &Snapshot,
    axis: f64,
) -> Markup {
    let VmaId(number) = area.vma;
    let range = &place.stretch.range;
    let within = |addr: u64| range.contains(&addr);
    let pages = state.pages.iter();
    let pages = bars(pages.filter(|p| p.mm == area.mm && within(p.addr)));
    let text = format!(
        "{}: {}",
        columns.letter(area.vma),
        states::vma_line(view, area).trim()
    );
    let is_first = area.start == range.start;
    let per_page = place.width / place.stretch.pages().max(1) as f64;
    told(
        &format!("area c{}", number % COLOURS),
        &text,
        &html! {
            rect x=(px(place.x)) y=(px(axis)) width=(px(place.width)) height=(px(HEIGHT)) {}
            @if is_first {
                line.edge x1=(px(place.x)) x2=(px(place.x)) y1=(px(axis)) y2=(px(axis + HEIGHT)) {}
                text.letter x=(px(place.x + 3.0)) y=(px(axis + 10.0)) { (columns.letter(area.vma)) }
            text.perms x=(px(place.x + 3.0)) y=(px(axis + 19.0)) { (permissions(area)) }
            }
            @for (from, count, present) in pages {
                @let x = place.x + (from - range.start) as f64 / 4096.0 * per_page;
                @let class = if present { "page" } else { "swapped" };
                rect class=(class) x=(px(x + 1.5)) y=(px(axis + HEIGHT - 7.0))
                    width=(px((per_page * count as f64 - 3.0).max(1.0))) height="5" {}
            }
        },
    )
}

/// Pages that are drawn one by one; where there are more, neighbours that are alike are one bar.
const SINGLE: usize = 64;

/// From which address on how many pages are drawn as one, and whether they are in memory.
fn bars<'a>(pages: impl Iterator<Item = &'a PageState>) -> Vec<(u64, u64, bool)> {
    let single: Vec<_> = pages.map(|page| (page.addr, 1, page.present)).collect();
    if single.len() <= SINGLE {
        return single;
    }
    let mut bars: Vec<(u64, u64, bool)> = Vec::new();
    for (addr, _, present) in single {
        match bars.last_mut() {
            Some((from, count, like)) if *from + *count * 4096 == addr && *like == present => {
                *count += 1;
            }
            _ => bars.push((addr, 1, present)),
        }
    }
    bars
}

/// `rw-p`, as /proc/PID/maps has it.
fn permissions(area: &VmaState) -> String {
    let line = maps_line(area);
    line.split(' ').nth(1).unwrap_or_default().to_owned()
}
