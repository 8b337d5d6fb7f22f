//! Names: two managers number their objects in the order in which they allocate them, and that
//! order is not the same where calls overlap. Objects are paired as they come up.

use vmadiff_contract::{AnonId, FileId, MmId, PolicyId, Snapshot, TaskId, VmaId};

/// Which of the candidate's objects is which of the reference's.
#[derive(Clone, Default)]
pub struct Names {
    pub tasks: Pairs,
    pub vmas: Pairs,
    pub mms: Pairs,
    pub anons: Pairs,
    pub files: Pairs,
    pub policies: Pairs,
    /// Told only by marks: a state has no frames.
    pub frames: Pairs,
}

/// One kind of object: pairs of numbers, each number in one pair at most.
#[derive(Clone, Default)]
pub struct Pairs {
    /// By the candidate's number, the reference's; 0: none yet.
    ours: Vec<u32>,
    theirs: Vec<u32>,
}

impl Pairs {
    fn clear(&mut self) {
        self.ours.clear();
        self.theirs.clear();
    }

    /// Pairs two objects; false: one of them is paired with another.
    pub fn pair(&mut self, theirs: u32, ours: u32) -> bool {
        let grow = |list: &mut Vec<u32>, at: u32| {
            if list.len() <= at as usize {
                list.resize(at as usize + 1, 0);
            }
        };
        grow(&mut self.ours, theirs);
        grow(&mut self.theirs, ours);
        let (to, from) = (
            &mut self.ours[theirs as usize],
            &mut self.theirs[ours as usize],
        );
        if (*to, *from) == (0, 0) {
            (*to, *from) = (ours, theirs);
        }
        (*to, *from) == (ours, theirs)
    }

    /// The reference's number for one of the candidate's.
    pub fn get(&self, theirs: u32) -> Option<u32> {
        self.ours
            .get(theirs as usize)
            .copied()
            .filter(|&ours| ours != 0)
    }

    /// The same; for an object without a counterpart a number that no object of the reference has.
    fn named(&self, theirs: u32) -> u32 {
        self.get(theirs).unwrap_or(u32::MAX - theirs)
    }
}

impl Names {
    /// Forgets all pairs but the threads of the first process.
    pub fn clear(&mut self, threads: u8) {
        let Self {
            tasks,
            vmas,
            mms,
            anons,
            files,
            policies,
            frames,
        } = self;
        for pairs in [&mut *tasks, vmas, mms, anons, files, policies, frames] {
            pairs.clear();
        }
        for task in 1..=u32::from(threads) {
            tasks.pair(task, task);
        }
        mms.pair(1, 1);
    }

    /// Of a number that stands for an object without a counterpart, the candidate's.
    pub fn without_counterpart(named: u32) -> Option<u32> {
        (named > u32::MAX / 2).then_some(u32::MAX - named)
    }

    /// The reference's number of a task.
    pub fn task(&self, task: TaskId) -> Option<TaskId> {
        self.tasks.get(task.0.into()).map(|task| TaskId(task as u8))
    }

    /// The reference's number of a VMA.
    pub fn vma(&self, vma: VmaId) -> VmaId {
        VmaId(self.vmas.named(vma.0))
    }

    /// Writes the candidate's state in the reference's names. Objects that come up here for the
    /// first time are paired by what both states show at the same place. How many faults tasks had
    /// is taken from the reference.
    pub fn translate(&mut self, ours: &Snapshot, theirs: &Snapshot, into: &mut Snapshot) {
        into.clear();
        self.tasks(ours, theirs, into);
        self.areas(ours, theirs, into);
        self.descriptors(ours, theirs, into);
        self.files(theirs, into);
        let Self { mms, .. } = self;
        let name = |mm: &mut MmId| *mm = MmId(mms.named(mm.0.into()) as u8);
        renamed(&theirs.mms, &mut into.mms, |m| name(&mut m.mm));
        into.mms.sort_by_key(|m| m.mm);
        renamed(&theirs.pages, &mut into.pages, |page| name(&mut page.mm));
        into.pages.sort_by_key(|page| (page.mm, page.addr));
        renamed(&theirs.bytes, &mut into.bytes, |byte| name(&mut byte.mm));
        into.bytes.sort_by_key(|byte| (byte.mm, byte.addr));
        renamed(&theirs.limits, &mut into.limits, |limit| {
            name(&mut limit.mm);
        });
        into.limits.sort_by_key(|limit| (limit.mm, limit.resource));
        into.committed = theirs.committed;
        into.anon_frames = theirs.anon_frames;
        into.anons = theirs.anons;
    }

    /// Pairs areas that both states show at the same place, where nobody has told which is which.
    pub fn pair_areas(&mut self, ours: &Snapshot, theirs: &Snapshot) {
        for area in &theirs.vmas {
            let place = (self.mms.get(area.mm.0.into()), area.start);
            let mut same = ours.vmas.iter();
            let same = same.find(|ours| (Some(ours.mm.0.into()), ours.start) == place);
            if let Some(same) = same {
                self.vmas.pair(area.vma.0, same.vma.0);
            }
        }
    }

    fn tasks(&mut self, ours: &Snapshot, theirs: &Snapshot, into: &mut Snapshot) {
        for task in &theirs.tasks {
            let mut task = *task;
            task.task = TaskId(self.tasks.named(task.task.0.into()) as u8);
            let same = ours.tasks.iter().find(|ours| ours.task == task.task);
            if let Some(same) = same {
                self.mms.pair(task.mm.0.into(), same.mm.0.into());
                if let (Some(theirs), Some(ours)) = (task.policy, same.policy) {
                    self.policies.pair(theirs.0, ours.0);
                }
                task.minor_faults = same.minor_faults;
                task.major_faults = same.major_faults;
            }
            task.mm = MmId(self.mms.named(task.mm.0.into()) as u8);
            task.policy = task.policy.map(|p| PolicyId(self.policies.named(p.0)));
            into.tasks.push(task);
        }
        into.tasks.sort_by_key(|task| task.task);
    }

    fn areas(&mut self, ours: &Snapshot, theirs: &Snapshot, into: &mut Snapshot) {
        for area in &theirs.vmas {
            let mut area = *area;
            area.mm = MmId(self.mms.named(area.mm.0.into()) as u8);
            area.vma = self.vma(area.vma);
            into.vmas.push(area);
        }
        into.vmas.sort_by_key(|area| (area.mm, area.start));
        let mut from = 0;
        for area in &mut into.vmas {
            let key = (area.mm, area.start);
            from += ours.vmas[from..].partition_point(|ours| (ours.mm, ours.start) < key);
            if let Some(same) = ours.vmas.get(from)
                && (same.mm, same.start) == key
            {
                if let (Some(theirs), Some(ours)) = (area.anon, same.anon) {
                    self.anons.pair(theirs.0, ours.0);
                }
                if let (Some(theirs), Some(ours)) = (area.file, same.file) {
                    self.files.pair(theirs.0, ours.0);
                }
                if let (Some(theirs), Some(ours)) = (area.policy, same.policy) {
                    self.policies.pair(theirs.0, ours.0);
                }
            }
            area.anon = area.anon.map(|anon| AnonId(self.anons.named(anon.0)));
            area.file = area.file.map(|file| FileId(self.files.named(file.0)));
            area.policy = area.policy.map(|p| PolicyId(self.policies.named(p.0)));
        }
    }

    fn descriptors(&mut self, ours: &Snapshot, theirs: &Snapshot, into: &mut Snapshot) {
        for fd in &theirs.fds {
            let mut fd = *fd;
            fd.mm = MmId(self.mms.named(fd.mm.0.into()) as u8);
            let same = ours.fds.iter().find(|o| (o.mm, o.fd) == (fd.mm, fd.fd));
            if let Some(same) = same {
                self.files.pair(fd.file.0, same.file.0);
            }
            fd.file = FileId(self.files.named(fd.file.0));
            into.fds.push(fd);
        }
        into.fds.sort_by_key(|fd| (fd.mm, fd.fd));
    }

    fn files(&mut self, theirs: &Snapshot, into: &mut Snapshot) {
        let name = |file: &mut FileId| *file = FileId(self.files.named(file.0));
        renamed(&theirs.files, &mut into.files, |file| name(&mut file.file));
        into.files.sort_by_key(|file| file.file);
        renamed(&theirs.file_bytes, &mut into.file_bytes, |byte| {
            name(&mut byte.file);
        });
        into.file_bytes.sort_by_key(|byte| (byte.file, byte.offset));
        renamed(&theirs.absent, &mut into.absent, |page| {
            name(&mut page.file);
        });
        into.absent.sort_by_key(|page| (page.file, page.index));
    }
}

/// Adds a copy of each, renamed.
fn renamed<T: Copy>(theirs: &[T], into: &mut Vec<T>, rename: impl Fn(&mut T)) {
    into.extend(theirs.iter().map(|one| {
        let mut one = *one;
        rename(&mut one);
        one
    }));
}
