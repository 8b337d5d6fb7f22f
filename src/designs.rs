//! The designs that there are: the one place that names their crates.

use vmadiff_contract::{Breach, DesignInfo};

/// Every design; the first is taken where none is named.
pub static DESIGNS: &[&DesignInfo] = &[&vmadiff_candidate::SPF];

/// The design of this name.
pub fn from_name(name: &str) -> Option<&'static DesignInfo> {
    DESIGNS.iter().copied().find(|design| design.name == name)
}

/// Rules that designs declare of their own protocols, each once.
pub fn breaches() -> impl Iterator<Item = &'static Breach> {
    let each = || {
        DESIGNS
            .iter()
            .flat_map(|d| d.breaches.iter().copied().flatten())
    };
    each().enumerate().filter_map(move |(i, breach)| {
        let first = each().position(|other| other.rule == breach.rule) == Some(i);
        first.then_some(*breach)
    })
}
