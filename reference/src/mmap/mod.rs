//! Mapping files and memory (section 6).
//!
//! `kind` has the checks and flags of do_mmap, `vacant` how an area comes to an empty place.

mod kind;
mod vacant;

pub(crate) use vacant::Vacant;

use vmadiff_contract::{About, Errno, Fd, FileId, MapFlags, Note, Outcome, Prot, VmFlags};

use crate::area::{Area, page_up};
use crate::job::{Flow, List, Step, answer, rows};
use crate::limits::Expand;
use crate::merge::Wanted;
use crate::munmap::Munmap;
use crate::populate::Populate;
use crate::world::{Answer, World};

/// The arguments of mmap.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct Mapping {
    pub addr: u64,
    pub len: u64,
    pub prot: Prot,
    pub flags: MapFlags,
    pub fd: Fd,
    pub off: u64,
}

impl Mapping {
    /// The size of the huge pages that anonymous memory is to have; others are unknown
    /// (`hstate_sizelog`).
    fn huge_size(&self) -> Answer<Option<u64>> {
        if !(self.flags).contains(MapFlags::HUGETLB | MapFlags::ANONYMOUS) {
            return Ok(None);
        }
        match self.flags.bits() >> 26 & 63 {
            0 | 21 => Ok(Some(1 << 21)),
            30 => Ok(Some(1 << 30)),
            _ => Err(Errno::EINVAL),
        }
    }
}

/// `MAP_TYPE`: shared, private or shared-validate.
const TYPE: MapFlags = MapFlags::from_bits_retain(0x0f);

/// The flags that MAP_SHARED_VALIDATE knows: `LEGACY_MAP_MASK`, and those that never arrive there
/// (MAP_DENYWRITE and MAP_EXECUTABLE). Besides the named ones: MAP_32BIT, MAP_HUGETLB and sizes.
const LEGACY: MapFlags = MapFlags::SHARED_VALIDATE
    .union(MapFlags::FIXED)
    .union(MapFlags::ANONYMOUS)
    .union(MapFlags::GROWSDOWN)
    .union(MapFlags::DENYWRITE)
    .union(MapFlags::LOCKED)
    .union(MapFlags::NORESERVE)
    .union(MapFlags::POPULATE)
    .union(MapFlags::NONBLOCK)
    .union(MapFlags::STACK)
    .union(MapFlags::from_bits_retain(
        0x40 | 0x1000 | 0x4_0000 | 0x1f << 26,
    ));

/// The area's flags for a protection (`calc_vm_prot_bits`).
pub(crate) fn access_flags(prot: Prot) -> VmFlags {
    VmFlags::from_bits_truncate((prot & (Prot::READ | Prot::WRITE | Prot::EXEC)).bits())
}

/// What every new area has.
pub(crate) const MAY: VmFlags = VmFlags::MAYREAD
    .union(VmFlags::MAYWRITE)
    .union(VmFlags::MAYEXEC);

/// Maps, and populates where that was asked for.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Mmap {
    m: usize,
    ask: Mapping,
    /// It wants huge pages of this size, and gets none.
    huge: Option<u64>,
    /// The file behind the descriptor, with a reference of the call's own.
    file: Option<FileId>,
    /// What it refuses with once the file is put.
    refused: Option<Errno>,
    wanted: Wanted,
    /// What comes of the file and the kind of mapping.
    checked: Answer<()>,
}

const HUGE: u8 = 1;
const DECIDE: u8 = 2;
const KIND: u8 = 3;
const SPARE: u8 = 4;
const UNMAP: u8 = 5;
const CHARGE: u8 = 6;
const LINK: u8 = 7;
const POPULATE: u8 = 8;
const PUT: u8 = 9;

impl List for Mmap {
    rows! { "mmap"
        Descriptor None "ksys_mmap_pgoff: fget, under RCU"
            look_up: "the file, unless MAP_ANONYMOUS";
        Decide None "ksys_mmap_pgoff: nothing shared"
            huge: "MAP_HUGETLB: the file has no huge pages";
        Decide Write "do_mmap, mmap_region: mmap_sem"
            decide: "the place, and the flags of what is to be locked";
        Decide Write "do_mmap: nothing shared"
            kind: "RLIMIT_MEMLOCK; what the file and the kind of mapping allow";
        Decide Write "mmap_region: mmap_sem"
            spare: "limits: if they are exceeded, once more without what overlaps";
        Decide Write "mmap_region: mmap_sem"
            unmap: "limits; what overlaps is unmapped";
        Charge Write "security_vm_enough_memory_mm: a counter"
            charge: "private writable memory";
        Link Write "mmap_region: mmap_sem"
            link: "the mapping, merged or as an area of its own";
        Decide None "vm_mmap_pgoff: mmap_sem is given up"
            populate: "populates, if that was asked for or the area is locked";
        Put None "ksys_mmap_pgoff: fput, a counter"
            put: "the call's reference to the file";
    }
}

impl Mmap {
    pub fn new(m: usize, ask: Mapping) -> Answer<Self> {
        World::aligned(ask.off)?;
        let huge = ask.huge_size()?;
        let (file, refused) = (None, None);
        let (wanted, checked) = (Wanted::default(), Ok(()));
        Ok(Self {
            m,
            ask,
            huge,
            file,
            refused,
            wanted,
            checked,
        })
    }

    fn look_up(world: &mut World, it: &mut Self) -> Step {
        if !it.ask.flags.contains(MapFlags::ANONYMOUS) {
            let (mm, fd) = (world.mms[it.m].id, it.ask.fd);
            world.about(About::Descriptor { mm, fd });
            it.file = Some(world.lookup(it.m, fd)?);
            world.get_file(it.file);
            if it.ask.flags.contains(MapFlags::HUGETLB) {
                return it.go(world, HUGE);
            }
        }
        it.go(world, DECIDE)
    }

    fn huge(world: &mut World, it: &mut Self) -> Step {
        world.about(About::Areas(world.mms[it.m].id));
        it.refuse(world, Errno::EINVAL)
    }

    /// An error, once the file is put.
    fn refuse(&mut self, world: &mut World, errno: Errno) -> Step {
        world.refused = true;
        self.refused = Some(errno);
        self.go(world, PUT)
    }

    fn decide(world: &mut World, it: &mut Self) -> Step {
        let (m, ask) = (it.m, it.ask);
        match world.do_mmap(m, &ask, it.file, it.huge) {
            Err(errno) => it.refuse(world, errno),
            Ok((wanted, checked)) => {
                (it.wanted, it.checked) = (wanted, checked);
                world.may_lock_more(m, wanted.flags, wanted.pages(), KIND)
            }
        }
    }

    fn kind(world: &mut World, it: &mut Self) -> Step {
        if world.returned == Outcome::Value(0) {
            return it.refuse(world, Errno::EAGAIN);
        }
        if let Err(errno) = it.checked {
            return it.refuse(world, errno);
        }
        let (m, flags, pages) = (it.m, it.wanted.flags, it.wanted.pages());
        world.call(Expand { m, flags, pages }, SPARE)
    }

    fn spare(world: &mut World, it: &mut Self) -> Step {
        if world.returned != Outcome::Value(0) {
            return it.go(world, UNMAP);
        }
        let pages = it.wanted.pages() - world.replaced(it.m, &it.wanted);
        let (m, flags) = (it.m, it.wanted.flags);
        world.call(Expand { m, flags, pages }, UNMAP)
    }

    fn unmap(world: &mut World, it: &mut Self) -> Step {
        let (m, Wanted { start, end, .. }) = (it.m, it.wanted);
        world.about(About::Areas(world.mms[m].id));
        if world.returned == Outcome::Value(0) {
            return it.refuse(world, Errno::ENOMEM);
        }
        if world.replaced(m, &it.wanted) == 0 {
            world.returned = Outcome::Value(0);
            return it.go(world, CHARGE);
        }
        match Munmap::new(world, m, start, end - start) {
            Ok(unmap) => world.call(unmap, CHARGE),
            Err(_) => it.refuse(world, Errno::ENOMEM),
        }
    }

    /// From the unmapping on, a failure loses the old mapping.
    fn charge(world: &mut World, it: &mut Self) -> Step {
        if answer(world.returned).is_err() {
            return it.refuse(world, Errno::ENOMEM);
        }
        if it.huge.is_none() && Area::is_accountable(it.wanted.flags) {
            if world.charge(it.wanted.pages()).is_err() {
                world.note(Note::Undo("mmap.charge"));
                return it.refuse(world, Errno::ENOMEM);
            }
            it.wanted.flags |= VmFlags::ACCOUNT;
        }
        it.go(world, LINK)
    }

    fn link(world: &mut World, it: &mut Self) -> Step {
        let refused = it.huge.map(|size| {
            // hugetlbfs_file_mmap asks for the offset before the pool.
            if it.ask.off.is_multiple_of(size) {
                Errno::ENOMEM
            } else {
                Errno::EINVAL
            }
        });
        world.call(Vacant::refused(it.m, it.wanted, refused), POPULATE)
    }

    fn populate(world: &mut World, it: &mut Self) -> Step {
        if let Err(errno) = answer(world.returned) {
            return it.refuse(world, errno);
        }
        let Wanted {
            start, end, flags, ..
        } = it.wanted;
        let asked = it.ask.flags & (MapFlags::POPULATE | MapFlags::NONBLOCK) == MapFlags::POPULATE;
        if asked || flags.contains(VmFlags::LOCKED) {
            let populate = Populate::quietly(it.m, start, end);
            return world.call(populate, PUT);
        }
        it.go(world, PUT)
    }

    fn put(world: &mut World, it: &mut Self) -> Step {
        if let Some(file) = it.file {
            world.about(About::File(file));
            world.put_file(file);
        }
        match it.refused {
            Some(errno) => Err(errno),
            None => Ok(Flow::Done(it.wanted.start)),
        }
    }
}

impl World {
    /// The checks in their order (`do_mmap`). That the end of the offset wraps cannot be: both it
    /// and the length are below 2^52 pages.
    fn do_mmap(
        &mut self,
        m: usize,
        ask: &Mapping,
        file: Option<FileId>,
        huge: Option<u64>,
    ) -> Answer<(Wanted, Answer<()>)> {
        let asked = match huge {
            Some(size) => ask.len.checked_next_multiple_of(size).unwrap_or(0),
            None => ask.len,
        };
        if asked == 0 {
            return Err(Errno::EINVAL);
        }
        let noreplace = ask.flags.contains(MapFlags::FIXED_NOREPLACE);
        let fixed = noreplace || ask.flags.contains(MapFlags::FIXED);
        let hint = if fixed {
            ask.addr
        } else {
            self.round_hint(ask.addr)
        };
        let len = page_up(asked);
        if len == 0 || self.map_is_overfull(m) {
            return Err(Errno::ENOMEM);
        }
        let small = |size: u64| fixed && !hint.is_multiple_of(size);
        if len <= self.config.task_size && huge.is_some_and(small) {
            return Err(Errno::EINVAL);
        }
        let addr = if fixed {
            self.place_fixed(hint, len)?
        } else {
            self.place(m, hint, len)?
        };
        if noreplace && !self.mms[m].overlap(addr, addr + len).is_empty() {
            return Err(Errno::EEXIST);
        }
        let mut flags = access_flags(ask.prot) | MAY | self.mms[m].def_flags;
        flags.set(VmFlags::GROWSDOWN, ask.flags.contains(MapFlags::GROWSDOWN));
        if ask.flags.contains(MapFlags::LOCKED) {
            flags |= VmFlags::LOCKED;
            if !self.may_lock(m) {
                return Err(Errno::EPERM);
            }
        }
        let (start, end) = (addr, addr + len);
        let asked = Wanted {
            start,
            end,
            flags,
            ..Wanted::default()
        };
        Ok(match self.kind_of_mapping(ask, file, huge, &asked) {
            Ok(wanted) => (wanted, Ok(())),
            Err(errno) => (asked, Err(errno)),
        })
    }
}
