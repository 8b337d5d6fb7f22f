//! Why a fault does not get its area's lock, or gives it up, and goes on under mmap_sem, in the order of
//! the checks. The numbers that are missing are the machine's.

vmadiff_machine::reasons! {
    NO_VMA 0 "NoVma" true
        "No VMA holds the address.";
    WRITE_LOCKED 1 "WriteLocked" false
        "A writer has locked the VMA.";
    WRITER_WAITS 2 "WriterWaits" false
        "A writer waits for the VMA's readers.";
    FOREIGN 3 "Foreign" false
        "The VMA's memory is that of another address space by now.";
    WRITE_LOCKED_SINCE 4 "WriteLockedSince" false
        "A writer has locked the VMA before its reference was taken.";
    OUTSIDE 5 "Outside" false
        "The address lies outside the bounds of what was locked.";
    NOT_EXECUTABLE 6 "NotExecutable" true
        "An instruction fetch from a VMA that is not executable.";
    NO_MAP_PAGES 7 "NoMapPages" true
        "The VMA's operations have no `map_pages`.";
    NO_ANON_VMA 8 "NoAnonVma" false
        "The VMA has no anon_vma yet, and mmap_sem could not be had at once.";
}
