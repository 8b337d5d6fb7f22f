//! Any bytes are a program; a program's bytes are that program.

use arbitrary::{Arbitrary, Unstructured};
use proptest::prelude::*;
use vmadiff::program::Program;
use vmadiff::program::bytes::{HEADER, LONG, MAX_STEPS, RECORD};
use vmadiff::program::input::Input;
use vmadiff_contract::{Call, CallKind, Config, Fd, TaskId};

use crate::strategy;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn a_long_program_comes_back(program in strategy::program(200)) {
        prop_assert_eq!(Program::decode(&program.encode()), program);
    }
}

proptest! {
    #[test]
    fn decode_undoes_encode(program in strategy::program(20)) {
        prop_assert_eq!(Program::decode(&program.encode()), program);
    }

    #[test]
    fn decoding_is_total_and_its_result_exact(bytes in strategy::bytes()) {
        let program = Program::decode(&bytes);
        prop_assert!(program.calls.len() <= MAX_STEPS || bytes[2] == LONG);
        prop_assert_eq!(Program::decode(&program.encode()), program);
    }

    #[test]
    fn buffers_can_be_used_again(first in strategy::bytes(), second in strategy::bytes()) {
        let mut program = Program::decode(&first);
        program.decode_from(&second);
        prop_assert_eq!(program, Program::decode(&second));
    }

    /// AFL++ and libFuzzer call `Arbitrary` differently and must see the same program.
    #[test]
    fn the_engines_see_the_same(bytes in strategy::bytes()) {
        let one = Program::arbitrary(&mut Unstructured::new(&bytes)).ok();
        let other = Program::arbitrary_take_rest(Unstructured::new(&bytes)).ok();
        prop_assert_eq!(&one, &other);
        let third = Input::from_bytes(&bytes).map(|Input(program)| program);
        prop_assert_eq!(&one, &third);
        let expected = (bytes.get(2) != Some(&LONG)).then(|| Program::decode(&bytes));
        prop_assert_eq!(one, expected);
    }

    #[test]
    fn records_stand_for_themselves(
        program in strategy::program(8),
        at in any::<prop::sample::Index>(),
    ) {
        let bytes = program.encode();
        let records = (bytes.len() - HEADER) / RECORD;
        prop_assume!(records > 0);
        let cut = HEADER + RECORD * at.index(records + 1);
        let head = Program::decode(&bytes[..cut]);
        prop_assert!(program.calls.starts_with(&head.calls));
        prop_assert!(program.schedule.switches.starts_with(&head.schedule.switches));
    }
}

#[test]
fn no_bytes_are_the_empty_program() {
    assert_eq!(Program::decode(&[]), Program::default());
}

#[test]
fn a_short_last_record_is_dropped() {
    let mut bytes = vec![0; HEADER + RECORD + 47];
    bytes[HEADER] = 5;
    assert_eq!(Program::decode(&bytes).calls.len(), 1);
}

#[test]
fn without_the_mark_only_the_first_calls_count() {
    let mut bytes = vec![0; HEADER + RECORD * 100];
    assert_eq!(Program::decode(&bytes).calls.len(), MAX_STEPS);
    bytes[2] = LONG;
    assert_eq!(Program::decode(&bytes).calls.len(), 100);
    assert!(Program::arbitrary(&mut Unstructured::new(&bytes)).is_err());
}

/// A layout is for ever: this is how the first version laid out two calls, a setting, a switch.
#[test]
fn the_layout_stays() {
    let mut bytes = vec![1, 2, 0, 0, 0, 0, 0, 0];
    bytes.extend(7_u64.to_le_bytes());
    let mut record = |head: [u8; 8], numbers: [u32; 2], operands: [u64; 4]| {
        bytes.extend(head);
        bytes.extend(numbers.iter().flat_map(|n| n.to_le_bytes()));
        bytes.extend(operands.iter().flat_map(|n| n.to_le_bytes()));
    };
    record([240, 1, 0, 0, 0, 0, 0, 0], [0, 0], [40, 0, 0, 0]);
    record(
        [0, 2, 3, 0, 0b11_0000, 0, 0, 0],
        [3, 0x32],
        [5, 2, 0x1_0000_0000, 0],
    );
    record([12, 1, 0, 0xc0, 0, 0, 0, 0], [0, 0], [0, 0, 0, 77]);
    record([208, 0, 0, 0, 0, 0, 0, 0], [12, 0], [0, 0, 0, 0]);
    let program = Program::decode(&bytes);
    let mut today = bytes;
    today[0] = 2;
    assert_eq!(program.encode(), today);
    assert_eq!(program.config.max_map_count, 40);
    assert_eq!(program.schedule.seed, 7);
    let step = program.calls[0];
    assert_eq!((step.task, step.fail.0), (TaskId(2), 3));
    let Call::Mmap {
        addr,
        len,
        prot,
        flags,
        fd,
        off,
    } = step.call
    else {
        panic!("{step:?}");
    };
    assert_eq!((addr, len), (Config::WINDOW + 5 * 4096, 3 * 4096));
    assert_eq!(
        (prot.bits(), flags.bits(), fd, off),
        (3, 0x32, Fd(-1), 0x1_0000_0000)
    );
    assert_eq!(program.calls[1].call, Call::Close { fd: Fd(77) });
}

/// What version 2 added has no place in version 1: its calls, and mmap's flags above 32 bits, where
/// version 1 had the rest of a descriptor.
#[test]
fn only_the_second_version_has_what_it_added() {
    let mut bytes = vec![2; 1];
    bytes.resize(HEADER + 2 * RECORD, 0);
    bytes[HEADER] = 32;
    let mmap = HEADER + RECORD;
    bytes[mmap + 3] = 0xc0;
    bytes[mmap + 12] = 0x22;
    bytes[mmap + 40..mmap + 44].copy_from_slice(&(-7_i32).to_le_bytes());
    bytes[mmap + 44] = 5;
    let flags_and_fd = |program: &Program| match program.calls[1].call {
        Call::Mmap { flags, fd, .. } => (flags.bits(), fd),
        call => panic!("{call:?}"),
    };
    let second = Program::decode(&bytes);
    assert_eq!(second.calls[0].call.kind(), CallKind::Evict);
    assert_eq!(flags_and_fd(&second), (0x5_0000_0022, Fd(-7)));
    assert_eq!(Program::decode(&second.encode()), second);
    // All bytes but 2 were read alike before there was a second version, and are for ever.
    for version in [0, 1, 3, 255] {
        bytes[0] = version;
        let first = Program::decode(&bytes);
        assert_eq!(first.calls[0].call.kind(), CallKind::Mprotect);
        assert_eq!(flags_and_fd(&first), (0x22, Fd(-7)));
    }
}
