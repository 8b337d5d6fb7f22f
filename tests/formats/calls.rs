//! Logs with calls that set limits, ask for policies, or are younger than the rules.

use crate::logs::check_after_map;

#[test]
fn limits_of_memory_are_set_and_others_left_out() {
    check_after_map(
        "setrlimit(RLIMIT_AS, {rlim_cur=8192*1024, rlim_max=RLIM64_INFINITY}) = 0\n\
         prlimit64(0, RLIMIT_STACK, {rlim_cur=65536, rlim_max=RLIM64_INFINITY}, NULL) = 0\n\
         prlimit64(0, RLIMIT_STACK, NULL, {rlim_cur=8192*1024, rlim_max=RLIM64_INFINITY}) = 0\n\
         prlimit64(77, RLIMIT_AS, {rlim_cur=0, rlim_max=0}, NULL) = 0\n\
         setrlimit(RLIMIT_CORE, {rlim_cur=0, rlim_max=0}) = 0\n\
         prlimit64(0, RLIMIT_NOFILE, {rlim_cur=1024, rlim_max=4096}, NULL) = 0\n\
         setrlimit(RLIMIT_DATA, {rlim_cur=2, rlim_max=1}) = -1 EINVAL (Invalid argument)\n\
         setrlimit(RLIMIT_AS, 0x7ffc01234560) = 0\n",
        "setrlimit(RLIMIT_AS, 0x800000, RLIM_INFINITY) = 0\n\
         setrlimit(RLIMIT_STACK, 0x10000, RLIM_INFINITY) = 0\n\
         setrlimit(RLIMIT_DATA, 0x2, 0x1) = -1 EINVAL\n",
        &[
            "1 prlimit64: of another process (log:5)",
            "1 prlimit64: of descriptors, which have other numbers here (log:7)",
            "1 prlimit64: only asks for a limit (log:4)",
            "1 setrlimit: of no limit of memory's (log:6)",
            "1 setrlimit: with limits that the log does not tell (log:9)",
        ],
    );
}

/// What it told is behind pointers: it is not compared.
#[test]
fn policies_are_asked_for() {
    check_after_map(
        "get_mempolicy([MPOL_DEFAULT], [0000000000000000], 1024, NULL, 0) = 0\n\
         get_mempolicy([MPOL_BIND], NULL, 0, 0x7f0000011000, MPOL_F_ADDR) = 0\n\
         get_mempolicy(NULL, NULL, 0, 0x10000, MPOL_F_ADDR) = -1 EFAULT (Bad address)\n\
         get_mempolicy([0], NULL, 0, 0x7f0000011000, MPOL_F_NODE|MPOL_F_ADDR) = 0\n",
        "get_mempolicy(NULL, 0)\n\
         get_mempolicy(0x7f0000011000, MPOL_F_ADDR)\n\
         get_mempolicy(0x10000, MPOL_F_ADDR) = -1 EFAULT\n",
        &["1 get_mempolicy: of a node, and the model's pages have none (log:5)"],
    );
}

#[test]
fn protection_without_a_key_is_protection() {
    check_after_map(
        "pkey_mprotect(0x7f0000010000, 4096, PROT_READ, -1) = 0\n\
         pkey_mprotect(0x7f0000012000, 4096, PROT_READ, 1) = 0\n\
         mprotect(0x7f0000012000, 4096, PROT_READ) = 0\n",
        "mprotect(0x7f0000010000, 0x1000, PROT_READ) = 0\n",
        &[
            "1 mprotect: on memory of a call that is left out (log:4)",
            "1 pkey_mprotect: with a protection key, which the model does not have (log:3)",
        ],
    );
}

/// To 5.1 the advice is unknown: the program keeps it, says since when it is known, and expects
/// nothing that Linux answered. What changes areas is left out with all that stands on it.
#[test]
fn what_is_younger_than_the_rules_is_named() {
    check_after_map(
        "madvise(0x7f0000010000, 4096, MADV_COLD) = 0\n\
         madvise(0x7f0000010000, 4096, MADV_COLD) = -1 EINVAL (Invalid argument)\n\
         madvise(0x7f0000010000, 4096, MADV_WILLNEED) = 0\n\
         mremap(0x7f0000010000, 4096, 4096, MREMAP_MAYMOVE|MREMAP_DONTUNMAP) = 0x7f0000008000\n\
         mseal(0x7f0000012000, 4096, 0) = 0\n",
        "madvise(0x7f0000010000, 0x1000, MADV_COLD)  # MADV_COLD came with Linux 5.4: to 5.1 it is unknown\n\
         madvise(0x7f0000010000, 0x1000, MADV_COLD) = -1 EINVAL\n\
         madvise(0x7f0000010000, 0x1000, MADV_WILLNEED) = 0\n",
        &[
            "1 mremap: with what 5.1 does not have: MREMAP_DONTUNMAP came with Linux 5.7 (log:5)",
            "1 mseal: came with Linux 6.10, and the rules are those of 5.1 (log:6)",
        ],
    );
}

#[test]
fn huge_pages_are_refused_or_left_out() {
    check_after_map(
        "mmap(NULL, 2097152, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_HUGETLB, -1, 0) = -1 ENOMEM (Cannot allocate memory)\n\
         mmap(NULL, 2097152, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_HUGETLB|21<<MAP_HUGE_SHIFT, -1, 0) = -1 ENOMEM (Cannot allocate memory)\n\
         mmap(NULL, 2097152, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_HUGETLB, -1, 0) = 0x7f0000400000\n\
         munmap(0x7f0000400000, 2097152) = 0\n",
        "mmap(NULL, 0x200000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_HUGETLB, -1, 0) = -1 ENOMEM\n\
         mmap(NULL, 0x200000, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS|MAP_HUGETLB|MAP_HUGE_2MB, -1, 0) = -1 ENOMEM\n",
        &[
            "1 mmap: with huge pages, which the model does not have (log:4)",
            "1 munmap: on memory of a call that is left out (log:5)",
        ],
    );
}
