//! Where a program's addresses lie in a real process.
//!
//! Programs live in a small world: placement starts below an `mmap_base` of their own. In a real
//! process that base is where exec put it, so most of a program's addresses are moved by a constant
//! such that both bases meet: then the kernel's own search for a place gives the same answer. What
//! lies next to `mmap_min_addr` moves such that both minima meet, and what lies next to the end of the
//! address space such that both ends meet. Between these zones addresses stand for themselves, but for those that the
//! moved ones and the agent take up.

use std::ops::Range;

use vmadiff_contract::Config;

use crate::machine::{Machine, TASK_SIZE};
use crate::{agent_range, ballast_range};

/// Bytes of the zone above `mmap_min_addr`.
const LOW: u64 = 64 << 12;
/// Most bytes below `mmap_base` that move with it.
const BELOW_BASE: u64 = 1 << 32;
/// Bytes above `mmap_base` that move with it: fixed mappings, and the heap.
const ABOVE_BASE: u64 = 64 << 20;
/// Bytes below the end of the address space that move with it.
pub const TOP: u64 = 1 << 20;
/// Bytes below them that are in no zone, in a smaller address space: nothing lies across.
const BELOW_TOP: u64 = 16 << 12;
/// Free space that is kept around what addresses stand for themselves must avoid.
const MARGIN: u64 = 1 << 30;

/// Addresses of a program that stay together, and by how much they move.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Zone {
    program: Range<u64>,
    delta: i64,
}

/// The zones of a program on a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zones {
    zones: Vec<Zone>,
}

impl Zones {
    /// Lays the zones out.
    ///
    /// # Errors
    /// What stands against it, in a sentence.
    pub fn new(config: &Config, machine: &Machine) -> Result<Self, String> {
        let (min, base) = (config.mmap_min_addr, config.mmap_base);
        let end = config.task_size;
        let smaller = end != TASK_SIZE;
        if smaller && (end > TASK_SIZE || end < base.saturating_add(TOP + 2 * BELOW_TOP)) {
            return Err(format!("task_size={end:#x}: here it is {TASK_SIZE:#x}"));
        }
        // Nobody maps anything below both minima. If both are 0 there is nothing to move.
        let forbidden = min.min(machine.lowest_fixed);
        let no_minimum = min == 0 && machine.mmap_min_addr != 0;
        if min % 4096 != 0 || no_minimum || base % 4096 != 0 || base < min + 4 * LOW {
            return Err(format!(
                "mmap_min_addr={min:#x} mmap_base={base:#x}: no room between"
            ));
        }
        let above = ABOVE_BASE.min(ballast_range().start.saturating_sub(machine.mmap_base));
        let mut main = base.saturating_sub(BELOW_BASE).max(min + LOW)..base + above;
        if smaller {
            main.end = main.end.min(end - TOP - BELOW_TOP);
        }
        let main_delta = machine.mmap_base.wrapping_sub(base).cast_signed();
        let low_delta = machine.mmap_min_addr.wrapping_sub(min).cast_signed();
        let beyond = machine.mmap_base + above > ballast_range().start;
        if main.end > end - TOP || beyond {
            return Err(format!(
                "mmap_base={base:#x}: here it is {:#x}",
                machine.mmap_base
            ));
        }
        let mut zones = vec![
            Zone {
                program: 0..forbidden,
                delta: 0,
            },
            Zone {
                program: min..min + LOW,
                delta: low_delta,
            },
            Zone {
                program: main.clone(),
                delta: main_delta,
            },
            Zone {
                program: end - TOP..u64::MAX - (TASK_SIZE - end),
                delta: (TASK_SIZE - end).cast_signed(),
            },
        ];
        let agent = agent_range();
        let real = moved(&main, main_delta);
        let low = moved(&(min..min + LOW), low_delta);
        let agent = agent.start - MARGIN..agent.end + MARGIN;
        let ballast = ballast_range();
        let taken = [ballast, agent, real.start - MARGIN..real.end, low];
        let between = if smaller { 0..0 } else { main.end..end - TOP };
        for gap in [min + LOW..main.start, between] {
            for program in without(gap, &taken) {
                zones.push(Zone { program, delta: 0 });
            }
        }
        zones.retain(|zone| !zone.program.is_empty());
        Ok(Self { zones })
    }

    /// Where an address of the program really is.
    pub fn to_linux(&self, address: u64) -> Option<u64> {
        if address == u64::MAX {
            return Some(address); // the one address behind which there is none
        }
        let zone = self
            .zones
            .iter()
            .find(|zone| zone.program.contains(&address))?;
        Some(address.wrapping_add_signed(zone.delta))
    }

    /// Which address of the program a real one is.
    pub fn to_program(&self, address: u64) -> Option<u64> {
        self.zones.iter().find_map(|zone| {
            let program = address.wrapping_add_signed(-zone.delta);
            zone.program.contains(&program).then_some(program)
        })
    }

    /// Whether a range stays together: its first byte, its last, and the byte behind it.
    pub fn holds(&self, start: u64, len: u64) -> bool {
        let Some(end) = start.checked_add(len) else {
            return false;
        };
        let zone = self.zones.iter().find(|zone| zone.program.contains(&start));
        zone.is_some_and(|zone| end < zone.program.end)
    }

    /// Bytes below `mmap_base` that move with it: what placement may use.
    pub fn room(&self, config: &Config) -> u64 {
        let base = config.mmap_base;
        let zone = self
            .zones
            .iter()
            .find(|zone| zone.program.contains(&(base - 1)));
        zone.map_or(0, |zone| base - zone.program.start)
    }

    /// Where the real address space has what programs may map: everything else is the agent's.
    pub fn real(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.zones
            .iter()
            .map(|zone| moved(&zone.program, zone.delta))
    }
}

fn moved(range: &Range<u64>, delta: i64) -> Range<u64> {
    range.start.wrapping_add_signed(delta)..range.end.wrapping_add_signed(delta)
}

/// The parts of a range that none of the others (in order) takes up.
fn without(range: Range<u64>, taken: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut left = vec![range];
    for hole in taken {
        left = left
            .into_iter()
            .flat_map(|part| {
                let (start, end) = (part.start, part.end);
                [start..end.min(hole.start), start.max(hole.end)..end]
            })
            .filter(|part| part.start < part.end)
            .collect();
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zones() -> Zones {
        Zones::new(&Config::default(), &Machine::ideal()).unwrap()
    }

    #[test]
    fn the_window_moves_to_the_real_base_and_back() {
        let (zones, config, machine) = (zones(), Config::default(), Machine::ideal());
        for offset in [1, 4096, Config::WINDOW_PAGES * 4096] {
            let real = machine.mmap_base - offset;
            assert_eq!(zones.to_linux(config.mmap_base - offset), Some(real));
            assert_eq!(zones.to_program(real), Some(config.mmap_base - offset));
        }
        assert_eq!(
            zones.to_linux(config.mmap_min_addr),
            Some(machine.mmap_min_addr)
        );
        assert_eq!(zones.to_linux(TASK_SIZE), Some(TASK_SIZE));
        assert_eq!(zones.to_linux(1 << 40), Some(1 << 40));
    }

    /// Linux looks up a fixed address by its setting, and a hint by the security module's minimum, too.
    #[test]
    fn what_only_a_hint_may_not_name_is_in_no_zone() {
        let machine = Machine {
            mmap_min_addr: 0x1_0000,
            ..Machine::ideal()
        };
        let zones = Zones::new(&Config::default(), &machine).unwrap();
        assert_eq!(zones.to_linux(0xfff), Some(0xfff));
        assert_eq!(zones.to_linux(0x1_0000), Some(0x1_0000));
        for between in [0x1000, 0x3000, 0xffff] {
            assert_eq!(zones.to_linux(between), None);
        }
    }

    #[test]
    fn no_two_addresses_meet_and_none_meets_the_agent() {
        let zones = zones();
        let mut real: Vec<_> = zones.real().collect();
        real.push(agent_range());
        real.push(ballast_range());
        real.sort_by_key(|range| range.start);
        for pair in real.windows(2) {
            assert!(pair[0].end <= pair[1].start, "{pair:x?}");
        }
    }

    #[test]
    fn the_end_of_a_smaller_address_space_moves_to_the_real_one() {
        let config = Config {
            task_size: 0x40_0000,
            ..Config::default()
        };
        let zones = Zones::new(&config, &Machine::ideal()).unwrap();
        for (program, real) in [
            (0x40_0000, TASK_SIZE),
            (0x3f_f001, TASK_SIZE - 0xfff),
            (0x40_1000, TASK_SIZE + 4096),
        ] {
            assert_eq!(zones.to_linux(program), Some(real));
            assert_eq!(zones.to_program(real), Some(program));
        }
        assert!(zones.holds(0x3f_f000, 0x2000) && !zones.holds(0x2e_0000, 0x2_0000));
        let mut real: Vec<_> = zones.real().collect();
        real.sort_by_key(|range| range.start);
        assert!(
            real.windows(2).all(|two| two[0].end <= two[1].start),
            "{real:x?}"
        );
        let narrow = Config {
            task_size: 0x30_0000,
            ..config
        };
        assert!(Zones::new(&narrow, &Machine::ideal()).is_err());
    }

    #[test]
    fn a_range_that_leaves_its_zone_is_not_held() {
        let zones = zones();
        assert!(zones.holds(Config::WINDOW, 4096));
        assert!(!zones.holds(Config::WINDOW, 1 << 40));
        assert!(!zones.holds(0x1_0000, 0x1f_0000));
        assert!(!zones.holds(u64::MAX, 2));
        assert!(!zones.holds(agent_range().start, 1));
    }

    #[test]
    fn a_base_that_is_already_the_machines_stays() {
        let machine = Machine::ideal();
        let config = Config {
            mmap_base: machine.mmap_base,
            ..Config::default()
        };
        let zones = Zones::new(&config, &machine).unwrap();
        assert_eq!(
            zones.to_linux(machine.mmap_base - 4096),
            Some(machine.mmap_base - 4096)
        );
    }
}
