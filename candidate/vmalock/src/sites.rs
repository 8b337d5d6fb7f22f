//! Every place where this design makes a shared access, by the name of Linux's function.
//!
//! A name is stable: schedules in program text and bytes go by it.

vmadiff_interleave::sites! {
    LOCK_VMA_UNDER_RCU__RCU = "lock_vma_under_rcu.rcu";
    LOCK_VMA_UNDER_RCU__VM_END = "lock_vma_under_rcu.vm_end";
    LOCK_VMA_UNDER_RCU__VM_START = "lock_vma_under_rcu.vm_start";
    MAS_WALK__ROOT = "mas_walk.root";
    MMDROP__COUNT = "mmdrop.count";
    MM_LOCK_SEQCOUNT_BEGIN__SEQ = "mm_lock_seqcount_begin.seq";
    VMA_END_READ__PUT = "vma_end_read.put";
    VMA_END_WRITE_ALL__SEQ = "vma_end_write_all.seq";
    VMA_ENTER_LOCKED__ADD = "vma_enter_locked.add";
    VMA_ENTER_LOCKED__WAIT = "vma_enter_locked.wait";
    VMA_EXIT_LOCKED__SUB = "vma_exit_locked.sub";
    VMA_ITER_CLEAR__ROOT = "vma_iter_clear.root";
    VMA_ITER_STORE__ROOT = "vma_iter_store.root";
    VMA_MARK_ATTACHED__SET = "vma_mark_attached.set";
    VMA_MARK_DETACHED__SUB = "vma_mark_detached.sub";
    VMA_REFCOUNT_PUT__WAKE = "vma_refcount_put.wake";
    VMA_START_READ__INC = "vma_start_read.inc";
    VMA_START_READ__MMGRAB = "vma_start_read.mmgrab";
    VMA_START_READ__MM_LOCK_SEQ = "vma_start_read.mm_lock_seq";
    VMA_START_READ__MM_LOCK_SEQ_AGAIN = "vma_start_read.mm_lock_seq_again";
    VMA_START_READ__PUT = "vma_start_read.put";
    VMA_START_READ__PUT_FOREIGN = "vma_start_read.put_foreign";
    VMA_START_READ__VM_LOCK_SEQ = "vma_start_read.vm_lock_seq";
    VMA_START_READ__VM_LOCK_SEQ_AGAIN = "vma_start_read.vm_lock_seq_again";
    VMA_START_READ__VM_MM = "vma_start_read.vm_mm";
    VMA_START_READ__VM_MM_EARLY = "vma_start_read.vm_mm_early";
    VMA_START_WRITE__SEQ = "vma_start_write.seq";
    VMF_ANON_PREPARE__ANON_VMA = "vmf_anon_prepare.anon_vma";
    VMF_ANON_PREPARE__ANON_VMA_AGAIN = "vmf_anon_prepare.anon_vma_again";
    VMF_ANON_PREPARE__TRYLOCK = "vmf_anon_prepare.trylock";
}
