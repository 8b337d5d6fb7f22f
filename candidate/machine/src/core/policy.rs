//! Memory policies (`mempolicy`): counted, and freed when the design says.

use vmadiff_contract::{Event, Misuse, Mode, PolicyFlags, PolicyId};
use vmadiff_interleave::{RefCount, Site};

use crate::area::anon_vma_links::NoMemory;
use crate::area::vma::Vma;
use crate::core::current::Current;
use crate::core::machine::Machine;
use crate::core::slab::{Handle, Ref, object};
use crate::defects::defect;
use crate::design::Design;
use crate::sites as site;

object! {
    /// A policy.
    Policy, shows: Nothing, dead: |n| Some(Misuse::DeadPolicy(PolicyId(n)));
    words {
        /// `MPOL_*`.
        mode: u32,
        /// `MPOL_F_*`.
        flags: u32,
        /// The nodes that were asked for.
        user_nodes: u64,
        /// Those that there are.
        nodes: u64,
    }
    parts {
        /// References: areas, tasks, and faults under way.
        refs: RefCount,
    }
}

/// What a policy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyKind {
    /// The mode; LOCAL is PREFERRED without nodes.
    pub mode: Mode,
    /// The node flag.
    pub flags: PolicyFlags,
    /// The nodes that were asked for.
    pub user_nodes: u64,
    /// Those that there are.
    pub nodes: u64,
}

impl Ref<'_, Policy> {
    /// What it says, which never changes while it lives.
    pub fn kind(self) -> PolicyKind {
        PolicyKind {
            mode: Mode::from_number(self.mode().peek()),
            flags: PolicyFlags::from_bits_retain(self.flags().peek()),
            user_nodes: self.user_nodes().peek(),
            nodes: self.nodes().peek(),
        }
    }

    /// Makes it say this.
    pub fn init_kind(self, kind: PolicyKind) {
        self.mode().init(kind.mode.number());
        self.flags().init(kind.flags.bits());
        self.user_nodes().init(kind.user_nodes);
        self.nodes().init(kind.nodes);
    }
}

impl<D: Design> Current<'_, D> {
    /// A policy that says this, with one reference (`mpol_new`); none without memory.
    pub fn mpol_alloc(&self, kind: PolicyKind) -> Result<Handle<Policy>, NoMemory> {
        if self.fails() {
            return Err(NoMemory);
        }
        let policy = self.policies.alloc();
        policy.init_kind(kind);
        let nobodys = u32::from(defect!(self, PolicyCountedTwice));
        policy.refs().init(1 + nobodys);
        self.raise(Event::PolicyAlloc {
            policy: PolicyId(policy.ordinal()),
        });
        Ok(policy.handle())
    }

    /// A copy of a policy (`mpol_dup`); of none, none.
    pub fn mpol_dup(&self, policy: Handle<Policy>) -> Result<Handle<Policy>, NoMemory> {
        match policy.some() {
            Some(policy) => self.mpol_alloc(self.policies.get(policy).kind()),
            None => Ok(Handle::NULL),
        }
    }
}

impl<D: Design> Machine<D> {
    /// The nodes that there are, a bit each.
    pub fn nodes_online(&self) -> u64 {
        u64::MAX >> (64 - u32::from(self.config().nodes.clamp(1, 64)))
    }

    /// Whether two policies say the same (`mpol_equal`).
    pub fn mpol_equal(&self, a: Handle<Policy>, b: Handle<Policy>) -> bool {
        if a == b {
            return true;
        }
        let (Some(a), Some(b)) = (a.some(), b.some()) else {
            return false;
        };
        let (a, b) = (self.policies.get(a).kind(), self.policies.get(b).kind());
        let first = |nodes: u64| nodes & nodes.wrapping_neg();
        let asked = PolicyFlags::STATIC_NODES | PolicyFlags::RELATIVE_NODES;
        a.mode == b.mode
            && a.flags == b.flags
            && (!a.flags.intersects(asked) || a.user_nodes == b.user_nodes)
            && match a.mode {
                Mode::Preferred => first(a.nodes) == first(b.nodes),
                _ => a.nodes == b.nodes,
            }
    }

    /// Puts a reference (`mpol_put`); what becomes of a policy without any is the design's to say.
    pub fn mpol_put(&self, site: Site, policy: Handle<Policy>) {
        let Some(policy) = policy.some().map(|policy| self.policies.get(policy)) else {
            return;
        };
        if !policy.alive() {
            return;
        }
        match policy.refs().put(site) {
            Ok(0) => D::policy_unused(self, policy.handle()),
            Ok(_) => {}
            Err(_) => self.misuse(Misuse::DeadPolicy(PolicyId(policy.ordinal()))),
        }
    }

    /// Puts the policy of a VMA that nobody holds any more.
    pub fn mpol_put_vma(&self, vma: Ref<'_, Vma>) {
        self.mpol_put(site::FREE_VMA__MPOL_PUT, vma.vm_policy().peek());
    }

    /// Frees a policy that nobody can read any more.
    pub fn free_policy(&self, policy: Handle<Policy>) {
        if self.policies.free(policy) {
            self.raise(Event::PolicyFree {
                policy: PolicyId(policy.ordinal()),
            });
        }
    }
}
