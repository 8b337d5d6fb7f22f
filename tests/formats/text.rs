//! Text reads back as what was printed, and bad text names the place.

use proptest::collection::vec;
use proptest::prelude::*;
use vmadiff::designs::DESIGNS;
use vmadiff::program::bytes::renumbered;
use vmadiff::program::sites::Sites;
use vmadiff::program::text::renamed;
use vmadiff::program::{Answer, Case, Check, Counter, Expect, Moment, Program, Wants};
use vmadiff_contract::{
    CallKind, Config, Errno, FileId, MmId, Outcome, SegvCode, Snapshot, TaskId, VmFlags, VmaId,
    VmaState,
};
use vmadiff_interleave::SiteInfo;

use crate::strategy;

vmadiff_interleave::sites! {
    UNLINK = "munmap.unlink";
    GET_VMA = "find_vma_rcu.get_vma";
}

const SITES: Sites = Sites::of(ALL);

/// A program that was kept when a point bore another name reads as one of today, and is rewritten
/// without a change to anything else.
#[test]
fn old_names_of_points_are_read_and_rewritten() {
    let sites = Sites::of_renamed(ALL, &[("do_munmap.erase", "munmap.unlink")]);
    let old = "# kept  \nload(0x1000)   # do_munmap.erase\n\nswitch: 1@do_munmap.erase#2 -> 2 # why\n\
               switch: 2@find_vma_rcu.get_vma#1 -> 1\n";
    let case = Case::parse_with("old.vma", old, &sites).expect("an old name");
    let new = renamed(old, &sites).expect("an old name");
    assert_eq!(new, old.replace("1@do_munmap.erase", "1@munmap.unlink"));
    assert_eq!(Case::parse_with("new.vma", &new, &sites), Ok(case.clone()));
    assert_eq!(renamed(&new, &sites), None);
    // The same in bytes, which name points by number.
    let new = case.program.encode();
    let number = |name| SiteInfo::new(name).number().to_le_bytes();
    let at = new
        .windows(4)
        .position(|word| word == number("munmap.unlink"));
    let mut old = new.clone();
    old[at.expect("its number")..][..4].copy_from_slice(&number("do_munmap.erase"));
    assert_eq!(renumbered(&old, &sites), Some(new.clone()));
    assert_eq!(renumbered(&new, &sites), None);
}

#[track_caller]
fn parse(text: &str) -> Case {
    Case::parse_with("case.vma", text, &SITES).unwrap_or_else(|error| panic!("{error}"))
}

/// The text is in the one form already.
#[track_caller]
fn check(text: &str) -> Case {
    let case = parse(text);
    assert_eq!(case.display(&SITES).to_string(), text);
    case
}

#[track_caller]
fn check_error(text: &str, expected: &str) {
    let error = Case::parse_with("case.vma", text, &SITES).expect_err("an error");
    assert_eq!(error.headline(), expected);
}

/// The text is wrong, and the advice says so.
#[track_caller]
fn check_help(text: &str, help: &str) {
    let error = Case::parse_with("case.vma", text, &SITES).expect_err("an error");
    let found = error.help.iter().any(|advice| advice == help);
    assert!(found, "{text}: {error}");
}

/// Two texts mean the same.
#[track_caller]
fn check_same(text: &str, plain: &str) {
    assert_eq!(parse(text).display(&SITES).to_string(), plain);
}

/// What is warned of.
#[track_caller]
fn check_warnings(text: &str, expected: &[&str]) {
    let read = Case::read("case.vma", text).unwrap_or_else(|error| panic!("{error}"));
    let said: Vec<String> = read.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(said, expected);
}

proptest! {
    #[test]
    fn bytes_to_text_and_back(bytes in strategy::bytes()) {
        let program = Program::decode(&bytes);
        let case = Case::parse("case.vma", &program.to_string()).expect("what was printed");
        prop_assert_eq!(&case.program, &program);
        prop_assert_eq!(Program::decode(&case.program.encode()), program);
    }

    #[test]
    fn a_case_comes_back(case in case()) {
        let text = case.to_string();
        let back = Case::parse("case.vma", &text).expect("what was printed");
        prop_assert_eq!(&back, &case);
        prop_assert_eq!(back.to_string(), text);
    }

    #[test]
    fn no_text_panics(text in prop_oneof![
        "\\PC{0,80}",
        "([a-z]{3,8}|[0-9x]{1,5}|[ ,()=#|\"@+\\[\\]:>\n-]){0,60}",
    ]) {
        let _ = Case::parse("case.vma", &text);
    }

    /// Damage to a text that is right is refused or understood, and what is understood prints.
    #[test]
    fn no_damage_panics(
        program in strategy::program(8),
        at in any::<prop::sample::Index>(),
        with in "\\PC{0,3}",
    ) {
        let mut text = program.to_string();
        if text.is_empty() {
            return Ok(());
        }
        let at = at.index(text.len());
        text.replace_range(at..=at, &with);
        if let Ok(case) = Case::parse("case.vma", &text) {
            let printed = case.to_string();
            prop_assert_eq!(Case::parse("case.vma", &printed), Ok(case));
        }
    }
}

fn case() -> impl Strategy<Value = Case> {
    let line = "[!-~]{1,12}( [!-~]{1,8}){0,3}";
    (
        strategy::program(8),
        vec(expect(), 0..8),
        vec((any::<prop::sample::Index>(), line), 0..4),
        vec((any::<prop::sample::Index>(), line), 0..4),
        vec(a_check(), 0..4),
        proptest::option::of(Just(DESIGNS[0])),
    )
        .prop_map(|(program, expect, comments, notes, checks, design)| {
            let calls = program.calls.len();
            let place = |i: prop::sample::Index, ends: usize| i.index(ends);
            let mut comments: Vec<_> = comments
                .into_iter()
                .map(|(i, text)| (place(i, calls + 1), text))
                .collect();
            comments.sort_by_key(|(i, _)| *i);
            let mut notes: Vec<_> = match calls {
                0 => Vec::new(),
                _ => notes
                    .into_iter()
                    .map(|(i, text)| (place(i, calls), text))
                    .collect(),
            };
            notes.sort_by_key(|(i, _)| *i);
            // Two comments behind one call are one when they are read.
            notes.dedup_by_key(|(i, _)| *i);
            let mut expect: Vec<_> = expect.into_iter().take(calls).collect();
            while expect.last().is_some_and(|last| *last == Expect::default()) {
                expect.pop();
            }
            let serial = program.schedule.is_serial();
            let mut checks: Vec<_> = checks
                .into_iter()
                .map(|(i, check)| Check {
                    // Calls that overlap have no state between them.
                    after: if serial { place(i, calls + 1) } else { calls },
                    ..check
                })
                .filter(|check| check.after > 0 || matches!(check.wants, Wants::Maps(_)))
                .collect();
            checks.sort_by_key(|check| check.after);
            Case {
                program,
                expect,
                checks,
                design,
                comments,
                notes,
            }
        })
}

fn a_check() -> impl Strategy<Value = (prop::sample::Index, Check)> {
    let line = "00010000-00011000 rw-p 00000000 anon".to_owned();
    let wants = prop_oneof![
        vec(Just(line), 0..3).prop_map(Wants::Maps),
        (any::<u64>(), any::<u64>()).prop_map(|(locked, minor)| {
            Wants::Status(vec![(Counter::Locked, locked), (Counter::Minor, minor)])
        }),
    ];
    let comments = vec("[!-~]{1,12}", 0..2);
    (any::<prop::sample::Index>(), 1..=16_u8, comments, wants).prop_map(
        |(at, task, comments, wants)| {
            let check = Check {
                after: 0,
                task: TaskId(task),
                comments,
                wants,
            };
            (at, check)
        },
    )
}

fn expect() -> impl Strategy<Value = Expect> {
    let outcome = prop_oneof![
        any::<u64>().prop_map(Outcome::Value),
        (0..Errno::ALL.len()).prop_map(|i| Outcome::Errno(Errno::ALL[i])),
        Just(Outcome::Segv(SegvCode::MapErr)),
        Just(Outcome::Segv(SegvCode::AccErr)),
        Just(Outcome::Bus),
        Just(Outcome::Oom),
        Just(Outcome::Livelock),
        Just(Outcome::NoTask),
        Just(Outcome::Unsupported),
    ];
    let answer = prop_oneof![
        outcome.prop_map(Answer::Is),
        Just(Answer::Segv),
        Just(Answer::Error),
    ];
    let frees = vec(any::<u32>().prop_map(VmaId), 0..3);
    (proptest::option::of(answer), proptest::option::of(frees))
        .prop_map(|(outcome, frees)| Expect { outcome, frees })
}

#[test]
fn everything_at_once() {
    let case = check(
        "\
# munmap/tail.vma: unmapping the tail of an area frees the piece that was split off.
config max_map_count=64 task_size=0x400000 legacy_layout=true rlimit_as=0x100000 commit_limit=9
mmap(0x10000, 0x4000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0) = 0x10000
# And then:
store(0x11000, 7) = 0
mprotect(0x11000, 0x1000, PROT_READ|0x40) = -1 EINVAL
[2] load(0x11000) = 7  # task 2, a thread of the same process
munmap(0x13000, 0x1000) (fail 2) = 0 frees #4, #5
munmap(0x13000, 0x1000) frees none
fork() = 3
[3] exec(NULL) = SIGSEGV MAPERR
open(\"nofault\", O_RDWR, 0x4000) = 3
mbind(0x10000, 0x1000, MPOL_BIND, 0x1, MPOL_MF_STRICT|MPOL_F_STATIC_NODES) = 0
madvise(0x10000, 0x1000, 0x63) = -1 EINVAL
mmap(NULL, 0x1000, PROT_NONE, MAP_SHARED_VALIDATE|MAP_32BIT, 3, 0x1000)
mlockall(0) = -1 EINVAL
softirq()
status: locked=2 minor=1
# At the end.
maps:
  00010000-00011000 rw-p 00000000 anon
  00011000-00012000 r--s 00001000 file1
[3] maps:
policy: pct seed=7
switch: 1@munmap.unlink#1 -> 2
switch: 2@site:0x00000001#3 -> 0
switch: +12 -> 2
",
    );
    assert_eq!(case.program.config.max_map_count, 64);
    assert_eq!(case.expect[3].outcome, Some(Answer::Is(Outcome::Value(7))));
    assert_eq!(case.expect[4].frees, Some(vec![VmaId(4), VmaId(5)]));
    assert_eq!(case.comments[1], (1, "And then:".to_owned()));
    assert_eq!(
        case.notes,
        [(3, "task 2, a thread of the same process".to_owned())]
    );
    let site = SiteInfo::number(UNLINK);
    let at = Moment::Site {
        task: TaskId(1),
        site,
        nth: 1,
    };
    assert_eq!(case.program.schedule.switches[0].at, at);
}

/// What people and strace write is read, and printed in the one form.
#[test]
fn other_forms_are_read() {
    let case = parse(
        "
config   rlimit_as=4KiB  rlimit_data=unlimited # twice
config tasks=3 legacy_layout=1 reuse_slots=false\r
\t[1]mmap ( NULL , 8192,3,MAP_ANONYMOUS|0x2,-1,0)=0x7fc1000   #note
brk(NULL) = ?
munmap(0x13000, 4KiB)   = -1 ENOMEM (Cannot allocate memory)
maps:
   10000-11000 rw-p 0 anon

  7fff00000000-7fff00001000 r-xp 00000000 file12
#end",
    );
    assert_eq!(
        case.to_string(),
        "\
# twice
config tasks=3 legacy_layout=true rlimit_as=0x1000 reuse_slots=false
mmap(NULL, 0x2000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7fc1000  # note
brk(NULL)
munmap(0x13000, 0x1000) = -1 ENOMEM
maps:
  00010000-00011000 rw-p 00000000 anon
  7fff00000000-7fff00001000 r-xp 00000000 file12
# end
"
    );
}

#[test]
fn no_text_is_the_empty_case() {
    assert_eq!(check(""), Case::default());
}

const A_LINE: &str = "expected a call, as mmap(…), or one of config, maps:, status:, design:, policy:, switch:, let, \
                      repeat, #";

#[test]
fn errors_name_the_place() {
    check_error(
        "config\n",
        "case.vma:1:7: expected a setting, as max_map_count=64, found the end of the line",
    );
    check_error(
        "# fine\nload(0x1000\n",
        "case.vma:2:12: expected `)`, found the end of the line",
    );
    check_error(
        "store(0x1000, 256)",
        "case.vma:1:15: expected a byte, 0 to 255, found `256`",
    );
    check_error(
        "mprotect(0x1000, 0x1000, PROT_RAED)",
        "case.vma:1:26: expected a flag PROT_… or its number, found `PROT_RAED`",
    );
    check_error(
        "mprotect(0x1000, 0x1000, PROT_READ|)",
        "case.vma:1:36: expected a flag PROT_… or its number, found `)`",
    );
    check_error(
        "fork() = 3 3",
        "case.vma:1:12: expected the end of the line, or a comment, found `3`",
    );
    check_error(
        "config tasks=9",
        "case.vma:1:14: expected a number from 1 to 8, found `9`",
    );
    check_error(
        "config task_size=0x400000 mmap_base=0x500000",
        "case.vma:1:45: expected mmap_base and start_brk at or below task_size, which comes \
         first, found the end of the line",
    );
    check_error(
        "[17] fork()",
        "case.vma:1:2: expected a task, 0 to 16, found `17`",
    );
    check_error(
        "switch: 1@munmap.unlnik#1 -> 2",
        "case.vma:1:11: expected a site, as munmap.unlink, or its number, as site:0x12345678, \
         found `munmap`",
    );
    check_error(
        "munmap(0, 0) = -1 ENOENT",
        "case.vma:1:19: expected the name of an error that the rules know, found `ENOENT`",
    );
    check_error(
        "fork() (fail 0)",
        "case.vma:1:14: expected which allocation fails, 1 to 255, found `0`",
    );
    check_error(
        "maps:\n  1000-2000 rwp 0 anon",
        "case.vma:2:13: expected permissions, as rw-p, found `rwp`",
    );
    check_error(
        "\u{0}",
        &format!("case.vma:1:1: {A_LINE}, found the control character U+0000"),
    );
    check_error(
        "\u{feff}load(0)",
        &format!("case.vma:1:1: {A_LINE}, found a byte order mark (U+FEFF)"),
    );
}

#[test]
fn what_would_do_nothing_is_refused() {
    check_error(
        "load(0x1000)\nconfig tasks=3",
        "case.vma:2:1: expected `config` before the first call, found `config`",
    );
    check_error(
        "config tasks=3 tasks=4",
        "case.vma:1:16: expected each setting once, found `tasks`",
    );
    check_error(
        "policy: pct\npolicy: pos",
        "case.vma:2:1: expected only one line `policy:`, found `policy`",
    );
    check_error(
        "load(0)\nmaps:\nload(0)\nswitch: +1 -> 2",
        "case.vma:2:1: expected checks behind the last call of a program with a schedule, found \
         `maps`",
    );
    check_error(
        "status: locked=1",
        "case.vma:1:1: expected a call before `status:`, found `status`",
    );
    check_error(
        "load(0)\nstatus: locked=1 locked=2",
        "case.vma:2:25: expected a number of pages, found `2`",
    );
    check_error(
        "repeat 0:\nload(0)\nend",
        "case.vma:1:8: expected how often, a number from 1, found `0`",
    );
    check_error(
        "repeat 3:\nload(0)",
        "case.vma:1:1: expected a line `end` below this `repeat`, found `repeat`",
    );
    check_error(
        "end",
        "case.vma:1:1: expected a `repeat` above this `end`, found `end`",
    );
    check_error(
        "repeat 1000000:\nrepeat 1000000:\nload(0)\nend\nend",
        "case.vma:2:1: expected repeats that come to at most 1000000 lines, found `repeat`",
    );
    check_error(
        "let a = 1\nlet a = 2",
        "case.vma:2:5: expected a name that is not taken, in small letters, found `a`",
    );
}

#[test]
fn tasks_that_cannot_exist_are_warned_of() {
    let no_task =
        |task| format!("there is no task {task} (`config tasks=…` and forks before make tasks)");
    check_warnings(
        "[2] load(0)\nfork()\n[3] load(0)\n[9] load(0) = NOTASK",
        &[],
    );
    let call = "this call does nothing; write `= NOTASK` behind it if it is meant";
    check_warnings(
        "[3] load(0)\nfork()",
        &[&format!("case.vma:1:2: {}: {call}", no_task(3))],
    );
    check_warnings("fork()\n[3] maps:\n[3]status: locked=0", &[]);
    let look = format!("case.vma:2:2: {}: nothing is looked at", no_task(9));
    check_warnings("fork()\n[9] maps:", &[&look]);
}

#[test]
fn errors_say_what_may_have_been_meant() {
    check_help("mprotect(0, 0, PROT_RAED)", "did you mean `PROT_READ`?");
    check_help("mprotect(0, 0, PROT_RAED)", "mprotect(addr, len, prot)");
    check_help("munmap(0)", "munmap(addr, len)");
    check_help("mmpa(0)", "did you mean `mmap`?");
    check_help("confg tasks=2", "did you mean `config`?");
    check_help("config max_map_cont=2", "did you mean `max_map_count`?");
    check_help(
        "madvise(0, 0, MADV_DONTNED)",
        "did you mean `MADV_DONTNEED`?",
    );
    check_help("mbind(0, 0, MPOL_BND, 1, 0)", "did you mean `MPOL_BIND`?");
    check_help("open(\"plan\", O_RDWR, 0)", "did you mean `plain`?");
    check_help("open(\"plain\", O_RDRW, 0)", "did you mean `O_RDWR`?");
    check_help("load(0) = -1 EFALT", "did you mean `EFAULT`?");
    check_help(
        "load(0) = ENOMEM",
        "an error is written `-1 ENOMEM` or `-ENOMEM`",
    );
    check_help("load(0) = SIGSEG", "did you mean `SIGSEGV`?");
    check_help("load(0)\nstatus: lokced=1", "did you mean `locked`?");
    check_help("load(0)\nstatus:\n VmLock: 4 kB", "did you mean `VmLck`?");
    check_help(
        "switch: 1@munmap.unlnik#1 -> 2",
        "did you mean `munmap.unlink`?",
    );
    check_help("policy: ptc", "did you mean `pct`?");
    check_help("let base = 1\nload(bsae)", "did you mean `base`?");
    check_help(
        "load(1f0000)",
        "hexadecimal numbers begin with 0x: 0x1f0000",
    );
    check_help("load(0x1ffffffffffffffff)", "a number has at most 64 bits");
    check_help("load(99999999999999999999)", "a number has at most 64 bits");
    check_help("store(0, 200+100)", "this comes to 300");
    check_help(
        "123 mmap(NULL, 1)",
        "a log of strace becomes a program by `vmadiff convert --strace`",
    );
    check_help(
        "00400000-00401000 rw-p 00000000 anon",
        "areas stand below a line `maps:`",
    );
    check_help(
        "VmLck: 4 kB",
        "lines of /proc/PID/status stand below a line `status:`",
    );
}

#[test]
fn an_error_shows_its_line() {
    let error = Case::parse("case.vma", "load(0)\n\tmprotect(0, 1, PROT_RAED) = 0").unwrap_err();
    assert_eq!(
        error.to_string(),
        "\
case.vma:2:17: expected a flag PROT_… or its number, found `PROT_RAED`
   mprotect(0, 1, PROT_RAED) = 0
                  ^^^^^^^^^
  did you mean `PROT_READ`?
  mprotect(addr, len, prot)"
    );
}

/// What people bring along is read, and printed in the one form.
#[test]
fn test_suites_are_read() {
    let map = |len| {
        format!("mmap(0x400000, {len}, PROT_READ, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)")
    };
    check_same(
        "let base = 0x400000\nmmap(base, 3*1p, PROT_READ, MAP_ANON|MAP_FIXED|MAP_PRIVATE|MAP_FILE, -1, 0) = base",
        &(map("0x3000") + " = 0x400000\n"),
    );
    check_same(
        "repeat 2 as i:\n  # each\n  repeat 2 as j:\n    store(0x1000+2*i+j, 1+i)  # one\n  end\nend # all\n",
        "# each\nstore(0x1000, 1)  # one\nstore(0x1001, 1)\nstore(0x1002, 2)\nstore(0x1003, 2)\n",
    );
    check_same(
        "munmap(0x400000, -4096) = -EINVAL",
        "munmap(0x400000, 0xfffffffffffff000) = -1 EINVAL\n",
    );
    check_same(
        "msync(0x1000, ~0, -1)",
        "msync(0x1000, 0xffffffffffffffff, MS_ASYNC|MS_INVALIDATE|MS_SYNC|0xfffffff8)\n",
    );
    check_same(
        "madvise(0x1000, 1, -7) = -1",
        "madvise(0x1000, 0x1, 0xfffffff9) = -1\n",
    );
    check_same(
        "mremap(0x1000, 1, 2, 0)",
        "mremap(0x1000, 0x1, 0x2, 0, NULL)\n",
    );
    check_error(
        "mremap(0x1000, 1, 2, MREMAP_MAYMOVE|MREMAP_FIXED)",
        "case.vma:1:49: expected `,`, found `)`",
    );
    check_same(
        "mbind(0x1000, 1, MPOL_BIND|MPOL_F_STATIC_NODES, 1, MPOL_MF_MOVE)",
        "mbind(0x1000, 0x1, MPOL_BIND, 0x1, MPOL_MF_MOVE|MPOL_F_STATIC_NODES)\n",
    );
    check_same(
        "load(0) = SIGSEGV\nload(0) = SIGSEGV SEGV_MAPERR",
        "load(NULL) = SIGSEGV\nload(NULL) = SIGSEGV MAPERR\n",
    );
    check_same(
        "mmap(0, 1p, 0, 2, -1, 0) = 0x10p-1p frees #1",
        "mmap(NULL, 0x1000, PROT_NONE, MAP_PRIVATE, -1, 0) = 0xf000 frees #1\n",
    );
}

#[test]
fn checks_are_read_as_proc_prints_them() {
    check_same(
        "load(0)
maps:
00400000-00402000 r--p 00000000 08:01 4718777                            /srv/a # b
00402000-00403000 rw-p 00000000 00:00 0 
00500000-00501000 rw-p 00000000 00:00 0                                  [heap]
00600000-00601000 rw-s 00001000 00:01 7                                  /dev/zero (deleted)
00700000-00701000 r--s 00001000 08:01 4718777                            /srv/a # b
status: committed=1
VmLck:\t       8 kB
VmRSS:\t      12 kB  # resident
load(0)
",
        "\
load(NULL)
maps:
  00400000-00402000 r--p 00000000 file1
  00402000-00403000 rw-p 00000000 anon
  00500000-00501000 rw-p 00000000 anon
  00600000-00601000 rw-s 00001000 file2
  00700000-00701000 r--s 00001000 file1
status: committed=1 locked=2 resident=3
# resident
load(NULL)
",
    );
}

#[test]
fn every_call_has_its_own_name() {
    for (i, kind) in CallKind::ALL.iter().enumerate() {
        let others = &CallKind::ALL[i + 1..];
        assert!(
            others.iter().all(|other| other.name() != kind.name()),
            "{kind:?}"
        );
    }
}

/// Reading takes time in proportion to the text: a quadratic reader would need minutes.
#[test]
fn a_long_text_is_read_line_by_line() {
    let line = "# why\nmunmap(0x10000, 0x1000) = 0 frees none  # and this\n";
    let case = parse(&line.repeat(100_000));
    assert_eq!(case.program.calls.len(), 100_000);
    assert_eq!(case.to_string().len(), line.len() * 100_000);
}

#[test]
fn areas_read_as_proc_maps_shows_them() {
    let anonymous = VmaState {
        mm: MmId(1),
        start: 0x1_0000,
        end: 0x1_2000,
        vma: VmaId(1),
        flags: VmFlags::READ | VmFlags::WRITE | VmFlags::MAYREAD,
        pgoff: 16,
        file: None,
        policy: None,
        anon: None,
        anon_chain: 0,
    };
    let shared = VmaState {
        start: Config::WINDOW,
        end: 1 << 32,
        flags: VmFlags::EXEC | VmFlags::MAYSHARE,
        file: Some(FileId(2)),
        ..anonymous
    };
    let child = VmaState {
        mm: MmId(2),
        ..anonymous
    };
    let snapshot = Snapshot {
        vmas: vec![anonymous, shared, child],
        ..Snapshot::default()
    };
    let lines = vmadiff::program::text::maps_lines(&snapshot, MmId(1));
    assert_eq!(
        lines,
        [
            "00010000-00012000 rw-p 00000000 anon",
            "001f0000-100000000 --xs 00010000 file2"
        ]
    );
    check(&format!("maps:\n  {}\n  {}\n", lines[0], lines[1]));
}
