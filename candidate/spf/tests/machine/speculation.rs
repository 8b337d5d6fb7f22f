//! What a speculative fault serves in a serial run, and each reason to give up that one can reach.

use vmadiff_contract::Reason;

use super::*;
use vmadiff_machine::reasons as machine;
use vmadiff_spf::reasons as reason;

/// The notes that the access raises after this set-up.
#[track_caller]
fn notes_of(set_up: impl Fn(&Booted), access: impl Fn(&Booted) -> Outcome) -> Vec<Note> {
    let machine = Booted::boot();
    set_up(&machine);
    machine.log.take();
    access(&machine);
    machine.notes()
}

#[track_caller]
fn gives_up(why: &'static Reason, set_up: impl Fn(&Booted), access: impl Fn(&Booted) -> Outcome) {
    let notes = notes_of(set_up, access);
    assert_eq!(notes.first(), Some(&Note::GiveUp(why)), "{notes:?}");
}

fn faulted(m: &Booted) {
    m.map(0, 4, RW);
    m.store(0, 1);
}

#[test]
fn a_second_page_is_served_speculatively() {
    assert_eq!(notes_of(faulted, |m| m.store(1, 1)), [Note::Speculative]);
    assert_eq!(notes_of(faulted, |m| m.load(1)), [Note::Speculative]);
}

#[test]
fn a_store_to_the_zero_page_is_copied_speculatively() {
    let set_up = |m: &Booted| {
        faulted(m);
        m.load(1);
    };
    assert_eq!(
        notes_of(set_up, |m| m.store(1, 1)),
        [Note::Cow, Note::Speculative]
    );
}

#[test]
fn a_page_shared_by_fork_is_copied_and_then_reused() {
    let set_up = |m: &Booted| {
        faulted(m);
        m.value(Call::Fork);
    };
    let notes = notes_of(set_up, |m| {
        assert_eq!(m.store(0, 2), Outcome::Value(0));
        // The child has one user, so it goes the classic way.
        let store = Call::Store {
            addr: page(0),
            value: 3,
        };
        assert_eq!(m.call(3, store), Outcome::Value(0));
        assert_eq!(m.call(3, Call::Load { addr: page(0) }), Outcome::Value(3));
        m.load(0)
    });
    let expected = [
        Note::Cow,
        Note::Speculative,
        Note::GiveUp(&reason::ONE_USER),
        Note::Reuse,
        Note::Classic,
    ];
    assert_eq!(notes, expected);
}

#[test]
fn a_page_comes_back_from_swap_speculatively_and_counts_as_major() {
    let machine = Booted::boot();
    faulted(&machine);
    assert_eq!(machine.value(Call::Reclaim { addr: page(0) }), 1);
    machine.log.take();
    assert_eq!(machine.load(0), Outcome::Value(1));
    assert_eq!(machine.notes(), [Note::Speculative]);
    let task = machine.snapshot().tasks[0];
    assert_eq!((task.minor_faults, task.major_faults), (1, 1));
}

#[test]
fn one_user() {
    let config = Config {
        tasks: 1,
        ..Config::default()
    };
    let machine = Booted::new(&config);
    machine.map(0, 1, RW);
    machine.log.take();
    machine.store(0, 1);
    assert_eq!(
        machine.notes().first(),
        Some(&Note::GiveUp(&reason::ONE_USER))
    );
}

#[test]
fn no_vma() {
    gives_up(&reason::NO_VMA, faulted, |m| m.load(9));
}

#[test]
fn vm_ops() {
    let set_up = |m: &Booted| {
        let fd = m.open(FileKind::Plain);
        m.map_file(0, 4, RW, Some(fd), 0);
    };
    gives_up(&reason::VM_OPS, set_up, |m| m.load(0));
}

#[test]
fn no_anon_vma() {
    gives_up(&reason::NO_ANON_VMA, |m| m.map(0, 4, RW), |m| m.store(0, 1));
}

#[test]
fn grows() {
    let set_up = |m: &Booted| {
        m.value(Call::Mmap {
            addr: page(4),
            len: 4096,
            prot: RW,
            flags: MapFlags::PRIVATE | MapFlags::ANONYMOUS | MapFlags::FIXED | MapFlags::GROWSDOWN,
            fd: Fd(-1),
            off: 0,
        });
        m.store(4, 1);
    };
    gives_up(&reason::GROWS, set_up, |m| m.store(3, 1));
}

#[test]
fn outside() {
    let set_up = |m: &Booted| {
        m.map(4, 8, RW);
        m.store(4, 1);
    };
    gives_up(&reason::OUTSIDE, set_up, |m| m.load(1));
}

#[test]
fn access() {
    let set_up = |m: &Booted| {
        faulted(m);
        m.protect(0, 4, Prot::READ);
    };
    gives_up(&reason::ACCESS, set_up, |m| m.store(0, 1));
}

#[test]
fn not_executable() {
    gives_up(&reason::NOT_EXECUTABLE, faulted, |m| {
        m.call(1, Call::Exec { addr: page(0) })
    });
}

#[test]
fn no_upper_table() {
    // A faulted area that reaches far: its upper half has no middle table.
    let far = |m: &Booted| {
        m.value(Call::Mmap {
            addr: 1 << 30,
            len: 2 << 30,
            prot: RW,
            flags: MapFlags::PRIVATE | MapFlags::ANONYMOUS | MapFlags::FIXED,
            fd: Fd(-1),
            off: 0,
        });
        m.value(Call::Store {
            addr: 1 << 30,
            value: 1,
        });
    };
    let load = |addr| move |m: &Booted| m.call(1, Call::Load { addr });
    gives_up(&machine::NO_UPPER_TABLE, far, load(2 << 30));
    gives_up(&machine::NO_TABLE, far, load((1 << 30) + (1 << 21)));
}

#[test]
fn swap_read() {
    let set_up = |m: &Booted| {
        faulted(m);
        m.value(Call::Fork);
        m.value(Call::Reclaim { addr: page(0) });
    };
    gives_up(&machine::SWAP_READ, set_up, |m| m.load(0));
}
