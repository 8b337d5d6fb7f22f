//! Programs for fuzzing engines: fresh ones, changed ones, and two made one.
//!
//! The unit is the whole record: a call, a switch, a setting. None is ever cut to fit. Bytes are
//! decoded, the program is changed, and the result is encoded again; that is exact, so nothing
//! drifts. One change in eight is left to the engine, which knows what compares it has seen.

mod aim;
mod argument;
mod change;
mod dice;
pub mod forced;
mod fresh;
mod generate;
mod large;
mod place;
mod races;
mod reargue;
mod switches;
mod weights;

use mutatis::{Mutate, Session};
use vmadiff_contract::{CallKind, Capabilities, DesignInfo};

use self::change::Mutator;
use self::dice::Dice;
use super::bytes::{self, HEADER, MAX_STEPS};
use super::{Policy, Program, Schedule};
use crate::compare::World;
use crate::designs;

pub use generate::generate;

/// What programs are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Whether they have schedules.
    pub flavour: Flavour,
    /// The calls that both managers know; fresh calls are of them.
    pub calls: Capabilities,
    /// Says where races are worth being switched.
    pub design: &'static DesignInfo,
    /// What programs are made of.
    pub world: World,
    /// Schedules choose by this policy alone; none: by any, and by switches.
    pub policy: Option<Policy>,
    /// Each program is made anew, whatever others have reached.
    pub fresh: bool,
    /// How large races are.
    pub size: Size,
}

/// How large races are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Size {
    /// A setup and a few calls of two or three threads: each call has others beside it.
    #[default]
    Small,
    /// Up to 64 calls of three to eight threads and their children, with more forks, more allocations
    /// that fail and more limits that are met.
    Large,
}

/// Whether programs have schedules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flavour {
    /// Calls run one after another.
    #[default]
    Serial,
    /// Calls of two or three threads are woven.
    Interleaved,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            flavour: Flavour::Serial,
            calls: Capabilities::of(CallKind::ALL),
            design: designs::first(),
            world: World::all(),
            policy: None,
            fresh: false,
            size: Size::Small,
        }
    }
}

/// Of so many changes one is the engine's.
const ENGINES_SHARE: u32 = 8;

/// One of so many of the engine's changes is left as it is. The engine knows nothing of calls, so
/// after the others those that miss are aimed again.
const UNAIMED_SHARE: u32 = 4;

/// Of so many of the other changes one starts anew. Of races more: what they are about and where
/// they are switched goes together, and changes of the one mostly lose the other.
fn fresh_share(flavour: Flavour) -> u32 {
    match flavour {
        Flavour::Serial => 12,
        Flavour::Interleaved => 2,
    }
}

/// Of so many crosses of races one is made; the others are fresh programs. libFuzzer asks for crosses half of the
/// time, and of two races hardly ever one comes of it: the calls of one are not about what the other's are about,
/// and switches mean other moments.
const CROSSED_SHARE: u32 = 8;

/// Calls that a changed program has at most. A long race is slow, and most of its calls have run
/// before the first switch comes.
fn most_calls(profile: &Profile) -> usize {
    match (profile.flavour, profile.size) {
        (Flavour::Serial, _) | (_, Size::Large) => MAX_STEPS,
        (Flavour::Interleaved, Size::Small) => 24,
    }
}

/// Changes the input in `data[..size]`, as `LLVMFuzzerCustomMutator` does: the result is in
/// `data`, at most `max_size` bytes of it; their number is the answer. With `max_size` below
/// `size` it shrinks. The same seed gives the same result.
///
/// `engine` is the engine's own mutator, with the same arguments and answer.
pub fn mutate(
    data: &mut [u8],
    size: usize,
    max_size: usize,
    seed: u32,
    profile: &Profile,
    engine: impl FnOnce(&mut [u8], usize, usize) -> usize,
) -> usize {
    let max_size = max_size.min(data.len());
    if profile.fresh {
        let mut session = Session::new().seed(seed.into());
        return finish(
            generate(seed.into(), profile),
            &mut data[..max_size],
            (seed, &mut session),
            profile,
        );
    }
    let shrink = max_size < size;
    if !shrink && size > HEADER && seed.is_multiple_of(ENGINES_SHARE) {
        let size = engine(data, size, max_size).min(max_size);
        if bytes::is_long(&data[..size]) {
            data[2] = 0;
        }
        let mut program = Program::decode(&data[..size]);
        let mut session = Session::new().seed(seed.into());
        if !(seed / ENGINES_SHARE).is_multiple_of(UNAIMED_SHARE) {
            let _ = session.mutate_with(&mut Aimed(profile), &mut program);
        }
        return finish(
            program,
            &mut data[..max_size],
            (seed, &mut session),
            profile,
        );
    }
    let mut program = Program::decode(&data[..size]);
    program.calls.truncate(MAX_STEPS);
    program.schedule.switches.truncate(MAX_STEPS);
    let share = fresh_share(profile.flavour);
    let is_fresh = program.calls.is_empty() || (seed / ENGINES_SHARE).is_multiple_of(share);
    let mut session = Session::new().seed(seed.into()).shrink(shrink);
    if is_fresh && !shrink {
        program = generate(seed.into(), profile);
    } else {
        // Nothing left to take away is no error: the input is as small as it gets.
        let _ = session.mutate_with(&mut Mutator(profile), &mut program);
    }
    finish(
        program,
        &mut data[..max_size],
        (seed, &mut session),
        profile,
    )
}

/// Makes one input of two in `out`, as `LLVMFuzzerCustomCrossOver` does; its size is the answer.
///
/// A run of the second's calls is put into the first's, over some of them or between. Of races most are made anew.
pub fn crossover(one: &[u8], other: &[u8], out: &mut [u8], seed: u32, profile: &Profile) -> usize {
    let mut session = Session::new().seed(seed.into());
    let races = profile.flavour == Flavour::Interleaved;
    if profile.fresh || races && !(seed / ENGINES_SHARE).is_multiple_of(CROSSED_SHARE) {
        return finish(
            generate(seed.into(), profile),
            out,
            (seed, &mut session),
            profile,
        );
    }
    let mut program = Program::decode(one);
    let other = Program::decode(other);
    let _ = session.mutate_with(&mut Splice(&other, profile), &mut program);
    finish(program, out, (seed, &mut session), profile)
}

/// Encodes into `out`, first taking away whole records until they fit.
fn finish(
    mut program: Program,
    out: &mut [u8],
    (seed, session): (u32, &mut Session),
    profile: &Profile,
) -> usize {
    if profile.flavour == Flavour::Serial {
        program.schedule = Schedule::default();
    } else if let Some(policy) = profile.policy {
        switches::choose_by(policy, &mut program.schedule, seed);
    }
    profile.world.narrow(&mut program);
    program.calls.truncate(most_calls(profile));
    program.schedule.switches.truncate(MAX_STEPS);
    let mut left = true;
    while program.encoded_len() > out.len() && left {
        left = session.mutate_with(&mut Smaller, &mut program).is_ok();
    }
    let encoded = program.encode();
    // Only a header can still be too long, and one that is cut reads as if zeros followed.
    let size = encoded.len().min(out.len());
    out[..size].copy_from_slice(&encoded[..size]);
    size
}

/// Aims calls that miss.
struct Aimed<'a>(&'a Profile);

impl Mutate<Program> for Aimed<'_> {
    fn mutate(
        &mut self,
        candidates: &mut mutatis::Candidates<'_>,
        program: &mut Program,
    ) -> mutatis::Result<()> {
        candidates.mutation(|context| {
            aim::aim(&mut Dice(context.rng()), program, self.0);
            Ok(())
        })
    }
}

/// Puts a run of another program's calls into a program.
struct Splice<'a>(&'a Program, &'a Profile);

impl Mutate<Program> for Splice<'_> {
    fn mutate(
        &mut self,
        candidates: &mut mutatis::Candidates<'_>,
        program: &mut Program,
    ) -> mutatis::Result<()> {
        candidates.mutation(|context| {
            let dice = &mut Dice(context.rng());
            let Self(other, profile) = self;
            let cut = |dice: &mut Dice<'_>, len: usize| {
                let (a, b) = (dice.index(len + 1), dice.index(len + 1));
                a.min(b)..a.max(b)
            };
            let from = cut(dice, other.calls.len());
            let over = cut(dice, program.calls.len());
            let over = if dice.one_in(2) {
                over.start..over.start
            } else {
                over
            };
            program
                .calls
                .splice(over, other.calls[from].iter().copied());
            let from = cut(dice, other.schedule.switches.len());
            let over = cut(dice, program.schedule.switches.len());
            let switches = &other.schedule.switches[from];
            program
                .schedule
                .switches
                .splice(over, switches.iter().copied());
            if dice.one_in(4) {
                program.config = other.config.clone();
            }
            aim::aim(dice, program, profile);
            Ok(())
        })
    }
}

/// Takes one record away.
struct Smaller;

impl Mutate<Program> for Smaller {
    fn mutate(
        &mut self,
        candidates: &mut mutatis::Candidates<'_>,
        program: &mut Program,
    ) -> mutatis::Result<()> {
        let (calls, switches) = (program.calls.len(), program.schedule.switches.len());
        let settings = program.config != Default::default();
        candidates.mutation_group(calls as u32, |_, i| {
            program.calls.remove(i as usize);
            Ok(())
        })?;
        candidates.mutation_group(switches as u32, |_, i| {
            program.schedule.switches.remove(i as usize);
            Ok(())
        })?;
        candidates.mutation_group(u32::from(settings && calls + switches == 0), |_, _| {
            program.config = Default::default();
            Ok(())
        })
    }
}
