//! The machine that a program runs on: sizes and limits.

/// What both managers boot with. The defaults make a small world in which random calls meet: the
/// first free place below `mmap_base` lies in a window of 32 pages that straddles two page tables.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// Threads of the first address space, 1 to 8.
    pub tasks: u8,
    /// `vm.max_map_count`, areas.
    pub max_map_count: u32,
    /// `TASK_SIZE`: no address at or above it; page-aligned, at most 2^47 − 4096.
    pub task_size: u64,
    /// Top-down placement starts below this.
    pub mmap_base: u64,
    /// Places are looked for from the bottom up, above `mmap_base` (the legacy layout).
    pub legacy_layout: bool,
    /// `vm.mmap_min_addr`, bytes.
    pub mmap_min_addr: u64,
    /// Start of the heap, and its end at boot; page-aligned.
    pub start_brk: u64,
    /// `stack_guard_gap`, pages.
    pub stack_guard_gap: u64,
    /// `RLIMIT_AS`, bytes.
    pub rlimit_as: u64,
    /// `RLIMIT_DATA`, bytes.
    pub rlimit_data: u64,
    /// `RLIMIT_STACK`, bytes.
    pub rlimit_stack: u64,
    /// `RLIMIT_MEMLOCK`, bytes.
    pub rlimit_memlock: u64,
    /// `RLIMIT_NOFILE`: descriptors are below it.
    pub rlimit_nofile: u32,
    /// The tasks have `CAP_IPC_LOCK`.
    pub cap_ipc_lock: bool,
    /// `CommitLimit` in pages, over all address spaces (`vm.overcommit_memory` = 2, without the
    /// reserves); `u64::MAX` never refuses.
    pub commit_limit: u64,
    /// Freed objects' slots are used again at once (or never). What can be observed is the same.
    pub reuse_slots: bool,
    /// Memory nodes, 1 to 64.
    pub nodes: u8,
}

impl Config {
    /// The lowest address of the window that default programs live in.
    pub const WINDOW: u64 = 0x1f_0000;
    /// Pages in that window. Its upper half lies behind another lowest page table.
    pub const WINDOW_PAGES: u64 = 32;
}

impl Default for Config {
    fn default() -> Self {
        Self {
            tasks: 2,
            max_map_count: 65530,
            task_size: (1 << 47) - 4096,
            mmap_base: Self::WINDOW + Self::WINDOW_PAGES * 4096,
            legacy_layout: false,
            mmap_min_addr: 0x1_0000,
            start_brk: Self::WINDOW + (Self::WINDOW_PAGES + 2) * 4096,
            stack_guard_gap: 256,
            rlimit_as: u64::MAX,
            rlimit_data: u64::MAX,
            rlimit_stack: 8 << 20,
            rlimit_memlock: 8 << 20,
            rlimit_nofile: 16,
            cap_ipc_lock: false,
            commit_limit: u64::MAX,
            reuse_slots: true,
            nodes: 2,
        }
    }
}
