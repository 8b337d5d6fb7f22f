//! Programs of syzkaller become programs, and what is not taken is counted.

use proptest::prelude::*;
use vmadiff::program::strace::Import;
use vmadiff::program::syz::import;

/// What the executor has mapped.
const START: &str = "\
config mmap_base=0x7f0000000000
mmap(0x1ffffffff000, 0x1000, PROT_NONE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)
mmap(0x200000000000, 0x1000000, PROT_READ|PROT_WRITE|PROT_EXEC, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)
mmap(0x200001000000, 0x1000, PROT_NONE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)
";

/// The program of this text is this, and what is left out is this.
#[track_caller]
fn check(text: &str, program: &str, left: &[&str]) -> Import {
    let import = import("a.syz", text);
    assert_eq!(import.case.to_string(), format!("{START}{program}"));
    let skipped = import.summary.skipped.iter();
    let lines: Vec<_> = skipped
        .map(|((name, why), skipped)| {
            format!("{} {name}: {why} ({})", skipped.count, skipped.first)
        })
        .collect();
    assert_eq!(lines, left);
    import
}

#[test]
fn memory_calls_are_taken_with_their_places() {
    let import = check(
        "# https://example.org/bug?id=1\n\
         mmap(&(0x7f0000ffc000/0x1000)=nil, 0x1000, 0x3, 0x32, 0xffffffffffffffff, 0x0)\n\
         mprotect(&(0x7f0000ffb000/0x3000)=nil, 0x3000, 0x1)\n\
         mremap(&(0x7f0000ffc000/0x1000)=nil, 0x1000, 0x2000, 0x3, &(0x7f0000a00000/0x2000)=nil)\n\
         madvise(&(0x7f0000000000/0x600000)=nil, 0x600003, 0x4)\n\
         mlock2(&(0x7f0000000000/0x1000)=nil, 0x1000, 0x1)\n\
         munlockall()\n\
         mincore(&(0x7f0000000000/0x2000)=nil, 0x2000, &(0x7f0000000040)=\"\"/7)\n\
         munmap(&(0x7f0000800000/0x800000)=nil, 0x800000) (fail_nth: 3)\n",
        "mmap(0x200000ffc000, 0x1000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
         mprotect(0x200000ffb000, 0x3000, PROT_READ)\n\
         mremap(0x200000ffc000, 0x1000, 0x2000, MREMAP_MAYMOVE|MREMAP_FIXED, 0x200000a00000)\n\
         madvise(0x200000000000, 0x600003, MADV_DONTNEED)\n\
         mlock2(0x200000000000, 0x1000, MLOCK_ONFAULT)\n\
         munlockall()\n\
         mincore(0x200000000000, 0x2000)\n\
         munmap(0x200000800000, 0x800000)\n",
        &[],
    );
    assert_eq!(
        (
            import.summary.start,
            import.summary.taken,
            import.summary.seen
        ),
        (3, 8, 8)
    );
    assert!(import.summary.notes[0].starts_with("a.syz:9: (fail_nth: 3) is left out"));
    assert!(!import.is_empty());
}

#[test]
fn descriptors_are_followed() {
    check(
        "r0 = memfd_create(&(0x7f0000000000)='a,)\\x00', 0x0)\n\
         ftruncate(r0, 0x4000)\n\
         r1 = openat(0xffffffffffffff9c, &(0x7f0000000040)='./file0\\x00', 0x42, 0x1ff)\n\
         mmap(&(0x7f0000000000/0x2000)=nil, 0x2000, 0x1, 0x11, r1, 0x1000)\n\
         close(r0)\n\
         r2 = creat(&(0x7f0000000040)='./b\\x00', 0x0)\n\
         fallocate(r2, 0x3, 0x0, 0x1000)\n",
        "open(\"plain\", O_RDWR, 0)\n\
         ftruncate(3, 0x4000)\n\
         open(\"plain\", O_RDWR, 0)\n\
         mmap(0x200000000000, 0x2000, PROT_READ, MAP_SHARED|MAP_FIXED, 4, 0x1000)\n\
         close(3)\n\
         open(\"plain\", O_WRONLY, 0)\n\
         fallocate(3, FALLOC_FL_KEEP_SIZE|FALLOC_FL_PUNCH_HOLE, 0, 0x1000)\n",
        &[],
    );
}

#[test]
fn policies_have_their_nodes_behind_a_pointer() {
    check(
        "mbind(&(0x7f0000001000/0x4000)=nil, 0x4000, 0x8002, &(0x7f0000000040)=0x103, 0x9, 0x2)\n\
         set_mempolicy(0x3, &(0x7f0000000040)=0xff, 0x2)\n\
         set_mempolicy(0x0, 0x0, 0x0)\n",
        "mbind(0x200000001000, 0x4000, MPOL_BIND, 0x3, MPOL_MF_MOVE|MPOL_F_STATIC_NODES)\n\
         set_mempolicy(MPOL_INTERLEAVE, 0x1, 0)\n\
         set_mempolicy(MPOL_DEFAULT, 0, 0)\n",
        &[],
    );
}

#[test]
fn limits_are_behind_a_pointer_and_policies_are_asked_for() {
    check(
        "setrlimit(0x9, &(0x7f0000000040)={0x1000, 0xffffffffffffffff})\n\
         prlimit64(0x0, 0x7, &(0x7f0000000040)={0x5, 0x6}, 0x0)\n\
         prlimit64(0x0, 0x7, 0x0, &(0x7f0000000040))\n\
         get_mempolicy(0x0, 0x0, 0x0, &(0x7f0000ffc000/0x1000)=nil, 0x2)\n\
         pkey_mprotect(&(0x7f0000ffb000/0x3000)=nil, 0x3000, 0x1, 0xffffffffffffffff)\n\
         mmap(&(0x7f0000ffc000/0x1000)=nil, 0x1000, 0x3, 0x100000032, 0xffffffffffffffff, 0x0)\n",
        "setrlimit(RLIMIT_AS, 0x1000, RLIM_INFINITY)\n\
         setrlimit(RLIMIT_NOFILE, 0x5, 0x6)\n\
         get_mempolicy(0x200000ffc000, MPOL_F_ADDR)\n\
         mprotect(0x200000ffb000, 0x3000, PROT_READ)\n\
         mmap(0x200000ffc000, 0x1000, PROT_READ|PROT_WRITE, \
         MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS|0x100000000, -1, 0)\n",
        &["1 prlimit64: with limits that the text does not tell (a.syz:3)"],
    );
}

#[test]
fn what_is_not_certain_is_left_out() {
    let import = check(
        "r0 = openat$kvm(0xffffffffffffff9c, &(0x7f0000000000), 0x0, 0x0)\n\
         mmap(&(0x7f0000ffc000/0x1000)=nil, 0x1000, 0x3, 0x12, r0, 0x0)\n\
         r1 = openat(0xffffffffffffff9c, &(0x7f0000000040)='./file0\\x00', 0x0, 0x0)\n\
         r2 = mmap$xdp(nil, 0x1000, 0x3, 0x1, r9, 0x0)\n\
         munmap(r2, 0x1000)\n\
         mprotect(&AUTO, 0x1000, 0x1)\n\
         mprotect(&(0x7f0000ffc000/0x1000)=nil, 0x1000, 0x100000001)\n\
         brk(0x20000000)\n\
         this is no call\n",
        "",
        &[
            "1 brk: where the heap begins is not known (a.syz:8)",
            "1 line: no call in syzkaller's notation (a.syz:9)",
            "1 mmap: of a descriptor that the text does not open, or of a device (a.syz:2)",
            "1 mmap$xdp: of a descriptor that the text does not open, or of a device (a.syz:4)",
            "1 mprotect: with &AUTO, which only the run tells (a.syz:6)",
            "1 mprotect: with 0x100000001, which the model does not have (a.syz:7)",
            "1 munmap: with r2, which only the run tells (a.syz:5)",
            "1 openat: of a file that may not be there (a.syz:3)",
            "1 openat$kvm: not a call that the model has (a.syz:1)",
        ],
    );
    assert!(import.is_empty());
}

proptest! {
    #[test]
    fn nothing_in_a_text_panics(text in "(r[0-9] = )?(mmap|mbind|close|mremap)\\((\\PC{0,20}|&\\(0x[0-9a-f]{1,16}\\)=0x[0-9a-f]{1,16}|, |r0|nil){0,9}\\)?\\PC{0,4}") {
        let program = import("a.syz", &text).case.program;
        prop_assert_eq!(vmadiff::program::Program::decode(&program.encode()), program);
    }
}
