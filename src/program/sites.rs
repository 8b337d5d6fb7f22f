//! The sites that a schedule may name: those of designs, and those of the simulation itself. Text
//! holds their names, bytes their numbers; what bears a new name is known by its old one too.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use vmadiff_contract::DesignInfo;
use vmadiff_interleave::sim::SITES;
use vmadiff_interleave::{Site, SiteInfo};

use crate::designs;

/// Where a task stands between two calls.
pub static BEGIN: Site = &SiteInfo::new("call.begin");

/// Where a task stands behind its last call.
pub static EXIT: Site = &SiteInfo::new("task.exit");

/// A table of sites.
#[derive(Clone, Copy, Debug)]
pub struct Sites {
    all: &'static [Site],
    renamed: &'static [Renamed],
    /// Every other name is one, too.
    open: bool,
    /// So are those of all that was compared in this process.
    met: bool,
}

/// A site that bore another name.
#[derive(Clone, Copy, Debug)]
struct Renamed {
    old: (&'static str, u32),
    new: (&'static str, u32),
}

impl Renamed {
    const fn new(old: &'static str, new: &'static str) -> Self {
        Self {
            old: (old, SiteInfo::new(old).number()),
            new: (new, SiteInfo::new(new).number()),
        }
    }
}

/// What designs declare, as tables; each is made once and never goes.
static OF_DESIGNS: Mutex<BTreeMap<Key, Sites>> = Mutex::new(BTreeMap::new());

/// A design's name, and where its lists stand: managers of tests may all have one name.
type Key = (&'static str, usize);

static KNOWN: LazyLock<Sites> = LazyLock::new(|| {
    let sites = designs::all().iter().flat_map(|design| design.sites);
    let renamed = designs::all()
        .iter()
        .flat_map(|design| design.renamed_sites);
    let known = table(sites.copied(), renamed.copied());
    Sites {
        // Where nothing can race a schedule is not run, whatever it names: nobody means another name.
        open: known.all.is_empty(),
        met: true,
        ..known
    }
});

fn of_designs() -> MutexGuard<'static, BTreeMap<Key, Sites>> {
    OF_DESIGNS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sites {
    /// Every site of every design, and of every manager that was compared in this process. Where no design has
    /// any, a site may have any name.
    pub fn known() -> Self {
        *KNOWN
    }

    /// Every site of a design.
    pub fn of_design(design: &'static DesignInfo) -> Self {
        let mut made = of_designs();
        let key = (design.name, design.sites.as_ptr().addr());
        let make = || {
            let sites = design.sites.iter().copied();
            table(sites, design.renamed_sites.iter().copied())
        };
        *made.entry(key).or_insert_with(make)
    }

    /// These sites.
    pub const fn of(all: &'static [Site]) -> Self {
        Self {
            all,
            renamed: &[],
            open: false,
            met: false,
        }
    }

    /// These sites, of which some bore other names: old, new.
    pub fn of_renamed(all: &'static [Site], renamed: &[(&'static str, &'static str)]) -> Self {
        let renamed: Vec<_> = renamed
            .iter()
            .map(|(old, new)| Renamed::new(old, new))
            .collect();
        Self {
            all,
            renamed: renamed.leak(),
            open: false,
            met: false,
        }
    }

    /// All of them.
    pub const fn all(&self) -> &'static [Site] {
        self.all
    }

    /// All of them, and those of the simulation itself.
    pub(super) fn each(&self) -> impl Iterator<Item = Site> {
        self.all.iter().chain(SITES).copied()
    }

    /// A site that people are shown as an example of one.
    pub(super) fn like(&self) -> &'static str {
        let all = || self.all.iter().map(|site| site.name);
        let known = all().find(|name| *name == "munmap.unlink");
        known.or_else(|| all().next()).unwrap_or(BEGIN.name)
    }

    /// The first site like this, with those of what was compared, if they count.
    fn find(&self, is_it: impl Fn(&Site) -> bool) -> Option<Site> {
        self.each().find(&is_it).or_else(|| {
            let met = of_designs();
            let mut others = met.values().filter(|_| self.met).flat_map(|met| met.all);
            others.find(|site| is_it(site)).copied()
        })
    }

    /// The name of the site with this number.
    pub fn name(&self, number: u32) -> Option<&'static str> {
        self.find(|site| site.number() == number)
            .map(|site| site.name)
    }

    /// The number of the site with this name, or that had it once.
    pub fn number(&self, name: &str) -> Option<u32> {
        let name = self.today(name);
        let found = self.find(|site| site.name == name);
        let any = self.open && !name.is_empty();
        found
            .map(SiteInfo::number)
            .or_else(|| any.then(|| SiteInfo::number_of(name)))
    }

    /// The name of today of the site that had this name once; any other name is what it is.
    pub fn today<'a>(&self, name: &'a str) -> &'a str {
        let found = self.renamed.iter().find(|renamed| renamed.old.0 == name);
        found.map_or(name, |renamed| renamed.new.0)
    }

    /// The same for a number.
    pub fn renumbered(&self, number: u32) -> u32 {
        let found = self.renamed.iter().find(|renamed| renamed.old.1 == number);
        found.map_or(number, |renamed| renamed.new.1)
    }
}

/// A table of what several lists declare, each site once. The order is that of the names as constants
/// write them, whatever list they stand in: what is drawn from it does not change if one moves.
fn table(
    sites: impl Iterator<Item = &'static [&'static str]>,
    renamed: impl Iterator<Item = &'static [(&'static str, &'static str)]>,
) -> Sites {
    let mut names: Vec<&'static str> = sites.flatten().copied().collect();
    names.sort_by_cached_key(|name| name.to_ascii_uppercase().replace('.', "__"));
    names.dedup();
    let leaked = |name| -> Site { Box::leak(Box::new(SiteInfo::new(name))) };
    let all: Vec<Site> = names.into_iter().map(leaked).collect();
    let mut pairs: Vec<_> = renamed.flatten().copied().collect();
    pairs.sort_unstable();
    pairs.dedup();
    let renamed: Vec<_> = pairs
        .into_iter()
        .map(|(old, new)| Renamed::new(old, new))
        .collect();
    Sites {
        all: all.leak(),
        renamed: renamed.leak(),
        open: false,
        met: false,
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
            assert_eq!(sites.renumbered(site.number()), site.number());
        }
    }

    #[test]
    fn old_names_and_numbers_lead_to_a_site() {
        let sites = Sites::known();
        for Renamed { old, new } in sites.renamed {
            let number = sites.number(new.0);
            assert_eq!(number, Some(new.1), "{old:?} became {new:?}, which is none");
            assert_eq!(sites.number(old.0), number);
            assert_eq!(Some(sites.renumbered(old.1)), number);
            assert_eq!(sites.name(old.1), None, "{old:?} is a site still");
        }
    }
}
