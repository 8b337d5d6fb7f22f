//! An address space on a line: pages as columns, long stretches cut short.
//!
//! Letters are VMAs, as in the pictures of the kernel's own tests: `AA*B   DD  CC`.

use std::collections::BTreeSet;
use std::ops::Range;

use vmadiff_contract::{MmId, PAGE_SIZE, VmaId, VmaState};

/// The most columns that all stretches together may take.
const MOST: usize = 72;
/// Columns of a stretch of areas, tried until all fit.
const CAPS: [usize; 5] = [16, 8, 4, 2, 1];
/// Columns of a stretch that nothing is ever mapped in.
const GAP: usize = 3;
/// Stands in a stretch that is longer than shown.
const CUT: char = '~';

/// A part of the address space within which no area ever begins or ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Its addresses.
    pub range: Range<u64>,
    /// Something is mapped here in one of the states at least.
    pub used: bool,
    width: usize,
}

impl Stretch {
    /// How many pages it has.
    pub fn pages(&self) -> u64 {
        (self.range.end - self.range.start).div_ceil(PAGE_SIZE)
    }

    fn is_cut(&self) -> bool {
        self.pages() > self.width as u64
    }
}

/// The columns that several states of one address space share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    mm: Option<MmId>,
    stretches: Vec<Stretch>,
    names: Vec<VmaId>,
}

impl Columns {
    /// Columns for these states of an address space, and for ranges to be marked.
    pub fn of(mm: MmId, states: &[&[VmaState]], ranges: &[Range<u64>]) -> Self {
        let areas = || {
            let all = states.iter().flat_map(|areas| areas.iter());
            all.filter(|area| area.mm == mm)
        };
        let mut edges: BTreeSet<u64> = areas().flat_map(|area| [area.start, area.end]).collect();
        edges.extend(ranges.iter().flat_map(|range| [range.start, range.end]));
        let edges: Vec<u64> = edges.into_iter().collect();
        let used = |at: u64| {
            areas().any(|area| area.start <= at && at < area.end)
                || ranges.iter().any(|range| range.contains(&at))
        };
        let mut stretches: Vec<Stretch> = edges
            .windows(2)
            .map(|edge| Stretch {
                range: edge[0]..edge[1],
                used: used(edge[0]),
                width: 0,
            })
            .collect();
        fit(&mut stretches);
        let names: BTreeSet<VmaId> = areas().map(|area| area.vma).collect();
        Self {
            mm: Some(mm),
            stretches,
            names: names.into_iter().collect(),
        }
    }

    /// The stretches, by address.
    #[cfg(feature = "picture")]
    pub fn stretches(&self) -> &[Stretch] {
        &self.stretches
    }

    /// How many columns there are.
    pub fn width(&self) -> usize {
        self.stretches.iter().map(|stretch| stretch.width).sum()
    }

    /// Addresses above the columns where stretches begin, as many as there is room for.
    pub fn axis(&self) -> String {
        let mut line = String::new();
        for stretch in self.stretches.iter().filter(|stretch| stretch.used) {
            let column = self.column(stretch.range.start);
            if line.is_empty() || line.len() < column {
                line = format!("{line:column$}{:08x}", stretch.range.start);
            }
        }
        line
    }

    /// The areas of a state.
    pub fn row(&self, areas: &[VmaState]) -> String {
        self.draw(|at| {
            let mut here = areas.iter().filter(|area| Some(area.mm) == self.mm);
            let area = here.find(|area| area.start <= at && at < area.end)?;
            Some(self.letter(area.vma))
        })
    }

    /// A range, starred.
    pub fn stars(&self, range: &Range<u64>) -> String {
        self.draw(|at| range.contains(&at).then_some('*'))
    }

    /// The letter that stands for a VMA.
    pub fn letter(&self, vma: VmaId) -> char {
        let place = self.names.iter().position(|name| *name == vma);
        place
            .and_then(|place| ('A'..='Z').chain('a'..='z').nth(place))
            .unwrap_or('?')
    }

    /// Which VMA each letter stands for.
    pub fn legend(&self) -> String {
        let names = self.names.iter();
        let names: Vec<String> = names
            .map(|vma| format!("{} {vma}", self.letter(*vma)))
            .collect();
        names.join("  ")
    }

    fn column(&self, at: u64) -> usize {
        let before = self.stretches.iter();
        before
            .take_while(|stretch| stretch.range.start < at)
            .map(|stretch| stretch.width)
            .sum()
    }

    fn draw(&self, at: impl Fn(u64) -> Option<char>) -> String {
        let mut line = String::new();
        for stretch in &self.stretches {
            // An area that is left out may lie where nothing is drawn.
            let fill = at(stretch.range.start)
                .filter(|_| stretch.used)
                .unwrap_or(' ');
            let shows_cut = stretch.is_cut() && stretch.width > 2 && (fill != ' ' || !stretch.used);
            for column in 0..stretch.width {
                let cut = shows_cut && column == stretch.width / 2;
                line.push(if cut { CUT } else { fill });
            }
        }
        // Nothing but gaps is left of what nothing follows.
        line.truncate(line.trim_end_matches([' ', CUT]).len());
        line
    }
}

fn fit(stretches: &mut [Stretch]) {
    for cap in CAPS {
        for stretch in &mut *stretches {
            let cap = if stretch.used { cap } else { GAP.min(cap) };
            stretch.width = usize::try_from(stretch.pages()).map_or(cap, |pages| pages.min(cap));
        }
        if stretches.iter().map(|stretch| stretch.width).sum::<usize>() <= MOST {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use vmadiff_contract::VmFlags;

    use super::*;

    const MM: MmId = MmId(1);

    fn area(vma: u32, start: u64, end: u64) -> VmaState {
        VmaState {
            mm: MM,
            start: start * PAGE_SIZE,
            end: end * PAGE_SIZE,
            vma: VmaId(vma),
            flags: VmFlags::READ,
            pgoff: 0,
            file: None,
            policy: None,
            anon: None,
            anon_chain: 0,
        }
    }

    /// Checks the rows of states that share their columns.
    #[track_caller]
    fn check(states: &[&[VmaState]], rows: &[&str]) {
        let columns = Columns::of(MM, states, &[]);
        let drawn: Vec<String> = states.iter().map(|areas| columns.row(areas)).collect();
        assert_eq!(drawn, rows);
    }

    #[test]
    fn a_letter_is_an_area_and_a_column_a_page() {
        let before = [area(3, 1, 4), area(5, 6, 8)];
        let after = [area(3, 1, 3), area(9, 3, 4), area(5, 6, 8)];
        check(&[&before, &after], &["AAA  BB", "AAC  BB"]);
    }

    #[test]
    fn long_stretches_are_cut() {
        let far = [area(1, 0, 100), area(2, 5000, 5001)];
        check(&[&far], &["AAAAAAAA~AAAAAAA ~ B"]);
    }

    #[test]
    fn stars_are_below_the_range() {
        let areas = [area(1, 1, 5)];
        let range = 2 * PAGE_SIZE..4 * PAGE_SIZE;
        let columns = Columns::of(MM, &[&areas], std::slice::from_ref(&range));
        assert_eq!(columns.row(&areas), "AAAA");
        assert_eq!(columns.stars(&range), " **");
        assert_eq!(columns.axis(), "00001000");
        assert_eq!(columns.legend(), "A #1");
    }
}
