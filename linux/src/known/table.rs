//! The table.

use vmadiff_contract::{
    Advice, Call, Config, Errno, LockAllFlags, LockFlags, MapFlags, MoveFlags, Outcome, PolicyFlags,
};

use super::{Context, Known, Origin};
use crate::diff::{Difference, Field};
use crate::view::{Answer, View};

const POPULATING: MapFlags = MapFlags::LOCKED.union(MapFlags::POPULATE);

/// All that is known.
pub const KNOWN: &[Known] = &[
    Known {
        name: "growing-merges",
        section: 9,
        origin: Origin::Since(5, 18),
        what: "mremap that grows an area in place merges it with what it then touches; in 5.1 it \
               does not.",
        program: "mmap(0x1f0000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  mmap(0x1f2000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  mremap(0x1f0000, 0x1000, 0x2000, 0, 0)\n",
        goes_on: true,
        explains: |context| match context.left() {
            Some((Call::Mremap { .. }, Outcome::Value(_))) => {
                let Difference { field, at, .. } = *context.difference;
                field == Field::Boundary && merged(context, at)
            }
            _ => false,
        },
    },
    Known {
        name: "merges-more",
        section: 1,
        origin: Origin::Since(6, 16),
        what: "a faulted range merges into an unfaulted neighbour; in 5.1 they stay two areas, and \
               fork copies entries of the faulted one only.",
        program: "mmap(0x1f0000, 0x2000, PROT_READ|PROT_WRITE, \
                  MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  mlock(0x1f0000, 0x1000)\n\
                  load(0x1f1000)\n\
                  munlock(0x1f0000, 0x1000)\n\
                  fork()\n",
        goes_on: true,
        explains: |context| {
            let Difference { field, at, .. } = *context.difference;
            let copied = called(context, |call| matches!(call, Call::Fork));
            match field {
                Field::Page => copied && merged(context, at),
                Field::Boundary => merged(context, at),
                _ => false,
            }
        },
    },
    Known {
        name: "stacks-stay-apart",
        section: 1,
        origin: Origin::Since(6, 7),
        what: "MAP_STACK forbids huge pages, and what it maps does not merge with other memory; in \
               5.1 the flag changes nothing.",
        program: "mmap(0x1f1000, 0x1000, PROT_READ, \
                  MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS|MAP_STACK, -1, 0)\n\
                  mmap(0x1f0000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n",
        goes_on: true,
        explains: |context| {
            let Difference { field, at, .. } = *context.difference;
            let stack = |call: &Call| matches!(call, Call::Mmap { flags, .. } if flags.contains(MapFlags::STACK));
            field == Field::Boundary && !merged(context, at) && called(context, stack)
        },
    },
    Known {
        name: "heap-starts-anew",
        section: 13,
        origin: Origin::Since(6, 1),
        what: "the heap's first part does not merge with an area that ends where the heap starts.",
        program: "mmap(0x211000, 0x1000, PROT_READ|PROT_WRITE, \
                  MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  brk(0x213000)\n",
        goes_on: false,
        explains: |context| {
            let Difference { field, at, .. } = *context.difference;
            let start = context.config.start_brk;
            let boundary = field == Field::Boundary && at.1 == start && !merged(context, at);
            let full = match context.answered() {
                Some((_, Outcome::Value(_), answer)) => *answer == errno(Errno::ENOMEM),
                _ => false,
            };
            let heap = called(context, |call| matches!(call, Call::Brk { .. }));
            let few = context.config.max_map_count < Config::default().max_map_count;
            heap && (boundary || full && few)
        },
    },
    Known {
        name: "mremap-looks-first",
        section: 9,
        origin: Origin::Since(5, 16),
        what: "mremap looks at the source before anything else, also where 5.1 unmaps first or does \
               nothing at all: EFAULT if nothing is mapped there.",
        program: "mremap(0x1f0000, 0x1000, 0x1000, 0, 0)\n",
        goes_on: false,
        explains: |context| {
            let Some((Call::Mremap { flags, .. }, said, answer)) = context.answered() else {
                return false;
            };
            let fault = *answer == errno(Errno::EFAULT);
            let both = matches!(said, Outcome::Errno(_)) && said_error(answer);
            fault || both && flags.contains(MoveFlags::FIXED)
        },
    },
    Known {
        name: "failing-mremap-leaves-destination",
        section: 9,
        origin: Origin::Since(5, 16),
        what: "mremap with MREMAP_FIXED that fails leaves the destination mapped; 5.1 unmaps it \
               before it looks at the source.",
        program: "mmap(0x1f1000, 0x1000, PROT_NONE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  mremap(0x1f0000, 0x1000, 0x1000, MREMAP_MAYMOVE|MREMAP_FIXED, 0x1f1000)\n",
        goes_on: false,
        explains: |context| match context.left() {
            Some((Call::Mremap { flags, .. }, Outcome::Errno(_))) => {
                flags.contains(MoveFlags::FIXED)
            }
            _ => false,
        },
    },
    Known {
        name: "mremap-counts-first",
        section: 9,
        origin: Origin::Since(6, 17),
        what: "mremap with MREMAP_FIXED looks at limits before it unmaps the destination; in 5.1 \
               what it unmaps makes room.",
        program: "config rlimit_as=0x3000\n\
                  mmap(0x1f0000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  mmap(0x1f8000, 0x2000, PROT_READ, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  mremap(0x1f0000, 0x1000, 0x2000, MREMAP_MAYMOVE|MREMAP_FIXED, 0x1f8000)\n",
        goes_on: false,
        explains: |context| match context.answered() {
            Some((Call::Mremap { flags, .. }, Outcome::Value(_), answer)) => {
                let refused = [Errno::ENOMEM, Errno::EAGAIN].map(errno).contains(answer);
                refused && flags.contains(MoveFlags::FIXED)
            }
            _ => false,
        },
    },
    Known {
        name: "moves-of-several-areas",
        section: 9,
        origin: Origin::Since(6, 17),
        what: "mremap with MREMAP_FIXED and equal lengths moves several areas, and those around \
               holes; in 5.1 the range must lie in one area.",
        program: "mmap(0x1f2000, 0x1000, PROT_NONE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  mremap(0x1f2000, 0x2000, 0x2000, MREMAP_MAYMOVE|MREMAP_FIXED, 0x1f0000)\n",
        goes_on: false,
        explains: |context| match context.answered() {
            Some((
                Call::Mremap { flags, .. },
                Outcome::Errno(Errno::EFAULT),
                Answer::Known(Outcome::Value(_)),
            )) => flags.contains(MoveFlags::FIXED),
            _ => false,
        },
    },
    Known {
        name: "charge-given-back",
        section: 8,
        origin: Origin::Since(6, 7),
        what: "mprotect takes ACCOUNT from private anonymous memory that becomes unwritable before \
               anything was stored; in 5.1 it stays.",
        program: "mmap(0x1f0000, 0x1000, PROT_READ|PROT_WRITE, \
                  MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  mprotect(0x1f0000, 0x1000, PROT_NONE)\n",
        goes_on: true,
        explains: |context| {
            let [ours, theirs] = context.difference.flags;
            context.difference.field == Field::Flags
                && ours == vmadiff_contract::VmFlags::ACCOUNT
                && theirs.is_empty()
                && called(context, |call| matches!(call, Call::Mprotect { .. }))
        },
    },
    Known {
        name: "page-cache-is-filled-by-faults",
        section: 18,
        origin: Origin::Chosen,
        what: "mincore says of shared memory that nobody touched that it is not resident; in the \
               model every page of a file is.",
        program: "mmap(0x1f0000, 0x1000, PROT_READ, MAP_SHARED|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  mincore(0x1f0000, 0x1000)\n",
        goes_on: true,
        explains: |context| match context.answered() {
            Some((Call::Mincore { .. }, said, Answer::Known(is))) => {
                only_adds(*is, &Answer::Known(said))
            }
            _ => false,
        },
    },
    Known {
        name: "populating-is-bounded",
        section: 18,
        origin: Origin::Chosen,
        what: "one populate brings in any number of pages; in the model it looks at 512.",
        program: "mmap(0x10000000, 0x201000, PROT_READ, \
                  MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS|MAP_POPULATE, -1, 0)\n",
        goes_on: true,
        explains: |context| {
            let populated = called(context, |call| match call {
                Call::Mmap { flags, .. } => flags.intersects(POPULATING),
                Call::Mlock { .. } | Call::Mlock2 { .. } | Call::Mlockall { .. } => true,
                _ => false,
            });
            let large = |call: &Call| match *call {
                Call::Mmap { len, .. } | Call::Mremap { new_len: len, .. } => len > 512 * 4096,
                Call::Brk { addr } => addr > context.config.start_brk + 512 * 4096,
                _ => false,
            };
            let more = match context.answered() {
                Some((Call::Mincore { .. }, said, answer)) => only_adds(said, answer),
                Some(_) => false,
                None => context.difference.field == Field::Page,
            };
            more && populated && called(context, large)
        },
    },
    Known {
        name: "full-map-is-a-want-of-memory",
        section: 11,
        origin: Origin::Since(6, 7),
        what: "madvise that would cut an area when the map is full is EAGAIN; in 5.1 ENOMEM.",
        program: "config max_map_count=2\n\
                  mmap(0x1f0000, 0x3000, PROT_READ, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  madvise(0x1f1000, 0x1000, MADV_DONTFORK)\n",
        goes_on: true,
        explains: |context| match context.answered() {
            Some((Call::Madvise { .. }, Outcome::Errno(Errno::ENOMEM), answer)) => {
                *answer == errno(Errno::EAGAIN)
            }
            _ => false,
        },
    },
    Known {
        name: "onfault-alone",
        section: 10,
        origin: Origin::Since(5, 2),
        what: "mlockall(MCL_ONFAULT) alone is EINVAL; in 5.1 it works as munlockall.",
        program: "mlockall(MCL_ONFAULT)\n",
        goes_on: false,
        explains: |context| match context.answered() {
            Some((Call::Mlockall { flags }, _, answer)) => {
                flags == LockAllFlags::ONFAULT && *answer == errno(Errno::EINVAL)
            }
            _ => false,
        },
    },
    Known {
        name: "onfault-populates-nothing",
        section: 10,
        origin: Origin::Since(5, 18),
        what: "mlock2(MLOCK_ONFAULT) of memory without any permission succeeds; in 5.1 populating \
               looks at the permissions first: ENOMEM.",
        program: "mmap(0x1f0000, 0x1000, PROT_NONE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  mlock2(0x1f0000, 0x1000, MLOCK_ONFAULT)\n",
        goes_on: true,
        explains: |context| match context.answered() {
            Some((Call::Mlock2 { flags, .. }, Outcome::Errno(Errno::ENOMEM), answer)) => {
                flags == LockFlags::ONFAULT && *answer == Answer::Known(Outcome::Value(0))
            }
            _ => false,
        },
    },
    Known {
        name: "holes-for-mbind",
        section: 12,
        origin: Origin::Since(5, 5),
        what: "mbind: a hole at either end of the range fails, with MPOL_DEFAULT none does; in 5.1 \
               a hole at the start always fails and one at the end only if no area follows.",
        program: "mmap(0x1f1000, 0x1000, PROT_NONE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  mbind(0x1f0000, 0x2000, MPOL_DEFAULT, 0, 0)\n",
        goes_on: false,
        explains: |context| match context.answered() {
            Some((Call::Mbind { .. }, said, answer)) => {
                let fault = Outcome::Errno(Errno::EFAULT);
                (said == fault) != (*answer == Answer::Known(fault))
            }
            _ => false,
        },
    },
    Known {
        name: "remove-needs-may-write",
        section: 11,
        origin: Origin::Since(6, 7),
        what: "madvise(MADV_REMOVE) asks that shared memory may become writable; in 5.1 that it is.",
        program: "mmap(0x1f0000, 0x1000, PROT_READ, MAP_SHARED|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  madvise(0x1f0000, 0x1000, MADV_REMOVE)\n",
        goes_on: false,
        explains: |context| match context.answered() {
            Some((Call::Madvise { advice, .. }, Outcome::Errno(Errno::EACCES), answer)) => {
                advice == Advice::Remove && *answer != errno(Errno::EACCES)
            }
            _ => false,
        },
    },
    Known {
        name: "guard-gap-hides-places",
        section: 7,
        origin: Origin::Since(6, 1),
        what: "when the highest gap ends in the guard gap of a GROWSDOWN area, the search goes on \
               below the guard gap: places above, inside it, are passed over.",
        program: "mmap(0x1f0000, 0x1000, PROT_NONE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  mmap(0x20f000, 0x1000, PROT_NONE, \
                  MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS|MAP_GROWSDOWN, -1, 0)\n\
                  mmap(NULL, 0x1000, PROT_NONE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)\n",
        goes_on: false,
        explains: |context| match context.answered() {
            Some((
                Call::Mmap { .. } | Call::Mremap { .. },
                Outcome::Value(_),
                Answer::Known(Outcome::Value(_)) | Answer::Elsewhere(_),
            )) => called(context, grows_down),
            _ => false,
        },
    },
    Known {
        name: "strict-without-nodes",
        section: 18,
        origin: Origin::Chosen,
        what: "mbind with MPOL_MF_STRICT finds pages on the wrong node, and every node is wrong if \
               none is named: EIO. The model's pages have no node.",
        program: "mmap(0x1f0000, 0x1000, PROT_READ|PROT_WRITE, \
                  MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  store(0x1f0000, 1)\n\
                  mbind(0x1f0000, 0x1000, MPOL_PREFERRED, 0, MPOL_MF_STRICT)\n",
        goes_on: false,
        explains: |context| match context.answered() {
            Some((Call::Mbind { flags, .. }, Outcome::Value(_), answer)) => {
                flags.contains(PolicyFlags::STRICT) && *answer == errno(Errno::EIO)
            }
            _ => false,
        },
    },
    Known {
        name: "shrinking-heap-must-be-there",
        section: 13,
        origin: Origin::Since(6, 1),
        what: "brk refuses to shrink where no area reaches below the old end of the heap; in 5.1 \
               what is not mapped is as good as unmapped.",
        program: "brk(0x213000)\nmunmap(0x212000, 0x1000)\nbrk(0x212000)\n",
        goes_on: false,
        explains: |context| match context.answered() {
            Some((Call::Brk { addr }, Outcome::Value(said), Answer::Known(Outcome::Value(is)))) => {
                said == addr && is > &addr
            }
            _ => false,
        },
    },
];

/// Whether both are values, and the second has every bit of the first.
fn only_adds(one: Outcome, other: &Answer) -> bool {
    match (one, other) {
        (Outcome::Value(one), Answer::Known(Outcome::Value(other))) => one & !other == 0,
        _ => false,
    }
}

/// Whether Linux's area at an address is larger than the manager's.
fn merged(context: &Context, (mm, addr): (u8, u64)) -> bool {
    let area = |view: &View| {
        let space = view.spaces.iter().find(|space| space.mm.0 == mm)?;
        let area = space
            .areas
            .iter()
            .find(|area| (area.start..area.end).contains(&addr))?;
        Some(area.end - area.start)
    };
    context
        .views
        .is_some_and(|(ours, theirs)| area(ours) < area(theirs))
}

fn said_error(answer: &Answer) -> bool {
    matches!(answer, Answer::Known(Outcome::Errno(_)))
}

fn errno(errno: Errno) -> Answer {
    Answer::Known(Outcome::Errno(errno))
}

/// Whether any call so far is of a kind.
fn called(context: &Context, kind: impl Fn(&Call) -> bool) -> bool {
    context.calls.iter().any(|(_, call)| kind(call))
}

fn grows_down(call: &Call) -> bool {
    matches!(call, Call::Mmap { flags, .. } if flags.contains(MapFlags::GROWSDOWN))
}
