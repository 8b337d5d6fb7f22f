//! Where Linux once made one area of several of the manager's: what is cut off later keeps what it
//! got by that.

use std::ops::Range;

use crate::seen::Seen;

/// Merges that only Linux made, in the states that were looked at.
#[derive(Clone, Debug, Default)]
pub struct Merges(Vec<(u8, Range<u64>)>);

impl Merges {
    /// Remembers Linux's areas in which areas of the manager's touch.
    pub fn note(&mut self, ours: &Seen, theirs: &Seen) {
        for (ours, theirs) in ours.spaces.iter().zip(&theirs.spaces) {
            let several = theirs.areas.iter().filter(|whole| {
                let mut starts = ours.areas.iter().map(|area| area.start);
                starts.any(|start| whole.start < start && start < whole.end)
            });
            for area in several {
                let merge = (theirs.mm.0, area.start..area.end);
                if !self.0.contains(&merge) {
                    self.0.push(merge);
                }
            }
        }
    }

    /// mremap moved a range: what it was cut off moves along.
    pub fn moved(&mut self, mm: u8, from: &Range<u64>, to: u64) {
        let mut moved = Vec::new();
        for (space, whole) in &self.0 {
            let part = whole.start.max(from.start)..whole.end.min(from.end);
            if *space == mm && !part.is_empty() {
                moved.push((mm, part.start - from.start + to..part.end - from.start + to));
            }
        }
        self.0.append(&mut moved);
    }

    /// Whether the address lay in one before fork made its address space: a child's number is
    /// higher than its parent's.
    pub fn before_fork(&self, (mm, addr): (u8, u64)) -> bool {
        let mut merges = self.0.iter();
        merges.any(|(parent, range)| *parent < mm && range.contains(&addr))
    }
}

#[cfg(test)]
mod tests {
    use vmadiff_contract::MmId;

    use super::*;
    use crate::seen::{Area, Space};

    fn seen(bounds: &[u64]) -> Seen {
        let areas = bounds.windows(2).map(|pair| Area {
            start: pair[0],
            end: pair[1],
            ..Area::default()
        });
        let space = Space {
            mm: MmId(1),
            areas: areas.collect(),
            ..Space::default()
        };
        Seen {
            spaces: vec![space],
        }
    }

    #[test]
    fn a_merge_is_one_area_for_several_and_is_met_in_children() {
        let mut merges = Merges::default();
        merges.note(&seen(&[0x1000, 0x3000]), &seen(&[0x1000, 0x2000, 0x3000]));
        assert!(!merges.before_fork((2, 0x1000)), "apart is no merge");
        merges.note(
            &seen(&[0x1000, 0x2000, 0x3000, 0x4000]),
            &seen(&[0x1000, 0x3000, 0x4000]),
        );
        assert!(merges.before_fork((2, 0x1000)) && merges.before_fork((2, 0x2fff)));
        assert!(!merges.before_fork((2, 0x3000)), "another area");
        assert!(!merges.before_fork((1, 0x1000)), "nobody's child");
        merges.moved(1, &(0x2000..0x4000), 0x8000);
        assert!(merges.before_fork((2, 0x8fff)) && !merges.before_fork((2, 0x9000)));
    }
}
