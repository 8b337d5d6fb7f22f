//! What holds between calls, whatever was called: counters equal what they count.

use std::collections::BTreeMap;

use vmadiff_contract::{AnonId, FileId, FrameId, PAGE_SIZE, PolicyId, VmFlags};

use crate::mm::Mm;
use crate::page::Entry;
use crate::world::World;

/// How often something is referred to.
type Counts<T> = BTreeMap<T, u32>;

fn count<T: Ord>(counts: &mut Counts<T>, key: T) {
    *counts.entry(key).or_default() += 1;
}

impl World {
    /// Panics if a counter lies. `stacks_grew`: the commit counter may be too high (section 18).
    pub fn assert_sound(&self, stacks_grew: bool) {
        let mms = &self.mms;
        let (mut files, mut frames) = (Counts::<FileId>::new(), Counts::<FrameId>::new());
        let (mut slots, mut links) = (Counts::<u32>::new(), Counts::<AnonId>::new());
        let mut policies = Counts::<PolicyId>::new();
        let mut committed = 0;
        for mm in mms {
            assert!(
                mm.users > 0 || (mm.areas.is_empty() && mm.pages.is_empty()),
                "{mm:?}"
            );
            assert_mm_sound(mm);
            mm.fds.iter().for_each(|fd| count(&mut files, fd.1));
            for area in &mm.areas {
                area.file.into_iter().for_each(|id| count(&mut files, id));
                area.policy
                    .into_iter()
                    .for_each(|id| count(&mut policies, id));
                area.rmap.chain.iter().for_each(|&id| count(&mut links, id));
                let accounted = area.flags.contains(VmFlags::ACCOUNT);
                committed += if accounted { area.pages() } else { 0 };
            }
            for page in &mm.pages {
                match page.entry {
                    Entry::Anon(id) => count(&mut frames, id),
                    Entry::Swap(slot) => count(&mut slots, slot),
                    Entry::Zero | Entry::File(..) => {}
                }
            }
        }
        for (i, file) in self.files.iter().enumerate() {
            let id = FileId(i as u32 + 1);
            assert_eq!(files.remove(&id).unwrap_or(0), file.refs, "{id}");
            assert!(file.bytes.is_sorted_by(|a, b| a.0 < b.0));
            committed += file.charged_now();
        }
        for (i, frame) in self.frames.iter().enumerate() {
            let id = FrameId(i as u32 + 1);
            assert_eq!(frames.get(&id).copied().unwrap_or(0), frame.mapped, "{id}");
        }
        for (i, slot) in (0..).zip(&self.slots) {
            assert_eq!(slots.get(&i).copied().unwrap_or(0), slot.count, "slot {i}");
        }
        assert_eq!(self.live_frames as usize, frames.len() + slots.len());
        assert!(policies.values().all(|&holders| holders == 1));
        if stacks_grew {
            assert!(self.committed >= committed);
        } else {
            assert_eq!(self.committed, committed);
        }
        self.assert_anons_sound(&links);
    }
}

fn assert_mm_sound(mm: &Mm) {
    assert!(
        mm.areas.windows(2).all(|pair| pair[0].end <= pair[1].start),
        "{:#x?}",
        mm.areas
    );
    let mut sums = Mm::default();
    for area in &mm.areas {
        assert!(area.start < area.end);
        assert_eq!((area.start % PAGE_SIZE, area.end % PAGE_SIZE), (0, 0));
        assert_eq!(
            area.rmap.anon.is_some(),
            !area.rmap.chain.is_empty(),
            "{area:?}"
        );
        assert!(
            area.rmap
                .anon
                .is_none_or(|own| area.rmap.chain.contains(&own)),
            "{area:?}"
        );
        sums.account(area.flags, area.pages());
        let locked = area.flags.contains(VmFlags::LOCKED);
        sums.locked += if locked { area.pages() } else { 0 };
    }
    assert!(mm.pages.windows(2).all(|pair| pair[0].addr < pair[1].addr));
    for page in &mm.pages {
        let area = &mm.areas[mm.at(page.addr).expect("a page lies in an area")];
        match page.entry {
            Entry::Zero => assert!(area.file.is_none()),
            Entry::File(..) => {
                assert!(area.file.is_some());
                sums.rss_file += 1;
            }
            Entry::Anon(_) => {
                assert!(!area.flags.contains(VmFlags::SHARED) && area.rmap.anon.is_some());
                sums.rss_anon += 1;
            }
            Entry::Swap(_) => sums.swap_entries += 1,
        }
    }
    let counters = |mm: &Mm| {
        let pages = [mm.total, mm.data, mm.stack, mm.exec];
        (pages, mm.rss_anon, mm.rss_file, mm.swap_entries)
    };
    assert_eq!(counters(mm), counters(&sums));
    if mm.users > 0 {
        assert_eq!(mm.locked, sums.locked);
    }
}
