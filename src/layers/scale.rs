//! Addresses of programs and those of a manager that has other pages, or begins elsewhere.

use std::ops::Range;

use vmadiff_contract::{Config, PAGE_SIZE};

/// Which address of a manager stands for which of a program.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Of address 0.
    pub base: u64,
    /// Bytes of a page of the manager for a byte of a page of the program, as the power of two that
    /// it is.
    shift: u32,
}

impl Scale {
    /// Of a manager with such pages, whose addresses begin at `base`.
    ///
    /// # Panics
    /// If there are no such pages: this is said once, at the first boot.
    pub fn new(page_size: u64, base: u64) -> Self {
        assert!(
            page_size.is_power_of_two() && page_size >= PAGE_SIZE,
            "found pages of {page_size} bytes, expected a power of two of at least {PAGE_SIZE}"
        );
        assert!(
            base.is_multiple_of(page_size),
            "found a base of {base:#x}, expected a multiple of {page_size:#x}"
        );
        Self {
            base,
            shift: (page_size / PAGE_SIZE).trailing_zeros(),
        }
    }

    /// The manager's page for a program's, or what its end is.
    pub fn up(self, addr: u64) -> u64 {
        (addr << self.shift).wrapping_add(self.base)
    }

    /// The program's page for a manager's. One that is no whole page of the manager's is seen where
    /// it begins, an end where it ends: both are then off, and differ.
    pub fn down(self, addr: u64) -> u64 {
        let offset = addr.wrapping_sub(self.base);
        (offset >> self.shift) + (offset & ((1 << self.shift) - 1))
    }

    /// The manager's range of whole pages for a program's.
    pub fn range(self, start: u64, len: u64) -> Range<u64> {
        self.up(start)..self.up(start.wrapping_add(len))
    }

    /// The manager's length for a program's.
    pub fn len(self, len: u64) -> u64 {
        len << self.shift
    }

    /// The manager's bounds for a program's: addresses and lengths. `u64::MAX` is no bound, and stays so.
    pub fn config(self, config: &Config) -> Config {
        let len = |len: u64| match len {
            u64::MAX => len,
            _ => self.len(len),
        };
        Config {
            task_size: self.up(config.task_size),
            mmap_base: self.up(config.mmap_base),
            mmap_min_addr: self.up(config.mmap_min_addr),
            start_brk: self.up(config.start_brk),
            rlimit_as: len(config.rlimit_as),
            rlimit_data: len(config.rlimit_data),
            rlimit_stack: len(config.rlimit_stack),
            rlimit_memlock: len(config.rlimit_memlock),
            ..config.clone()
        }
    }

    /// The manager's byte for one of a program's: as far from the start of its page in the lower half, and from its
    /// end in the upper one, so that a last byte is a last byte.
    pub fn byte(self, addr: u64) -> u64 {
        let (page, offset) = (addr & !(PAGE_SIZE - 1), addr % PAGE_SIZE);
        if offset < PAGE_SIZE / 2 {
            self.up(page) + offset
        } else {
            self.up(page.wrapping_add(PAGE_SIZE))
                .wrapping_sub(PAGE_SIZE - offset)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_lead_to_pages_and_back() {
        for (page_size, base) in [(4096, 0), (0x4000, 0x4000), (4096, 0xffff_8000_0000_0000)] {
            let scale = Scale::new(page_size, base);
            for page in [0, 0x1f0, 0x210] {
                let addr = page * PAGE_SIZE;
                assert_eq!(scale.up(addr), base + page * page_size);
                assert_eq!(scale.down(scale.up(addr)), addr);
                let start = base + page * page_size;
                assert_eq!(scale.byte(addr + 5), start + 5);
                assert_eq!(scale.byte(addr + PAGE_SIZE - 5), start + page_size - 5);
            }
            let bounds = scale.config(&Config {
                task_size: 0x210 * PAGE_SIZE,
                mmap_min_addr: PAGE_SIZE,
                rlimit_as: 3 * PAGE_SIZE,
                ..Config::default()
            });
            assert_eq!(bounds.task_size, base + 0x210 * page_size);
            assert_eq!(bounds.mmap_min_addr, base + page_size);
            assert_eq!(bounds.rlimit_as, 3 * page_size);
            assert_eq!(bounds.rlimit_data, u64::MAX);
        }
    }
}
