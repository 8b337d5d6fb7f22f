//! Calls that change areas or ask about them, and what the model leaves out. All other sections.

use vmadiff_contract::{
    Advice, Call, Change, Errno, LockAllFlags, LockFlags, MapFlags, Origin, Outcome, PolicyFlags,
    VmFlags,
};

use super::{called, errno, is_stack, not_copied, only_adds, said_error};
use crate::diff::Field;
use crate::known::Known;
use crate::seen::Answer;

const POPULATING: MapFlags = MapFlags::LOCKED.union(MapFlags::POPULATE);

pub const KNOWN: &[Known] = &[
    Known {
        name: "charge-given-back",
        section: Some(8),
        origin: Origin::Changed(Change::since((6, 7), (6, 1), (6, 12))),
        what: "mprotect takes ACCOUNT from private anonymous memory that becomes unwritable before \
               anything was stored, which keeps it apart from its neighbours, so that fork copies \
               other entries; in 5.1 it stays.",
        program: "mmap(0x1f0000, 0x1000, PROT_READ|PROT_WRITE, \
                  MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  mprotect(0x1f0000, 0x1000, PROT_NONE)\n",
        goes_on: true,
        explains: &|context| {
            let [ours, theirs] = context.difference.flags;
            // What MAP_STACK adds there is another entry's.
            let beside =
                theirs.is_empty() || theirs == VmFlags::NOHUGEPAGE && called(context, is_stack);
            let given_back =
                context.difference.field == Field::Flags && ours == VmFlags::ACCOUNT && beside;
            (given_back || not_copied(context))
                && called(context, |call| matches!(call, Call::Mprotect { .. }))
        },
    },
    Known {
        name: "page-cache-is-filled-by-faults",
        section: Some(18),
        origin: Origin::Chosen,
        what: "mincore says of shared memory that nobody touched that it is not resident; in the \
               model every page of a file is.",
        program: "mmap(0x1f0000, 0x1000, PROT_READ, MAP_SHARED|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  mincore(0x1f0000, 0x1000)\n",
        goes_on: true,
        explains: &|context| match context.answered() {
            Some((Call::Mincore { .. }, said, Answer::Known(is))) => {
                only_adds(*is, &Answer::Known(said))
            }
            _ => false,
        },
    },
    Known {
        name: "populating-is-bounded",
        section: Some(18),
        origin: Origin::Chosen,
        what: "one populate brings in any number of pages; in the model it looks at 512.",
        program: "mmap(0x10000000, 0x201000, PROT_READ, \
                  MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS|MAP_POPULATE, -1, 0)\n",
        goes_on: true,
        explains: &|context| {
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
                // It comes to what cannot be had, behind the pages that the model looks at.
                Some((Call::Mlock { len, .. } | Call::Mlock2 { len, .. }, _, _)) => {
                    return len > 512 * 4096;
                }
                Some(_) => false,
                None => context.difference.field == Field::Page,
            };
            more && populated && called(context, large)
        },
    },
    Known {
        name: "full-map-is-a-want-of-memory",
        section: Some(11),
        origin: Origin::Changed(Change::since((5, 11), (5, 10), (6, 1))),
        what: "madvise that would cut an area when the map is full is EAGAIN; in 5.1 ENOMEM.",
        program: "config max_map_count=2\n\
                  mmap(0x1f0000, 0x3000, PROT_READ, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  madvise(0x1f1000, 0x1000, MADV_DONTFORK)\n",
        goes_on: true,
        explains: &|context| match context.answered() {
            Some((Call::Madvise { .. }, Outcome::Errno(Errno::ENOMEM), answer)) => {
                *answer == errno(Errno::EAGAIN)
            }
            _ => false,
        },
    },
    Known {
        name: "onfault-alone",
        section: Some(10),
        origin: Origin::Changed(Change::since((5, 2), (5, 1), (5, 10))),
        what: "mlockall(MCL_ONFAULT) alone is EINVAL; in 5.1 it works as munlockall.",
        program: "mlockall(MCL_ONFAULT)\n",
        goes_on: false,
        explains: &|context| match context.answered() {
            Some((Call::Mlockall { flags }, _, answer)) => {
                flags == LockAllFlags::ONFAULT && *answer == errno(Errno::EINVAL)
            }
            _ => false,
        },
    },
    Known {
        name: "onfault-populates-nothing",
        section: Some(10),
        origin: Origin::Changed(Change::since((5, 18), (5, 10), (6, 1))),
        what: "mlock2(MLOCK_ONFAULT) of memory without any permission succeeds; in 5.1 populating \
               looks at the permissions first: ENOMEM.",
        program: "mmap(0x1f0000, 0x1000, PROT_NONE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  mlock2(0x1f0000, 0x1000, MLOCK_ONFAULT)\n",
        goes_on: true,
        explains: &|context| match context.answered() {
            Some((Call::Mlock2 { flags, .. }, Outcome::Errno(Errno::ENOMEM), answer)) => {
                flags == LockFlags::ONFAULT && *answer == Answer::Known(Outcome::Value(0))
            }
            _ => false,
        },
    },
    Known {
        name: "holes-for-mbind",
        section: Some(12),
        origin: Origin::Changed(Change::since((5, 5), (5, 2), (5, 10))),
        what: "mbind: a hole at either end of the range fails, with MPOL_DEFAULT none does; in 5.1 \
               a hole at the start always fails and one at the end only if no area follows.",
        program: "mmap(0x1f1000, 0x1000, PROT_NONE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  mbind(0x1f0000, 0x2000, MPOL_DEFAULT, 0, 0)\n",
        goes_on: false,
        explains: &|context| match context.answered() {
            Some((Call::Mbind { .. }, said, answer)) => {
                let fault = Outcome::Errno(Errno::EFAULT);
                (said == fault) != (*answer == Answer::Known(fault))
            }
            _ => false,
        },
    },
    Known {
        name: "remove-needs-may-write",
        section: Some(11),
        origin: Origin::Changed(Change::since((5, 3), (5, 2), (5, 10))),
        what: "madvise(MADV_REMOVE) asks that shared memory may become writable (6.7, and stable \
               releases of 5.10 and 6.1); in 5.1 that it is, so that a call refused later in its \
               range has removed nothing.",
        program: "mmap(0x1f0000, 0x1000, PROT_READ, MAP_SHARED|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  madvise(0x1f0000, 0x1000, MADV_REMOVE)\n",
        goes_on: false,
        explains: &|context| {
            let refused = Outcome::Errno(Errno::EACCES);
            let removes = |call, said| {
                matches!(
                    call,
                    Call::Madvise {
                        advice: Advice::Remove,
                        ..
                    }
                ) && said == refused
            };
            match (context.answered(), context.left()) {
                (Some((call, said, answer)), _) => {
                    removes(call, said) && *answer != Answer::Known(refused)
                }
                (None, Some((call, said))) => {
                    removes(call, said) && context.difference.field == Field::Page
                }
                (None, None) => false,
            }
        },
    },
    Known {
        name: "strict-without-nodes",
        section: Some(18),
        origin: Origin::Chosen,
        what: "mbind with MPOL_MF_STRICT finds pages on the wrong node, and every node is wrong if \
               none is named: EIO. The model's pages have no node.",
        program: "mmap(0x1f0000, 0x1000, PROT_READ|PROT_WRITE, \
                  MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  store(0x1f0000, 1)\n\
                  mbind(0x1f0000, 0x1000, MPOL_PREFERRED, 0, MPOL_MF_STRICT)\n",
        goes_on: false,
        explains: &|context| match context.answered() {
            Some((Call::Mbind { flags, .. }, Outcome::Value(_), answer)) => {
                flags.contains(PolicyFlags::STRICT) && *answer == errno(Errno::EIO)
            }
            _ => false,
        },
    },
    Known {
        name: "other-modes-of-fallocate",
        section: Some(18),
        origin: Origin::Chosen,
        what: "fallocate with modes that other file systems have (COLLAPSE, ZERO, INSERT, UNSHARE) \
               looks at how they go together and at the descriptor first; in the model they are \
               EOPNOTSUPP.",
        program: "open(\"plain\", O_RDONLY, 0x1000)\nfallocate(3, 0x20, 0, 0x1000)\n",
        goes_on: true,
        explains: &|context| match context.answered() {
            Some((Call::Fallocate { flags, .. }, Outcome::Errno(Errno::EOPNOTSUPP), answer)) => {
                flags.bits() & 0x78 != 0 && said_error(answer)
            }
            _ => false,
        },
    },
    Known {
        name: "written-zeroes",
        section: Some(24),
        origin: Origin::Changed(Change::since((6, 17), (6, 12), (6, 18))),
        what: "fallocate knows FALLOC_FL_WRITE_ZEROES (0x80) and looks at the descriptor first; in 5.1 \
               there is no such mode: EOPNOTSUPP.",
        program: "open(\"plain\", O_RDONLY, 0x1000)\nfallocate(3, 0x80, 0, 0x1000)\n",
        goes_on: true,
        explains: &|context| match context.answered() {
            Some((Call::Fallocate { flags, .. }, Outcome::Errno(Errno::EOPNOTSUPP), answer)) => {
                flags.bits() & 0x80 != 0 && *answer == errno(Errno::EBADF)
            }
            _ => false,
        },
    },
];
