//! The calls on descriptors: open, close, ftruncate, fallocate; and MADV_REMOVE, which is one of them.

use std::ops::Range;

use vmadiff_contract::{About, Access, Errno, FallocFlags, Fd, FileId, FileKind, PAGE_SIZE};

use super::{File, SIZE_MAX};
use crate::guard::Guard;
use crate::job::{Flow, List, Step, rows};
use crate::world::{Answer, World};
use crate::zap::ZapFile;

/// A range of a file that becomes a hole.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct Punch {
    pub file: FileId,
    /// Bytes.
    pub off: u64,
    pub len: u64,
}

/// What a call does with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Op {
    /// Creates and opens one.
    Open(FileKind, Access, u64),
    /// Closes the descriptor.
    Close,
    /// Sets its size. What lies past it is dropped from the file and from every address space,
    /// private copies too.
    Truncate(u64),
    /// Punches a hole or, without PUNCH_HOLE, makes it as large as the range asks.
    Allocate(FallocFlags, u64, u64),
    /// Punches a hole into the file that madvise has looked up.
    Punch(u64, u64),
}

/// A call on a descriptor or a file.
#[derive(Clone, Debug, Hash)]
pub(crate) struct FileCall {
    m: usize,
    fd: Fd,
    op: Op,
    /// The file, with a reference of the call's own.
    file: Option<FileId>,
    /// It holds the file's inode lock.
    locked: bool,
    /// Bytes to be dropped, and the pages whose entries are taken away.
    drop: Range<u64>,
    pages: Range<u64>,
    answer: Answer,
}

const CHANGE: u8 = 1;
const UNMAP: u8 = 2;
const LOCK: u8 = 3;
const DROP: u8 = 4;
const PUT: u8 = 6;
const INSTALL: u8 = 7;

impl List for FileCall {
    rows! { "open, close, ftruncate, fallocate"
        Descriptor None "get_unused_fd_flags, __close_fd: files->file_lock; fget: RCU"
            descriptor: "a number is given out, or the descriptor taken away or looked up";
        Size None "do_truncate, shmem_fallocate: inode_lock until the contents are dropped"
            change unless may_change: "what is asked, and the size";
        Decide None "shmem_setattr, shmem_fallocate: unmap_mapping_range"
            unmap: "the pages that go are taken out of all address spaces";
        Decide None "truncate_inode_page: lock_page, unmap_mapping_pages"
            lock unless may_lock: "the pages that go are locked, and unmapped where they are mapped again";
        Drop None "shmem_truncate_range, truncate_inode_page: the page cache, lock_page"
            drop_contents unless may_drop: "the contents";
        Decide None "shmem_setattr: unmap_mapping_range again"
            unmap_again: "private copies of pages that were still there";
        Put None "fput, a counter"
            put: "the call's reference, and the descriptor's that was closed";
        Descriptor None "fd_install, under RCU"
            install: "open: a new file, by the number that was given out";
    }

    fn first(&self) -> u8 {
        if self.file.is_some() { CHANGE } else { 0 }
    }
}

impl FileCall {
    fn new(m: usize, fd: Fd, op: Op) -> Self {
        Self {
            m,
            fd,
            op,
            file: None,
            locked: false,
            drop: 0..0,
            pages: 0..0,
            answer: Ok(0),
        }
    }

    pub fn open(m: usize, kind: FileKind, access: Access, size: u64) -> Answer<Self> {
        if access.is_empty() {
            return Err(Errno::EINVAL);
        }
        if size > SIZE_MAX {
            return Err(Errno::EFBIG);
        }
        Ok(Self::new(m, Fd(-1), Op::Open(kind, access, size)))
    }

    pub fn close(m: usize, fd: Fd) -> Self {
        Self::new(m, fd, Op::Close)
    }

    pub fn ftruncate(m: usize, fd: Fd, size: u64) -> Answer<Self> {
        if size > i64::MAX as u64 {
            return Err(Errno::EINVAL);
        }
        Ok(Self::new(m, fd, Op::Truncate(size)))
    }

    pub fn fallocate(m: usize, fd: Fd, flags: FallocFlags, off: u64, len: u64) -> Self {
        Self::new(m, fd, Op::Allocate(flags, off, len))
    }

    /// Of a file that the caller has taken a reference of.
    pub fn punch(punch: Punch) -> Self {
        let file = Some(punch.file);
        let op = Op::Punch(punch.off, punch.len);
        Self {
            file,
            ..Self::new(0, Fd(-1), op)
        }
    }

    fn descriptor(world: &mut World, it: &mut Self) -> Step {
        let mm = world.mms[it.m].id;
        world.about(About::Descriptor { mm, fd: it.fd });
        if let Op::Open(..) = it.op {
            it.fd = world.reserve(it.m)?;
            return it.go(world, INSTALL);
        }
        let file = world.lookup(it.m, it.fd)?;
        it.file = Some(file);
        if it.op == Op::Close {
            world.mms[it.m].fds.retain(|entry| entry.0 != it.fd);
            return it.go(world, PUT);
        }
        world.get_file(Some(file));
        it.go(world, CHANGE)
    }

    fn install(world: &mut World, it: &mut Self) -> Step {
        let mm = world.mms[it.m].id;
        world.about(About::Descriptor { mm, fd: it.fd });
        if let Op::Open(kind, access, size) = it.op {
            world.install(it.m, it.fd, kind, access, size);
        }
        Ok(Flow::Done(it.fd.0 as u64))
    }

    fn id(&self) -> FileId {
        self.file.expect("it was looked up")
    }

    /// What is refused does not ask for the inode lock (`vfs_fallocate`, `do_sys_ftruncate`).
    fn may_change(world: &World, it: &Self) -> Option<Guard> {
        let file = &world.files[it.id().0 as usize - 1];
        let waits = file.busy && world.driven && it.asks(file).is_ok();
        world.wait_if(Guard::InodeLock, waits)
    }

    fn change(world: &mut World, it: &mut Self) -> Step {
        match it.plan(world) {
            Ok(true) => {
                it.locked = true;
                world.file(it.id()).busy = true;
                it.go(world, UNMAP)
            }
            answer => {
                world.refused = answer.is_err();
                it.answer = answer.map(|_| 0);
                it.go(world, PUT)
            }
        }
    }

    /// Checks what is asked.
    fn asks(&self, file: &File) -> Answer<()> {
        let writable = file.access.contains(Access::WRITE);
        match self.op {
            Op::Truncate(_) if !writable => Err(Errno::EINVAL),
            Op::Truncate(size) if size > SIZE_MAX => Err(Errno::EFBIG),
            Op::Allocate(flags, off, len) => {
                if off > i64::MAX as u64 || len == 0 || len > i64::MAX as u64 {
                    return Err(Errno::EINVAL);
                }
                let (keep, punch) = (FallocFlags::KEEP_SIZE, FallocFlags::PUNCH_HOLE);
                let alone = flags.contains(punch) && !flags.contains(keep);
                if !(keep | punch).contains(flags) || alone {
                    return Err(Errno::EOPNOTSUPP);
                }
                if !writable {
                    return Err(Errno::EBADF);
                }
                Self::end_of(off, len).map(|_| ())
            }
            Op::Punch(off, len) => Self::end_of(off, len).map(|_| ()),
            Op::Open(..) | Op::Close | Op::Truncate(_) => Ok(()),
        }
    }

    fn end_of(off: u64, len: u64) -> Answer {
        let end = off.checked_add(len).filter(|end| *end <= SIZE_MAX);
        end.ok_or(Errno::EFBIG)
    }

    /// Checks what is asked, sets the size, and says whether contents are dropped.
    fn plan(&mut self, world: &mut World) -> Answer<bool> {
        let id = self.id();
        world.about(About::File(id));
        let file = world.file(id);
        self.asks(file)?;
        match self.op {
            Op::Open(..) | Op::Close => Ok(false),
            Op::Truncate(size) => {
                let cached = file.cached_pages();
                let old = std::mem::replace(&mut file.size, size);
                file.undropped = if size < old { cached } else { 0 };
                self.drop = size..u64::MAX;
                // With the size that it has no page goes, and only what lies behind the end is zeroed
                // (`shmem_setattr`).
                let last = if size < old {
                    u64::MAX
                } else {
                    size.div_ceil(PAGE_SIZE)
                };
                self.pages = size.div_ceil(PAGE_SIZE)..last;
                Ok(size <= old)
            }
            Op::Allocate(flags, off, len) => {
                let punch = flags.contains(FallocFlags::PUNCH_HOLE);
                let end = off + len;
                if punch {
                    self.hole(off, end);
                } else {
                    file.read_in(off / PAGE_SIZE, end.div_ceil(PAGE_SIZE));
                }
                if !flags.contains(FallocFlags::KEEP_SIZE) {
                    file.size = file.size.max(end);
                }
                Ok(punch)
            }
            Op::Punch(off, len) => {
                self.hole(off, off + len);
                Ok(true)
            }
        }
    }

    /// A hole: its bytes are dropped, and the entries of the file's own pages that lie in it as a
    /// whole are taken away.
    fn hole(&mut self, off: u64, end: u64) {
        self.drop = off..end;
        self.pages = off.div_ceil(PAGE_SIZE)..end / PAGE_SIZE;
    }

    fn truncates(&self) -> bool {
        matches!(self.op, Op::Truncate(_))
    }

    /// Takes the pages that go out of all address spaces, then on with row `then`.
    fn zap(&self, world: &mut World, even_copies: bool, then: u8) -> Step {
        if !self.pages.is_empty() {
            world.about(About::File(self.id()));
        }
        let (first, last) = (self.pages.start, self.pages.end);
        ZapFile::new(self.id(), first, last, even_copies).begin(world, then)
    }

    fn unmap(world: &mut World, it: &mut Self) -> Step {
        let then = if world.driven { LOCK } else { DROP };
        it.zap(world, it.truncates(), then)
    }

    /// A fault that holds a page locked has found it, and will map it.
    fn may_lock(world: &World, it: &Self) -> Option<Guard> {
        let flights = world.flights.iter().flatten();
        let mut pages = flights.filter_map(|flight| flight.page);
        let held = pages.any(|(file, index)| file == it.id() && it.pages.contains(&index));
        let evicting = world.files[it.id().0 as usize - 1].evicting;
        let held = held || evicting.is_some_and(|index| it.pages.contains(&index));
        world.wait_if(Guard::PageLock, held)
    }

    /// Pages that are mapped again by now are unmapped, and no fault finds them any more.
    fn lock(world: &mut World, it: &mut Self) -> Step {
        world.file(it.id()).dropping = (it.pages.start, it.pages.end);
        it.zap(world, false, DROP)
    }

    /// munmap is about to unmap what lies in no area any more.
    fn may_drop(world: &World, it: &Self) -> Option<Guard> {
        world.wait_if(Guard::PageLock, world.is_mapped(it.id(), &it.pages))
    }

    fn drop_contents(world: &mut World, it: &mut Self) -> Step {
        let file = it.id();
        world.about(About::File(file));
        world.keep_dropped(file, &it.pages);
        let of = world.file(file);
        of.zero(it.drop.start, it.drop.end);
        of.dropping = (0, 0);
        if it.truncates() {
            of.undropped = 0;
        }
        if world.driven && it.truncates() {
            Ok(Flow::Next)
        } else {
            it.go(world, PUT)
        }
    }

    fn unmap_again(world: &mut World, it: &mut Self) -> Step {
        it.zap(world, true, PUT)
    }

    fn put(world: &mut World, it: &mut Self) -> Step {
        if let Some(file) = it.file {
            world.about(About::File(file));
            if it.locked {
                world.file(file).busy = false;
            }
            world.put_file(file);
        }
        it.answer.map(Flow::Done)
    }
}
