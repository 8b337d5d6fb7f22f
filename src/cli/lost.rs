//! A watch over programs that run in this process: a candidate that does not come back, or of which the process
//! would die, ends the command, and is told. Jobs of `fuzz` have a watch of their own.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use vmadiff::pair::{Work, working};

use super::paint;
use crate::status::Status;

/// Seconds that a call may take if nobody says otherwise. One takes microseconds.
pub const SECONDS: u64 = 10;

/// How often it is looked.
const TICK: Duration = Duration::from_millis(100);

/// What passes at most between two looks: of more, the machine, or whoever stopped this process, took its part.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// A candidate that does not come back, or of which the process would die.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Lost {
    /// As in a finding.
    pub signature: String,
    /// What happened, in a sentence.
    pub what: String,
    /// The index of the call.
    pub at: Option<usize>,
}

impl Lost {
    fn new(work: &Work, (signature, what): (String, String)) -> Self {
        Self {
            signature,
            what,
            at: work.at,
        }
    }

    /// What a thread stopped for.
    fn died() -> Option<Self> {
        let signal = died()?;
        let work = working()?;
        Some(Self::new(&work, work.dies(signal)))
    }
}

/// Whether this is the signature of a manager that was lost.
pub fn is_of_lost(signature: &str) -> bool {
    ["hang/", "crash/"]
        .iter()
        .any(|rule| signature.starts_with(rule))
}

/// Has programs run on this thread. If a call takes longer, or raises a deadly signal, `lost` tells of it, and with
/// its status the process ends: nothing else can be done with such a thread.
pub fn watched<T>(
    seconds: u64,
    lost: impl FnOnce(Lost) -> Status + Send,
    run: impl FnOnce() -> T,
) -> T {
    keep();
    std::thread::scope(|scope| {
        let (over, ended) = channel::<()>();
        scope.spawn(move || {
            let (mut last, mut passed, mut looked) = (None, Duration::ZERO, Instant::now());
            while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                let now = working();
                passed += looked.elapsed().min(BETWEEN_LOOKS);
                looked = Instant::now();
                if now != last {
                    (last, passed) = (now, Duration::ZERO);
                }
                let late = now.filter(|_| passed > Duration::from_secs(seconds));
                let hangs = late.and_then(|work| Some(Lost::new(&work, work.hangs(seconds)?)));
                if let Some(what) = Lost::died().or(hangs) {
                    std::process::exit(lost(what).number().into());
                }
            }
        });
        let answer = run();
        drop(over);
        answer
    })
}

#[cfg(feature = "engine")]
fn keep() {
    vmadiff_libfuzzer::signals::keep(vmadiff::pair::candidate_works);
}

#[cfg(feature = "engine")]
fn died() -> Option<&'static str> {
    vmadiff_libfuzzer::signals::died()
}

/// Deadly signals are kept where libFuzzer is, whose package has what is unsafe.
#[cfg(not(feature = "engine"))]
fn keep() {}

#[cfg(not(feature = "engine"))]
fn died() -> Option<&'static str> {
    None
}

/// As [`watched`], where there is no more to say than that it is lost.
pub fn guarded<T>(run: impl FnOnce() -> T) -> T {
    let tell = |Lost {
                    signature, what, ..
                }: Lost| {
        crate::tell!("{} {signature}: {what}", paint::bad("divergence:"));
        Status::Diverged
    };
    watched(SECONDS, tell, run)
}
