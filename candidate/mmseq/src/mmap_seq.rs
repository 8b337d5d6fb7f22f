//! The count of an address space: who writes areas moves it twice, who faults asks whether it moved.

use vmadiff_interleave::Site;
use vmadiff_machine::{Current, Machine, Mm};

use crate::Mmseq;
use crate::defects::defect;
use crate::sites as site;

/// mmap_sem was taken for writing: the count gets odd (`mmap_seq_write_start`).
pub fn mmap_seq_write_start(m: &Machine<Mmseq>, mm: &Mm) {
    let mmap_seq = &m.space(mm).mmap_seq;
    if !defect!(m, CountedAtUnlock) {
        // It is even: mmap_sem keeps other writers away.
        let _ = mmap_seq.write_begin(site::MMAP_SEQ__WRITE_START);
    }
    if defect!(m, CountedAtLock) {
        let _ = mmap_seq.write_end(site::MMAP_SEQ__WRITE_START);
    }
}

/// mmap_sem is about to be given up or downgraded: the count gets even (`mmap_seq_write_end`).
pub fn mmap_seq_write_end(m: &Machine<Mmseq>, mm: &Mm) {
    let mmap_seq = &m.space(mm).mmap_seq;
    if defect!(m, CountedAtUnlock) {
        let _ = mmap_seq.write_begin(site::MMAP_SEQ__WRITE_END);
    }
    if !defect!(m, CountedAtLock) {
        let _ = mmap_seq.write_end(site::MMAP_SEQ__WRITE_END);
    }
}

/// The count as it is, odd if somebody writes (`mmap_seq_read_start`).
pub fn mmap_seq_read_start(cx: &Current<'_, Mmseq>, site: Site) -> u32 {
    cx.space(cx.mm_struct()).mmap_seq.read(site)
}

/// Whether nobody has written since the count was `seq` (`mmap_seq_read_check`).
pub fn mmap_seq_read_check(cx: &Current<'_, Mmseq>, site: Site, seq: u32) -> bool {
    !cx.space(cx.mm_struct()).mmap_seq.changed(site, seq)
}
