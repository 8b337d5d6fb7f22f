//! Random calls and configurations: mostly such as meet, sometimes wild.

use vmadiff_contract::{
    Access, Advice, Call, Config, FallocFlags, Fd, FileKind, LockAllFlags, LockFlags, MapFlags,
    Mode, MoveFlags, PolicyFlags, Prot, SyncFlags,
};

/// A small generator of numbers (splitmix64).
pub(super) struct Dice(pub u64);

impl Dice {
    fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.any() % n
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }

    fn wild(&mut self) -> u64 {
        let edge = self.of(&[
            0,
            1 << 12,
            1 << 32,
            1 << 40,
            1 << 47,
            1 << 51,
            1 << 63,
            u64::MAX,
        ]);
        edge.wrapping_add(
            self.below(5)
                .wrapping_sub(2)
                .wrapping_mul(self.of(&[1, 4095, 4096])),
        )
    }

    fn addr(&mut self) -> u64 {
        match self.below(12) {
            0 => self.wild(),
            1 => Config::WINDOW + self.below(64 * 4096),
            _ => Config::WINDOW + self.below(48) * 4096,
        }
    }

    fn len(&mut self) -> u64 {
        match self.below(12) {
            0 => self.wild(),
            1 => self.below(8 * 4096),
            _ => self.below(9) * 4096,
        }
    }

    fn prot(&mut self) -> Prot {
        let wild = if self.one_in(20) {
            self.any() as u32
        } else {
            0
        };
        Prot::from_bits_retain(self.of(&[0, 1, 3, 3, 3, 5, 7, 2, 4]) | wild)
    }

    fn map_flags(&mut self) -> MapFlags {
        let kind = self.of(&[1, 2, 2, 2, 2, 3, 0]);
        let anonymous = if self.one_in(3) { 0 } else { 0x20 };
        let mut flags = kind | anonymous | self.of(&[0, 0x10, 0x10, 0x10_0000]);
        while self.one_in(3) {
            let unnamed = 1 << self.of(&[6, 19, 27]);
            flags |= self.of(&[0x100, 0x2000, 0x4000, 0x8000, 0x1_0000, unnamed]);
        }
        MapFlags::from_bits_retain(flags)
    }

    /// A call, mostly on the window.
    pub fn call(&mut self) -> Call {
        let (addr, len) = (self.addr(), self.len());
        let fd = Fd(self.below(8) as i32 - 1);
        match self.below(44) {
            0..9 => {
                let (prot, flags, off) = (self.prot(), self.map_flags(), self.below(4) * 4096);
                let off = if self.one_in(20) { self.wild() } else { off };
                Call::Mmap {
                    addr,
                    len,
                    prot,
                    flags,
                    fd,
                    off,
                }
            }
            9..12 => Call::Munmap { addr, len },
            12..16 => Call::Mprotect {
                addr,
                len,
                prot: self.prot(),
            },
            16..19 => Call::Madvise {
                addr,
                len,
                advice: Advice::from_number(self.below(22) as u32),
            },
            19 => Call::Brk {
                addr: if self.one_in(4) {
                    self.any()
                } else {
                    0x21_2000 + self.below(16) * 1000
                },
            },
            20 => Call::Fork,
            21 => Call::Exit,
            22 => Call::Load { addr },
            23..27 => Call::Store {
                addr,
                value: self.any() as u8,
            },
            27 => Call::Exec { addr },
            28 => {
                let kind = self.of(FileKind::ALL);
                let access = Access::from_bits_truncate(self.of(&[3, 3, 1, 2, 0]));
                Call::Open {
                    kind,
                    access,
                    size: self.len(),
                }
            }
            29 => Call::Ftruncate {
                fd,
                size: self.len(),
            },
            30 => Call::Close { fd },
            31 => Call::Reclaim { addr },
            32..35 => self.odd_call(addr, len),
            35..38 => {
                let flags = MoveFlags::from_bits_retain(self.of(&[0, 1, 1, 3, 3, 3, 2, 9]));
                let (new_len, new_addr) = (self.len(), self.addr());
                Call::Mremap {
                    addr,
                    old_len: len,
                    new_len,
                    flags,
                    new_addr,
                }
            }
            _ => self.lock_call(addr, len),
        }
    }

    fn lock_call(&mut self, addr: u64, len: u64) -> Call {
        match self.below(6) {
            0 => Call::Mlock { addr, len },
            1 => Call::Mlock2 {
                addr,
                len,
                flags: LockFlags::from_bits_retain(self.below(3) as u32),
            },
            2 => Call::Munlock { addr, len },
            3 => Call::Mlockall {
                flags: LockAllFlags::from_bits_retain(self.below(9) as u32),
            },
            4 => Call::UffdRegister { addr, len },
            _ => Call::UffdUnregister { addr, len },
        }
    }

    fn odd_call(&mut self, addr: u64, len: u64) -> Call {
        let mode = Mode::from_number(self.below(6) as u32);
        let nodes = self.of(&[0, 1, 2, 3, 1 << 40, self.0]);
        let flags = PolicyFlags::from_bits_retain(self.of(&[
            0,
            0,
            0,
            1,
            3,
            4,
            8,
            1 << 14,
            1 << 15,
            3 << 14,
        ]));
        match self.below(10) {
            0..4 => Call::Mbind {
                addr,
                len,
                mode,
                nodes,
                flags,
            },
            4 => Call::SetMempolicy { mode, nodes, flags },
            5 => {
                let flags = FallocFlags::from_bits_retain(self.of(&[3, 3, 0, 1, 2, 4]));
                Call::Fallocate {
                    fd: Fd(self.below(6) as i32),
                    flags,
                    off: self.len(),
                    len,
                }
            }
            6 => Call::Msync {
                addr,
                len,
                flags: SyncFlags::from_bits_retain(self.below(9) as u32),
            },
            7 => Call::Mincore { addr, len },
            8 => Call::Collapse { addr, len },
            _ => Call::NumaScan { addr, len },
        }
    }

    pub fn config(&mut self) -> Config {
        let mut config = Config {
            rlimit_memlock: 64 << 12,
            ..Config::default()
        };
        if self.one_in(4) {
            config.max_map_count = self.below(12) as u32;
        }
        if self.one_in(4) {
            config.commit_limit = self.below(64);
        }
        if self.one_in(6) {
            config.rlimit_as = self.below(64) << 12;
            config.rlimit_data = self.below(64) << 12;
        }
        config.legacy_layout = self.one_in(8);
        config.stack_guard_gap = self.of(&[0, 1, 4, 256, u64::MAX]);
        config.cap_ipc_lock = self.one_in(4);
        config.nodes = self.of(&[1, 2, 64]);
        config.mmap_min_addr = self.of(&[0, 0x1_0000, 0x1f_2000]);
        config
    }
}
