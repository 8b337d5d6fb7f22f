//! Which arguments of a call fit: nothing may leave the program's world, or fill the machine.

use vmadiff_contract::{FallocFlags, MapFlags, Mode, MoveFlags, PolicyFlags, Prot};

use super::{FILE_SIZE, Fitting, MOST_IN_FILE, MOST_POPULATED, Unfit, only, wraps};

const LEAVES: &str = "a range that leaves the program's world";
const MAP_FLAGS: &str = "flags of mmap outside the model";

impl Fitting<'_> {
    pub(super) fn address(&self, addr: u64) -> Result<(), Unfit> {
        only(
            self.zones.to_linux(addr).is_some(),
            "an address outside the program's world",
        )
    }

    /// How far an address is below a stack decides whether the stack grows; zones move apart, and what
    /// is above one may come to lie below it.
    pub(super) fn access(&self, addr: u64) -> Result<(), Unfit> {
        let main = self.config.mmap_base - self.zones.room(self.config);
        let below = addr >= self.config.mmap_min_addr && addr < main;
        let real = self.zones.to_linux(addr);
        let above = addr >= self.config.mmap_base && real < Some(self.machine.mmap_base);
        only(
            !(self.stacks && (below || above)),
            "an access far from a stack",
        )?;
        self.address(addr)
    }

    /// A range that the kernel may look at as far as it likes.
    pub(super) fn range(&self, addr: u64, len: u64) -> Result<(), Unfit> {
        self.address(addr)?;
        if wraps(addr, len) {
            return Ok(());
        }
        let Some(pages) = len.checked_add(4095 + (addr & 4095)) else {
            return only(addr.checked_add(len).is_none() && len > 1 << 63, LEAVES);
        };
        only(self.zones.holds(addr & !4095, pages & !4095), LEAVES)
    }

    /// As [`Fitting::range`], for a call that refuses an address inside a page before anything else.
    pub(super) fn aligned(&self, addr: u64, len: u64) -> Result<(), Unfit> {
        if addr.is_multiple_of(4096) {
            self.range(addr, len)
        } else {
            self.address(addr)
        }
    }

    pub(super) fn populates(&self, len: u64) -> Result<(), Unfit> {
        let refused = len > self.config.rlimit_memlock && !self.config.cap_ipc_lock;
        only(
            len <= MOST_POPULATED || refused,
            "too much to bring into memory",
        )
    }

    /// What a call may charge at once: the kernel refuses more than the machine has.
    fn charged(&self, len: u64) -> Result<(), Unfit> {
        let refused = len > self.config.task_size;
        only(
            len <= self.machine.most_charged || refused,
            "more at once than the machine has memory for",
        )
    }

    pub(super) fn mprotect(&self, addr: u64, len: u64, prot: Prot) -> Result<(), Unfit> {
        if prot.contains(Prot::WRITE) {
            self.charged(len)?;
        }
        self.aligned(addr, len)
    }

    pub(super) fn mmap(
        &self,
        addr: u64,
        len: u64,
        prot: Prot,
        flags: MapFlags,
    ) -> Result<(), Unfit> {
        let shared = flags.contains(MapFlags::SHARED | MapFlags::ANONYMOUS);
        if (prot.contains(Prot::WRITE) || shared) && !flags.contains(MapFlags::NORESERVE) {
            self.charged(len)?;
        }
        // MAP_32BIT, MAP_ABOVE4G, MAP_SYNC, and MAP_UNINITIALIZED or a size of huge pages.
        let huge = flags.contains(MapFlags::HUGETLB);
        let rest = if huge { 0 } else { 0x400_0000 };
        only(
            flags.bits() & (0x40 | 0x80 | 0x8_0000 | rest) == 0,
            MAP_FLAGS,
        )?;
        let fixed = MapFlags::FIXED | MapFlags::FIXED_NOREPLACE;
        only(
            !(huge && flags.intersects(fixed)),
            "huge pages at a fixed place: places here are moved by less than those are large",
        )?;
        only(
            !huge || self.machine.lacks_huge_pages && !flags.contains(MapFlags::NORESERVE),
            "huge pages, of which this machine may have some",
        )?;
        only(flags.bits() & 0xf != 8, MAP_FLAGS)?; // MAP_DROPPABLE
        if flags.intersects(MapFlags::LOCKED | MapFlags::POPULATE) {
            only(
                len <= MOST_POPULATED || len > self.config.task_size,
                "too much to populate",
            )?;
        }
        self.address(addr)?;
        let task = self.config.task_size;
        let Some(rounded) = len.checked_add(4095).map(|len| len & !4095) else {
            return Ok(());
        };
        if rounded == 0 || rounded > task {
            return Ok(());
        }
        if flags.intersects(MapFlags::FIXED | MapFlags::FIXED_NOREPLACE) {
            only(
                addr <= u64::MAX - 4095,
                "an address that reads as an error number",
            )?;
            // Address 0 is below what anybody may map; that is looked at before what is there.
            let forbidden =
                addr == 0 && self.machine.mmap_min_addr > 0 && self.config.mmap_min_addr > 0;
            let refused = addr > task - rounded || forbidden;
            return only(refused || self.zones.holds(addr & !4095, rounded), LEAVES);
        }
        only(addr == 0 || self.zones.holds(addr & !4095, rounded), LEAVES)?;
        self.placed(rounded)
    }

    /// A length for which the kernel is to find a place.
    pub(super) fn placed(&self, len: u64) -> Result<(), Unfit> {
        let room = self.config.mmap_base - self.config.mmap_min_addr;
        only(
            len <= room.min(self.zones.room(self.config)),
            "the kernel has more room",
        )
    }

    pub(super) fn brk(&self, addr: u64) -> Result<(), Unfit> {
        let start = self.config.start_brk;
        only(self.machine.heap, "the start of the heap can not be set")?;
        only(
            start.is_multiple_of(4096) && self.zones.holds(start, 4096),
            "start_brk",
        )?;
        if addr < start {
            self.address(addr)
        } else if addr > self.machine.task_size {
            Ok(()) // refused wherever the heap is
        } else {
            self.range(start, addr - start)
        }
    }

    pub(super) fn mremap(
        &self,
        addr: u64,
        old_len: u64,
        new_len: u64,
        flags: MoveFlags,
        new_addr: u64,
    ) -> Result<(), Unfit> {
        // Alone it is refused by kernels that know it, as by those that do not.
        let dontunmap = flags.bits() & 4 != 0 && flags.contains(MoveFlags::MAYMOVE);
        only(!dontunmap, "MREMAP_DONTUNMAP")?;
        self.charged(new_len)?;
        // Which errors come first has changed.
        only(!wraps(addr, old_len) && !wraps(addr, new_len), LEAVES)?;
        self.aligned(addr, old_len)?;
        if flags.contains(MoveFlags::FIXED) {
            self.address(new_addr)?;
            let task = self.config.task_size;
            let refused = new_len > task || new_addr > task - new_len;
            return if refused {
                Ok(())
            } else {
                self.range(new_addr, new_len)
            };
        }
        if new_len > old_len {
            self.range(addr, new_len)?;
        }
        if flags.contains(MoveFlags::MAYMOVE) {
            self.placed(new_len)
        } else {
            Ok(())
        }
    }

    pub(super) fn policy(&self, mode: Mode, flags: PolicyFlags) -> Result<(), Unfit> {
        only(
            !matches!(mode, Mode::Other(5 | 6)),
            "a policy that 5.1 does not know",
        )?;
        only(mode.number() < 1 << 13, "mode flags")?;
        only(flags.bits() & 1 << 13 == 0, "MPOL_F_NUMA_BALANCING")
    }

    pub(super) fn fallocate(&self, flags: FallocFlags, off: u64, len: u64) -> Result<(), Unfit> {
        let Some(end) = off.checked_add(len) else {
            return only(off >= 1 << 63 || len >= 1 << 63, FILE_SIZE);
        };
        only(
            end <= MOST_IN_FILE || off >= 1 << 63 || len >= 1 << 63,
            FILE_SIZE,
        )?;
        let punches = flags.contains(FallocFlags::PUNCH_HOLE);
        only(
            punches || len <= MOST_POPULATED || off >= 1 << 63 || len >= 1 << 63,
            "too much to bring into memory",
        )
    }
}

#[cfg(test)]
mod tests {
    use vmadiff_contract::{Call, Config, Fail, Fd, Prot};

    use super::super::fits_config;
    use super::*;
    use crate::machine::Machine;

    /// Whether calls fit, one after the other.
    fn fits(calls: &[Call]) -> bool {
        let machine = Machine {
            most_charged: 1 << 30,
            ..Machine::ideal()
        };
        let config = Config {
            nodes: machine.nodes,
            ..Config::default()
        };
        let zones = fits_config(&config, &machine).unwrap();
        let mut fitting = Fitting::new(&config, &machine, &zones);
        let mut calls = calls.iter();
        calls.all(|call| fitting.call(call, Fail::NONE).is_ok())
    }

    /// Private anonymous memory unless flags say otherwise.
    fn map(addr: u64, len: u64, prot: Prot, flags: MapFlags) -> Call {
        let flags = flags | MapFlags::ANONYMOUS;
        let fd = Fd(-1);
        let off = 0;
        Call::Mmap {
            addr,
            len,
            prot,
            flags,
            fd,
            off,
        }
    }

    #[test]
    fn what_is_above_a_stack_does_not_come_to_lie_below_it() {
        const FAR: u64 = 0x2000_4002_1000;
        let after = |flags: MapFlags, addr| {
            let area = map(0, 4096, Prot::READ, flags | MapFlags::PRIVATE);
            fits(&[area, Call::Load { addr }])
        };
        assert!(after(MapFlags::empty(), FAR));
        assert!(!after(MapFlags::GROWSDOWN, FAR));
        assert!(after(MapFlags::GROWSDOWN, Config::default().mmap_base));
    }

    #[test]
    fn no_call_charges_more_than_the_machine_has() {
        const AT: u64 = 1 << 40;
        const MOST: u64 = 1 << 30;
        let fixed = MapFlags::PRIVATE | MapFlags::FIXED;
        let maps = |len, prot, flags| fits(&[map(AT, len, prot, flags)]);
        assert!(maps(MOST, Prot::WRITE, fixed));
        assert!(!maps(MOST + 4096, Prot::WRITE, fixed));
        assert!(maps(MOST + 4096, Prot::READ, fixed));
        let unreserved = fixed | MapFlags::NORESERVE;
        assert!(maps(MOST + 4096, Prot::WRITE, unreserved));
        let shared = MapFlags::SHARED | MapFlags::FIXED;
        assert!(!maps(MOST + 4096, Prot::READ, shared));
        let becomes = |len, prot| {
            let area = map(AT, 2 * MOST, Prot::READ, fixed);
            fits(&[
                area,
                Call::Mprotect {
                    addr: AT,
                    len,
                    prot,
                },
            ])
        };
        assert!(becomes(MOST, Prot::WRITE) && becomes(2 * MOST, Prot::READ));
        assert!(!becomes(2 * MOST, Prot::WRITE));
        let grows = |new_len| {
            let flags = MoveFlags::empty();
            let (addr, old_len, new_addr) = (AT, 4096, 0);
            fits(&[Call::Mremap {
                addr,
                old_len,
                new_len,
                flags,
                new_addr,
            }])
        };
        assert!(grows(MOST) && !grows(MOST + 4096));
    }
}
