//! open and close: a new file with a descriptor, and the descriptor's end.

use vmadiff_contract::{Access, Errno, Fd, FileKind, Resource};
use vmadiff_interleave::at;

use crate::core::current::Current;
use crate::core::file::MAX_SIZE;
use crate::design::Design;
use crate::sites as site;

impl<D: Design> Current<'_, D> {
    /// `open`: a new file with a descriptor.
    pub fn sys_open(&self, kind: FileKind, access: Access, size: u64) -> Result<u64, Errno> {
        if access.is_empty() {
            return Err(Errno::EINVAL);
        }
        if size > MAX_SIZE {
            return Err(Errno::EFBIG);
        }
        let files = &self.mm_struct().files;
        let _lock = files.file_lock.lock(site::OPEN__FILE_LOCK);
        if !files.has_room(self.rlimit(Resource::NoFile)) {
            self.mark_descriptor(Fd(-1), false);
            return Err(Errno::EMFILE);
        }
        let number = FileKind::ALL
            .iter()
            .position(|&k| k == kind)
            .map_or(0, |at| at + 1);
        let file = self.file_alloc(number as u8, access, size);
        let marks = (0..16).map(|page| (page * 4096, 0xa0 + page as u8));
        file.contents()
            .init_with(marks.take_while(|&(at, _)| at < size));
        let fd = files.install(file.handle());
        at::section();
        self.mark_descriptor(Fd(-1), true);
        self.mark_descriptor(fd, true);
        Ok(fd.0 as u64)
    }

    /// `close`.
    pub fn sys_close(&self, fd: Fd) -> Result<u64, Errno> {
        let file = self.take_descriptor(fd);
        at::section();
        let file = file.ok_or(Errno::EBADF)?;
        self.fput(self.files.get(file));
        Ok(0)
    }
}
