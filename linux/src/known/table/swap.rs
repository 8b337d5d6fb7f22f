//! What is swapped out, and userfaultfd. Sections 18, 21 and 28.

use vmadiff_contract::{Call, Change, Errno, Origin, Outcome};

use super::{called, errno, only_adds, page_at};
use crate::diff::{Difference, Field};
use crate::known::Known;
use crate::seen::{Answer, Page, Seen};

pub const KNOWN: &[Known] = &[
    Known {
        name: "swapped-and-still-at-hand",
        section: Some(18),
        origin: Origin::Chosen,
        what: "mincore says of a page that was swapped out that it is resident, as long as what was in \
               memory has not been taken for something else; in the model it is gone at once.",
        program: "mmap(0x1f0000, 0x1000, PROT_READ|PROT_WRITE, \
                  MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  store(0x1f0000, 1)\n\
                  reclaim(0x1f0000)\n\
                  mincore(0x1f0000, 0x1000)\n",
        goes_on: true,
        explains: &|context| match context.answered() {
            Some((Call::Mincore { .. }, said, answer)) => {
                only_adds(said, answer)
                    && called(context, |call| matches!(call, Call::Reclaim { .. }))
            }
            _ => false,
        },
    },
    Known {
        name: "shared-memory-may-be-missing",
        section: Some(28),
        origin: Origin::Chosen,
        what: "a fault on a page of shared memory that nobody touched is a SIGBUS where userfaultfd is \
               registered; in the model every page of a file is in memory.",
        program: "mmap(0x1f0000, 0x1000, PROT_READ|PROT_WRITE, \
                  MAP_SHARED|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  uffd_register(0x1f0000, 0x1000)\n\
                  load(0x1f0000)\n",
        goes_on: false,
        explains: &|context| match context.answered() {
            Some((Call::Load { .. } | Call::Store { .. } | Call::Exec { .. }, said, answer)) => {
                said.is_success()
                    && *answer == Answer::Known(Outcome::Bus)
                    && called(context, |call| matches!(call, Call::UffdRegister { .. }))
            }
            _ => false,
        },
    },
    Known {
        name: "uffd-merges-by-offset",
        section: Some(28),
        // By its history (4.3, 5543d3c43c41).
        origin: Origin::Changed(Change {
            first: (4, 3),
            absent: (4, 2),
            seen: (6, 1),
            gone: Some((6, 18)),
        }),
        what: "before 6.4 userfaultfd merges with a neighbour by the offset of the whole area, so that a \
               range that starts inside an area merges where it must not, or not where it might; in the \
               model by that of the range's start.",
        program: "mmap(0x1f0000, 0x3000, PROT_READ|PROT_WRITE, \
                  MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  uffd_register(0x1f2000, 0x1000)\n\
                  uffd_register(0x1f1000, 0x1000)\n",
        goes_on: true,
        explains: &|context| match context.left() {
            Some((
                Call::UffdRegister { addr, len } | Call::UffdUnregister { addr, len },
                Outcome::Value(_),
            )) => {
                let Difference { field, at, .. } = *context.difference;
                field == Field::Boundary && (addr..=addr.saturating_add(len)).contains(&at.1)
            }
            _ => false,
        },
    },
    Known {
        name: "memory-above-everything",
        section: Some(28),
        origin: Origin::Chosen,
        what: "a process always has memory above the program's (its stack), so that userfaultfd answers \
               EINVAL to a range without areas, and ENOMEM, which means none from there on, never comes.",
        program: "uffd_register(0x1f0000, 0x1000)\n",
        goes_on: true,
        explains: &|context| match context.answered() {
            Some((
                Call::UffdRegister { addr, .. } | Call::UffdUnregister { addr, .. },
                said,
                answer,
            )) => {
                let none_above = |(model, _): (&Seen, &Seen)| {
                    let mut spaces = model.spaces.iter();
                    spaces.any(|space| space.areas.iter().all(|area| area.end <= addr))
                };
                said == Outcome::Errno(Errno::ENOMEM)
                    && *answer == errno(Errno::EINVAL)
                    && context.before.is_none_or(none_above)
            }
            _ => false,
        },
    },
    Known {
        name: "swaps-out-one-entry",
        section: Some(21),
        origin: Origin::Chosen,
        what: "reclaim is asked for by MADV_PAGEOUT, which takes a page that several processes map from \
               one of them; in the model all lose it.",
        program: "mmap(0x1f0000, 0x1000, PROT_READ|PROT_WRITE, \
                  MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  store(0x1f0000, 1)\n\
                  fork()\n\
                  [3] reclaim(0x1f0000)\n",
        goes_on: false,
        explains: &|context| {
            let Difference {
                field,
                at: (mm, at),
                ..
            } = *context.difference;
            let stayed = |(ours, theirs): (&Seen, &Seen), addr| {
                let is = |view, present| {
                    page_at(view, mm, addr).is_some_and(|page| page.anon && page.present == present)
                };
                is(ours, false) && is(theirs, true)
            };
            let of_such_a_page = |seen: (&Seen, &Seen)| match field {
                Field::Page | Field::Bytes => stayed(seen, at & !4095),
                Field::Totals => {
                    let mut pages = seen.1.spaces.iter().flat_map(|space| &space.pages);
                    pages.any(|page| stayed(seen, page.addr))
                }
                _ => false,
            };
            matches!(
                context.left(),
                Some((Call::Reclaim { .. }, Outcome::Value(1)))
            ) && called(context, |call| matches!(call, Call::Fork))
                && context.seen.is_some_and(of_such_a_page)
        },
    },
    Known {
        name: "swaps-out-shared-memory",
        section: Some(21),
        origin: Origin::Chosen,
        what: "shared memory is swapped out, too, and leaves no entry behind; in the model every page of \
               a file stays.",
        program: "mmap(0x1f0000, 0x1000, PROT_READ|PROT_WRITE, \
                  MAP_SHARED|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                  store(0x1f0000, 1)\n\
                  reclaim(0x1f0000)\n",
        goes_on: true,
        explains: &|context| {
            let (mm, addr) = context.difference.at;
            let went = |(ours, theirs): (&Seen, &Seen)| {
                let object = |page: &Page| page.present && !page.anon && page.zero != Some(true);
                page_at(ours, mm, addr).is_some_and(object) && page_at(theirs, mm, addr).is_none()
            };
            context.difference.field == Field::Page
                && called(context, |call| matches!(call, Call::Reclaim { .. }))
                && context.seen.is_some_and(went)
        },
    },
];
