//! From what came of agents' operations to answers.

use vmadiff_contract::{Outcome, SegvCode};

use crate::agent::layout::Op;
use crate::machine::TASK_SIZE;
use crate::seen::Answer;
use crate::zone::Zones;

/// How the answer to a call is read from an operation.
#[derive(Clone, Copy, Debug)]
pub enum Decode {
    /// Nobody was asked.
    Fixed(Outcome),
    /// The result as it is.
    Value,
    /// An address.
    Address,
    /// What an access at this real address came to.
    Access(u64),
    /// What a jump to this real address came to.
    Fetch(u64),
    /// A child's number, if it was made.
    Child(u64),
    /// The mode and the nodes that get_mempolicy has written where mincore writes.
    Policy,
    /// Which pages are resident, of so many.
    Resident(usize),
    /// Whether the kernel took a step that it was asked for: what the looks before and after it say.
    Step,
}

/// What came of an operation, as an answer to the call that it stands for.
pub fn decode(how: Decode, op: &Op, resident: &[u8], zones: &Zones) -> Answer {
    match how {
        Decode::Fixed(outcome) => Answer::Known(outcome),
        Decode::Child(task) => system(op, |_| Answer::Known(Outcome::Value(task))),
        Decode::Value => system(op, |value| Answer::Known(Outcome::Value(value))),
        Decode::Address => system(op, |value| match zones.to_program(value) {
            Some(address) => Answer::Known(Outcome::Value(address)),
            None => Answer::Elsewhere(value),
        }),
        Decode::Step => {
            let done = resident.first().copied().unwrap_or(0);
            Answer::Known(Outcome::Value(done.into()))
        }
        Decode::Resident(_) => system(op, |_| {
            let sum = resident
                .iter()
                .enumerate()
                .filter(|(_, byte)| **byte & 1 == 1);
            let sum = sum.fold(0_u64, |sum, (page, _)| sum.wrapping_add(1 << (page % 64)));
            Answer::Known(Outcome::Value(sum))
        }),
        Decode::Policy => system(op, |_| {
            let word = |at: usize| {
                resident
                    .get(at..at + 8)
                    .and_then(|bytes| bytes.try_into().ok())
            };
            let [mode, nodes] = [0, 8].map(|at| word(at).map_or(0, u64::from_ne_bytes));
            // The mode is an int.
            let mode = mode & u64::from(u32::MAX);
            Answer::Known(Outcome::Value(mode ^ nodes.rotate_left(16)))
        }),
        Decode::Access(address) => match op.signal {
            0 => Answer::Known(Outcome::Value(op.result)),
            _ => signal(op, address),
        },
        Decode::Fetch(address) => {
            // A fault that the fetch itself raised says so in its error code, and lies in the page;
            // any other signal is what the instruction there came to.
            const FETCH: u64 = 1 << 4;
            let fetch = op.error & FETCH != 0 && op.addr & !4095 == address & !4095;
            let refused = address >= TASK_SIZE;
            let raised = matches!(op.signal.cast_signed(), libc::SIGSEGV | libc::SIGBUS);
            if raised && (fetch || refused) {
                signal(op, address)
            } else {
                Answer::Known(Outcome::Value(0))
            }
        }
    }
}

fn system(op: &Op, value: impl FnOnce(u64) -> Answer) -> Answer {
    match op.answer() {
        Ok(result) => value(result),
        Err(errno) => Answer::errno(errno),
    }
}

fn signal(op: &Op, address: u64) -> Answer {
    const SI_KERNEL: i32 = 0x80;
    const BUS_ADRERR: i32 = 2;
    let outcome = match (op.signal.cast_signed(), op.code) {
        (libc::SIGSEGV, 1) => Outcome::Segv(SegvCode::MapErr),
        (libc::SIGSEGV, 2) => Outcome::Segv(SegvCode::AccErr),
        // No canonical address: a general protection fault, which has no address of its own.
        (libc::SIGSEGV, SI_KERNEL) if address > TASK_SIZE => Outcome::Segv(SegvCode::MapErr),
        (libc::SIGBUS, BUS_ADRERR) => Outcome::Bus,
        (number, code) => return Answer::Strange(format!("signal {number} with si_code {code}")),
    };
    Answer::Known(outcome)
}
