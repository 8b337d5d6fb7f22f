//! How often each call is made: one row a call, and none is forgotten.

use vmadiff_contract::{CallKind, Capabilities};

/// Weights of one call among all others.
#[derive(Clone, Copy)]
pub(super) struct Weights {
    /// In programs whose calls run one after another: what maps and what touches comes first.
    pub serial: u32,
    /// In races of whatever calls: half of all are accesses, since most of what can go wrong does so
    /// under a fault.
    pub racing: u32,
    /// In races about one call. 0: the call changes nothing that others could see half of.
    pub about: u32,
}

const fn row(serial: u32, racing: u32, about: u32) -> Weights {
    Weights {
        serial,
        racing,
        about,
    }
}

/// The weights of a call.
pub(super) fn weights(kind: CallKind) -> Weights {
    match kind {
        CallKind::Mmap => row(10, 8, 4),
        CallKind::Munmap => row(8, 12, 6),
        CallKind::Mprotect => row(8, 12, 6),
        CallKind::Madvise => row(5, 8, 4),
        CallKind::Brk => row(3, 1, 1),
        CallKind::Fork => row(2, 5, 6),
        CallKind::Exit => row(1, 1, 1),
        CallKind::Load => row(18, 20, 0),
        CallKind::Store => row(36, 28, 0),
        CallKind::Exec => row(1, 1, 0),
        CallKind::Open => row(3, 1, 0),
        CallKind::Ftruncate => row(1, 1, 1),
        CallKind::Close => row(1, 1, 0),
        CallKind::Reclaim => row(2, 2, 2),
        CallKind::Softirq => row(1, 1, 0),
        CallKind::Mremap => row(4, 4, 6),
        CallKind::Mlock => row(2, 2, 2),
        CallKind::Mlock2 => row(1, 1, 1),
        CallKind::Munlock => row(2, 1, 1),
        CallKind::Mlockall => row(1, 1, 1),
        CallKind::Munlockall => row(1, 1, 1),
        CallKind::Msync => row(1, 1, 0),
        CallKind::Mincore => row(1, 1, 0),
        CallKind::Mbind => row(3, 3, 5),
        CallKind::SetMempolicy => row(1, 1, 1),
        CallKind::UffdRegister => row(1, 1, 1),
        CallKind::UffdUnregister => row(1, 1, 1),
        CallKind::Fallocate => row(1, 1, 1),
        CallKind::Collapse => row(1, 1, 3),
        CallKind::NumaScan => row(1, 1, 2),
        CallKind::SetRlimit => row(1, 1, 1),
        CallKind::GetMempolicy => row(1, 1, 0),
        CallKind::Evict => row(2, 2, 2),
    }
}

/// The calls that managers know, as often as `weight` says; those of weight 0 are left out.
pub(super) fn known(calls: Capabilities, weight: impl Fn(Weights) -> u32) -> Vec<(u32, CallKind)> {
    let known = CallKind::ALL.iter().filter(|kind| calls.knows(**kind));
    let weighed = known.map(|&kind| (weight(weights(kind)), kind));
    weighed.filter(|(weight, _)| *weight > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_is_made_and_races() {
        let all = Capabilities::of(CallKind::ALL);
        let kinds = CallKind::ALL.len();
        assert_eq!(known(all, |weights| weights.serial).len(), kinds);
        let racing = known(all, |weights| weights.racing);
        assert_eq!(racing.len(), kinds);
        assert!(known(Capabilities::of(&[]), |weights| weights.serial).is_empty());
    }
}
