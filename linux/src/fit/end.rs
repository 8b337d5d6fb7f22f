//! The end of the address space. With five-level page tables Linux has memory where a program's world
//! ends, and takes ranges there that the rules refuse; and a program's world can be smaller than the
//! kernel's. Nothing of that is compared.

use vmadiff_contract::Call;

use super::{Fitting, Unfit, only};
use crate::machine::TASK_SIZE;
use crate::zone::TOP;

impl Fitting<'_> {
    /// Checks that a call names nothing between the end of the program's world and that of the
    /// kernel's. With four levels the two are one.
    pub(super) fn stays_below_the_end(&self, call: &Call) -> Result<(), Unfit> {
        let ours = self.config.task_size;
        let larger = self.machine.task_size.saturating_sub(TASK_SIZE);
        let between = |&(start, len): &(u64, u64)| {
            let end = start.saturating_add(len).saturating_add(4095) & !4095;
            end > ours && start < ours.saturating_add(larger)
        };
        // From below what moves with the end, Linux does not reach its own.
        let farther = |&(start, len): &(u64, u64)| {
            let apart = ours < TASK_SIZE && start < ours.saturating_sub(TOP);
            apart && len <= TASK_SIZE && start.saturating_add(len) > ours
        };
        let ranges = ranges(call);
        only(
            larger == 0 || !ranges.iter().any(between),
            "a range beyond 47 bits, where five-level page tables have memory",
        )?;
        only(!ranges.iter().any(farther), "the kernel has more room")
    }
}

/// The ranges that a call names, with lengths in bytes.
#[deny(clippy::wildcard_enum_match_arm)]
fn ranges(call: &Call) -> Vec<(u64, u64)> {
    match *call {
        Call::Mmap { addr, len, .. }
        | Call::Munmap { addr, len }
        | Call::Mprotect { addr, len, .. }
        | Call::Madvise { addr, len, .. }
        | Call::Mlock { addr, len }
        | Call::Mlock2 { addr, len, .. }
        | Call::Munlock { addr, len }
        | Call::Msync { addr, len, .. }
        | Call::Mincore { addr, len }
        | Call::Mbind { addr, len, .. }
        | Call::UffdRegister { addr, len }
        | Call::UffdUnregister { addr, len }
        | Call::Collapse { addr, len }
        | Call::NumaScan { addr, len } => vec![(addr, len)],
        Call::Mremap {
            addr,
            old_len,
            new_len,
            new_addr,
            ..
        } => vec![(addr, old_len), (addr, new_len), (new_addr, new_len)],
        Call::Brk { addr }
        | Call::Load { addr }
        | Call::Store { addr, .. }
        | Call::Exec { addr }
        | Call::Reclaim { addr }
        | Call::GetMempolicy { addr, .. }
        | Call::Evict { addr } => vec![(addr, 1)],
        Call::Fork
        | Call::Exit
        | Call::Open { .. }
        | Call::Ftruncate { .. }
        | Call::Close { .. }
        | Call::Softirq
        | Call::Mlockall { .. }
        | Call::Munlockall
        | Call::SetMempolicy { .. }
        | Call::SetRlimit { .. }
        | Call::Fallocate { .. } => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use vmadiff_contract::{Config, Fail};

    use super::*;
    use crate::fit::fits_config;
    use crate::machine::Machine;

    #[test]
    fn what_reaches_beyond_47_bits_is_left_out_only_where_there_is_memory() {
        let config = Config {
            nodes: Machine::ideal().nodes,
            ..Config::default()
        };
        let fits = |task_size, call: Call| {
            let machine = Machine {
                task_size,
                ..Machine::ideal()
            };
            let zones = fits_config(&config, &machine).unwrap();
            Fitting::new(&config, &machine, &zones)
                .call(&call, Fail::NONE)
                .is_ok()
        };
        let five_levels = (1 << 56) - 4096;
        let last = Call::Munmap {
            addr: TASK_SIZE - 4096,
            len: 4096,
        };
        let beyond = Call::Munmap {
            addr: TASK_SIZE - 4096,
            len: 8192,
        };
        let behind = Call::Load { addr: TASK_SIZE };
        let nowhere = Call::Load { addr: 1 << 60 };
        for call in [last, beyond, behind, nowhere] {
            assert!(fits(TASK_SIZE, call), "{call:?}");
        }
        assert!(fits(five_levels, last) && fits(five_levels, nowhere));
        assert!(!fits(five_levels, beyond) && !fits(five_levels, behind));
    }

    #[test]
    fn what_is_longer_than_a_smaller_world_fits_nowhere_there() {
        let config = Config {
            task_size: 0x40_0000,
            nodes: Machine::ideal().nodes,
            ..Config::default()
        };
        let machine = Machine::ideal();
        let zones = fits_config(&config, &machine).unwrap();
        let fits = |addr, len| {
            let call = Call::Munmap { addr, len };
            Fitting::new(&config, &machine, &zones)
                .call(&call, Fail::NONE)
                .is_ok()
        };
        assert!(fits(0x3f_f000, 0x2000) && fits(0x40_1000, 0x1000));
        assert!(fits(0x1f_0000, u64::MAX - 4095));
        assert!(!fits(0x1f_0000, 0x40_1000) && !fits(0x1f_0000, 0x30_0000));
    }
}
