//! Where the agent's own pages take room that is the program's.
//!
//! mlockall locks them along. RLIMIT_MEMLOCK is raised by as much, but not above the hard limit: from
//! there on Linux refuses what the rules do not.

use vmadiff_contract::{Call, CallKind, Errno, LockAllFlags, Outcome, TaskId};

use super::{Unfit, only};
use crate::machine::Machine;
use crate::seen::Answer;

/// Checks that Linux did not refuse the last of some calls for want of that room. The manager said
/// `said` to it, and then has `locked_pages` in the caller's address space.
///
/// # Errors
/// If it did.
pub fn leaves_room(
    machine: &Machine,
    own_pages: u64,
    calls: &[(TaskId, Call)],
    (said, answer): (Outcome, &Answer),
    locked_pages: u64,
) -> Result<(), Unfit> {
    let Some((_, call)) = calls.last() else {
        return Ok(());
    };
    let refused = match answer {
        Answer::Known(Outcome::Errno(Errno::ENOMEM | Errno::EAGAIN) | Outcome::Segv(_)) => true,
        // The heap stays as it is.
        Answer::Known(Outcome::Value(_)) => call.kind() == CallKind::Brk,
        _ => false,
    };
    let all = calls.iter().any(|(_, call)| {
        matches!(call, Call::Mlockall { flags } if flags.contains(LockAllFlags::CURRENT))
    });
    let with_own = locked_pages.saturating_add(own_pages);
    only(
        !(said.is_success() && refused && all && with_own > machine.most_locked / 4096),
        "the agent's own pages count to RLIMIT_MEMLOCK, whose hard limit leaves no room for them",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether mlockall is refused for the agent's sake: of 10 pages 4 are its own.
    fn takes(flags: LockAllFlags, locked_pages: u64, said: Outcome, answer: Outcome) -> bool {
        let machine = Machine {
            most_locked: 10 << 12,
            ..Machine::ideal()
        };
        let calls = [(TaskId(1), Call::Mlockall { flags })];
        leaves_room(
            &machine,
            4,
            &calls,
            (said, &Answer::Known(answer)),
            locked_pages,
        )
        .is_err()
    }

    #[test]
    fn only_what_meets_the_limit_with_the_agents_pages_is_unfit() {
        let all = LockAllFlags::CURRENT | LockAllFlags::FUTURE;
        let (done, full) = (Outcome::Value(0), Outcome::Errno(Errno::ENOMEM));
        assert!(takes(all, 7, done, full));
        assert!(!takes(all, 6, done, full), "there is room");
        assert!(!takes(all, 7, full, done), "the manager's refusal");
        assert!(!takes(LockAllFlags::FUTURE, 7, done, full), "not along");
        let strange = Outcome::Errno(Errno::EINVAL);
        assert!(!takes(all, 7, done, strange), "another reason");
    }
}
