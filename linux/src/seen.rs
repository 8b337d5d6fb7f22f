//! What both sides can show of a state: a manager by its snapshot, Linux by /proc.

use std::fmt;
use std::ops::Range;

use vmadiff_contract::{Errno, MmId, MmState, Outcome, Snapshot, VmFlags};

/// What Linux answered to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Something that the contract knows.
    Known(Outcome),
    /// Something else, in words: an error number that the rules never give, a strange signal.
    Strange(String),
    /// An address that stands for none of the program's: the kernel had room that the program's
    /// own world lacks.
    Elsewhere(u64),
}

impl Answer {
    /// From the kernel's error number.
    pub fn errno(number: i32) -> Self {
        match Errno::ALL
            .iter()
            .find(|&&errno| i32::from(errno as u8) == number)
        {
            Some(&errno) => Self::Known(Outcome::Errno(errno)),
            None => Self::Strange(std::io::Error::from_raw_os_error(number).to_string()),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(Outcome::Value(value)) => write!(f, "{value:#x}"),
            Self::Known(Outcome::Errno(errno)) => write!(f, "{errno}"),
            Self::Known(Outcome::Segv(code)) => write!(f, "SIGSEGV {code}"),
            Self::Known(other) => write!(f, "{other:?}"),
            Self::Strange(what) => write!(f, "{what}"),
            Self::Elsewhere(address) => write!(f, "{address:#x}, outside the program's world"),
        }
    }
}

/// A state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Address spaces, by number.
    pub spaces: Vec<Space>,
}

/// An address space. Addresses are the program's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// Which.
    pub mm: MmId,
    /// Areas, by address.
    pub areas: Vec<Area>,
    /// Pages that have an entry, by address.
    pub pages: Vec<Page>,
    /// Bytes that are not zero in private pages, by address.
    pub bytes: Vec<(u64, u8)>,
    /// `total_vm`, `locked_vm`, `data_vm`, `stack_vm`, `exec_vm`, pages.
    pub totals: [u64; 5],
}

impl Space {
    /// The largest number of pages that are mapped one behind the other and are looked at. What
    /// programs touch lies in small areas; the entries of huge ones would take long to read.
    pub const MOST_PAGES: u64 = 1 << 15;

    /// Where there are no more pages than that, as ranges of addresses.
    pub fn looked_at(areas: &[Area]) -> Vec<Range<u64>> {
        let mut runs: Vec<Range<u64>> = Vec::new();
        for area in areas {
            match runs.last_mut() {
                Some(run) if run.end == area.start => run.end = area.end,
                _ => runs.push(area.start..area.end),
            }
        }
        runs.retain(|run| run.end - run.start <= Self::MOST_PAGES * 4096);
        runs
    }

    /// The names of [`Space::totals`].
    pub const TOTALS: [&'static str; 5] = [
        "total_pages",
        "locked_pages",
        "data_pages",
        "stack_pages",
        "exec_pages",
    ];
}

/// An area.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Area {
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
    /// Its flags, those of [`Area::SHOWN`] only.
    pub flags: VmFlags,
    /// What it maps.
    pub object: Option<Object>,
    /// Offset in the object, pages; 0 for private anonymous memory.
    pub pgoff: u64,
}

impl Area {
    /// The flags that /proc/PID/smaps tells. It has no letters for LOCKONFAULT.
    pub const SHOWN: VmFlags = VmFlags::all().difference(VmFlags::LOCKONFAULT);
}

/// A file or a piece of shared anonymous memory. The keys of the two sides have nothing in common;
/// only which areas have the same one is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Object {
    /// The inode's number, or the file's ordinal.
    pub key: u64,
    /// It was opened; else shared anonymous memory.
    pub named: bool,
}

/// A page that has an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its address.
    pub addr: u64,
    /// In memory; else swapped out.
    pub present: bool,
    /// A private page; else the zero page or an object's.
    pub anon: bool,
    /// The zero page; none if that can not be told.
    pub zero: Option<bool>,
}

impl Seen {
    /// What a manager's snapshot shows that Linux could show too.
    pub fn of(snapshot: &Snapshot) -> Self {
        let named = |id| {
            snapshot
                .files
                .iter()
                .any(|file| file.file == id && file.kind.is_some())
        };
        let space = |mm: &MmState| {
            let areas = snapshot
                .vmas
                .iter()
                .filter(|vma| vma.mm == mm.mm)
                .map(|vma| Area {
                    start: vma.start,
                    end: vma.end,
                    flags: vma.flags & Area::SHOWN,
                    object: vma.file.map(|id| Object {
                        key: u64::from(id.0),
                        named: named(id),
                    }),
                    pgoff: if vma.file.is_some() { vma.pgoff } else { 0 },
                });
            let areas: Vec<Area> = areas.collect();
            let runs = Space::looked_at(&areas);
            let seen = |addr: u64| runs.iter().any(|run| run.contains(&addr));
            let pages = snapshot
                .pages
                .iter()
                .filter(|page| page.mm == mm.mm && seen(page.addr));
            // What is swapped out can not be read without bringing it back.
            let swapped = |addr: u64| {
                let mut pages = snapshot.pages.iter();
                pages.any(|page| page.mm == mm.mm && !page.present && page.addr == addr & !4095)
            };
            let bytes = snapshot
                .bytes
                .iter()
                .filter(|byte| byte.mm == mm.mm && seen(byte.addr) && !swapped(byte.addr));
            let pages = pages.map(|page| Page {
                addr: page.addr,
                present: page.present,
                anon: page.anon,
                zero: Some(page.zero),
            });
            Space {
                mm: mm.mm,
                pages: pages.collect(),
                bytes: bytes.map(|byte| (byte.addr, byte.value)).collect(),
                totals: [
                    mm.total_pages,
                    mm.locked_pages,
                    mm.data_pages,
                    mm.stack_pages,
                    mm.exec_pages,
                ],
                areas,
            }
        };
        Self {
            spaces: snapshot.mms.iter().map(space).collect(),
        }
    }
}
