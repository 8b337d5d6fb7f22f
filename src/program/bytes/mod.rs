//! The bytes of a program: what fuzzing engines mutate. Any bytes are a program.
//!
//! ```text
//! header 16 B (missing = zero): version u8, policy u8, length u8, 5 zero, seed u64
//! then 48-byte records; a short last one is dropped; kinds may mix in any order
//! +0 kind: <208 call (mod the version's count) | <240 switch | else config
//! call:   +1 task, +2 fail, +3 file, +4 operand classes (2 bits × 4), 3 zero,
//!         +8 u32 (prot, advice, mode, value or access), +12 flags u32, +16 four operands u64
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
use super::settings::{SETTINGS, fit_together};
use super::{Policy, Program, Schedule};

/// Bytes in the header.
pub const HEADER: usize = 16;

/// Bytes in a record.
pub const RECORD: usize = 48;

/// Calls, and likewise switches, of a program that is not [`LONG`].
pub const MAX_STEPS: usize = 64;

/// At +2 of the header: there is no bound on calls and switches.
pub const LONG: u8 = 0xa5;

/// The version that encoding writes. All that has been there is decoded alike.
const VERSION: u8 = 1;

/// Whether these bytes hold a program without bounds, which no engine should run.
pub fn is_long(bytes: &[u8]) -> bool {
    bytes.get(2) == Some(&LONG)
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
        for record in records {
            let record = Record(record);
            if record.is_call() {
                if self.calls.len() < limit {
                    self.calls.push(record.step());
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

    /// Replaces `bytes` by those of this program.
    pub fn encode_into(&self, bytes: &mut Vec<u8>) {
        let Self {
            config,
            calls,
            schedule:
                Schedule {
                    policy,
                    seed,
                    switches,
                },
        } = self;
        bytes.clear();
        bytes.reserve(HEADER + RECORD * (calls.len() + switches.len()));
        let long = calls.len() > MAX_STEPS || switches.len() > MAX_STEPS;
        bytes.extend([VERSION, policy_number(*policy), if long { LONG } else { 0 }]);
        bytes.extend([0; 5]);
        bytes.extend(seed.to_le_bytes());
        let default = Config::default();
        for setting in SETTINGS {
            let value = setting.get(config);
            if value != setting.get(&default) {
                bytes.extend(record::of_setting(setting, value));
            }
        }
        for step in calls {
            bytes.extend(record::of_step(step));
        }
        for switch in switches {
            bytes.extend(record::of_switch(switch));
        }
    }
}

/// The policies by their number in bytes; for ever.
const POLICIES: [Policy; 4] = [
    Policy::Preemptions,
    Policy::RandomWalk,
    Policy::Pct,
    Policy::Pos,
];

fn policy(number: u8) -> Policy {
    POLICIES[usize::from(number) % POLICIES.len()]
}

fn policy_number(policy: Policy) -> u8 {
    match policy {
        Policy::Preemptions => 0,
        Policy::RandomWalk => 1,
        Policy::Pct => 2,
        Policy::Pos => 3,
    }
}
