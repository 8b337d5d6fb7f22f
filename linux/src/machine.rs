//! What the machine at hand is like, as far as it bears on what can be compared on it.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
use std::io::ErrorKind;

use serde::{Deserialize, Serialize};
use vmadiff_contract::Config;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
use crate::agent::Failed;

/// Bytes that user space may address with four-level page tables.
pub const TASK_SIZE: u64 = (1 << 47) - 4096;

/// The machine and its settings. A program that asks for other ones is not comparable on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The kernel's release, as `uname -r` has it.
    pub release: String,
    /// `vm.mmap_min_addr`, or the security module's own minimum if that is higher; bytes.
    pub mmap_min_addr: u64,
    /// `vm.mmap_min_addr` alone, which is the minimum of fixed addresses.
    pub lowest_fixed: u64,
    /// `vm.max_map_count`, areas.
    pub max_map_count: u64,
    /// `vm.overcommit_memory` is 2.
    pub strict_overcommit: bool,
    /// Most bytes that one request may charge: memory and swap, unless `vm.overcommit_memory` is 1.
    pub most_charged: u64,
    /// Memory nodes that are online; 0 if the kernel knows none.
    pub nodes: u8,
    /// Agents may take CAP_IPC_LOCK.
    pub cap_ipc_lock: bool,
    /// Most bytes that an agent's RLIMIT_MEMLOCK may be set to.
    pub most_locked: u64,
    /// The start of the heap can be set (CONFIG_CHECKPOINT_RESTORE).
    pub heap: bool,
    /// Top-down placement starts below this.
    pub mmap_base: u64,
    /// End of what user space may address, bytes: more than [`TASK_SIZE`] with five-level page tables.
    pub task_size: u64,
    /// Pages below a stack that stay free.
    pub stack_guard_gap: u64,
    /// What userfaultfd(2) has to be called with to be had; none: it is refused.
    pub userfaultfd: Option<u64>,
    /// Huge pages can be asked for, and there are none (of 2 MiB and 1 GiB, and none to be had).
    pub lacks_huge_pages: bool,
    /// Pages can be swapped out when that is asked for (MADV_PAGEOUT, since 5.4, and swap space).
    pub swaps: bool,
}

impl Machine {
    /// A machine with every setting as a default program wants it, for tests.
    pub fn ideal() -> Self {
        Self {
            release: "0".into(),
            mmap_min_addr: 4096,
            lowest_fixed: 4096,
            max_map_count: u64::from(Config::default().max_map_count),
            strict_overcommit: false,
            most_charged: u64::MAX,
            nodes: 1,
            cap_ipc_lock: false,
            most_locked: u64::MAX,
            heap: true,
            mmap_base: 0x7fc0_0000_0000,
            task_size: TASK_SIZE,
            stack_guard_gap: 256,
            userfaultfd: None,
            lacks_huge_pages: true,
            swaps: false,
        }
    }

    /// Major and minor number of the kernel's release; (0, 0) if it has none.
    pub fn version(&self) -> (u32, u32) {
        version(&self.release)
    }
}

fn version(release: &str) -> (u32, u32) {
    let mut numbers = release.split('.').map(|part| {
        let digits = part
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(part.len());
        part[..digits].parse().unwrap_or(0)
    });
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// The gap that the kernel was booted with (`stack_guard_gap=` on its command line), pages.
#[cfg_attr(
    not(all(target_os = "linux", target_arch = "x86_64")),
    allow(dead_code)
)]
fn guard_gap(command_line: &str) -> u64 {
    const USUAL: u64 = 256;
    let words = command_line.split_ascii_whitespace();
    let mut set = words.filter_map(|word| word.strip_prefix("stack_guard_gap=")?.parse().ok());
    set.next_back().unwrap_or(USUAL)
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
impl Machine {
    /// Reads /proc and /sys. What only an agent can find out (`heap`, `mmap_base`) is left open.
    ///
    /// # Errors
    /// If a file that every Linux has cannot be read. Taken for something else, the machine would be
    /// another one, and what differs for that reason a finding.
    pub fn look() -> Result<Self, Failed> {
        let overcommit = number("/proc/sys/vm/overcommit_memory")?;
        let effective = read("/proc/self/status")?
            .lines()
            .find_map(|line| line.strip_prefix("CapPrm:"))
            .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
            .unwrap_or(0);
        let mut limit = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: getrlimit fills the structure.
        unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) };
        let release = read("/proc/sys/kernel/osrelease")?.trim().to_owned();
        let meminfo = read("/proc/meminfo")?;
        let may_raise = effective & (1 << 24) != 0; // CAP_SYS_RESOURCE
        let lowest = number("/proc/sys/vm/mmap_min_addr")?;
        Ok(Self {
            mmap_min_addr: lowest,
            lowest_fixed: lowest,
            max_map_count: number("/proc/sys/vm/max_map_count")?,
            strict_overcommit: overcommit == 2,
            most_charged: match overcommit {
                0 => memory(&meminfo),
                _ => u64::MAX,
            },
            nodes: online_nodes(&if_there("/sys/devices/system/node/online")?),
            cap_ipc_lock: effective & (1 << 14) != 0,
            most_locked: if may_raise { u64::MAX } else { limit.rlim_max },
            heap: false,
            mmap_base: 0,
            task_size: TASK_SIZE,
            stack_guard_gap: guard_gap(&if_there("/proc/cmdline")?),
            userfaultfd: None,
            lacks_huge_pages: lacks_huge_pages()?,
            swaps: kilobytes(&meminfo, "SwapTotal:") > 0 && version(&release) >= (5, 4),
            release,
        })
    }
}

/// Whether the kernel knows huge pages of 2 MiB and 1 GiB, and has none and makes none when asked.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn lacks_huge_pages() -> Result<bool, Failed> {
    const COUNTS: [&str; 4] = [
        "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages",
        "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages",
        "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages",
        "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_overcommit_hugepages",
    ];
    for path in COUNTS {
        if if_there(path)?.trim() != "0" {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A number that a file has.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn number(path: &'static str) -> Result<u64, Failed> {
    let text = read(path)?;
    let number = text.trim().parse();
    number.map_err(|_| unread(path, format!("found `{}`, expected a number", text.trim())))
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn read(path: &'static str) -> Result<String, Failed> {
    std::fs::read_to_string(path).map_err(|error| unread(path, error))
}

/// The text of a file that a kernel may lack or hide; nothing then.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn if_there(path: &'static str) -> Result<String, Failed> {
    let text = std::fs::read_to_string(path);
    text.or_else(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::PermissionDenied => Ok(String::new()),
        _ => Err(unread(path, error)),
    })
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn unread(path: &'static str, why: impl ToString) -> Failed {
    let error = why.to_string();
    Failed::Unread { path, error }
}

/// Bytes of memory and swap that /proc/meminfo names.
#[cfg_attr(
    not(all(target_os = "linux", target_arch = "x86_64")),
    allow(dead_code)
)]
fn memory(meminfo: &str) -> u64 {
    (kilobytes(meminfo, "MemTotal:") + kilobytes(meminfo, "SwapTotal:")) << 10
}

/// A number of /proc/meminfo; 0 if it is not there.
#[cfg_attr(
    not(all(target_os = "linux", target_arch = "x86_64")),
    allow(dead_code)
)]
fn kilobytes(meminfo: &str, name: &str) -> u64 {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|text| text.trim().strip_suffix(" kB"));
    number.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// How many nodes a list like `0-1,3` names; 0 unless they are the lowest ones.
#[cfg_attr(
    not(all(target_os = "linux", target_arch = "x86_64")),
    allow(dead_code)
)]
fn online_nodes(list: &str) -> u8 {
    let list = list.trim();
    match list.strip_prefix("0-").unwrap_or(list).parse::<u8>() {
        Ok(last) if list.starts_with('0') => last.saturating_add(1),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_counted_from_the_list_of_those_online() {
        for (list, count) in [("0\n", 1), ("0-3\n", 4), ("", 0), ("0,2", 0), ("1", 0)] {
            assert_eq!(online_nodes(list), count, "{list:?}");
        }
    }

    #[test]
    fn what_may_be_charged_is_memory_and_swap() {
        let text = "MemTotal:       24684084 kB\nMemFree: 1 kB\nSwapTotal:             4 kB\n";
        assert_eq!(memory(text), 24_684_088 << 10);
    }

    #[test]
    fn the_gap_below_stacks_is_what_the_kernel_was_booted_with() {
        assert_eq!(guard_gap("console=ttyS0 quiet\n"), 256);
        assert_eq!(guard_gap("stack_guard_gap=1 x=2 stack_guard_gap=16"), 16);
    }

    #[test]
    fn a_release_has_a_version() {
        let of = |release: &str| {
            Machine {
                release: release.into(),
                ..Machine::ideal()
            }
            .version()
        };
        assert_eq!(of("6.18.44-generic"), (6, 18));
        assert_eq!(of("7.1-rc3"), (7, 1));
        assert_eq!(of(""), (0, 0));
    }
}
