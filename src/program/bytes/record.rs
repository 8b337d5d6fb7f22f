//! One record of a program's bytes, read and written in place.

use vmadiff_contract::{CallKind, Fail, Fd, MAX_TASKS, TaskId};

use super::{RECORD, Version, operand};
use crate::program::settings::Setting;
use crate::program::shape::{self, MAX_PARAMS, Param};
use crate::program::sites::Sites;
use crate::program::{Moment, Step, Switch};

/// Kinds below it are calls.
const CALLS: u8 = 208;

/// Kinds from [`CALLS`] and below it are switches; all others are settings.
const SWITCHES: u8 = 240;

/// Calls of each version; a kind counts modulo it.
const KINDS: [u8; 2] = [30, 33];

/// Descriptor bytes below it are −1 to 6; all others say that operand 3 holds the descriptor, of
/// which version 2 reads the lower half.
const WIDE_FD: u8 = 0xc0;
const WIDE_FD_AT: usize = 40;

/// Where version 2 has the upper half of mmap's flags. Version 1 has 32 bits of them.
const HIGH_FLAGS: usize = 44;

/// Forms of a switch.
const GAP: u8 = 0;
const SITE: u8 = 1;
const CALLBACK: u8 = 2;

/// Gaps of switches in any other form are below it: a run has few points.
const SMALL_GAPS: u32 = 64;

const CALL_KINDS: [CallKind; KINDS[1] as usize] = {
    let mut kinds = [CallKind::Mmap; KINDS[1] as usize];
    let mut i = 0;
    while i < kinds.len() {
        kinds[i] = CallKind::ALL[i];
        i += 1;
    }
    kinds
};

/// A record as it lies in the bytes.
pub(super) struct Record<'a>(pub &'a [u8; RECORD]);

impl Record<'_> {
    pub(super) fn is_call(&self) -> bool {
        self.0[0] < CALLS
    }

    pub(super) fn is_switch(&self) -> bool {
        !self.is_call() && self.0[0] < SWITCHES
    }

    /// The record as a call of this version.
    #[inline]
    pub(super) fn step(&self, version: Version) -> Step {
        let kind = CALL_KINDS[usize::from(self.0[0] % KINDS[version as usize])];
        let mut words = [0; MAX_PARAMS];
        let mut operands = 0;
        for (word, &param) in words.iter_mut().zip(shape::params(kind)) {
            *word = match slot(param) {
                Slot::Operand => {
                    let class = self.0[4] >> (2 * operands) & 3;
                    let raw = self.u64(operands);
                    operands += 1;
                    operand::unpack(param, class, raw)
                }
                Slot::First => self.u32(8).into(),
                Slot::Flags if param == Param::MapFlags && version == Version::Second => {
                    u64::from(self.u32(12)) | u64::from(self.u32(HIGH_FLAGS)) << 32
                }
                Slot::Flags => self.u32(12).into(),
                Slot::File => self.file(param, version),
            };
        }
        Step {
            task: TaskId(task(self.0[1], 1, 2)),
            call: shape::build(kind, &words),
            fail: Fail(self.0[2]),
        }
    }

    /// The record as a switch.
    pub(super) fn switch(&self) -> Switch {
        let number = self.u32(8);
        let at = match self.0[2] {
            GAP => Moment::Gap(number),
            SITE => Moment::Site {
                task: TaskId(task(self.0[3], 0, 4)),
                site: Sites::known().renumbered(number),
                nth: self.u32(12).max(1),
            },
            CALLBACK => Moment::Callback { nth: number.max(1) },
            _ => Moment::Gap(number % SMALL_GAPS),
        };
        Switch {
            at,
            to: TaskId(task(self.0[1], 0, 4)),
        }
    }

    /// The site that the record, a switch, names by number.
    pub(super) fn site(&self) -> Option<u32> {
        (self.0[2] == SITE).then(|| self.u32(8))
    }

    /// The record as a setting with a sane value.
    pub(super) fn setting(&self) -> (&'static Setting, u64) {
        let setting = Setting::by_number(self.0[1]);
        (setting, setting.fit(self.u64(0)))
    }

    fn file(&self, param: Param, version: Version) -> u64 {
        match (param, self.0[3]) {
            (Param::Fd, byte) if byte < WIDE_FD => (i64::from(byte & 7) - 1) as u64,
            (Param::Fd, _) => match version {
                Version::First => self.u64(3),
                Version::Second => i64::from(self.u32(WIDE_FD_AT) as i32) as u64,
            },
            (_, byte) => byte.into(),
        }
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(*self.0[at..].first_chunk().expect("inside a record"))
    }

    /// The operand of this number, 0 to 3.
    fn u64(&self, operand: usize) -> u64 {
        u64::from_le_bytes(
            *self.0[16 + 8 * operand..]
                .first_chunk()
                .expect("inside a record"),
        )
    }
}

/// The record of a call.
#[inline]
pub(super) fn of_step(step: &Step) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    let kind = step.call.kind();
    record[0] = kind as u8;
    record[1] = step.task.0;
    record[2] = step.fail.0;
    let mut operands = 0;
    for (&word, &param) in shape::words(&step.call).iter().zip(shape::params(kind)) {
        match slot(param) {
            Slot::Operand => {
                let (class, raw) = operand::pack(param, word);
                record[4] |= class << (2 * operands);
                put(&mut record, 16 + 8 * operands, raw.to_le_bytes());
                operands += 1;
            }
            Slot::First => put(&mut record, 8, (word as u32).to_le_bytes()),
            Slot::Flags => {
                put(&mut record, 12, (word as u32).to_le_bytes());
                if param == Param::MapFlags {
                    put(&mut record, HIGH_FLAGS, ((word >> 32) as u32).to_le_bytes());
                }
            }
            Slot::File if param == Param::Fd => put_fd(&mut record, Fd(word as i32)),
            Slot::File => record[3] = word as u8,
        }
    }
    record
}

/// The record of a switch.
pub(super) fn of_switch(switch: &Switch) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    record[0] = CALLS;
    record[1] = switch.to.0;
    match switch.at {
        Moment::Gap(gap) => {
            record[2] = GAP;
            put(&mut record, 8, gap.to_le_bytes());
        }
        Moment::Site { task, site, nth } => {
            record[2] = SITE;
            record[3] = task.0;
            put(&mut record, 8, site.to_le_bytes());
            put(&mut record, 12, nth.to_le_bytes());
        }
        Moment::Callback { nth } => {
            record[2] = CALLBACK;
            put(&mut record, 8, nth.to_le_bytes());
        }
    }
    record
}

/// The record of a setting.
pub(super) fn of_setting(setting: &Setting, value: u64) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    record[0] = SWITCHES;
    record[1] = setting.number;
    put(&mut record, 16, value.to_le_bytes());
    record
}

/// Where a parameter lies in a record.
enum Slot {
    /// The next of the four operands.
    Operand,
    /// The number at +8.
    First,
    /// The number at +12.
    Flags,
    /// The byte at +3.
    File,
}

#[inline]
fn slot(param: Param) -> Slot {
    match param {
        Param::Addr | Param::Len | Param::Off | Param::Limit | Param::Nodes => Slot::Operand,
        Param::Value
        | Param::Prot
        | Param::Advice
        | Param::Mode
        | Param::Resource
        | Param::Access => Slot::First,
        Param::MapFlags
        | Param::MoveFlags
        | Param::LockFlags
        | Param::LockAllFlags
        | Param::SyncFlags
        | Param::PolicyFlags
        | Param::QueryFlags
        | Param::FallocFlags => Slot::Flags,
        Param::Fd | Param::FileKind => Slot::File,
    }
}

/// A task: a number that a task can have is itself, others count on from `first`, modulo `few`.
fn task(byte: u8, first: u8, few: u8) -> u8 {
    if byte <= MAX_TASKS {
        byte
    } else {
        first + byte % few
    }
}

/// No call with a descriptor has a fourth operand, so a wide one has its place there.
fn put_fd(record: &mut [u8; RECORD], fd: Fd) {
    if (-1..=6).contains(&fd.0) {
        record[3] = (fd.0 + 1) as u8;
    } else {
        record[3] = WIDE_FD;
        put(record, WIDE_FD_AT, fd.0.to_le_bytes());
    }
}

/// As many bytes as a number has: their count must be known here, or each would be a call to copy.
#[inline]
fn put<const N: usize>(record: &mut [u8; RECORD], at: usize, bytes: [u8; N]) {
    record[at..at + N].copy_from_slice(&bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_their_numbers() {
        for (i, &kind) in CALL_KINDS.iter().enumerate() {
            assert_eq!(kind as usize, i);
        }
        assert_eq!(
            CallKind::ALL.len(),
            CALL_KINDS.len(),
            "a new call needs a new version"
        );
    }

    #[test]
    fn calls_fit_their_record() {
        for &kind in CallKind::ALL {
            let params = shape::params(kind);
            let count = |wanted: fn(&Slot) -> bool| {
                params.iter().filter(|&&param| wanted(&slot(param))).count()
            };
            let operands = count(|slot| matches!(slot, Slot::Operand));
            assert!(operands <= 4, "{kind:?}");
            assert!(
                operands <= 3 || !params.contains(&Param::Fd),
                "{kind:?}: wide descriptors"
            );
            assert!(count(|slot| matches!(slot, Slot::First)) <= 1, "{kind:?}");
            assert!(count(|slot| matches!(slot, Slot::Flags)) <= 1, "{kind:?}");
            assert!(count(|slot| matches!(slot, Slot::File)) <= 1, "{kind:?}");
        }
    }
}
