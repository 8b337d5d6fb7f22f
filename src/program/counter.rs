//! The counters that a text can ask for, by the names that /proc has for them where it has one.

use vmadiff_contract::{MmState, Snapshot, TaskId};

macro_rules! counters {
    ($($(#[$doc:meta])* $kind:ident $name:literal $proc:expr, $read:expr;)*) => {
        /// A counter of an address space, of a task, or of all of them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Counter { $($(#[$doc])* $kind,)* }

        impl Counter {
            /// Every counter.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// The name in program text.
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name),* }
            }

            /// The line of /proc/PID/status or /proc/meminfo that shows it, in kB.
            pub fn proc_name(self) -> Option<&'static str> {
                match self { $(Self::$kind => $proc),* }
            }

            fn read(self, of: &Seen<'_>) -> u64 {
                match self { $(Self::$kind => {
                    let read: fn(&Seen<'_>) -> u64 = $read;
                    read(of)
                })* }
            }
        }
    };
}

/// Where a counter is read.
struct Seen<'a> {
    state: &'a Snapshot,
    mm: &'a MmState,
    task: TaskId,
}

counters! {
    /// Areas (`map_count`).
    Areas "areas" None, |s| s.mm.map_count.into();
    /// Mapped pages.
    Size "size" Some("VmSize"), |s| s.mm.total_pages;
    /// Locked pages.
    Locked "locked" Some("VmLck"), |s| s.mm.locked_pages;
    /// Resident pages, private ones and those of files.
    Resident "resident" Some("VmRSS"), |s| s.mm.rss_anon + s.mm.rss_file;
    /// Resident private pages.
    Anon "anon" Some("RssAnon"), |s| s.mm.rss_anon;
    /// Resident pages of files and of shared memory; files live in tmpfs.
    Shared "shared" Some("RssShmem"), |s| s.mm.rss_file;
    /// Pages that are swapped out.
    Swap "swap" Some("VmSwap"), |s| s.mm.swap_entries;
    /// Pages that are private and writable, and no stack.
    Data "data" Some("VmData"), |s| s.mm.data_pages;
    /// Pages of stacks.
    Stack "stack" Some("VmStk"), |s| s.mm.stack_pages;
    /// Pages that are executable, neither writable nor a stack.
    Exec "exec" None, |s| s.mm.exec_pages;
    /// Committed pages, over all address spaces.
    Committed "committed" Some("Committed_AS"), |s| s.state.committed;
    /// Faults of the task that were served without reading from a device.
    Minor "minor" None, |s| faults(s).0;
    /// Faults of the task that were served by reading from a device.
    Major "major" None, |s| faults(s).1;
}

fn faults(of: &Seen<'_>) -> (u64, u64) {
    let mut tasks = of.state.tasks.iter();
    let own = tasks.find(|task| task.task == of.task);
    own.map_or((0, 0), |task| (task.minor_faults, task.major_faults))
}

impl Counter {
    /// The counter of this name, the text's own.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|counter| counter.name() == name)
    }

    /// The counter that a line of /proc shows.
    pub fn by_proc_name(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|counter| counter.proc_name() == Some(name))
    }

    /// Its value, of the address space in which a task lives; none if the task is gone.
    pub fn of(self, state: &Snapshot, task: TaskId) -> Option<u64> {
        let own = state.tasks.iter().find(|own| own.task == task)?;
        let mm = state.mms.iter().find(|mm| mm.mm == own.mm)?;
        Some(self.read(&Seen { state, mm, task }))
    }
}
