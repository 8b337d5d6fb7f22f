//! What the machine leaves no room for is skipped, and never taken for a finding.

use vmadiff::linux::{court, judge};
use vmadiff_linux::{Stopped, Verdict};

use super::{CLOSELY, agrees, linux, parse};

/// mlockall locks the agent's own pages along, and where the hard limit is no higher than the program's
/// there is no room for them. Well below it and above it both sides say the same.
#[test]
fn what_only_the_agents_own_pages_make_too_much_is_skipped() {
    let Some(linux) = linux() else { return };
    let most = linux.machine().most_locked;
    if most < 8 << 20 {
        return eprintln!("skipped: the usual RLIMIT_MEMLOCK can not be had");
    }
    let raised = most > 16 << 20;
    let mut court = court(linux);
    let mut check = |pages: u64| {
        let text = format!(
            "mmap(0x10000000, {:#x}, PROT_READ, MAP_SHARED|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
             mlockall(MCL_CURRENT)\n",
            pages * 4096,
        );
        judge(&mut court, &parse("limit", &text), CLOSELY)
    };
    assert!(agrees(&check(0x7c0)), "there is room for both");
    assert!(agrees(&check(0x801)), "too much anyway");
    match check(0x7e0) {
        Ok(Verdict::Agrees { .. }) if raised => {}
        Err(Stopped::Unfit { call: Some(1), why }) if !raised => {
            assert!(why.to_string().contains("RLIMIT_MEMLOCK"), "{why}");
        }
        verdict => panic!("{verdict:?}"),
    }
}

/// One request for more than all memory is refused, unless all requests are granted.
#[test]
fn what_the_machine_has_no_memory_for_is_skipped() {
    let Some(linux) = linux() else { return };
    let most = linux.machine().most_charged;
    let mut court = court(linux);
    for len in [most, most.saturating_add(4096)] {
        let text = format!(
            "mmap(0x10000000, {len:#x}, PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n"
        );
        let verdict = judge(&mut court, &parse("memory", &text), CLOSELY);
        let unfit = matches!(verdict, Err(Stopped::Unfit { .. }));
        assert!(agrees(&verdict) || unfit, "{verdict:?}");
    }
}
