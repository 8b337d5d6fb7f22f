//! How areas are placed, merged, cut and replaced. Sections 1, 6, 7 and 13.

use vmadiff_contract::{Call, Change, Config, Errno, MapFlags, Origin, Outcome};

use super::{
    called, copied_more, errno, grows_down, is_stack, lies_at_a_cut, merged, not_copied,
    stops_short,
};
use crate::diff::{Difference, Field};
use crate::known::Known;
use crate::seen::Answer;

pub const KNOWN: &[Known] = &[
    Known {
        name: "merges-more",
        section: Some(1),
        origin: Origin::Changed(Change::since((6, 16), (6, 12), (6, 18))),
        what: "a faulted range merges into an unfaulted neighbour; in 5.1 they stay two areas, and \
               fork copies entries of the faulted one only.",
        program: "mmap(0x1f0000, 0x2000, PROT_READ|PROT_WRITE, \
                  MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  mlock(0x1f0000, 0x1000)\n\
                  load(0x1f1000)\n\
                  munlock(0x1f0000, 0x1000)\n\
                  fork()\n",
        goes_on: true,
        explains: &|context| {
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
        name: "cut-off-a-merge",
        section: Some(1),
        origin: Origin::Changed(Change::since((6, 16), (6, 12), (6, 18))),
        what: "what is cut off an area that was made of a faulted and an unfaulted one stays faulted, \
               and fork copies its entries; in 5.1 it never became so.",
        program: "mmap(0x1f0000, 0x2000, PROT_READ|PROT_WRITE, \
                  MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  mlock(0x1f0000, 0x1000)\n\
                  load(0x1f1000)\n\
                  munlock(0x1f0000, 0x1000)\n\
                  mprotect(0x1f0000, 0x1000, PROT_NONE)\n\
                  fork()\n",
        goes_on: true,
        explains: &|context| match context.left() {
            Some((Call::Fork, Outcome::Value(_))) => {
                copied_more(context) && context.merges.before_fork(context.difference.at)
            }
            _ => false,
        },
    },
    Known {
        name: "stacks-stay-apart",
        section: Some(1),
        origin: Origin::Changed(Change::since((6, 7), (6, 1), (6, 12))),
        what: "MAP_STACK forbids huge pages, and what it maps does not merge with other memory, so \
               that fork copies other entries; in 5.1 the flag changes nothing.",
        program: "mmap(0x1f1000, 0x1000, PROT_READ, \
                  MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS|MAP_STACK, -1, 0)\n\
                  mmap(0x1f0000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n",
        goes_on: true,
        explains: &|context| {
            let Difference { field, at, .. } = *context.difference;
            let boundary = field == Field::Boundary && !merged(context, at);
            let [ours, theirs] = context.difference.flags;
            let forbids = field == Field::Flags
                && ours.is_empty()
                && theirs == vmadiff_contract::VmFlags::NOHUGEPAGE;
            (boundary || forbids || not_copied(context)) && called(context, is_stack)
        },
    },
    Known {
        name: "heap-starts-anew",
        section: Some(13),
        origin: Origin::Changed(Change::since((6, 1), (5, 10), (6, 1))),
        what: "the heap's first part does not merge with an area that ends where the heap starts, \
               so that fork copies other entries, and mremap finds two areas.",
        program: "mmap(0x211000, 0x1000, PROT_READ|PROT_WRITE, \
                  MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  brk(0x213000)\n",
        goes_on: false,
        explains: &|context| {
            let Difference { field, at, .. } = *context.difference;
            let start = context.config.start_brk;
            let boundary = field == Field::Boundary && at.1 == start && !merged(context, at);
            let full = match context.answered() {
                Some((_, Outcome::Value(_), answer)) => *answer == errno(Errno::ENOMEM),
                _ => false,
            };
            let heap = called(context, |call| matches!(call, Call::Brk { .. }));
            let few = context.config.max_map_count < Config::default().max_map_count;
            let over = stops_short(context) == Some(start);
            heap && (boundary || full && few || over || not_copied(context))
        },
    },
    Known {
        name: "guard-gap-hides-places",
        section: Some(7),
        origin: Origin::Changed(Change::since((6, 1), (5, 10), (6, 1))),
        what: "when the highest gap ends in the guard gap of a GROWSDOWN area, the search goes on \
               below the guard gap: places above, inside it, are passed over.",
        program: "mmap(0x1f0000, 0x1000, PROT_NONE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  mmap(0x20f000, 0x1000, PROT_NONE, \
                  MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS|MAP_GROWSDOWN, -1, 0)\n\
                  mmap(NULL, 0x1000, PROT_NONE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)\n",
        goes_on: false,
        explains: &|context| match context.answered() {
            Some((
                Call::Mmap { .. } | Call::Mremap { .. },
                Outcome::Value(_),
                Answer::Known(Outcome::Value(_)) | Answer::Elsewhere(_),
            )) => called(context, grows_down),
            _ => false,
        },
    },
    Known {
        name: "shrinking-heap-must-be-there",
        section: Some(13),
        origin: Origin::Changed(Change::since((6, 1), (5, 10), (6, 1))),
        what: "brk refuses to shrink where no area reaches below the old end of the heap; in 5.1 \
               what is not mapped is as good as unmapped.",
        program: "brk(0x213000)\nmunmap(0x212000, 0x1000)\nbrk(0x212000)\n",
        goes_on: false,
        explains: &|context| match context.answered() {
            Some((Call::Brk { addr }, Outcome::Value(said), Answer::Known(Outcome::Value(is)))) => {
                said == addr && is > &addr
            }
            _ => false,
        },
    },
    Known {
        name: "failing-mmap-leaves-cuts",
        section: Some(6),
        origin: Origin::Changed(Change::since((6, 12), (6, 1), (6, 12))),
        what: "mmap with MAP_FIXED cuts what it is to replace before it looks at the limits, and \
               leaves the cuts when it fails, so that fork copies other entries; in 5.1 the limits \
               come first.",
        program: "config rlimit_as=0x5000\n\
                  mmap(0x1f0000, 0x2000, PROT_NONE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  mmap(0x1f1000, 0x6000, PROT_NONE, MAP_SHARED|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n",
        goes_on: true,
        explains: &|context| {
            let Difference { field, at, .. } = *context.difference;
            let fails = match context.left() {
                Some((Call::Mmap { flags, .. }, Outcome::Errno(_))) => {
                    flags.contains(MapFlags::FIXED)
                }
                _ => false,
            };
            let cut = field == Field::Boundary && !merged(context, at);
            fails && cut || not_copied(context) && lies_at_a_cut(context)
        },
    },
    Known {
        name: "placed-for-huge-pages",
        section: Some(7),
        origin: Origin::Changed(Change::since((6, 7), (6, 1), (6, 12))),
        what: "anonymous memory of whole huge pages (2 MiB) is placed at a multiple of them; in 5.1 it \
               comes right below what is there.",
        program: "config mmap_base=0x40000000\n\
                  mmap(NULL, 0x200000, PROT_NONE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)\n\
                  mmap(NULL, 0x1000, PROT_NONE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)\n\
                  mmap(NULL, 0x200000, PROT_NONE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)\n",
        goes_on: false,
        explains: &|context| match context.answered() {
            Some((
                Call::Mmap { len, flags, .. },
                Outcome::Value(_),
                Answer::Known(Outcome::Value(_)),
            )) => flags.contains(MapFlags::ANONYMOUS) && len.is_multiple_of(2 << 20),
            _ => false,
        },
    },
    Known {
        name: "filled-gap-stays-unfaulted",
        section: Some(3),
        origin: Origin::Changed(Change {
            first: (5, 11),
            absent: (5, 10),
            seen: (6, 1),
            gone: Some((6, 12)),
        }),
        what: "mmap that fills the gap between an unfaulted and a faulted area makes one of all three \
               that is unfaulted, so that fork copies none of its entries; in 5.1 it is faulted.",
        program: "mmap(0x1f0000, 0x1000, PROT_READ|PROT_WRITE, \
                  MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  mmap(0x1f2000, 0x1000, PROT_READ|PROT_WRITE, \
                  MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  store(0x1f2000, 1)\n\
                  mmap(0x1f1000, 0x1000, PROT_READ|PROT_WRITE, \
                  MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  load(0x1f0000)\n\
                  fork()\n",
        goes_on: true,
        explains: &|context| {
            not_copied(context) && called(context, |call| matches!(call, Call::Mmap { .. }))
        },
    },
];
