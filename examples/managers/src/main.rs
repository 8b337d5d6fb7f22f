//! Managers that others published, each beside vmadiff's reference: `docs/third-party.md` says what
//! was found.
//!
//! ```text
//! cargo run --release -- designs
//! cargo run --release -- fuzz --seconds 60 --keep-going --design memory_set
//! ```

mod ax_memory_set;
mod axaddrspace;
mod entries;
mod free_list;
mod hardware;
mod memory_set;
mod nodit;
mod page_table;
mod range_alloc;
mod rangemap;
mod table;
mod vm_allocator;

use std::process::ExitCode;

use vmadiff::compare::{Compare, Known};
use vmadiff::contract::{CallKind, MapFlags, Outcome, VmFlags};
use vmadiff::{Errno, Placement, Shown, View, World, compare};

fn main() -> ExitCode {
    vmadiff::commands([
        with_holes(compare::<memory_set::Space>("memory_set"))
            .placement(Placement::Free)
            .about("Areas of ArceOS's address spaces.", "memory_set 0.4.1"),
        with_holes(compare::<ax_memory_set::Space>("ax-memory-set"))
            .placement(Placement::Free)
            .about("What memory_set became.", "ax-memory-set 0.8.0"),
        joined(compare::<rangemap::Space>("rangemap")).about("A map of ranges.", "rangemap 1.8.0"),
        joined(compare::<nodit::Space>("nodit")).about("A map of intervals.", "nodit 0.10.1"),
        joined(compare::<vm_allocator::Space>("vm-allocator"))
            .view(places())
            .placement(Placement::Free)
            .knowing(Known {
                what: "a slot that lies inside an allocated one and does not fill it is given out.",
                program: "mmap(0x1f0000, 0x2000, PROT_NONE, \
                          MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
                          mmap(0x1f0000, 0x1000, PROT_NONE, \
                          MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED_NOREPLACE, -1, 0)\n",
                ..Known::new("ExactMatch gives out what is taken", &|step, difference| {
                    step.call.kind() == CallKind::Mmap
                        && difference.reference == Outcome::Errno(Errno::EEXIST)
                })
            })
            .about(
                "Ranges of addresses of a virtual machine.",
                "vm-allocator 0.1.4",
            ),
        joined(compare::<range_alloc::Space>("range-alloc"))
            .view(places())
            .world(World::plain().map_flags(MapFlags::PRIVATE | MapFlags::ANONYMOUS))
            .placement(Placement::Free)
            .about("Ranges out of a larger one.", "range-alloc 0.1.5"),
        joined(compare::<free_list::Space>("free-list"))
            .view(places())
            .placement(Placement::Free)
            .about("A list of free pages.", "free-list 0.3.4"),
        joined(compare::<page_table::Space>("page_table_multiarch"))
            .world(World::plain().within(0x10_0000..0x21_0000))
            // An entry that is there can be read.
            .view(View::areas().joined().flags(VmFlags::WRITE | VmFlags::EXEC))
            .about("Page tables of x86-64.", "page_table_multiarch 0.6.2"),
        joined(vmadiff::memory::compare::<axaddrspace::Space>(
            "axaddrspace",
        ))
        .view(View::areas().without(Shown::AREAS))
        .known("a fault says no reason", |_, difference| {
            matches!(difference.reference, Outcome::Segv(_))
                && matches!(difference.candidate, Outcome::Segv(_))
        })
        .about("Guest memory of a hypervisor.", "axaddrspace 0.6.0"),
    ])
}

/// What no manager here says: whether neighbours that look alike are one area.
fn joined(compared: Compare) -> Compare {
    compared
        .view(View::areas().joined())
        .placement(Placement::FollowReference)
}

/// Where areas are, and nothing of what may be done there.
fn places() -> View {
    View::areas().joined().flags(VmFlags::empty())
}

/// Of managers that change all of a range that is mapped, holes or not.
fn with_holes(compared: Compare) -> Compare {
    joined(compared).knowing(Known {
        what: "protect changes every area of its range and succeeds; Linux stops at the first hole: \
               ENOMEM.",
        program: "mmap(0x1f0000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)\n\
                  mmap(0x1f2000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)\n\
                  mprotect(0x1f0000, 0x3000, PROT_READ|PROT_WRITE)\n",
        ..Known::new("mprotect goes on behind a hole", &|step, difference| {
            step.call.kind() == CallKind::Mprotect
                && difference.names_a_hole()
                && difference.reference == Outcome::Errno(Errno::ENOMEM)
                && difference.candidate == Outcome::Value(0)
        })
    })
}

/// The error of a map that is refused, whether because the place is taken or otherwise.
fn refused(is_taken: bool) -> Errno {
    if is_taken {
        Errno::EEXIST
    } else {
        Errno::EINVAL
    }
}
