//! Every field of every entry of every state changed, and every entry removed or doubled.

use vmadiff::judge::{Rule, Side};
use vmadiff::run::Observation;
use vmadiff_contract::{
    AbsentPage, AnonId, ByteState, COUNTS, Fd, FdState, FileByte, FileId, FileKind, FileState,
    LimitState, MmId, MmState, PageState, PolicyId, Protocol, Resource, Snapshot, TaskId,
    TaskState, VmFlags, VmaId, VmaState,
};

use crate::story::Story;
use crate::{check, forged, nothing_wrong};

/// Gives another value of the same type.
trait Twist {
    fn twist(&mut self);
}

macro_rules! twist {
    ($($type:ty: |$value:ident| $twisted:expr;)*) => {$(
        impl Twist for $type {
            fn twist(&mut self) {
                let $value = *self;
                *self = $twisted;
                assert_ne!(*self, $value);
            }
        }
    )*};
}

twist! {
    bool: |v| !v;
    u8: |v| v ^ 1;
    u32: |v| v + 1;
    u64: |v| v + 1;
    [u32; COUNTS]: |v| [v[0] + 1, v[1]];
    Resource: |v| Resource::from_number(v.number() + 1);
    VmFlags: |v| v ^ VmFlags::DONTCOPY;
    TaskId: |v| TaskId(v.0 + 8);
    MmId: |v| MmId(v.0 + 8);
    Fd: |v| Fd(v.0 + 8);
    VmaId: |v| VmaId(v.0 % 5 + 1);
    FileId: |v| FileId(v.0 % 2 + 1);
    Option<FileId>: |v| v.xor(Some(FileId(1)));
    Option<PolicyId>: |v| v.xor(Some(PolicyId(1)));
    Option<AnonId>: |v| v.xor(Some(AnonId(1)));
    Option<FileKind>: |v| v.xor(Some(FileKind::Plain));
}

type Change = Box<dyn Fn(&mut Snapshot)>;

/// A change of a state: its name, the change, and the rules of which one must object.
struct Forged {
    name: String,
    rules: &'static [Rule],
    change: Change,
}

/// Changes of each field of each entry of a list; the pattern makes the compiler ask for new ones.
macro_rules! fields {
    ($out:ident, $state:ident.$list:ident: $type:ident { $($field:ident: $rules:expr,)* }) => {{
        #[allow(clippy::no_effect_underscore_binding)]
        let _exhaustive = |entry: $type| { let $type { $($field: _,)* } = entry; };
        for i in 0..$state.$list.len() {
            $($out.push(Forged {
                name: format!("{}[{i}].{}", stringify!($list), stringify!($field)),
                rules: $rules,
                change: Box::new(move |s| s.$list[i].$field.twist()),
            });)*
        }
    }};
}

/// An entry of each list removed, and doubled.
macro_rules! entries {
    ($out:ident, $state:ident, $($list:ident: $removed:expr, $doubled:expr;)*) => {$(
        for i in 0..$state.$list.len() {
            let name = stringify!($list);
            $out.push(Forged {
                name: format!("{name}[{i}] removed"),
                rules: $removed,
                change: Box::new(move |s| {
                    s.$list.remove(i);
                }),
            });
            $out.push(Forged {
                name: format!("{name}[{i}] doubled"),
                rules: $doubled,
                change: Box::new(move |s| s.$list.insert(i, s.$list[i])),
            });
        }
    )*};
}

const STATE: &[Rule] = &[Rule::State];

fn forgeries(state: &Snapshot) -> Vec<Forged> {
    let mut out = Vec::new();
    fields(&mut out, state);
    entries!(out, state,
        tasks: &[Rule::State, Rule::PolicyLeaked], &[Rule::State, Rule::PolicyLeaked];
        mms: &[Rule::State, Rule::FrameLeaked], STATE;
        vmas: &[Rule::VmaTree], &[Rule::VmaTree];
        pages: STATE, STATE;
        bytes: STATE, STATE;
        fds: &[Rule::FileReferences], &[Rule::FileReferences];
        files: &[Rule::FileFreedOnce, Rule::FileReferences], &[Rule::FileFreedOnce];
        file_bytes: STATE, STATE;
        absent: STATE, STATE;
        limits: STATE, STATE;
        protocol: &[Rule::VmaReferences], &[Rule::VmaReferences];
    );
    out
}

fn fields(out: &mut Vec<Forged>, state: &Snapshot) {
    fields!(out, state.tasks: TaskState {
        task: STATE,
        mm: STATE,
        minor_faults: STATE,
        major_faults: STATE,
        policy: &[Rule::State, Rule::PolicyLeaked, Rule::Ordinal, Rule::PolicyUsedAfterFree],
    });
    fields!(out, state.mms: MmState {
        mm: STATE,
        map_count: STATE,
        total_pages: STATE,
        locked_pages: STATE,
        data_pages: STATE,
        stack_pages: STATE,
        exec_pages: STATE,
        rss_anon: STATE,
        rss_file: STATE,
        swap_entries: &[Rule::State, Rule::FrameLeaked],
        brk: STATE,
        def_flags: STATE,
    });
    fields!(out, state.vmas: VmaState {
        mm: &[Rule::VmaTree],
        start: STATE,
        end: STATE,
        vma: &[Rule::State, Rule::VmaTree, Rule::Ordinal, Rule::VmaUsedAfterFree],
        flags: STATE,
        pgoff: STATE,
        file: &[Rule::FileReferences],
        policy: &[Rule::State, Rule::PolicyLeaked, Rule::Ordinal, Rule::PolicyUsedAfterFree],
        anon: &[Rule::State, Rule::Ordinal],
        anon_chain: STATE,
    });
    fields!(out, state.pages: PageState {
        mm: STATE,
        addr: STATE,
        present: STATE,
        readable: STATE,
        writable: STATE,
        executable: STATE,
        anon: STATE,
        zero: STATE,
    });
    fields!(out, state.bytes: ByteState { mm: STATE, addr: STATE, value: STATE, });
    fields!(out, state.fds: FdState { mm: STATE, fd: STATE, file: &[Rule::FileReferences], });
    fields!(out, state.files: FileState {
        file: &[Rule::FileFreedOnce, Rule::FileUsedAfterFree, Rule::FileReferences],
        kind: STATE,
        refs: &[Rule::FileReferences],
        size: STATE,
    });
    fields!(out, state.file_bytes: FileByte { file: STATE, offset: STATE, value: STATE, });
    fields!(out, state.absent: AbsentPage { file: STATE, index: STATE, });
    fields!(out, state.limits: LimitState { mm: STATE, resource: STATE, soft: STATE, hard: STATE, });
    fields!(out, state.protocol: Protocol {
        vma: &[Rule::VmaReferences, Rule::Ordinal, Rule::VmaUsedAfterFree],
        counts: &[Rule::VmaReferences],
    });
    for i in 0..state.protocol.len() {
        out.push(Forged {
            name: format!("protocol[{i}].counts[1]"),
            rules: &[Rule::VmaSequence],
            change: Box::new(move |s| s.protocol[i].counts[1].twist()),
        });
    }
    totals(out, state);
}

fn totals(out: &mut Vec<Forged>, state: &Snapshot) {
    let Snapshot {
        tasks: _,
        mms: _,
        vmas: _,
        pages: _,
        bytes: _,
        fds: _,
        files: _,
        file_bytes: _,
        absent: _,
        limits: _,
        committed: _,
        anon_frames: _,
        anons: _,
        protocol: _,
    } = state;
    let mut total = |name: &str, rules, change: fn(&mut Snapshot)| {
        out.push(Forged {
            name: name.to_owned(),
            rules,
            change: Box::new(change),
        });
    };
    total("committed", STATE, |s| s.committed.twist());
    total("anon_frames", &[Rule::FrameLeaked, Rule::State], |s| {
        s.anon_frames.twist();
    });
    total("anons", &[Rule::AnonLeaked], |s| s.anons.twist());
}

#[test]
pub fn a_changed_state_is_objected_to() {
    let story = Story::told();
    let mut wrong = Vec::new();
    for (side, seen) in [
        (Side::Reference, &story.ours),
        (Side::Candidate, &story.theirs),
    ] {
        for (at, call) in seen.calls.iter().enumerate() {
            for Forged {
                name,
                rules,
                change,
            } in forgeries(&call.state)
            {
                let what = format!("after call {at}, {name}");
                let change = |o: &mut Observation| change(&mut o.calls[at].state);
                wrong.extend(forged(&story, side, &what, rules, change));
            }
        }
    }
    nothing_wrong(&wrong);
}

#[test]
pub fn what_is_left_at_the_end_is_objected_to() {
    let story = Story::told();
    let full = |o: &Observation| o.calls[8].state.clone();
    for side in [Side::Reference, Side::Candidate] {
        check(&story, side, "a state at the end", &[Rule::LeftOver], |o| {
            o.last = full(o);
        });
        for Forged { name, change, .. } in forgeries(&Snapshot::default()) {
            // A charge may be left by rule, and then by both.
            let rule = [Rule::LeftOver, Rule::State][usize::from(name == "committed")];
            check(&story, side, &name, &[rule], |o| {
                change(&mut o.last);
            });
        }
    }
}
