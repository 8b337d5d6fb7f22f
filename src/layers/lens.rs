//! Compares areas with those of a state as they are told, without a state made of them.

use std::slice;

use vmadiff_contract::{MmId, View, VmFlags, VmaState};

/// Areas that are told one after another, seen through a view of areas and of nothing else.
pub struct Lens<'a> {
    /// Areas of the state that have not been told of.
    left: slice::Iter<'a, VmaState>,
    flags: VmFlags,
    joins: bool,
    /// The last area told of, to which the next one may be joined.
    last: Option<Told>,
    same: bool,
    /// Areas of an address space came by address.
    in_order: bool,
}

struct Told {
    mm: MmId,
    start: u64,
    end: u64,
    flags: VmFlags,
}

impl<'a> Lens<'a> {
    pub fn new(view: &View, areas: &'a [VmaState]) -> Self {
        Self {
            left: areas.iter(),
            flags: view.area_flags(),
            joins: view.joins(),
            last: None,
            same: true,
            in_order: true,
        }
    }

    /// The next area.
    pub fn tell(&mut self, mm: MmId, start: u64, end: u64, flags: VmFlags) {
        let flags = flags & self.flags;
        if let Some(last) = &mut self.last
            && self.joins
            && last.end == start
            && last.flags == flags
            && last.mm == mm
            && last.start < start
            && start < end
        {
            last.end = end;
            return;
        }
        let behind = |last: &Told| last.mm < mm || (last.mm == mm && last.start <= start);
        self.in_order &= self.last.as_ref().is_none_or(behind);
        self.settle();
        self.last = Some(Told {
            mm,
            start,
            end,
            flags,
        });
    }

    /// Whether that was all, and what the state has; none: areas came in another order than by address.
    pub fn finish(mut self) -> Option<bool> {
        self.settle();
        let same = self.same && self.left.next().is_none();
        self.in_order.then_some(same)
    }

    fn settle(&mut self) {
        let Some(last) = self.last.take() else {
            return;
        };
        let same = |area: &VmaState| {
            (area.start, area.end, area.flags, area.mm)
                == (last.start, last.end, last.flags, last.mm)
        };
        self.same &= self.left.next().is_some_and(same);
    }
}

#[cfg(test)]
mod tests {
    use vmadiff_contract::{PAGE_SIZE, Snapshot};

    use super::*;
    use crate::compare::narrow;

    /// Some areas of two address spaces, by address, neighbours among them.
    fn areas(mut seed: u64) -> Vec<VmaState> {
        let mut at = 0;
        let mut next = |bound: u64| {
            seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (seed >> 33) % bound
        };
        let count = next(6);
        let mut made: Vec<VmaState> = (0..count)
            .map(|_| {
                let start = at + next(2) * PAGE_SIZE;
                // Some are empty, as only a wrong manager has them.
                at = start + next(6).div_ceil(2) * PAGE_SIZE;
                let kinds = [
                    VmFlags::READ,
                    VmFlags::WRITE,
                    VmFlags::READ | VmFlags::SHARED,
                ];
                VmaState {
                    mm: MmId(1 + next(2) as u8),
                    start,
                    end: at,
                    flags: kinds[next(3) as usize],
                    ..VmaState::default()
                }
            })
            .collect();
        made.sort_by_key(|area| (area.mm, area.start));
        made
    }

    #[test]
    fn it_sees_what_two_states_show() {
        let (mut same, mut other) = (0, 0);
        for view in [View::areas(), View::areas().joined()] {
            for seed in 0..4000 {
                let (told, had) = (areas(seed % 70), areas(seed / 70));
                let seen = |vmas: &[VmaState]| {
                    let mut state = Snapshot {
                        vmas: vmas.to_vec(),
                        ..Snapshot::default()
                    };
                    narrow(&view, &mut state);
                    state.vmas
                };
                let had = seen(&had);
                let mut lens = Lens::new(&view, &had);
                for area in &told {
                    lens.tell(area.mm, area.start, area.end, area.flags);
                }
                let is_same = lens.finish().expect("they are in order");
                assert_eq!(is_same, seen(&told) == had, "{told:?} {had:?}");
                *(if is_same { &mut same } else { &mut other }) += 1;
            }
        }
        assert!(same > 100 && other > 100, "{same} {other}");
    }
}
