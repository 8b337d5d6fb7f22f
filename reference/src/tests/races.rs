//! Small programs of which every interleaving is explored: pairs of calls that meet.

use vmadiff_contract::{
    Access, Advice, Call, Config, FallocFlags, Fd, FileKind, LockAllFlags, MapFlags, Mode,
    MoveFlags, PolicyFlags, Prot, SyncFlags,
};

use super::exploring::Law;
use super::{NONE, RO, RW, at};

/// A race.
pub(super) struct Race<'a> {
    pub name: &'static str,
    /// Threads of the first address space; the next task is the child of a fork in `setup`.
    pub threads: u8,
    /// Made before, one after another, by these tasks.
    pub setup: &'static [(u8, Call)],
    /// What each task does at once with the others.
    pub tasks: &'a [&'a [Call]],
    /// Laws that it does not keep, and why that is so in Linux, too.
    pub excused: &'static [(Law, &'static str)],
}

impl Race<'_> {
    pub fn config(&self) -> Config {
        Config {
            tasks: self.threads,
            ..Config::default()
        }
    }

    pub fn calls(&self, task: usize) -> &[Call] {
        self.tasks[task]
    }
}

const PRIVATE: MapFlags = super::PRIVATE;

const fn mmap(page: u64, pages: u64, prot: Prot, flags: MapFlags) -> Call {
    let (addr, len) = (at(page), pages * 4096);
    let (fd, off) = (Fd(3), 0);
    Call::Mmap {
        addr,
        len,
        prot,
        flags,
        fd,
        off,
    }
}

const fn map(page: u64, pages: u64) -> Call {
    mmap(page, pages, RW, PRIVATE)
}

const fn map_file(page: u64, pages: u64, kind: MapFlags) -> Call {
    mmap(page, pages, RW, kind.union(MapFlags::FIXED))
}

const fn munmap(page: u64, pages: u64) -> Call {
    Call::Munmap {
        addr: at(page),
        len: pages * 4096,
    }
}

const fn mprotect(page: u64, pages: u64, prot: Prot) -> Call {
    Call::Mprotect {
        addr: at(page),
        len: pages * 4096,
        prot,
    }
}

const fn madvise(page: u64, pages: u64, advice: Advice) -> Call {
    Call::Madvise {
        addr: at(page),
        len: pages * 4096,
        advice,
    }
}

const fn mremap(page: u64, pages: u64, to: u64) -> Call {
    let (addr, old_len, new_addr) = (at(page), pages * 4096, at(to));
    let (new_len, flags) = (old_len, MoveFlags::MAYMOVE.union(MoveFlags::FIXED));
    Call::Mremap {
        addr,
        old_len,
        new_len,
        flags,
        new_addr,
    }
}

const fn store(page: u64, value: u8) -> Call {
    Call::Store {
        addr: at(page),
        value,
    }
}

const fn load(page: u64) -> Call {
    Call::Load { addr: at(page) }
}

const fn open(pages: u64) -> Call {
    let (kind, access, size) = (FileKind::Plain, Access::all(), pages * 4096);
    Call::Open { kind, access, size }
}

const fn ftruncate(pages: u64) -> Call {
    Call::Ftruncate {
        fd: Fd(3),
        size: pages * 4096,
    }
}

const fn reclaim(page: u64) -> Call {
    Call::Reclaim { addr: at(page) }
}

const fn collapse(page: u64, pages: u64) -> Call {
    Call::Collapse {
        addr: at(page),
        len: pages * 4096,
    }
}

const fn numa_scan(page: u64, pages: u64) -> Call {
    Call::NumaScan {
        addr: at(page),
        len: pages * 4096,
    }
}

const fn mlock(page: u64, pages: u64) -> Call {
    Call::Mlock {
        addr: at(page),
        len: pages * 4096,
    }
}

const STACK: MapFlags = PRIVATE.union(MapFlags::GROWSDOWN);

macro_rules! races {
    ($($name:literal $threads:literal [$($setup:expr),* $(,)?] $([$($call:expr),* $(,)?])+ $(excused $law:ident $why:literal)*;)*) => {
        pub(super) const RACES: &[Race<'static>] = &[$(Race {
            name: $name,
            threads: $threads,
            setup: &[$($setup),*],
            tasks: &[$(&[$($call),*]),+],
            excused: &[$((Law::$law, $why)),*],
        }),*];
    };
}

const fn one(call: Call) -> (u8, Call) {
    (1, call)
}

const DONTNEED: Advice = Advice::DontNeed;

races! {
    "two first stores" 2 [one(map(0, 1))]
        [store(0, 1), load(0)] [store(0, 2), load(0)];
    "first stores to two areas that can share an anon_vma" 2
        [one(map(0, 2)), one(mprotect(1, 1, RO)), one(mprotect(1, 1, RW.union(Prot::EXEC)))]
        [store(0, 1)] [store(1, 2)];
    "munmap beside accesses" 2 [one(map(0, 3)), one(store(1, 7)), (2, load(1))]
        [munmap(1, 1)] [store(1, 1), load(1)];
    "munmap beside a first store" 2 [one(map(0, 3)), one(store(0, 7))]
        [munmap(1, 1)] [store(1, 1), load(1)];
    "munmap of a tail beside a store before it" 2 [one(map(0, 2))]
        [munmap(1, 1)] [store(0, 1), store(1, 2)];
    "mmap over beside accesses" 2 [one(map(0, 1)), one(store(0, 7)), (2, load(0))]
        [map(0, 1)] [load(0), store(0, 3), load(0)];
    "mmap over of less beside stores" 2 [one(map(0, 2)), one(store(0, 7)), one(store(1, 8)), (2, load(0))]
        [mmap(0, 1, NONE, PRIVATE)] [store(0, 1), load(1)];
    "mprotect to read beside stores" 2 [one(map(0, 2)), one(store(0, 7)), one(store(1, 8)), (2, store(0, 7)), (2, store(1, 8))]
        [mprotect(0, 2, RO)] [store(0, 1), store(1, 2)];
    "mprotect to none beside stores" 2 [one(map(0, 1)), one(store(0, 7)), (2, store(0, 7))]
        [mprotect(0, 1, NONE), load(0)] [store(0, 1), load(0)];
    "mprotect of a part beside a first store" 2 [one(map(0, 3)), one(store(0, 7))]
        [mprotect(1, 1, RO)] [store(1, 1), load(1)];
    "mprotect and back beside stores" 2 [one(map(0, 1)), one(store(0, 7))]
        [mprotect(0, 1, RO), mprotect(0, 1, RW)] [store(0, 1), load(0)];
    "two loads of two pages beside mprotect" 3 [one(map(0, 2)), one(store(0, 7)), one(store(1, 8)), (2, load(0)), (3, load(0))]
        [mprotect(0, 2, NONE)] [load(0)] [load(0)];
    "mremap beside accesses of the source" 2 [one(map(0, 1)), one(store(0, 7)), (2, store(0, 7))]
        [mremap(0, 1, 8)] [store(0, 1), load(8)];
    "mremap beside accesses of the destination" 2 [one(map(0, 1)), one(store(0, 7)), (2, load(0))]
        [mremap(0, 1, 8)] [load(8), store(8, 2), load(8)];
    "mremap of a part beside stores to it" 2 [one(map(0, 3)), one(store(1, 7)), one(store(2, 9))]
        [mremap(1, 1, 8)] [store(1, 1), load(2)];
    "mremap of a page that is not there" 2 [one(map(0, 2)), one(store(1, 7))]
        [mremap(0, 2, 8)] [store(0, 1), load(8)];
    "MADV_DONTNEED beside accesses" 2 [one(map(0, 1)), one(store(0, 7)), (2, load(0))]
        [madvise(0, 1, DONTNEED), load(0)] [store(0, 1), load(0)];
    "two MADV_DONTNEED" 3 [one(map(0, 1)), one(store(0, 7)), (2, load(0)), (3, load(0))]
        [madvise(0, 1, DONTNEED)] [madvise(0, 1, DONTNEED), load(0)] [load(0)];
    "MADV_DONTNEED beside munmap" 2 [one(map(0, 2)), one(store(0, 7)), one(store(1, 8))]
        [madvise(0, 2, DONTNEED)] [munmap(0, 1), load(1)];
    "fork beside a store" 2 [one(map(0, 1)), one(store(0, 7)), (2, store(0, 7))]
        [Call::Fork] [store(0, 1), load(0)];
    "fork beside stores of two threads" 3 [one(map(0, 1)), one(store(0, 7)), (2, store(0, 7)), (3, store(0, 7))]
        [Call::Fork] [store(0, 1), load(0)] [store(0, 2), load(0)];
    "fork beside stores to a page that a TLB holds and one that none does" 2
        [one(map(0, 2)), one(store(0, 7)), one(store(1, 8)), (2, store(0, 7))]
        [Call::Fork] [store(1, 2), store(0, 1)];
    "fork beside munmap" 2 [one(map(0, 2)), one(store(0, 7)), one(store(1, 8))]
        [Call::Fork] [munmap(0, 1), load(1)];
    "fork beside a first store" 2 [one(map(0, 1))]
        [Call::Fork] [store(0, 1), load(0)];
    "copies of a shared page in both" 2 [one(map(0, 1)), one(store(0, 7)), one(Call::Fork), (2, load(0)), (3, load(0))]
        [store(0, 1), load(0)] [load(0), store(0, 2), load(0)] [store(0, 3), load(0)];
    "a copy beside its sharer's exit" 2 [one(map(0, 1)), one(store(0, 7)), one(Call::Fork)]
        [store(0, 1), load(0)] [load(0)] [Call::Exit];
    "ftruncate beside a shared store" 2 [one(open(2)), one(map_file(0, 2, MapFlags::SHARED)), one(store(1, 7)), (2, load(1))]
        [ftruncate(1)] [store(1, 1), load(1)];
    "ftruncate beside a first shared load" 2 [one(open(2)), one(map_file(0, 2, MapFlags::SHARED))]
        [ftruncate(1), ftruncate(2), load(1)] [load(1)];
    "ftruncate beside a private store" 2 [one(open(2)), one(map_file(0, 2, MapFlags::PRIVATE)), one(load(1))]
        [ftruncate(1)] [store(1, 1), load(1)];
    "ftruncate beside a first load" 2 [one(open(2)), one(map_file(0, 2, MapFlags::SHARED))]
        [ftruncate(1)] [load(1)];
    "munmap and ftruncate beside a first load" 2 [one(open(2)), one(map_file(0, 2, MapFlags::SHARED))]
        [munmap(1, 1), ftruncate(1)] [load(1)];
    "ftruncate beside mremaps there and back" 2
        [one(open(2)), one(map_file(4, 2, MapFlags::PRIVATE)), one(store(5, 7))]
        [ftruncate(1)] [mremap(4, 2, 0), mremap(0, 2, 4), mremap(4, 2, 0), load(1)];
    "two ftruncates" 2 [one(open(2)), one(map_file(0, 2, MapFlags::SHARED)), one(store(1, 7))]
        [ftruncate(1)] [ftruncate(2), load(1)];
    "ftruncate beside mremap" 2 [one(open(2)), one(map_file(4, 2, MapFlags::SHARED)), one(store(5, 7))]
        [ftruncate(1)] [mremap(4, 2, 0), load(1)];
    "ftruncate beside munmap" 2 [one(open(2)), one(map_file(0, 2, MapFlags::SHARED)), one(store(1, 7))]
        [ftruncate(1)] [munmap(0, 2)];
    "munmap beside ftruncates and a store by the TLB" 3
        [one(open(2)), one(map_file(0, 2, MapFlags::SHARED)), one(store(1, 7)), (3, store(1, 7))]
        [munmap(1, 1)] [ftruncate(1), ftruncate(2)] [store(1, 1)];
    "mprotect beside ftruncate and a store by the TLB" 3
        [one(open(1)), one(map_file(0, 1, MapFlags::SHARED)), one(store(0, 7)), (3, store(0, 7))]
        [mprotect(0, 1, RO)] [ftruncate(0), ftruncate(1)] [store(0, 1)];
    "close beside mmap" 2 [one(open(1))]
        [Call::Close { fd: Fd(3) }] [map_file(0, 1, MapFlags::SHARED), load(0)];
    "fork beside open and close" 2 [one(open(1))]
        [Call::Fork] [open(1), Call::Close { fd: Fd(3) }];
    "reclaim beside a store" 2 [one(map(0, 1)), one(store(0, 7)), (2, store(0, 7))]
        [reclaim(0), load(0)] [store(0, 1), load(0)];
    "reclaim beside munmap" 2 [one(map(0, 1)), one(store(0, 7))]
        [reclaim(0)] [munmap(0, 1)];
    "reclaim beside fork" 2 [one(map(0, 1)), one(store(0, 7))]
        [reclaim(0)] [Call::Fork];
    "reclaim beside mremap" 2 [one(map(0, 1)), one(store(0, 7))]
        [reclaim(0)] [mremap(0, 1, 8), load(8)];
    "reclaim of a shared page beside a copy" 2 [one(map(0, 1)), one(store(0, 7)), one(Call::Fork)]
        [reclaim(0)] [load(0)] [store(0, 1), load(0)];
    "collapse beside a store" 2 [one(map(0, 2)), one(store(0, 7)), (2, store(0, 7))]
        [collapse(0, 2)] [store(0, 1), load(0)];
    "collapse beside a first store" 2 [one(map(0, 2)), one(store(0, 7))]
        [collapse(0, 2)] [store(1, 1), load(1)];
    "numa scan beside a store" 2 [one(map(0, 1)), one(store(0, 7)), (2, store(0, 7))]
        [numa_scan(0, 1)] [store(0, 1), load(0)];
    "numa scan beside fork" 2 [one(map(0, 1)), one(store(0, 7))]
        [numa_scan(0, 1)] [Call::Fork];
    "mlock beside munmap" 2 [one(map(0, 2))]
        [mlock(0, 2)] [munmap(1, 1)];
    "mlock beside MADV_DONTNEED" 2 [one(map(0, 1)), one(store(0, 7))]
        [mlock(0, 1)] [madvise(0, 1, DONTNEED)];
    "a stack grows beside munmap" 2 [one(mmap(8, 2, RW, STACK)), one(map(12, 2))]
        [munmap(12, 1)] [store(7, 1), load(7)]
        excused Sound "total_vm is a plain counter, and munmap's downgraded part changes it beside a growing stack";
    "a stack grows beside mprotect of it" 2 [one(mmap(8, 2, RW, STACK))]
        [mprotect(8, 2, RO)] [store(7, 1)];
    "two growths of a stack" 2 [one(mmap(8, 2, RW, STACK))]
        [store(7, 1)] [store(6, 2)];
    "growths of two stacks" 2 [one(mmap(8, 2, RW, STACK)), one(mmap(12, 2, RW, STACK))]
        [store(7, 1)] [store(11, 2)];
    "brk beside mmap" 2 [one(Call::Brk { addr: Config::WINDOW + 40 * 4096 })]
        [Call::Brk { addr: Config::WINDOW + 41 * 4096 }] [map(0, 1)];
    "exit beside a store" 2 [one(map(0, 1)), one(store(0, 7))]
        [Call::Exit] [store(0, 1), Call::Exit];
}

/// What is set up for each pair of [`PAIRED`].
pub(super) const GROUNDS: &[(&str, &[(u8, Call)])] = &[
    (
        "private pages that are there",
        &[
            one(open(1)),
            one(map(0, 3)),
            one(store(0, 6)),
            one(store(1, 7)),
            one(store(2, 8)),
            (2, store(1, 7)),
        ],
    ),
    (
        "private pages that are not there",
        &[one(open(1)), one(map(0, 3)), one(store(0, 6))],
    ),
    (
        "pages shared with a child",
        &[
            one(open(1)),
            one(map(0, 3)),
            one(store(1, 7)),
            (2, store(1, 7)),
            one(Call::Fork),
            (2, load(1)),
        ],
    ),
    (
        "pages of a file",
        &[
            one(open(3)),
            one(map_file(0, 3, MapFlags::SHARED)),
            one(store(1, 7)),
            (2, load(1)),
        ],
    ),
    (
        "private pages of a file",
        &[
            one(open(3)),
            one(map_file(0, 3, MapFlags::PRIVATE)),
            one(store(1, 7)),
            (2, load(1)),
            (2, load(2)),
        ],
    ),
];

/// Calls of which each meets each, on each ground; a load follows the second.
pub(super) const PAIRED: &[Call] = &[
    load(1),
    store(1, 1),
    Call::Exec { addr: at(1) },
    map(1, 1),
    mmap(1, 1, RW, PRIVATE.union(MapFlags::POPULATE)),
    munmap(1, 1),
    munmap(0, 3),
    mprotect(1, 1, RO),
    mprotect(0, 3, NONE),
    madvise(1, 1, DONTNEED),
    madvise(0, 3, Advice::Free),
    madvise(1, 1, Advice::Remove),
    madvise(1, 1, Advice::DontFork),
    mremap(1, 1, 8),
    Call::Mremap {
        addr: at(0),
        old_len: 3 * 4096,
        new_len: 4096,
        flags: MoveFlags::empty(),
        new_addr: 0,
    },
    mlock(1, 1),
    Call::Munlock {
        addr: at(1),
        len: 4096,
    },
    Call::Mlockall {
        flags: LockAllFlags::CURRENT,
    },
    Call::Msync {
        addr: at(0),
        len: 3 * 4096,
        flags: SyncFlags::SYNC,
    },
    Call::Mincore {
        addr: at(0),
        len: 3 * 4096,
    },
    Call::Mbind {
        addr: at(1),
        len: 4096,
        mode: Mode::Bind,
        nodes: 1,
        flags: PolicyFlags::empty(),
    },
    Call::UffdRegister {
        addr: at(1),
        len: 4096,
    },
    Call::Fork,
    Call::Close { fd: Fd(3) },
    ftruncate(1),
    ftruncate(2),
    Call::Fallocate {
        fd: Fd(3),
        flags: FallocFlags::PUNCH_HOLE.union(FallocFlags::KEEP_SIZE),
        off: 4096,
        len: 4096,
    },
    reclaim(1),
    collapse(0, 3),
    numa_scan(0, 3),
    Call::Exit,
];

/// What follows the second call of a pair.
pub(super) const AFTER: Call = load(1);

/// Why pairs of calls need not come to what an order of whole calls gives: in Linux, too, they have
/// more than one moment. Each with a ground, by its place, and a pair that shows it.
pub(super) const EXCUSES: &[(&str, usize, Call, Call)] = &[
    (
        "an access has its page before it has its byte",
        1,
        store(1, 1),
        Call::UffdRegister {
            addr: at(1),
            len: 4096,
        },
    ),
    (
        "areas go at one moment and entries later, under the mmap_sem that was downgraded",
        0,
        munmap(1, 1),
        Call::Exec { addr: at(1) },
    ),
    (
        "madvise gives mmap_sem up before it punches",
        3,
        madvise(1, 1, Advice::Remove),
        mprotect(1, 1, RO),
    ),
    (
        "mincore looks at pages one by one",
        0,
        madvise(1, 1, DONTNEED),
        Call::Mincore {
            addr: at(0),
            len: 3 * 4096,
        },
    ),
    (
        "numbers of tasks and of address spaces are taken at different moments",
        0,
        Call::Fork,
        Call::Fork,
    ),
    (
        "pages are populated after the areas are there",
        0,
        mmap(1, 1, RW, PRIVATE.union(MapFlags::POPULATE)),
        Call::UffdRegister {
            addr: at(1),
            len: 4096,
        },
    ),
    (
        "reclaim looks at an address once and at who maps the page later",
        0,
        reclaim(1),
        collapse(0, 3),
    ),
    (
        "the descriptor is looked up before the file changes",
        3,
        ftruncate(1),
        Call::Close { fd: Fd(3) },
    ),
    (
        "a fault that is under way misses a registration with userfaultfd",
        1,
        Call::Load { addr: at(1) },
        Call::UffdRegister {
            addr: at(1),
            len: 4096,
        },
    ),
    (
        "an area leaves its file before TLBs are flushed, in free_pgtables",
        4,
        map(1, 1),
        ftruncate(1),
    ),
    (
        "mprotect that has changed nothing leaves to who cleared an entry to flush it",
        3,
        ftruncate(1),
        mprotect(0, 3, NONE),
    ),
];
