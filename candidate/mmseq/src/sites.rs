//! Every place where this design makes a shared access, by the name of the series' function.
//!
//! A name is stable: schedules in program text and bytes go by it.

vmadiff_interleave::sites! {
    DO_ANONYMOUS_PAGE__ANON_VMA = "do_anonymous_page.anon_vma";
    DO_USER_ADDR_FAULT__COPY_ANON = "do_user_addr_fault.copy_anon";
    DO_USER_ADDR_FAULT__COPY_FLAGS = "do_user_addr_fault.copy_flags";
    DO_USER_ADDR_FAULT__COPY_PGOFF = "do_user_addr_fault.copy_pgoff";
    DO_USER_ADDR_FAULT__COPY_POLICY = "do_user_addr_fault.copy_policy";
    DO_USER_ADDR_FAULT__COPY_PROT = "do_user_addr_fault.copy_prot";
    DO_USER_ADDR_FAULT__COPY_START = "do_user_addr_fault.copy_start";
    DO_USER_ADDR_FAULT__MM_USERS = "do_user_addr_fault.mm_users";
    DO_USER_ADDR_FAULT__MPOL_GET = "do_user_addr_fault.mpol_get";
    DO_USER_ADDR_FAULT__MPOL_PUT = "do_user_addr_fault.mpol_put";
    DO_USER_ADDR_FAULT__RCU = "do_user_addr_fault.rcu";
    DO_USER_ADDR_FAULT__SEQ = "do_user_addr_fault.seq";
    DO_USER_ADDR_FAULT__SEQ_CHECK = "do_user_addr_fault.seq_check";
    DO_USER_ADDR_FAULT__VM_OPS = "do_user_addr_fault.vm_ops";
    DO_USER_ADDR_FAULT__VM_START = "do_user_addr_fault.vm_start";
    MMAP_SEQ__WRITE_END = "mmap_seq.write_end";
    MMAP_SEQ__WRITE_START = "mmap_seq.write_start";
    MPOL_PUT__CALL_RCU = "mpol_put.call_rcu";
    PTE_MAP_LOCK__SEQ1 = "pte_map_lock.seq1";
    PTE_MAP_LOCK__SEQ2 = "pte_map_lock.seq2";
    SPECULATIVE_PAGE_WALK__IRQ = "speculative_page_walk.irq";
    SPECULATIVE_PAGE_WALK__PGD = "speculative_page_walk.pgd";
    SPECULATIVE_PAGE_WALK__PMD = "speculative_page_walk.pmd";
    SPECULATIVE_PAGE_WALK__PTE = "speculative_page_walk.pte";
    SPECULATIVE_PAGE_WALK__PUD = "speculative_page_walk.pud";
    VM_AREA_FREE__CALL_RCU = "vm_area_free.call_rcu";
    VM_AREA_FREE__RCU_HEAD = "vm_area_free.rcu_head";
}
