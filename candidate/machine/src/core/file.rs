//! Files with their contents, and the descriptors of processes.
//!
//! All files live in memory, as tmpfs would have them: a file's page is its contents and takes no
//! frame, also while the page cache lacks it. One that was dropped and that a TLB still reaches is no
//! part of it any more (`page::dropped`). Shared anonymous memory is such a file without a kind.

use parking_lot::Mutex;
use vmadiff_contract::{About, Access, Event, Fd, FileId, FileKind, Misuse, StepKind, Told};
use vmadiff_interleave::{RefCount, RwSem, Site, SpinLock};

use crate::area::ops::Ops;
use crate::area::vma::Vma;
use crate::core::current::Current;
use crate::core::machine::Machine;
use crate::core::mm::{Mm, mm_id};
use crate::core::moves::{Shows, moved};
use crate::core::slab::{Handle, Ref, object};
use crate::defects::defect;
use crate::design::Design;
use crate::page::cache::Absent;
use crate::page::sparse::Sparse;
use crate::sites as site;

object! {
    /// An open file description with its contents.
    File, shows: Files, dead: |n| Some(Misuse::DeadFile(FileId(n)));
    words {
        /// Its kind's number from 1; 0 for shared anonymous memory.
        kind: u8,
        /// What its descriptors allow.
        mode: u8,
        /// Bytes.
        size: u64,
        /// Pages that it is charged.
        charged: u64,
        /// The first area that maps it (`i_mmap`).
        i_mmap: Handle<Vma>,
    }
    parts {
        /// One reference for each descriptor and each area.
        refs: RefCount,
        /// Guards the list of areas.
        i_mmap_rwsem: RwSem,
        /// Held by whoever changes the file's size or punches holes, for all of it
        /// (`inode_lock`).
        i_rwsem: RwSem,
        /// Stands for the locks of all its pages: held from the look at the size until the page is
        /// mapped, and while pages are thrown away, leave the page cache or are read into it.
        pages: SpinLock,
        /// Its bytes.
        contents: Sparse,
        /// Its pages that the page cache lacks.
        absent: Absent,
    }
}

/// The largest size, bytes.
pub const MAX_SIZE: u64 = 1 << 40;

impl Ref<'_, File> {
    /// Its kind; none for shared anonymous memory.
    pub fn file_kind(self) -> Option<FileKind> {
        match self.kind().peek() {
            0 => None,
            n => FileKind::ALL.get(usize::from(n) - 1).copied(),
        }
    }

    /// The operations of areas that map it.
    pub fn vm_ops(self) -> Ops {
        match self.file_kind() {
            None | Some(FileKind::Plain) => Ops::Fault,
            Some(FileKind::WithClose) => Ops::FaultClose,
            Some(FileKind::NoFault) => Ops::NoFault,
        }
    }

    /// What its descriptors allow.
    pub fn access(self) -> Access {
        Access::from_bits_retain(self.mode().peek())
    }

    /// Pages in it, the last maybe in part.
    pub fn pages_in(self, site: Site) -> u64 {
        self.size().get(site).div_ceil(4096)
    }
}

/// The descriptors of a process (`files_struct`): at `n - 3` the file of number `n`.
#[derive(Default)]
pub struct Descriptors {
    /// Guards the table.
    pub file_lock: SpinLock,
    slots: Mutex<Vec<Handle<File>>>,
}

/// The first number that is given out: 0, 1 and 2 are the standard ones.
const FIRST_FD: usize = 3;

impl Descriptors {
    /// None are open.
    pub fn init(&self) {
        moved(Shows::Files);
        self.slots.lock().clear();
    }

    /// Whether a number below `limit` is free.
    pub fn has_room(&self, limit: u64) -> bool {
        let slots = self.slots.lock();
        let lowest = slots
            .iter()
            .position(|file| file.is_null())
            .unwrap_or(slots.len());
        ((lowest + FIRST_FD) as u64) < limit
    }

    /// Gives the lowest free number.
    pub fn install(&self, file: Handle<File>) -> Fd {
        moved(Shows::Files);
        let mut slots = self.slots.lock();
        let lowest = slots
            .iter()
            .position(|file| file.is_null())
            .unwrap_or(slots.len());
        if lowest == slots.len() {
            slots.push(file);
        } else {
            slots[lowest] = file;
        }
        Fd((lowest + FIRST_FD) as i32)
    }

    /// What a number opens; the lock is held.
    fn at(&self, fd: Fd) -> Option<Handle<File>> {
        let at = usize::try_from(fd.0).ok()?.checked_sub(FIRST_FD)?;
        self.slots.lock().get(at)?.some()
    }

    /// Takes what a number opens; the lock is held.
    fn take(&self, fd: Fd) -> Option<Handle<File>> {
        moved(Shows::Files);
        let at = usize::try_from(fd.0).ok()?.checked_sub(FIRST_FD)?;
        std::mem::take(self.slots.lock().get_mut(at)?).some()
    }

    /// Takes the open descriptor with the lowest number away.
    fn pop_first(&self) -> Option<Handle<File>> {
        moved(Shows::Files);
        let mut slots = self.slots.lock();
        slots
            .iter_mut()
            .find(|file| !file.is_null())
            .map(std::mem::take)
    }

    /// Shows each open descriptor, by number.
    pub fn each(&self, mut see: impl FnMut(Fd, Handle<File>)) {
        for (at, file) in self.slots.lock().iter().enumerate() {
            if !file.is_null() {
                see(Fd((at + FIRST_FD) as i32), *file);
            }
        }
    }
}

impl<D: Design> Machine<D> {
    /// A file with one reference and no contents.
    pub fn file_alloc(&self, kind: u8, access: Access, size: u64) -> Ref<'_, File> {
        let file = self.files.alloc();
        file.kind().init(kind);
        file.mode().init(access.bits());
        file.size().init(size);
        file.charged().init(0);
        file.i_mmap().init(Handle::NULL);
        file.refs().init(1);
        file.contents().init();
        file.absent().init();
        file
    }

    /// Takes a reference (`get_file`).
    pub fn get_file(&self, file: Ref<'_, File>) {
        moved(Shows::Files);
        if file.alive() && file.refs().get(site::GET_FILE__REFS).is_err() {
            self.misuse(Misuse::DeadFile(FileId(file.ordinal())));
        }
    }

    /// Puts a reference (`fput`): the file goes with the last. A step of its own, which is told.
    pub fn fput(&self, file: Ref<'_, File>) {
        self.put_file(file, true);
    }

    /// The same; not `told` where it belongs to a step under a lock, and another reference stays.
    fn put_file(&self, file: Ref<'_, File>, told: bool) {
        if !file.alive() {
            return;
        }
        moved(Shows::Files);
        let put = file.refs().put(site::FPUT__REFS);
        if told {
            self.mark_done(StepKind::Put, file.about());
        }
        match put {
            Ok(0) => self.free_file(file),
            Ok(_) => {}
            Err(_) => self.misuse(Misuse::DeadFile(FileId(file.ordinal()))),
        }
    }

    fn free_file(&self, file: Ref<'_, File>) {
        // `shmem_unacct_size`.
        self.vm_unacct_memory(file.charged().peek());
        if self.files.free(file.handle()) {
            self.raise(Event::FileFree {
                file: FileId(file.ordinal()),
            });
        }
    }

    /// Puts a VMA's reference to its file; not `told` where the VMA is merged into one of the same file.
    pub fn vma_fput(&self, vma: Ref<'_, Vma>, file: Handle<File>, told: bool) {
        self.raise(Event::FilePut {
            file: FileId(file.ordinal()),
            vma: vma.id(),
        });
        self.put_file(self.files.get(file), told);
    }

    /// Copies a process's descriptors for its child (`dup_fd`).
    pub fn dup_fd(&self, from: &Mm, to: &Mm) {
        let slots = |at| to.files.slots.lock().get(at).copied();
        let unlocked = from.files.at(Fd(FIRST_FD as i32));
        let unlocked = unlocked.filter(|_| defect!(self, DescriptorUnlocked));
        if let Some(file) = unlocked {
            self.get_file(self.files.get(file));
        }
        let _lock = from.files.file_lock.lock(site::DUP_FD__FILE_LOCK);
        to.files.slots.lock().clone_from(&*from.files.slots.lock());
        if let Some(file) = unlocked
            && let Some(slot) = to.files.slots.lock().first_mut()
        {
            *slot = file;
        }
        let got = usize::from(unlocked.is_some());
        for file in (got..).map_while(slots).filter_map(Handle::some) {
            self.get_file(self.files.get(file));
        }
        let (mm, fd) = (mm_id(from.name()), Fd(-1));
        self.mark_done(StepKind::Descriptor, About::Descriptor { mm, fd });
    }

    /// Closes all descriptors of a process, by number (`exit_files`).
    pub fn exit_files(&self, mm: &Mm) {
        while let Some(file) = mm.files.pop_first() {
            self.fput(self.files.get(file));
        }
    }
}

impl<D: Design> Current<'_, D> {
    /// The file of a number, with a reference (`fget`): taken before the number can be closed.
    pub fn fget(&self, site: Site, fd: Fd) -> Option<Ref<'_, File>> {
        let files = &self.mm_struct().files;
        let _lock = files.file_lock.lock(site);
        let found = files.at(fd).map(|file| self.files.get(file));
        if let Some(file) = found {
            self.get_file(file);
        }
        self.mark_descriptor(fd, found.is_some());
        found
    }

    /// Takes a descriptor away.
    pub fn take_descriptor(&self, fd: Fd) -> Option<Handle<File>> {
        let files = &self.mm_struct().files;
        let _lock = files.file_lock.lock(site::CLOSE__FILE_LOCK);
        let taken = files.take(fd);
        self.mark_descriptor(fd, taken.is_some());
        taken
    }

    /// Tells what was found of a descriptor.
    pub fn mark_descriptor(&self, fd: Fd, there: bool) {
        let told = if there { Told::Done } else { Told::Refused };
        self.mark(StepKind::Descriptor, self.descriptor(fd), told);
    }
}
