//! Takes what is not compared out of a state: nothing behind a view can differ, be reported or be
//! drawn.

use vmadiff_contract::{MmState, PAGE_SIZE, Shown, Snapshot, TaskState, View, VmaId, VmaState};

/// Takes out of a state what is not compared.
pub(crate) fn narrow(view: &View, state: &mut Snapshot) {
    if view.is_all() {
        return;
    }
    narrow_areas(view, &mut state.vmas);
    let unless = |parts| !view.shows(parts);
    if unless(Shown::PAGES) {
        state.pages.clear();
    }
    if unless(Shown::CONTENTS) {
        state.bytes.clear();
    }
    if unless(Shown::FILES) {
        state.fds.clear();
        state.files.clear();
        state.file_bytes.clear();
        state.absent.clear();
    }
    if unless(Shown::TASKS) {
        state.tasks.clear();
    }
    for task in &mut state.tasks {
        narrow_task(view, task);
    }
    if unless(Shown::COUNTERS) {
        (state.committed, state.anon_frames) = (0, 0);
        state.limits.clear();
        for mm in &mut state.mms {
            *mm = MmState {
                mm: mm.mm,
                ..MmState::default()
            };
        }
    }
    if unless(Shown::ANON_VMAS) {
        state.anons = 0;
    }
    if unless(Shown::EVENTS) {
        state.protocol.clear();
    }
}

fn narrow_task(view: &View, task: &mut TaskState) {
    if !view.shows(Shown::FAULTS) {
        (task.minor_faults, task.major_faults) = (0, 0);
    }
    if !view.shows(Shown::POLICIES) {
        task.policy = None;
    }
}

fn narrow_areas(view: &View, areas: &mut Vec<VmaState>) {
    if !view.shows(Shown::AREAS) {
        areas.clear();
    }
    for area in areas.iter_mut() {
        narrow_area(view, area);
    }
    if view.joins() {
        areas.dedup_by(|next, area| {
            let joins = join(view, area, next);
            if joins {
                area.end = next.end;
            }
            joins
        });
    }
}

fn narrow_area(view: &View, area: &mut VmaState) {
    area.flags &= view.area_flags();
    if !view.shows(Shown::IDENTITIES) {
        // Reports give a letter to each: the same where an area starts at the same place.
        area.vma = VmaId((area.start / PAGE_SIZE) as u32);
    }
    if !view.shows(Shown::OFFSETS) {
        area.pgoff = 0;
    }
    if !view.shows(Shown::FILES) {
        area.file = None;
    }
    if !view.shows(Shown::POLICIES) {
        area.policy = None;
    }
    if !view.shows(Shown::ANON_VMAS) {
        (area.anon, area.anon_chain) = (None, 0);
    }
}

/// Whether two areas, one behind the other, look like one. An area without a byte is one that no manager may
/// have, and stays to be seen.
fn join(view: &View, area: &VmaState, next: &VmaState) -> bool {
    let has_bytes = |area: &VmaState| area.start < area.end;
    if area.end != next.start || area.flags != next.flags {
        return false;
    }
    if !has_bytes(area) || !has_bytes(next) {
        return false;
    }
    let pages = (area.end - area.start) / PAGE_SIZE;
    let follows = !view.shows(Shown::OFFSETS) || area.pgoff.wrapping_add(pages) == next.pgoff;
    let same = VmaState {
        start: next.start,
        end: next.end,
        vma: next.vma,
        pgoff: next.pgoff,
        ..*area
    } == *next;
    follows && same
}

#[cfg(test)]
mod tests {
    use super::*;
    use vmadiff_contract::{MmId, VmFlags};

    fn area(start: u64, end: u64, flags: VmFlags) -> VmaState {
        VmaState {
            mm: MmId(1),
            start: start * PAGE_SIZE,
            end: end * PAGE_SIZE,
            vma: VmaId(7),
            flags,
            pgoff: 77,
            file: None,
            policy: None,
            anon: None,
            anon_chain: 2,
        }
    }

    fn seen(view: View, areas: &[VmaState]) -> Vec<(u64, u64)> {
        let mut state = Snapshot {
            vmas: areas.to_vec(),
            committed: 5,
            ..Snapshot::default()
        };
        narrow(&view, &mut state);
        let pages = state.vmas.iter();
        pages
            .map(|v| (v.start / PAGE_SIZE, v.end / PAGE_SIZE))
            .collect()
    }

    #[test]
    fn alike_neighbours_are_one_only_if_asked_for() {
        let (read, write) = (VmFlags::READ, VmFlags::READ | VmFlags::WRITE);
        let areas = [
            area(1, 2, read),
            area(2, 3, read | VmFlags::ACCOUNT),
            area(3, 4, write),
            area(5, 6, write),
        ];
        assert_eq!(seen(View::areas(), &areas).len(), 4);
        let joined = seen(View::areas().joined(), &areas);
        assert_eq!(joined, [(1, 3), (3, 4), (5, 6)]);
        let all = View::areas().joined().flags(VmFlags::all());
        assert_eq!(seen(all, &areas).len(), 4);
    }

    #[test]
    fn areas_without_a_byte_stay_to_be_seen() {
        let read = VmFlags::READ;
        let areas = [area(1, 2, read), area(2, 2, read), area(2, 3, read)];
        let joined = seen(View::areas().joined(), &areas);
        assert_eq!(joined, [(1, 2), (2, 2), (2, 3)]);
    }

    #[test]
    fn nothing_is_left_of_what_is_not_shown() {
        let mut state = Snapshot {
            vmas: vec![area(1, 2, VmFlags::all())],
            committed: 5,
            anons: 1,
            ..Snapshot::default()
        };
        let whole = state.clone();
        narrow(&View::all(), &mut state);
        assert_eq!(state, whole);
        narrow(&View::areas(), &mut state);
        let VmaState {
            flags,
            pgoff,
            anon_chain,
            ..
        } = state.vmas[0];
        let all = VmFlags::READ | VmFlags::WRITE | VmFlags::EXEC;
        assert_eq!((flags, pgoff, anon_chain), (all, 0, 0));
        assert_eq!((state.committed, state.anons), (0, 0));
        narrow(&View::areas().without(Shown::AREAS), &mut state);
        assert!(state.vmas.is_empty());
    }
}
