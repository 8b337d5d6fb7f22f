//! A watch over programs that run in this process: one call that does not come back ends the command, and is told.
//! Jobs of `fuzz` have a watch of their own.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use vmadiff::pair::working;

use super::paint;
use crate::status::Status;

/// Seconds that a call may take if nobody says otherwise. One takes microseconds.
pub const SECONDS: u64 = 10;

/// How often it is looked.
const TICK: Duration = Duration::from_millis(100);

/// What passes at most between two looks: of more, the machine, or whoever stopped this process, took its part.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// A candidate that does not come back.
pub struct Hang {
    /// As in a finding.
    pub signature: String,
    /// What happened, in a sentence.
    pub what: String,
    /// The index of the call.
    pub at: Option<usize>,
}

/// Has programs run on this thread. If a call takes longer, `hung` tells of it, and with its status the process
/// ends: nothing else can be done with a thread that hangs.
pub fn watched<T>(
    seconds: u64,
    hung: impl FnOnce(Hang) -> Status + Send,
    run: impl FnOnce() -> T,
) -> T {
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
                let hangs = late.and_then(|work| Some((work.at, work.hangs(seconds)?)));
                if let Some((at, (signature, what))) = hangs {
                    let hang = Hang {
                        signature,
                        what,
                        at,
                    };
                    std::process::exit(hung(hang).number().into());
                }
            }
        });
        let answer = run();
        drop(over);
        answer
    })
}

/// As [`watched`], where there is no more to say than that it hangs.
pub fn guarded<T>(run: impl FnOnce() -> T) -> T {
    let tell = |Hang {
                    signature, what, ..
                }: Hang| {
        crate::tell!("{} {signature}: {what}", paint::bad("divergence:"));
        Status::Diverged
    };
    watched(SECONDS, tell, run)
}
