//! The table.

use vmadiff_contract::{
    Advice, Call, Errno, LockAllFlags, LockFlags, MapFlags, MoveFlags, Outcome, PolicyFlags,
};

use super::{Context, Known, Origin};
use crate::diff::Field;
use crate::view::Answer;

/// All that is known.
pub const KNOWN: &[Known] = &[
    Known {
        name: "mremap-looks-first",
        section: 9,
        origin: Origin::Since(5, 16),
        what: "mremap looks at the source before anything else: EFAULT if nothing is mapped there, \
               also where 5.1 only unmaps or does nothing.",
        program: "mremap(0x1f0000, 0x1000, 0x1000, 0, 0)\n",
        goes_on: false,
        explains: |context| {
            let Some((Call::Mremap { .. }, said, answer)) = context.answered() else {
                return false;
            };
            *answer == errno(Errno::EFAULT) && said != Outcome::Errno(Errno::EFAULT)
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
            Some((
                Call::Mincore { .. },
                Outcome::Value(said),
                Answer::Known(Outcome::Value(is)),
            )) => is & !said == 0,
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
