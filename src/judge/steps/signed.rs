//! What the reference's steps are called in signatures: `fault.decide`, by the list and the kind of the
//! step. Rows come and go; these names are stable.

use vmadiff_contract::Offer;

/// A list, its name in signatures, and its steps with theirs.
struct Named {
    list: &'static str,
    name: &'static str,
    /// By kind.
    steps: &'static [(&'static str, &'static str)],
}

macro_rules! lists {
    ($($list:literal $name:literal: $($kind:literal)+;)*) => {
        const LISTS: &[Named] = &[$(Named {
            list: $list,
            name: $name,
            steps: &[$(($kind, concat!($name, ".", $kind))),+],
        },)*];
    };
}

lists! {
    "load, store, exec" "access": "touch" "walk";
    "fault" "fault": "allocate" "anon" "charge" "copy" "count" "decide" "entry" "flush" "resize";
    "populate" "populate": "decide";
    "munmap" "munmap": "cut" "decide" "detach" "flags" "pass" "put" "uncharge" "unlink";
    "zap" "zap": "flush" "pass" "put";
    "mmap" "mmap": "charge" "decide" "descriptor" "link" "put";
    "map an empty range" "map": "allocate" "charge" "count" "link" "merge";
    "mprotect" "mprotect": "charge" "count" "decide" "flags" "flush" "pass";
    "part of an area" "part": "cut" "merge";
    "mremap" "mremap": "charge" "decide" "resize";
    "move an area" "move": "count" "decide" "flags" "flush" "link" "pass";
    "madvise" "madvise": "copy" "decide" "flags";
    "fork" "fork": "allocate" "anon" "charge" "count" "decide" "descriptor" "flush" "link" "number" "pass" "put";
    "exit" "exit": "decide" "detach" "flags" "flush" "pass" "put" "uncharge" "unlink";
    "mlock, mlock2, munlock" "mlock": "decide" "flags";
    "mlockall, munlockall" "mlockall": "decide" "flags";
    "open, close, ftruncate, fallocate" "files": "decide" "descriptor" "drop" "put" "size";
    "unmap a file's pages" "unmap_file": "decide";
    "msync, mincore" "mincore": "decide";
    "reclaim" "reclaim": "copy" "decide" "entry" "flush";
    "collapse" "collapse": "allocate" "copy" "decide" "entry" "flush" "pass";
    "numa_scan" "numa_scan": "decide" "flush" "pass";
    "brk" "brk": "charge" "decide" "resize";
    "mbind" "mbind": "allocate" "decide" "policy";
    "set_mempolicy" "set_mempolicy": "allocate" "policy";
    "uffd_register, uffd_unregister" "uffd": "decide" "flags";
    "evict" "evict": "decide" "drop" "put";
    "setrlimit" "setrlimit": "count";
    "get_mempolicy" "get_mempolicy": "decide";
    "may_expand_vm" "may_expand_vm": "decide";
    "mlock_future_check" "mlock_future_check": "decide";
    "charge" "charge": "uncharge";
    "call" "call": "return";
}

/// Stands for a list or a step that has no name: a test asks that there is none.
const NAMELESS: &str = "step";

/// The name of a step: of its list, and what it does.
pub fn step_name(step: &Offer) -> &'static str {
    let kind = step.kind.name();
    let steps = named(step.list).map_or(&[][..], |named| named.steps);
    let found = steps.iter().find(|(of, _)| *of == kind);
    found.map_or(NAMELESS, |(_, name)| *name)
}

/// The name of the list that a step is of.
pub fn list_name(step: &Offer) -> &'static str {
    named(step.list).map_or(NAMELESS, |named| named.name)
}

fn named(list: &str) -> Option<&'static Named> {
    LISTS.iter().find(|named| named.list == list)
}

/// The names of all lists.
pub fn list_names() -> impl Iterator<Item = &'static str> {
    LISTS.iter().map(|named| named.name)
}

/// The names of all steps.
pub fn step_names() -> impl Iterator<Item = &'static str> {
    let steps = LISTS.iter().flat_map(|named| named.steps);
    steps.map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The lists as `docs/steps.md` shows them, which a test of the reference compares with its own.
    fn shown() -> Vec<(&'static str, &'static str)> {
        let document = include_str!("../../../docs/steps.md");
        let (_, lists) = document.split_once("\n## Lists\n").expect("the lists");
        let mut shown = Vec::new();
        let mut list = "";
        for line in lists.lines() {
            list = line.strip_prefix("### ").unwrap_or(list);
            let mut cells = line.split(" | ");
            let row = cells.next().and_then(|cell| cell.strip_prefix("| "));
            if row.is_some_and(|row| row.parse::<u8>().is_ok()) {
                shown.extend(cells.next().map(|kind| (list, kind)));
            }
        }
        shown
    }

    #[test]
    fn every_step_of_every_list_has_a_name() {
        let shown = shown();
        assert!(shown.len() > 100, "{shown:?}");
        for (list, kind) in &shown {
            let named = named(list).unwrap_or_else(|| panic!("`{list}` has no name"));
            let has = named.steps.iter().any(|(of, _)| of == kind);
            assert!(has, "`{kind}` of `{list}` has no name");
        }
        for named in LISTS
            .iter()
            .filter(|named| !NOT_SHOWN.contains(&named.list))
        {
            for (kind, name) in named.steps {
                assert!(shown.contains(&(named.list, kind)), "{name} is no step");
            }
        }
    }

    /// What is not of a list: a charge that is given back, and that the call returns.
    const NOT_SHOWN: [&str; 2] = ["charge", "call"];

    #[test]
    fn names_are_distinct() {
        let distinct: BTreeSet<&str> = step_names().collect();
        assert_eq!(distinct.len(), step_names().count());
        let distinct: BTreeSet<&str> = list_names().collect();
        assert_eq!(distinct.len(), list_names().count());
    }
}
