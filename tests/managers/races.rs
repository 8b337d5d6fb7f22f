//! Races of a manager of somebody else's: some order of whole calls explains them, or they are found.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;

use vmadiff::areas::Place;
use vmadiff::interleave::RwSem;
use vmadiff::interleaved::{self, Interleaved};
use vmadiff::judge::Verdict;
use vmadiff::pair::{Pair, Ran};
use vmadiff::program::mutate::forced::{Chain, Met};
use vmadiff::program::mutate::{Flavour, generate};
use vmadiff::shrink::{Attempt, Passes, shrink};
use vmadiff::{CallKind, Config, Errno, Prot, View};

use super::{case, divergence};

vmadiff::interleave::sites! {
    WRITE = "space.write";
    AGAIN = "space.again";
    LOOK = "space.look";
}

/// A lock is left behind.
const LEAVES_LOCK: u8 = 1;
/// A protection is changed in two sections.
const IN_TWO: u8 = 2;
/// protect goes on behind a hole, and says that all is well.
const SKIPS_HOLES: u8 = 3;
/// A place is found free, and taken under another hold of the lock.
const LOOKS_EARLY: u8 = 4;
/// It panics as it boots.
const PANICS_FIRST: u8 = 5;
/// It panics as it is thrown away, if a page was left.
const PANICS_LAST: u8 = 6;

/// It panics as it is looked at, if two pages are left.
const PANICS_SEEN: u8 = 7;

/// Pages under one lock, with one bug.
struct Locked<const BUG: u8> {
    lock: RwSem,
    pages: Mutex<BTreeMap<u64, Prot>>,
}

impl<const BUG: u8> Locked<BUG> {
    fn pages(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Prot>> {
        self.pages.lock().expect("nobody panicked")
    }
}

impl<const BUG: u8> Drop for Locked<BUG> {
    fn drop(&mut self) {
        let left = BUG == PANICS_LAST && self.pages.lock().is_ok_and(|pages| !pages.is_empty());
        assert!(!left || std::thread::panicking(), "pages are left");
    }
}

impl<const BUG: u8> Interleaved for Locked<BUG> {
    const SITES: &'static [&'static [&'static str]] = &[NAMES];

    fn boot(_: &Config) -> Self {
        assert_ne!(BUG, PANICS_FIRST, "it cannot boot");
        Self {
            lock: RwSem::new(),
            pages: Mutex::default(),
        }
    }

    fn map(&self, range: Range<u64>, prot: Prot, how: Place) -> Result<u64, Errno> {
        if BUG == LOOKS_EARLY && how == Place::IfFree {
            let _held = self.lock.read(LOOK);
            if self.pages().range(range.clone()).next().is_some() {
                return Err(Errno::EEXIST);
            }
        }
        let _held = self.lock.write(WRITE);
        let mut pages = self.pages();
        let size = range.end - range.start;
        let free = |at: &u64| pages.range(*at..*at + size).next().is_none();
        let start = match how {
            Place::IfFree if BUG != LOOKS_EARLY && !free(&range.start) => {
                return Err(Errno::EEXIST);
            }
            Place::Anywhere => (1..).map(|n| n << 16).find(free).expect("room"),
            Place::IfFree | Place::Over => range.start,
        };
        pages.extend((start..start + size).step_by(4096).map(|page| (page, prot)));
        Ok(start)
    }

    fn unmap(&self, range: Range<u64>) -> Result<(), Errno> {
        let held = self.lock.write(WRITE);
        self.pages().retain(|page, _| !range.contains(page));
        if BUG == LEAVES_LOCK {
            std::mem::forget(held);
        }
        Ok(())
    }

    fn protect(&self, range: Range<u64>, prot: Prot) -> Result<(), Errno> {
        let mut held = self.lock.write(WRITE);
        if BUG == IN_TWO {
            let found: Vec<u64> = self.pages().range(range.clone()).map(|(p, _)| *p).collect();
            drop(held);
            held = self.lock.write(AGAIN);
            // What another task unmapped meanwhile is there again.
            self.pages()
                .extend(found.into_iter().map(|page| (page, prot)));
        }
        let _held = held;
        for page in range.step_by(4096) {
            match self.pages().get_mut(&page) {
                Some(page) => *page = prot,
                None if BUG == SKIPS_HOLES => {}
                None => return Err(Errno::ENOMEM),
            }
        }
        Ok(())
    }

    fn each(&self, mut visit: impl FnMut(Range<u64>, Prot)) {
        let pages = self.pages();
        assert!(BUG != PANICS_SEEN || pages.len() != 2, "two are too many");
        for (page, prot) in &*pages {
            visit(*page..*page + 4096, *prot);
        }
    }
}

/// Programs are changed by what a run of them did, and that may panic as it boots or is thrown away.
#[test]
fn one_that_panics_while_its_program_is_changed_ends_nothing() {
    fn forced<const BUG: u8>() {
        let mut pair = pair::<BUG>();
        let map = "mmap(0x1f0000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)\n";
        let race = case(&format!("{map}[2] {}", map.replace("1f0", "1f1")));
        for seed in 0..50 {
            let mut program = race.program.clone();
            pair.force(&mut program, seed, Chain::of(seed), &mut Met::default());
        }
        let found = pair.run(&race.program, &mut ());
        assert!(found.is_some_and(|ran| divergence(&ran).is_some()));
    }
    forced::<PANICS_FIRST>();
    forced::<PANICS_LAST>();
}

fn pair<const BUG: u8>() -> Pair {
    interleaved::compare::<Locked<BUG>>("locked")
        .view(View::areas().joined())
        .pair()
}

/// Runs so many fresh races; the first that is objected to, and how many raced.
fn races(pair: &mut Pair, count: u64) -> (Option<Ran>, u32) {
    let profile = pair.profile(Flavour::Interleaved);
    let mut raced = 0;
    for seed in 0..count {
        let program = generate(seed, &profile);
        if program.schedule.is_serial() {
            continue;
        }
        raced += 1;
        if let Some(ran) = pair.run(&program, &mut ()) {
            return (Some(*ran), raced);
        }
    }
    (None, raced)
}

#[test]
fn races_that_some_order_explains_agree() {
    let mut pair = pair::<0>();
    assert!(pair.interleaves());
    let (found, raced) = races(&mut pair, 2000);
    assert_eq!(found.map(|ran| ran.verdict), None);
    assert!(raced > 1000, "only {raced} programs raced");
}

#[test]
fn a_call_in_two_sections_is_found() {
    let (found, _) = races(&mut pair::<IN_TWO>(), 20_000);
    let found = found.expect("a race that no order explains");
    let signature = divergence(&found)
        .expect("it diverges")
        .signature
        .to_string();
    assert!(signature.ends_with("/order"), "{signature}");
}

/// A difference that is no news is none in a race, nor in the calls one after another that a campaign of
/// races makes, too.
#[test]
fn a_difference_of_a_race_can_be_known() {
    let (found, _) = races(&mut pair::<SKIPS_HOLES>(), 2000);
    assert!(found.is_some());
    let mut known = interleaved::compare::<Locked<SKIPS_HOLES>>("locked")
        .view(View::areas().joined())
        .known("skips holes", |step, _| {
            step.call.kind() == CallKind::Mprotect
        })
        .pair();
    let (found, raced) = races(&mut known, 2000);
    assert_eq!(found.map(|ran| ran.verdict), None);
    assert!(raced > 1000, "only {raced} programs raced");
    let tally = known.tally();
    assert!(tally.met["skips holes"] > 20, "{tally:?}");
    // Nobody has seen the candidate in the middle of a race: there is nothing to go on from.
    assert_eq!(tally.met, tally.ended);
}

/// One after another the comparison goes on.
#[test]
fn a_manager_whose_calls_race_can_be_brought_past_a_known_difference() {
    let at = |page: &str| {
        format!("mmap({page}, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)\n")
    };
    let text = at("0x1f0000") + &at("0x1f2000") + "mprotect(0x1f0000, 0x3000, PROT_NONE)\n";
    let ran = interleaved::compare::<Locked<SKIPS_HOLES>>("locked")
        .view(View::areas().joined())
        .known("skips holes", |_, difference| difference.names_a_hole())
        .pair()
        .observe(&case(&text).program);
    assert_eq!(ran.verdict, Verdict::Agree);
    assert!(ran.known[0].went_on);
}

#[test]
fn a_lock_that_is_left_is_found() {
    let (found, _) = races(&mut pair::<LEAVES_LOCK>(), 2000);
    let found = found.expect("a lock that is left");
    let signature = divergence(&found)
        .expect("it diverges")
        .signature
        .to_string();
    assert_eq!(signature, "lock-left/munmap/space.write");
}

#[test]
fn a_race_with_a_call_that_is_not_had_is_not_run() {
    let race = case("munmap(0x1f0000, 0x1000)\n[2] fork()\npolicy: random seed=3\n");
    let verdict = pair::<0>().observe(&race.program).verdict;
    assert!(
        matches!(&verdict, Verdict::Skip(why) if why.contains("call 2")),
        "{verdict:?}"
    );
}

/// What the race before it left is none of its own.
#[test]
fn a_race_without_calls_agrees_after_another_one() {
    let mut pair = pair::<0>();
    let map = "mmap(0x1f0000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)";
    for race in [
        &format!("{map}\npolicy: random seed=3\n"),
        "policy: random seed=3\n",
    ] {
        let ran = pair.run(&case(race).program, &mut ());
        assert_eq!(ran.map(|ran| ran.verdict), None, "{race}");
    }
}

/// Its points have their names in a test, too, where no command has been told of it.
#[test]
#[should_panic(expected = "switch: 2@space.again#1 -> 1")]
fn a_race_by_points_can_be_checked() {
    let race = "mmap(0x1f0000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)\n\
        [2] mprotect(0x1f0000, 0x1000, PROT_NONE)\n\
        munmap(0x1f0000, 0x1000)\n\
        switch: 2@space.again#1 -> 1\n";
    interleaved::compare::<Locked<IN_TWO>>("named")
        .view(View::areas().joined())
        .check(race);
}

/// A call that a switch lets begin before another stands before it.
#[test]
fn calls_change_places_where_a_switch_can_go() {
    let mut pair = pair::<LOOKS_EARLY>();
    let big = case(
        "munmap(0x1f0000, 0x1000)\n\
         [2] mmap(0x1f0000, 0x1000, PROT_EXEC, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
         mmap(0x1f0000, 0x1000, PROT_NONE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED_NOREPLACE, -1, 0)\n\
         switch: 1@call.begin#2 -> 1\n\
         switch: 1@space.write#3 -> 2\n",
    );
    let found = |ran: &Ran| divergence(ran).map(|found| found.signature.clone());
    let signature = found(&pair.observe(&big.program));
    assert!(signature.is_some());
    let small = shrink(&big.program, |smaller| {
        let ran = pair.observe(smaller);
        match ran.woven.as_deref().filter(|_| found(&ran) == signature) {
            Some(woven) => Attempt::Woven(Passes::of(woven)),
            None => Attempt::Other,
        }
    });
    let expected = "\
        mmap(0x1f0000, 0x1000, PROT_NONE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED_NOREPLACE, -1, 0)\n\
        [2] mmap(0x1f0000, 0x1000, PROT_EXEC, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
        switch: 1@space.write#1 -> 2\n";
    assert_eq!(small.program.to_string(), expected);
}

/// Whatever it panics at, the race in which it does so is the one that is told.
#[test]
fn one_that_panics_around_its_race_is_found() {
    fn told<const BUG: u8>(text: &str) -> Option<String> {
        let mut pair = interleaved::compare::<Locked<BUG>>("locked")
            .view(View::areas().joined())
            .pair();
        let race = case(text);
        let signature = |ran: &Ran| divergence(ran).map(|found| found.signature.to_string());
        let fast = pair.run(&race.program, &mut ());
        let fast = fast.as_deref().and_then(signature);
        assert_eq!(fast, signature(&pair.observe_twice(&race.program)));
        fast
    }
    let map = "mmap(0x1f0000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)\n";
    let race = |calls: &str| format!("{map}{calls}policy: random seed=3\n");
    let left = race("[2] munmap(0x1f1000, 0x1000)\n");
    let boot = told::<PANICS_FIRST>(&left);
    assert_eq!(boot.as_deref(), Some("panic/boot/panic"));
    let last = told::<PANICS_LAST>(&left);
    assert_eq!(last.as_deref(), Some("panic/drop/panic"));
    // This policy weighs accesses by those of a run before, which is thrown away, too.
    let weighed = left.replace("random", "surw");
    let last = told::<PANICS_LAST>(&weighed);
    assert_eq!(last.as_deref(), Some("panic/drop/panic"));
    let seen = told::<PANICS_SEEN>(&race(&format!("[2] {}", map.replace("1f0", "1f1"))));
    assert_eq!(seen.as_deref(), Some("panic/mmap/panic"));
    assert_eq!(told::<0>(&left), None);
}
