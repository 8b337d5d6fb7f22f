//! Compares what can be seen of two managers after a call, field by field.
//!
//! Entries are matched by their key (an area by address space and start). Every struct is taken
//! apart exhaustively, so that a field the contract gains cannot be forgotten here.

use std::cmp::Ordering;

use vmadiff_contract::{
    AbsentPage, AnonId, ByteState, Fd, FdState, FileByte, FileId, FileKind, FileState, LimitState,
    MmId, MmState, PageState, Parts, PolicyId, Resource, Snapshot, TaskId, TaskState, VmFlags,
    VmaId, VmaState,
};

use super::names::Names;

/// Whether two states are equal in all that is compared. For the fast path.
pub fn same(reference: &Snapshot, candidate: &Snapshot) -> bool {
    same_moved(reference, candidate, Parts::ALL)
}

/// The same of two states that were equal before these parts of either moved.
pub fn same_moved(reference: &Snapshot, candidate: &Snapshot, moved: Parts) -> bool {
    let Snapshot {
        tasks,
        mms,
        vmas,
        pages,
        bytes,
        fds,
        files,
        file_bytes,
        absent,
        limits,
        committed,
        anon_frames,
        anons,
        // Has laws.
        protocol: _,
    } = reference;
    let same_areas = || *vmas == candidate.vmas;
    let same_pages = || *pages == candidate.pages && *bytes == candidate.bytes;
    let same_files = || {
        *fds == candidate.fds
            && *files == candidate.files
            && *file_bytes == candidate.file_bytes
            && *absent == candidate.absent
            && *limits == candidate.limits
    };
    *mms == candidate.mms
        && *tasks == candidate.tasks
        && *committed == candidate.committed
        && *anon_frames == candidate.anon_frames
        && *anons == candidate.anons
        && (!moved.areas || same_areas())
        && (!moved.pages || same_pages())
        && (!moved.files || same_files())
}

/// A difference between two states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The signature's field.
    pub field: &'static str,
    /// What differs, in a sentence.
    pub what: String,
    /// The address of the page that it is about.
    pub page: Option<u64>,
}

/// The first difference: the signature's field and a sentence; none if nothing differs.
pub fn difference(reference: &Snapshot, candidate: &Snapshot) -> Option<(&'static str, String)> {
    let first = differences(reference, candidate).into_iter().next()?;
    Some((first.field, first.what))
}

/// All differences.
///
/// What explains more comes first: areas, then pages and contents, then totals.
pub fn differences(reference: &Snapshot, candidate: &Snapshot) -> Vec<Difference> {
    let (r, c) = (reference, candidate);
    let mut found = Vec::new();
    let f = &mut found;
    entries("vmas.missing", "vmas.extra", &r.vmas, &c.vmas, f);
    entries("pages.missing", "pages.extra", &r.pages, &c.pages, f);
    entries("bytes.missing", "bytes.extra", &r.bytes, &c.bytes, f);
    entries("fds.missing", "fds.extra", &r.fds, &c.fds, f);
    entries("files.missing", "files.extra", &r.files, &c.files, f);
    let (missing, extra) = ("file_bytes.missing", "file_bytes.extra");
    entries(missing, extra, &r.file_bytes, &c.file_bytes, f);
    entries("absent.missing", "absent.extra", &r.absent, &c.absent, f);
    entries("limits.missing", "limits.extra", &r.limits, &c.limits, f);
    entries("tasks.missing", "tasks.extra", &r.tasks, &c.tasks, f);
    entries("mms.missing", "mms.extra", &r.mms, &c.mms, f);
    total("committed", r.committed, c.committed, f);
    total("anon_frames", r.anon_frames, c.anon_frames, f);
    total("anons", r.anons, c.anons, f);
    found
}

fn total(name: &'static str, ours: u64, theirs: u64, found: &mut Vec<Difference>) {
    if ours != theirs {
        found.push(Difference {
            field: name,
            what: format!("`{name}` is {ours} in the reference, {theirs} in the candidate"),
            page: None,
        });
    }
}

/// Entries that only one side has, and the first field in which two of one key differ.
fn entries<E: Entry>(
    missing: &'static str,
    extra: &'static str,
    ours: &[E],
    theirs: &[E],
    found: &mut Vec<Difference>,
) {
    let (mut i, mut j) = (0, 0);
    loop {
        let order = match (ours.get(i), theirs.get(j)) {
            (None, None) => return,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => a.key().cmp(&b.key()),
        };
        let mut differ = |field, what, entry: &E| {
            found.push(Difference {
                field,
                what,
                page: entry.page(),
            });
        };
        match order {
            Ordering::Less => {
                let what = format!("only the reference has {}", ours[i].name());
                differ(missing, what, &ours[i]);
                i += 1;
            }
            Ordering::Greater => {
                let what = format!("only the candidate has {}", theirs[j].name());
                differ(extra, what, &theirs[j]);
                j += 1;
            }
            Ordering::Equal => {
                if let Some((field, a, b)) = ours[i].differs(&theirs[j]) {
                    let name = ours[i].name();
                    let what = format!(
                        "`{field}` of {name} is {a} in the reference, {b} in the candidate"
                    );
                    differ(field, what, &ours[i]);
                }
                (i, j) = (i + 1, j + 1);
            }
        }
    }
}

/// An element of one of a snapshot's lists.
trait Entry {
    type Key: Ord;
    /// What it is matched by.
    fn key(&self) -> Self::Key;
    /// What a sentence calls it.
    fn name(&self) -> String;
    /// The address of the page that it is about.
    fn page(&self) -> Option<u64> {
        None
    }
    /// The first field in which two of one key differ, and both values.
    fn differs(&self, other: &Self) -> Option<(&'static str, String, String)>;
}

macro_rules! entry {
    ($type:ident $list:literal ($($key:ident: $kind:ty),*) $($field:ident)* ; $name:expr
     $(; page $page:expr)?) => {
        impl Entry for $type {
            type Key = ($($kind,)*);

            fn key(&self) -> Self::Key {
                ($(self.$key,)*)
            }

            fn name(&self) -> String {
                let name: fn(&Self) -> String = $name;
                name(self)
            }

            $(fn page(&self) -> Option<u64> {
                let page: fn(&Self) -> u64 = $page;
                Some(page(self))
            })?

            #[allow(unused_variables)] // some entries are keys alone
            fn differs(&self, other: &Self) -> Option<(&'static str, String, String)> {
                let Self { $($key: _,)* $($field,)* } = self;
                $(if *$field != other.$field {
                    let field = concat!($list, ".", stringify!($field));
                    let shown = if HEX.contains(&field) {
                        ($field.hex(), other.$field.hex())
                    } else {
                        ($field.show(), other.$field.show())
                    };
                    return Some((field, shown.0, shown.1));
                })*
                None
            }
        }
    };
}

entry!(VmaState "vmas" (mm: MmId, start: u64)
    end vma flags pgoff file policy anon anon_chain;
    |v| format!("the area {:#x}-{:#x} of {}", v.start, v.end, v.mm));
entry!(PageState "pages" (mm: MmId, addr: u64)
    present readable writable executable anon zero;
    |p| format!("the entry of page {:#x} of {}", p.addr, p.mm); page |p| p.addr);
entry!(ByteState "bytes" (mm: MmId, addr: u64) value;
    |b| format!("the private byte at {:#x} of {}", b.addr, b.mm); page |b| b.addr & !4095);
entry!(FdState "fds" (mm: MmId, fd: Fd) file;
    |d| format!("the descriptor {} of {}", d.fd, d.mm));
entry!(FileState "files" (file: FileId) kind refs size; |f| f.file.to_string());
entry!(FileByte "file_bytes" (file: FileId, offset: u64) value;
    |b| format!("the byte at {:#x} of {}", b.offset, b.file));
entry!(AbsentPage "absent" (file: FileId, index: u64);
    |p| format!("that page {} of {} is not in the page cache", p.index, p.file));
entry!(LimitState "limits" (mm: MmId, resource: Resource) soft hard;
    |l| format!("the limit RLIMIT_{} that {} has set", l.resource.number(), l.mm));
entry!(TaskState "tasks" (task: TaskId) mm minor_faults major_faults policy;
    |t| format!("task {}", t.task));
entry!(MmState "mms" (mm: MmId)
    map_count total_pages locked_pages data_pages stack_pages exec_pages rss_anon rss_file
    swap_entries brk def_flags;
    |m| m.mm.to_string());

/// Fields that are addresses or offsets: hexadecimal, as in programs and in the areas of a report.
/// All others are counts.
const HEX: [&str; 5] = [
    "vmas.end",
    "vmas.pgoff",
    "mms.brk",
    "limits.soft",
    "limits.hard",
];

/// A value as people read it.
trait Show {
    fn show(&self) -> String;

    /// The value of an address or an offset.
    fn hex(&self) -> String {
        self.show()
    }
}

impl Show for u64 {
    fn show(&self) -> String {
        self.to_string()
    }

    fn hex(&self) -> String {
        format!("{self:#x}")
    }
}

macro_rules! show {
    ($($type:ty: |$value:ident| $text:expr;)*) => {$(
        impl Show for $type {
            fn show(&self) -> String {
                let $value = self;
                $text
            }
        }
    )*};
}

show! {
    bool: |v| v.to_string();
    u8: |v| v.to_string();
    u32: |v| v.to_string();
    MmId: |v| v.to_string();
    VmaId: |v| named(v.0, |id| VmaId(id).to_string());
    FileId: |v| named(v.0, |id| FileId(id).to_string());
    PolicyId: |v| named(v.0, |id| PolicyId(id).to_string());
    AnonId: |v| named(v.0, |id| AnonId(id).to_string());
    FileKind: |v| v.name().to_owned();
    VmFlags: |v| match v.is_empty() {
        true => "none".to_owned(),
        false => v.iter_names().map(|(name, _)| name).collect::<Vec<_>>().join("|"),
    };
}

/// An object by its name; one of the candidate's that has no counterpart, as the candidate calls it.
fn named(id: u32, name: impl Fn(u32) -> String) -> String {
    match Names::without_counterpart(id) {
        Some(own) => format!("{}, which the reference has not", name(own)),
        None => name(id),
    }
}

impl<T: Show> Show for Option<T> {
    fn show(&self) -> String {
        self.as_ref().map_or_else(|| "none".to_owned(), T::show)
    }
}
