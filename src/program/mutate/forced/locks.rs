//! Locks that stand between two accesses: a task that is left with one keeps the other from coming to its
//! own.

use vmadiff_interleave::Kind;
use vmadiff_interleave::sim::{Step, What};

/// The step of the first task before which the second can come to its own: the access, or where a lock was
/// taken that is held there and that the second takes on its way. `locks` are the steps that are about
/// locks, rising.
pub(super) fn free_of_locks(steps: &[Step], locks: &[usize], first: usize, then: usize) -> usize {
    let (task, other) = (steps[first].task, steps[then].task);
    let mut first = first;
    loop {
        let (before, behind) = locks.split_at(locks.partition_point(|&at| at < first));
        let held = held(steps, before, task);
        let taken = behind.iter().take_while(|&&at| at <= then);
        let taken = taken
            .map(|&at| &steps[at])
            .filter(|step| step.task == other);
        let waited_for = taken.filter_map(lock_of).find_map(|(object, alone)| {
            let mut held = held.iter();
            held.find(|held| held.object == object && (held.alone || alone))
        });
        match waited_for {
            Some(lock) => first = lock.taken,
            None => return first,
        }
    }
}

/// A lock that is held: which, for itself alone, and by which step it was taken.
struct Held {
    object: u32,
    alone: bool,
    taken: usize,
}

/// What a task holds behind these steps about locks.
fn held(steps: &[Step], locks: &[usize], task: u8) -> Vec<Held> {
    let mut held: Vec<Held> = Vec::new();
    for &taken in locks {
        let step = &steps[taken];
        if step.task != task {
            continue;
        }
        if let Some((object, alone)) = lock_of(step) {
            held.push(Held {
                object,
                alone,
                taken,
            });
        }
        let What::Access { kind, object } = step.what else {
            continue;
        };
        match kind {
            Kind::Unlock | Kind::UnlockShared => held.retain(|held| held.object != object),
            Kind::Downgrade => {
                let lock = held.iter_mut().find(|held| held.object == object);
                lock.into_iter().for_each(|held| held.alone = false);
            }
            _ => {}
        }
    }
    held
}

/// The lock that a step takes, or tries to, and whether for itself alone.
fn lock_of(step: &Step) -> Option<(u32, bool)> {
    let What::Access { kind, object } = step.what else {
        return None;
    };
    match kind {
        Kind::Lock | Kind::TryLock => Some((object, true)),
        Kind::LockShared | Kind::TryLockShared => Some((object, false)),
        _ => None,
    }
}

/// Whether an access takes a lock, tries to, or gives one back.
pub(super) fn is_about_a_lock(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Lock
            | Kind::LockShared
            | Kind::TryLock
            | Kind::TryLockShared
            | Kind::Unlock
            | Kind::UnlockShared
            | Kind::Downgrade
    )
}
