//! Files and descriptors (section 24). A file is its contents; its pages have no frames.
//!
//! `call` has the calls on descriptors.

mod call;

pub(crate) use call::{FileCall, Punch};

use std::ops::Range;

use vmadiff_contract::{
    About, Access, Errno, Event, Fd, FileId, FileKind, PAGE_SIZE, Resource, VmaId,
};

use crate::page::{Bytes, Entry};
use crate::world::{Answer, NoMemory, World};

/// The largest file that the model has, bytes.
const SIZE_MAX: u64 = 1 << 40;

/// The first descriptor that open gives out.
const FIRST_FD: i32 = 3;

/// An open file with its contents.
#[derive(Clone, Debug, Hash)]
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
    /// Calls that take its pages out of address spaces just now (`i_mmap_rwsem`).
    pub unmapping: u32,
    /// A call changes its size or contents (`inode_lock`).
    pub busy: bool,
    /// Pages that a call is about to drop, and keeps locked (`lock_page`).
    pub dropping: (u64, u64),
    /// Pages that the page cache lacks, by index.
    pub absent: Vec<u64>,
    /// Pages that the page cache may have beyond the size, until what made the file shorter drops
    /// them: up to here.
    pub undropped: u64,
    /// The page that a call takes out of the page cache, and keeps locked.
    pub evicting: Option<u64>,
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

    /// Pages that can be in the page cache: those of the size, and those that are yet to be dropped.
    pub fn cached_pages(&self) -> u64 {
        self.size.div_ceil(PAGE_SIZE).max(self.undropped)
    }

    /// Whether page `index` is in the page cache.
    pub fn is_cached(&self, index: u64) -> bool {
        index < self.cached_pages() && self.absent.binary_search(&index).is_err()
    }

    /// Brings pages `first` up to `last` into the page cache. Whether one was missing.
    pub fn read_in(&mut self, first: u64, last: u64) -> bool {
        let before = self.absent.len();
        self.absent.retain(|index| !(first..last).contains(index));
        self.absent.len() < before
    }

    /// Zeroes bytes. Pages that go as a whole are holes, which count as cached; those that are cut
    /// are read in for it.
    fn zero(&mut self, start: u64, end: u64) {
        if start < end {
            self.read_in(start / PAGE_SIZE, end.div_ceil(PAGE_SIZE));
        }
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
            file.absent.clear();
            let charged = file.charged;
            self.give_back(charged);
            self.raise(Event::FileFree { file: id });
        }
    }

    /// Forgets all files, but keeps the memory of their contents for files to come.
    pub fn forget_files(&mut self) {
        // Emptied now, and not when one is next used: a copy of the world takes the same steps whatever was
        // before it.
        let contents = self.files.drain(..).map(|mut file| {
            file.bytes.clear();
            file.bytes
        });
        self.spare_bytes
            .extend(contents.filter(|bytes| bytes.capacity() != 0));
    }

    /// No bytes, with the memory of those of a forgotten file, or room for what most files hold.
    fn no_bytes(&mut self) -> Vec<(u64, u8)> {
        let spare = self.spare_bytes.pop();
        spare.unwrap_or_else(|| Vec::with_capacity(32))
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
            unmapping: 0,
            busy: false,
            dropping: (0, 0),
            absent: Vec::new(),
            undropped: 0,
            evicting: None,
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

    /// Gives the lowest number out that no descriptor has.
    fn reserve(&mut self, m: usize) -> Answer<Fd> {
        let limit = self.soft_limit(m, Resource::NoFile);
        let mm = &mut self.mms[m];
        let used = |n: i32| {
            let open = mm.fds.binary_search_by_key(&n, |fd| fd.0.0).is_ok();
            open || mm.reserved.contains(&Fd(n))
        };
        let fd = (FIRST_FD..).find(|n| !used(*n)).map_or(Fd(i32::MAX), Fd);
        if fd.0 as u64 >= limit {
            return Err(Errno::EMFILE);
        }
        mm.reserved.push(fd);
        Ok(fd)
    }

    /// Creates a file and opens it by a number that was given out.
    fn install(&mut self, m: usize, fd: Fd, kind: FileKind, access: Access, size: u64) {
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
            unmapping: 0,
            busy: false,
            dropping: (0, 0),
            absent: Vec::new(),
            undropped: 0,
            evicting: None,
        });
        let mm = &mut self.mms[m];
        mm.reserved.retain(|other| *other != fd);
        let place = mm.fds.partition_point(|other| other.0.0 < fd.0);
        mm.fds.insert(place, (fd, file));
    }

    /// Closes the lowest descriptor of an address space; while calls are not driven, all.
    pub fn close_next(&mut self, m: usize) -> bool {
        let fds = &self.mms[m].fds;
        let some = if self.driven {
            fds.len().min(1)
        } else {
            fds.len()
        };
        for i in 0..some {
            let file = self.mms[m].fds[i].1;
            self.about(About::File(file));
            self.put_file(file);
        }
        self.mms[m].fds.drain(..some);
        !self.mms[m].fds.is_empty()
    }

    /// Whether a page table has one of these pages of a file.
    pub fn is_mapped(&self, id: FileId, pages: &Range<u64>) -> bool {
        let is = |entry| matches!(entry, Entry::File(file, index) if file == id && pages.contains(&index));
        let mut all = self.mms.iter().flat_map(|mm| &mm.pages);
        all.any(|page| is(page.entry))
    }
}

#[cfg(test)]
impl File {
    /// Pages that it is charged for as long as it lives.
    pub fn charged_now(&self) -> u64 {
        if self.refs > 0 { self.charged } else { 0 }
    }
}
