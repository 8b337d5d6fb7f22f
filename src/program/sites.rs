//! The sites that a schedule may name. Text holds their names, bytes their numbers.

use vmadiff_interleave::sim::SITES;
use vmadiff_interleave::{Site, SiteInfo};

/// Where a task stands between two calls.
pub static BEGIN: Site = &SiteInfo::new("call.begin");

/// A table of sites.
#[derive(Clone, Copy, Debug)]
pub struct Sites(&'static [&'static SiteInfo]);

impl Sites {
    /// Every site of the candidate.
    pub fn known() -> Self {
        Self(vmadiff_candidate::sites::ALL)
    }

    /// These sites.
    pub const fn of(all: &'static [&'static SiteInfo]) -> Self {
        Self(all)
    }

    /// All of them.
    pub const fn all(&self) -> &'static [&'static SiteInfo] {
        self.0
    }

    /// All of them, and those of the simulation itself.
    fn each(&self) -> impl Iterator<Item = Site> {
        self.0.iter().chain(SITES).copied()
    }

    /// The name of the site with this number.
    pub fn name(&self, number: u32) -> Option<&'static str> {
        self.each()
            .find(|site| site.number() == number)
            .map(|site| site.name)
    }

    /// The number of the site with this name.
    pub fn number(&self, name: &str) -> Option<u32> {
        self.each()
            .find(|site| site.name == name)
            .map(vmadiff_interleave::SiteInfo::number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two sites of one number could not be told apart in bytes.
    #[test]
    fn names_and_numbers_lead_to_each_other() {
        let sites = Sites::known();
        for site in sites.each() {
            assert_eq!(
                sites.number(site.name),
                Some(site.number()),
                "{}",
                site.name
            );
            assert_eq!(sites.name(site.number()), Some(site.name), "{}", site.name);
        }
    }
}
