//! Files and descriptors (section 24). A file is its contents; its pages have no frames.

use vmadiff_contract::{Access, Errno, Event, FallocFlags, Fd, FileId, FileKind, PAGE_SIZE, VmaId};

use crate::page::Bytes;
use crate::world::{Answer, NoMemory, World};

/// The largest file that the model has, bytes.
const SIZE_MAX: u64 = 1 << 40;

/// The first descriptor that open gives out.
const FIRST_FD: i32 = 3;

/// An open file with its contents.
#[derive(Debug)]
pub(crate) struct File {
    /// None: the object of a mapping of shared anonymous memory.
    pub kind: Option<FileKind>,
    pub access: Access,
    pub size: u64,
    /// Descriptors and areas that refer to it.
    pub refs: u32,
    /// Bytes that are not zero, by offset.
    pub bytes: Vec<(u64, u8)>,
    /// Pages that it is charged for.
    charged: u64,
}

impl File {
    /// The byte at this offset.
    pub fn byte(&self, offset: u64) -> u8 {
        match self.bytes.binary_search_by_key(&offset, |byte| byte.0) {
            Ok(i) => self.bytes[i].1,
            Err(_) => 0,
        }
    }

    /// Sets the byte at this offset.
    pub fn set_byte(&mut self, offset: u64, value: u8) {
        match (
            self.bytes.binary_search_by_key(&offset, |byte| byte.0),
            value,
        ) {
            (Ok(i), 0) => drop(self.bytes.remove(i)),
            (Ok(i), _) => self.bytes[i].1 = value,
            (Err(_), 0) => {}
            (Err(i), _) => self.bytes.insert(i, (offset, value)),
        }
    }

    /// A copy of page `index`.
    pub fn page(&self, index: u64) -> Bytes {
        let start = index.saturating_mul(PAGE_SIZE);
        let first = self.bytes.partition_point(|byte| byte.0 < start);
        self.bytes[first..]
            .iter()
            .take_while(|byte| byte.0 - start < PAGE_SIZE)
            .map(|byte| ((byte.0 - start) as u16, byte.1))
            .collect()
    }

    /// Whether page `index` lies within the size, the last page counted whole.
    pub fn has_page(&self, index: u64) -> bool {
        index < self.size.div_ceil(PAGE_SIZE)
    }

    fn zero(&mut self, start: u64, end: u64) {
        let first = self.bytes.partition_point(|byte| byte.0 < start);
        let last = self.bytes.partition_point(|byte| byte.0 < end);
        self.bytes.drain(first..last.max(first));
    }
}

impl World {
    /// The file of this name.
    pub fn file(&mut self, id: FileId) -> &mut File {
        &mut self.files[id.0 as usize - 1]
    }

    /// What kind of file this is.
    pub fn kind(&self, id: FileId) -> Option<FileKind> {
        self.files[id.0 as usize - 1].kind
    }

    /// Whether areas of this file have `vm_ops->close`.
    pub fn has_close(&self, file: Option<FileId>) -> bool {
        file.is_some_and(|id| self.kind(id) == Some(FileKind::WithClose))
    }

    /// Tells the driver that an area was copied (`vm_ops->open`).
    pub fn open_area(&self, file: Option<FileId>, vma: VmaId) {
        if self.has_close(file) {
            self.raise(Event::VmaOpen { vma });
        }
    }

    /// Takes a reference.
    pub fn get_file(&mut self, id: Option<FileId>) {
        if let Some(id) = id {
            self.file(id).refs += 1;
        }
    }

    /// Puts a reference; the last one frees the file with its contents and its charge.
    pub fn put_file(&mut self, id: FileId) {
        let file = self.file(id);
        file.refs -= 1;
        if file.refs == 0 {
            file.bytes.clear();
            let charged = file.charged;
            self.committed -= charged;
            self.raise(Event::FileFree { file: id });
        }
    }

    /// Forgets all files, but keeps the memory of their contents for files to come.
    pub fn forget_files(&mut self) {
        let contents = self.files.drain(..).map(|file| file.bytes);
        self.spare_bytes
            .extend(contents.filter(|bytes| bytes.capacity() != 0));
    }

    /// No bytes, with the memory of those of a forgotten file, or room for what most files hold.
    fn no_bytes(&mut self) -> Vec<(u64, u8)> {
        let spare = self.spare_bytes.pop();
        let mut bytes = spare.unwrap_or_else(|| Vec::with_capacity(32));
        bytes.clear();
        bytes
    }

    fn new_file(&mut self, file: File) -> FileId {
        self.files.push(file);
        FileId(self.files.len() as u32)
    }

    /// The object of a mapping of shared anonymous memory, charged unless `noreserve`
    /// (`shmem_zero_setup`, section 25).
    pub fn new_shared_memory(&mut self, size: u64, noreserve: bool) -> Result<FileId, NoMemory> {
        let charged = if noreserve { 0 } else { size / PAGE_SIZE };
        self.charge(charged)?;
        let (access, bytes) = (Access::all(), self.no_bytes());
        Ok(self.new_file(File {
            kind: None,
            access,
            size,
            refs: 1,
            bytes,
            charged,
        }))
    }

    /// The file behind a descriptor.
    pub fn lookup(&self, m: usize, fd: Fd) -> Answer<FileId> {
        let fds = &self.mms[m].fds;
        let i = fds
            .binary_search_by_key(&fd.0, |entry| entry.0.0)
            .map_err(|_| Errno::EBADF)?;
        Ok(fds[i].1)
    }

    /// Creates a file and opens it.
    pub fn open(&mut self, m: usize, kind: FileKind, access: Access, size: u64) -> Answer {
        if access.is_empty() {
            return Err(Errno::EINVAL);
        }
        if size > SIZE_MAX {
            return Err(Errno::EFBIG);
        }
        let place = (0..)
            .zip(&self.mms[m].fds)
            .take_while(|(i, fd)| fd.0.0 == FIRST_FD + i)
            .count();
        let fd = FIRST_FD + place as i32;
        if fd.unsigned_abs() >= self.config.rlimit_nofile {
            return Err(Errno::EMFILE);
        }
        let pages = size.div_ceil(PAGE_SIZE).min(16);
        let mut bytes = self.no_bytes();
        bytes.extend((0..pages).map(|i| (i * PAGE_SIZE, 0xa0 + i as u8)));
        let file = self.new_file(File {
            kind: Some(kind),
            access,
            size,
            refs: 1,
            bytes,
            charged: 0,
        });
        self.mms[m].fds.insert(place, (Fd(fd), file));
        Ok(fd as u64)
    }

    /// Closes a descriptor.
    pub fn close(&mut self, m: usize, fd: Fd) -> Answer {
        let file = self.lookup(m, fd)?;
        self.mms[m].fds.retain(|entry| entry.0 != fd);
        self.put_file(file);
        Ok(0)
    }

    /// Closes all descriptors of an address space, by number.
    pub fn close_all(&mut self, m: usize) {
        for i in 0..self.mms[m].fds.len() {
            self.put_file(self.mms[m].fds[i].1);
        }
        self.mms[m].fds.clear();
    }

    /// Sets a file's size. What lies past it is dropped from the file and from every address
    /// space, private copies too.
    pub fn ftruncate(&mut self, m: usize, fd: Fd, size: u64) -> Answer {
        if size > i64::MAX as u64 {
            return Err(Errno::EINVAL);
        }
        let id = self.lookup(m, fd)?;
        let file = self.file(id);
        if !file.access.contains(Access::WRITE) {
            return Err(Errno::EINVAL);
        }
        if size > SIZE_MAX {
            return Err(Errno::EFBIG);
        }
        let old = std::mem::replace(&mut file.size, size);
        if size < old {
            file.zero(size, u64::MAX);
            self.zap_file(id, size.div_ceil(PAGE_SIZE), u64::MAX, true);
        }
        Ok(0)
    }

    /// Punches a hole into a file or, without PUNCH_HOLE, makes it as large as the range asks.
    pub fn fallocate(
        &mut self,
        m: usize,
        fd: Fd,
        flags: FallocFlags,
        off: u64,
        len: u64,
    ) -> Answer {
        let id = self.lookup(m, fd)?;
        if off > i64::MAX as u64 || len == 0 || len > i64::MAX as u64 {
            return Err(Errno::EINVAL);
        }
        let punch = flags.contains(FallocFlags::PUNCH_HOLE);
        let keep = flags.contains(FallocFlags::KEEP_SIZE);
        let known = FallocFlags::KEEP_SIZE | FallocFlags::PUNCH_HOLE;
        if !known.contains(flags) || (punch && !keep) {
            return Err(Errno::EOPNOTSUPP);
        }
        if !self.file(id).access.contains(Access::WRITE) {
            return Err(Errno::EBADF);
        }
        if punch {
            return self.punch(id, off, len).map(|()| 0);
        }
        let end = Self::end_in_file(off, len)?;
        if !keep {
            let file = self.file(id);
            file.size = file.size.max(end);
        }
        Ok(0)
    }

    fn end_in_file(off: u64, len: u64) -> Answer {
        off.checked_add(len)
            .filter(|end| *end <= SIZE_MAX)
            .ok_or(Errno::EFBIG)
    }

    /// Zeroes bytes of a file and takes away the entries of its own pages that lie in the hole
    /// as a whole (`shmem_fallocate`).
    pub fn punch(&mut self, id: FileId, off: u64, len: u64) -> Answer<()> {
        let end = Self::end_in_file(off, len)?;
        self.file(id).zero(off, end);
        self.zap_file(id, off.div_ceil(PAGE_SIZE), end / PAGE_SIZE, false);
        Ok(())
    }
}

#[cfg(test)]
impl File {
    /// Pages that it is charged for as long as it lives.
    pub fn charged_now(&self) -> u64 {
        if self.refs > 0 { self.charged } else { 0 }
    }
}
