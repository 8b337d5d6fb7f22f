//! mremap. Section 9.

use vmadiff_contract::{Call, Change, Errno, MoveFlags, Origin, Outcome};

use super::{
    area_at, called, end_at, errno, is_stack, left_cut, merged, said_error, spaces_of, stops_short,
};
use crate::diff::{Difference, Field};
use crate::known::Known;
use crate::seen::{Answer, Seen};

pub const KNOWN: &[Known] = &[
    Known {
        name: "growing-merges",
        section: Some(9),
        origin: Origin::Changed(Change::since((5, 18), (5, 10), (6, 1))),
        what: "mremap that grows an area in place merges it with what it then touches; in 5.1 it \
               does not.",
        program: "mmap(0x1f0000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  mmap(0x1f2000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  mremap(0x1f0000, 0x1000, 0x2000, 0, 0)\n",
        goes_on: true,
        explains: &|context| match context.left() {
            Some((Call::Mremap { .. }, Outcome::Value(_))) => {
                let Difference { field, at, .. } = *context.difference;
                field == Field::Boundary && merged(context, at)
            }
            _ => false,
        },
    },
    Known {
        name: "mremap-looks-first",
        section: Some(9),
        origin: Origin::Changed(Change::since((5, 16), (5, 10), (6, 1))),
        what: "mremap looks at the source before anything else, also where 5.1 unmaps first or does \
               nothing at all: EFAULT if nothing is mapped there.",
        program: "mremap(0x1f0000, 0x1000, 0x1000, 0, 0)\n",
        goes_on: false,
        explains: &|context| {
            let Some((Call::Mremap { addr, flags, .. }, said, answer)) = context.answered() else {
                return false;
            };
            let no_source =
                |(ours, _): (&Seen, _)| spaces_of(ours).any(|mm| area_at(ours, mm, addr).is_none());
            let fault = *answer == errno(Errno::EFAULT) && context.before.is_some_and(no_source);
            let both = matches!(said, Outcome::Errno(_)) && said_error(answer);
            fault || both && flags.contains(MoveFlags::FIXED)
        },
    },
    Known {
        name: "failing-mremap-leaves-destination",
        section: Some(9),
        origin: Origin::Changed(Change::since((5, 16), (5, 10), (6, 1))),
        what: "mremap with MREMAP_FIXED that fails leaves the destination mapped; 5.1 unmaps it \
               before it looks at the source.",
        program: "mmap(0x1f1000, 0x1000, PROT_NONE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  mremap(0x1f0000, 0x1000, 0x1000, MREMAP_MAYMOVE|MREMAP_FIXED, 0x1f1000)\n",
        goes_on: false,
        explains: &|context| match context.left() {
            Some((Call::Mremap { flags, .. }, Outcome::Errno(_))) => {
                flags.contains(MoveFlags::FIXED)
            }
            _ => false,
        },
    },
    Known {
        name: "mremap-counts-first",
        section: Some(9),
        origin: Origin::Changed(Change::since((6, 17), (6, 12), (6, 18))),
        what: "mremap with MREMAP_FIXED looks at limits before it unmaps the destination; in 5.1 \
               what it unmaps makes room.",
        program: "config rlimit_as=0x3000\n\
                  mmap(0x1f0000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  mmap(0x1f8000, 0x2000, PROT_READ, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  mremap(0x1f0000, 0x1000, 0x2000, MREMAP_MAYMOVE|MREMAP_FIXED, 0x1f8000)\n",
        goes_on: false,
        explains: &|context| match context.answered() {
            Some((Call::Mremap { flags, .. }, Outcome::Value(_), answer)) => {
                let refused = [Errno::ENOMEM, Errno::EAGAIN].map(errno).contains(answer);
                refused && flags.contains(MoveFlags::FIXED)
            }
            _ => false,
        },
    },
    Known {
        name: "moves-of-several-areas",
        section: Some(9),
        origin: Origin::Changed(Change::since((6, 17), (6, 12), (6, 18))),
        what: "mremap with MREMAP_FIXED and equal lengths moves several areas, and those around \
               holes; in 5.1 the range must lie in one area.",
        program: "mmap(0x1f2000, 0x1000, PROT_NONE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  mremap(0x1f2000, 0x2000, 0x2000, MREMAP_MAYMOVE|MREMAP_FIXED, 0x1f0000)\n",
        goes_on: false,
        explains: &|context| match context.answered() {
            Some((
                Call::Mremap { flags, .. },
                Outcome::Errno(Errno::EFAULT),
                Answer::Known(Outcome::Value(_)),
            )) => flags.contains(MoveFlags::FIXED),
            _ => false,
        },
    },
    Known {
        name: "grows-over-a-merge",
        section: Some(9),
        origin: Origin::Changed(Change::since((6, 16), (6, 12), (6, 18))),
        what: "mremap finds its range in one area that newer kernels made of a faulted and an \
               unfaulted one; in 5.1 they stay two areas, and a range over both is EFAULT.",
        program: "mmap(0x1f0000, 0x2000, PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  mlock(0x1f0000, 0x1000)\n\
                  munlock(0x1f0000, 0x1000)\n\
                  mremap(0x1f0000, 0x2000, 0x3000, 0, 0)\n",
        goes_on: false,
        explains: &|context| match (context.answered(), context.before) {
            (
                Some((Call::Mremap { addr, old_len, .. }, Outcome::Errno(Errno::EFAULT), _)),
                Some((ours, theirs)),
            ) => {
                let last = addr.saturating_add(old_len);
                let end = |view| {
                    spaces_of(view)
                        .filter_map(|mm| end_at(view, mm, addr))
                        .max()
                };
                end(ours) < end(theirs) && end(theirs) >= Some(last)
            }
            _ => false,
        },
    },
    Known {
        name: "over-what-stays-apart",
        section: Some(9),
        origin: Origin::Changed(Change::since((6, 7), (6, 1), (6, 12))),
        what: "mremap finds its range in two areas that newer kernels do not merge (MAP_STACK, or \
               ACCOUNT given back by mprotect): EFAULT; in 5.1 they are one.",
        program: "mmap(0x1f0000, 0x2000, PROT_READ|PROT_WRITE, \
                  MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  mmap(0x1f0000, 0x1000, PROT_READ|PROT_WRITE, \
                  MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS|MAP_STACK, -1, 0)\n\
                  mremap(0x1f0000, 0x2000, 0x3000, 0, 0)\n",
        goes_on: false,
        explains: &|context| {
            let why = |call: &Call| is_stack(call) || matches!(call, Call::Mprotect { .. });
            stops_short(context).is_some() && called(context, why)
        },
    },
    Known {
        name: "over-a-cut-that-stays",
        section: Some(9),
        origin: Origin::Changed(Change::since((6, 12), (6, 1), (6, 12))),
        what: "mremap finds its range in two areas that a failing mmap with MAP_FIXED cut (see \
               failing-mmap-leaves-cuts): EFAULT; in 5.1 they are one.",
        program: "config rlimit_as=0x5000\n\
                  mmap(0x1f0000, 0x4000, PROT_NONE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  mmap(0x1f2000, 0x6000, PROT_NONE, MAP_SHARED|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  mremap(0x1f1000, 0x3000, 0x4000, 0, 0)\n",
        goes_on: false,
        explains: &|context| stops_short(context).is_some_and(|end| left_cut(context, end)),
    },
];
