//! The bytes of a program: what fuzzing engines mutate. Any bytes are a program.
//!
//! ```text
//! header 16 B (missing = zero): version u8, policy u8, length u8, 5 zero, seed u64
//! then 48-byte records; a short last one is dropped; kinds may mix in any order
//! +0 kind: <208 call (mod the version's count) | <240 switch | else config
//! call:   +1 task, +2 fail, +3 file, +4 operand classes (2 bits × 4), 3 zero,
//!         +8 u32 (prot, advice, mode, value, access or resource), +12 flags u32,
//!         +16 four operands u64 (a descriptor beyond 6: +40 i32; mmap's flags from bit 32: +44)
//! switch: +1 to, +2 form (0 gap, 1 site, 2 callback, else a gap below 64), +3 task of
//!         the site, +8 gap, site or callback's nth u32, +12 site's nth u32
//! config: +1 key, +16 value u64; the last wins
//! ```
//!
//! Numbers are little-endian. Decoding keeps the order within a kind of record; encoding writes
//! configuration, calls, switches, and only settings that differ from the default.
//!
//! `decode(encode(p)) == p` holds for every program that decoding or the text parser can make:
//! its tasks are at most [`MAX_TASKS`](vmadiff_contract::MAX_TASKS), sites count from 1, settings
//! are sane ([`Setting::fit`](super::settings::Setting::fit)).
//!
//! **Length.** Engines' inputs must be bounded in time, whatever their size: of calls and of
//! switches only the first 64 count. A longer program, as traces are, says so in its header
//! ([`LONG`] at +2), so that the same bytes mean the same program everywhere; the engines refuse
//! such inputs ([`super::input`]).

mod operand;
mod record;

use vmadiff_contract::Config;

use self::record::Record;
use super::settings::{SETTINGS, Setting, fit_together};
use super::sites::Sites;
use super::{Policy, Program, Schedule};

/// Bytes in the header.
pub const HEADER: usize = 16;

/// Bytes in a record.
pub const RECORD: usize = 48;

/// Calls, and likewise switches, of a program that is not [`LONG`].
pub const MAX_STEPS: usize = 64;

/// At +2 of the header: there is no bound on calls and switches.
pub const LONG: u8 = 0xa5;

/// Which calls there are, and how wide their flags (+0 of the header).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    /// Any byte but 2, as all bytes were read before there was another version.
    First,
    /// 33 calls, and mmap's flags with 64 bits. What encoding writes.
    Second,
}

/// The byte of [`Version::Second`].
const VERSION: u8 = 2;

impl Version {
    fn of(byte: u8) -> Self {
        if byte == VERSION {
            Self::Second
        } else {
            Self::First
        }
    }
}

/// Whether these bytes hold a program without bounds, which no engine should run.
pub fn is_long(bytes: &[u8]) -> bool {
    bytes.get(2) == Some(&LONG)
}

/// Whether the program in these bytes has no schedule, told without decoding its calls.
pub fn is_serial(bytes: &[u8]) -> bool {
    let (header, records) = bytes.split_at(bytes.len().min(HEADER));
    let (records, _) = records.as_chunks::<RECORD>();
    let byte = |at: usize| header.get(at).copied().unwrap_or(0);
    policy(byte(1)) == Policy::default()
        && (8..HEADER).all(|at| byte(at) == 0)
        && !records.iter().any(|record| Record(record).is_switch())
}

/// These bytes with the numbers of today of sites that had others once; none: there is none of
/// those. All else stays as it is, so that what is kept under its bytes is changed no more than it
/// has to be.
pub fn renumbered(bytes: &[u8], sites: &Sites) -> Option<Vec<u8>> {
    let mut new = bytes.to_vec();
    let start = HEADER.min(new.len());
    let (records, _) = new[start..].as_chunks_mut::<RECORD>();
    for record in records {
        let read = Record(record);
        if let Some(number) = read.site().filter(|_| read.is_switch()) {
            record[8..12].copy_from_slice(&sites.renumbered(number).to_le_bytes());
        }
    }
    (new != bytes).then_some(new)
}

impl Program {
    /// The program in these bytes.
    pub fn decode(bytes: &[u8]) -> Self {
        let mut program = Self::default();
        program.decode_from(bytes);
        program
    }

    /// Becomes the program in these bytes, keeping memory for reuse.
    pub fn decode_from(&mut self, bytes: &[u8]) {
        self.config = Config::default();
        self.calls.clear();
        self.schedule.switches.clear();
        let (header, records) = bytes.split_at(bytes.len().min(HEADER));
        let mut whole = [0; HEADER];
        whole[..header.len()].copy_from_slice(header);
        self.schedule.policy = policy(whole[1]);
        self.schedule.seed = u64::from_le_bytes(*whole[8..].first_chunk().expect("8 bytes"));
        let limit = if is_long(bytes) {
            usize::MAX
        } else {
            MAX_STEPS
        };
        let (records, _) = records.as_chunks::<RECORD>();
        let version = Version::of(whole[0]);
        for record in records {
            let record = Record(record);
            if record.is_call() {
                if self.calls.len() < limit {
                    self.calls.push(record.step(version));
                }
            } else if record.is_switch() {
                if self.schedule.switches.len() < limit {
                    self.schedule.switches.push(record.switch());
                }
            } else {
                let (setting, value) = record.setting();
                setting.set(&mut self.config, value);
            }
        }
        fit_together(&mut self.config);
    }

    /// The bytes of this program.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.encode_into(&mut bytes);
        bytes
    }

    /// How many bytes [`Program::encode`] gives.
    pub fn encoded_len(&self) -> usize {
        let records = self.unusual().count() + self.calls.len() + self.schedule.switches.len();
        HEADER + RECORD * records
    }

    /// The settings that differ from the default, with their values.
    fn unusual(&self) -> impl Iterator<Item = (&'static Setting, u64)> {
        let default = Config::default();
        let settings = if self.config == default {
            &[]
        } else {
            SETTINGS
        };
        settings.iter().filter_map(move |setting| {
            let value = setting.get(&self.config);
            (value != setting.get(&default)).then_some((setting, value))
        })
    }

    /// Replaces `bytes` by those of this program.
    pub fn encode_into(&self, bytes: &mut Vec<u8>) {
        let Self {
            config: _,
            calls,
            schedule:
                Schedule {
                    policy,
                    seed,
                    switches,
                },
        } = self;
        bytes.clear();
        bytes.reserve(self.encoded_len());
        let long = calls.len() > MAX_STEPS || switches.len() > MAX_STEPS;
        bytes.extend([VERSION, policy_number(*policy), if long { LONG } else { 0 }]);
        bytes.extend([0; 5]);
        bytes.extend(seed.to_le_bytes());
        for (setting, value) in self.unusual() {
            bytes.extend_from_slice(&record::of_setting(setting, value));
        }
        for step in calls {
            bytes.extend_from_slice(&record::of_step(step));
        }
        for switch in switches {
            bytes.extend_from_slice(&record::of_switch(switch));
        }
    }
}

/// The first policies by the last two bits of their number in bytes; stable.
const POLICIES: [Policy; 4] = [
    Policy::Preemptions,
    Policy::RandomWalk,
    Policy::Pct,
    Policy::Pos,
];

/// The whole number of a policy that came later: a byte that nothing encoded before.
const SURW: u8 = 0x53;

fn policy(number: u8) -> Policy {
    match number {
        SURW => Policy::Surw,
        _ => POLICIES[usize::from(number % 4)],
    }
}

fn policy_number(policy: Policy) -> u8 {
    match policy {
        Policy::Preemptions => 0,
        Policy::RandomWalk => 1,
        Policy::Pct => 2,
        Policy::Pos => 3,
        Policy::Surw => SURW,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::mutate::{Flavour, Profile, generate};

    #[test]
    fn what_is_told_of_bytes_is_true_of_their_program() {
        for flavour in [Flavour::Serial, Flavour::Interleaved] {
            let profile = Profile {
                flavour,
                ..Profile::default()
            };
            for seed in 0..500 {
                let mut program = generate(seed, &profile);
                if seed % 3 == 0 {
                    program.schedule.switches.clear();
                }
                let bytes = program.encode();
                assert_eq!(bytes.len(), program.encoded_len());
                assert_eq!(
                    is_serial(&bytes),
                    program.schedule.is_serial(),
                    "{program:?}"
                );
            }
        }
        assert!(is_serial(&[]));
    }
}
