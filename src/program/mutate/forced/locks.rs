//! Locks that stand between two accesses: a task that is left with one keeps the other from coming to its
//! own.

use vmadiff_interleave::Kind;
use vmadiff_interleave::sim::{Step, What};

/// The step of the first task before which the second can come to its own: the access, or where a lock was
/// taken that is held there and that the second takes on its way.
pub(super) fn free_of_locks(steps: &[Step], first: usize, then: usize) -> usize {
    let (task, other) = (steps[first].task, steps[then].task);
    let mut first = first;
    loop {
        let held = held(&steps[..first], task);
        let taken = steps[first..=then].iter().filter(|step| step.task == other);
        let waited_for = taken.filter_map(locks).find_map(|(object, alone)| {
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

/// What a task holds behind these steps.
fn held(steps: &[Step], task: u8) -> Vec<Held> {
    let mut held: Vec<Held> = Vec::new();
    for (taken, step) in steps.iter().enumerate() {
        if step.task != task {
            continue;
        }
        if let Some((object, alone)) = locks(step) {
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
fn locks(step: &Step) -> Option<(u32, bool)> {
    let What::Access { kind, object } = step.what else {
        return None;
    };
    match kind {
        Kind::Lock | Kind::TryLock => Some((object, true)),
        Kind::LockShared | Kind::TryLockShared => Some((object, false)),
        _ => None,
    }
}
