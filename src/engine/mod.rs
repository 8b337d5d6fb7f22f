//! The embedded engine: libFuzzer in child processes of the command.
//!
//! libFuzzer owns the process it runs in: it never returns, and a hang, a panic or an input that
//! eats all memory ends it. So the command starts itself again as `vmadiff engine`, once for each
//! job ([`child`]), and watches ([`campaign`]). They talk JSON lines: settings go in as an
//! argument, [`protocol::Message`]s come back on standard output, and the end of standard input
//! means stop. Standard error is libFuzzer's.
//!
//! Nothing is written by libFuzzer, which does not look whether that worked: inputs of the corpus
//! are read and written by the job ([`corpus`]), and the input that a job died of comes back
//! through memory ([`legacy`]).

mod campaign;
mod child;
mod corpus;
mod fault;
mod folder;
mod job;
mod legacy;
mod listing;
mod log;
mod novelty;
mod own_time;
mod progress;
mod protocol;
mod subject;
mod watch;

pub use campaign::{Ended, Failure, News, Plan, run};
pub use child::run as run_child;
pub use fault::Fault;
pub use progress::Progress;
pub use protocol::{Finding, Kind, Limits, PassedOver, Seen, Settings, Stages, Ways};
