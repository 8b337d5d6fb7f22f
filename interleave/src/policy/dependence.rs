//! When two accesses depend on each other: made in the other order they may give another result,
//! or one makes the other possible or impossible. Partial-order reduction and POS stand on it.

use crate::Kind;

use super::Pending;

/// Whether the order of these accesses, of two tasks, may matter.
#[inline]
pub(super) fn depends(a: (u32, Kind), b: (u32, Kind)) -> bool {
    match (of_machine(a.1), of_machine(b.1)) {
        (false, false) => a.0 == b.0 && a.0 != 0 && !commute(a.1, b.1),
        // All RCU and all interrupts are those of one machine, whatever the object.
        (true, true) => waits_on(a.1, b.1) || waits_on(b.1, a.1),
        _ => false,
    }
}

/// Whether two pending accesses race: POS asks it of accesses that are both possible.
#[inline]
pub(super) fn races(a: &Pending, b: &Pending) -> bool {
    depends((a.object, a.kind), (b.object, b.kind))
}

/// Whether `pending` could have been made where `made`, on which it depends, was: not if it had
/// to wait for that one, as for an unlock.
pub(super) fn reversible(made: Kind, pending: Kind) -> bool {
    !matches!(
        (made, pending),
        (
            Kind::Unlock | Kind::UnlockShared | Kind::Downgrade,
            Kind::Lock | Kind::LockShared | Kind::Relax
        ) | (Kind::Write | Kind::Update, Kind::AwaitChange)
            | (Kind::IrqOn, Kind::AwaitIpi)
    )
}

/// Accesses to the same object that give the same in both orders.
fn commute(a: Kind, b: Kind) -> bool {
    use Kind::{AwaitChange, LockShared, Read, Relax, TryLockShared, UnlockShared};
    matches!(
        (a, b),
        (Read | AwaitChange, Read | AwaitChange)
            | (
                LockShared | TryLockShared | UnlockShared,
                LockShared | TryLockShared | UnlockShared
            )
            | (Relax, Relax)
    )
}

#[inline]
pub(super) fn of_machine(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::ReadSection
            | Kind::ReadSectionEnd
            | Kind::IrqOff
            | Kind::IrqOn
            | Kind::Ipi
            | Kind::AwaitIpi
            | Kind::CallRcu
            | Kind::PopCallback
            | Kind::AwaitCallback
    )
}

/// What a callback or an interrupt waits for, or is queued before or after.
fn waits_on(a: Kind, b: Kind) -> bool {
    use Kind::{
        AwaitCallback, AwaitIpi, CallRcu, Ipi, IrqOff, IrqOn, PopCallback, ReadSection,
        ReadSectionEnd,
    };
    matches!(
        (a, b),
        (
            CallRcu,
            ReadSection | ReadSectionEnd | IrqOff | IrqOn | CallRcu | PopCallback | AwaitCallback
        ) | (
            PopCallback | AwaitCallback,
            ReadSectionEnd | IrqOn | PopCallback | AwaitCallback
        ) | (Ipi, IrqOff | IrqOn)
            | (AwaitIpi, IrqOn)
    )
}
