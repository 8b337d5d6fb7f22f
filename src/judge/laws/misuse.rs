//! What a manager noticed of itself is always a finding, under a rule for each kind.

use vmadiff_contract::Misuse;

use super::{Broken, broken as plain};
use crate::judge::{Object, Rule};

/// The finding.
#[cold]
pub fn broken(misuse: Misuse) -> Box<Broken> {
    let (rule, object, what) = describe(misuse);
    plain(rule, object, format!("{object} {what}"))
}

fn describe(misuse: Misuse) -> (Rule, Object, &'static str) {
    match misuse {
        Misuse::DeadVma(id) => (
            Rule::MisuseDeadVma,
            Object::Vma(id),
            "was used after it was freed",
        ),
        Misuse::DeadFrame(id) => (
            Rule::MisuseDeadFrame,
            Object::Frame(id),
            "was used after it was freed",
        ),
        Misuse::DeadTable(id) => (
            Rule::MisuseDeadTable,
            Object::Table(id),
            "was used after it was freed",
        ),
        Misuse::DeadLock(id) => (
            Rule::MisuseDeadLock,
            Object::Table(id),
            "has a lock that was used after it was freed",
        ),
        Misuse::LostTable(id) => (
            Rule::MisuseLostTable,
            Object::Table(id),
            "was walked to by an entry that does not name it any more",
        ),
        Misuse::DeadAnon(id) => (
            Rule::MisuseDeadAnon,
            Object::Anon(id),
            "was used after it was freed",
        ),
        Misuse::DeadPolicy(id) => (
            Rule::MisuseDeadPolicy,
            Object::Policy(id),
            "was used after it was freed",
        ),
        Misuse::DeadFile(id) => (
            Rule::MisuseDeadFile,
            Object::File(id),
            "was used after its last reference was put",
        ),
        Misuse::FreedLinked(id) => (
            Rule::MisuseFreedLinked,
            Object::Vma(id),
            "was freed while still in its tree",
        ),
        Misuse::FreedInTlb(id) => (
            Rule::MisuseFreedInTlb,
            Object::Frame(id),
            "was freed while a TLB still maps it",
        ),
        Misuse::LostPage(id) => (
            Rule::MisuseLostPage,
            Object::Frame(id),
            "is mapped where no walk over its anon_vma comes to it",
        ),
        Misuse::FreedTableInUse(id) => (
            Rule::MisuseFreedTableInUse,
            Object::Table(id),
            "was freed while a walker could be in it",
        ),
        Misuse::OpenInvalidation(id) => (
            Rule::MisuseOpenInvalidation,
            Object::Mm(id),
            "has a listener that was not told the end of an invalidation",
        ),
        Misuse::Breach(id, breach) => (Rule::Breach(breach), Object::Vma(id), breach.what),
    }
}
