//! The two managers that are compared.

use vmadiff_candidate::{Candidate, Defects};
use vmadiff_contract::{Config, Manager};
use vmadiff_reference::Reference;

use crate::run::Runner;

/// Runs programs on both.
pub type Pair = Runner<Reference, Candidate>;

/// The reference, and a candidate with these defects.
pub fn pair(defects: Defects) -> Pair {
    Runner::new(Reference::new, move |config: &Config, events| {
        Candidate::with_defects(config, events, defects)
    })
}
