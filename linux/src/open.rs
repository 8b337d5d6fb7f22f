//! How a program's open is made: a memfd of its own, with something in its first pages.

use vmadiff_contract::{Access, PAGE_SIZE};

use crate::agent::layout::{Op, SHARED, arg, at, kind};
use crate::decode::Decode;
use crate::plan::{Caller, Script, Slot};

impl Script {
    /// memfd_create and ftruncate, the first byte of each of the first 16 pages, and another
    /// description of the file if it is not to be both read and written.
    pub fn open(&mut self, caller: &Caller, access: Access, size: u64) -> Slot {
        let owner = caller.owner;
        let name = self.put(format!("f{}\0", caller.file_name).as_bytes());
        let create = Op::call(libc::SYS_memfd_create, [name, 0]);
        let op = self.push(
            owner,
            Op {
                flags: arg::KEEP,
                ..create
            },
        );
        let give_up = self.push(owner, Op::other(kind::IF_ERROR, [0]));
        let on_file = |number, args: [u64; 4]| Op {
            flags: arg::FIRST_IS_KEPT | arg::FORGET,
            ..Op::call(number, args)
        };
        self.push(owner, on_file(libc::SYS_ftruncate, [0, size, 0, 0]));
        let pages = size.div_ceil(PAGE_SIZE);
        if pages <= 64 {
            // Every page of a file is in the page cache, as the rules have it.
            self.push(owner, on_file(libc::SYS_fallocate, [0, 0, 0, size]));
        }
        let first: Vec<u8> = (0..16).map(|page| 0xa0 + page).collect();
        let first = self.put(&first);
        for page in 0..pages.min(16) {
            let write = [0, first + page, 1, page * PAGE_SIZE];
            self.push(owner, on_file(libc::SYS_pwrite64, write));
        }
        if access != Access::READ | Access::WRITE {
            self.reopen(caller, access);
        }
        self.ops[give_up].args[0] = self.ops.len() as u64;
        Slot {
            op,
            decode: Decode::Value,
        }
    }

    /// Replaces the descriptor that was kept by one with less access. For a moment there is one
    /// descriptor more, so the limit is lifted meanwhile.
    fn reopen(&mut self, caller: &Caller, access: Access) {
        let owner = caller.owner;
        let resource = libc::RLIMIT_NOFILE;
        self.limit(owner, resource, at::PATHS_LEN as u64, at::PATHS_LEN as u64);
        let mode = if access == Access::READ {
            libc::O_RDONLY
        } else {
            libc::O_WRONLY
        };
        let open = Op::call(libc::SYS_open, [SHARED + at::PATHS as u64, mode as u64]);
        self.push(
            owner,
            Op {
                flags: arg::FIRST_BY_LAST,
                ..open
            },
        );
        let replace = Op::call(libc::SYS_dup2, [0, 0]);
        let flags = arg::FIRST_IS_LAST | arg::SECOND_IS_KEPT | arg::FORGET;
        self.push(owner, Op { flags, ..replace });
        let close = Op::call(libc::SYS_close, [0]);
        self.push(
            owner,
            Op {
                flags: arg::FIRST_IS_LAST,
                ..close
            },
        );
        self.limit(owner, resource, caller.nofile, at::PATHS_LEN as u64);
    }
}
