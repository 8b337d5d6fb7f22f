/* The heap starts at this address, and so does all else that the kernel notes of a process. */
static void set_heap(unsigned long start)
{
    unsigned long map[13] = { start, start + 4096 };

    for (int i = 2; i < 11; i++)
        map[i] = start;
    map[12] = 0xffffffffUL << 32; /* no executable to be noted */
    if (prctl(PR_SET_MM, PR_SET_MM_MAP, map, sizeof map, 0) != 0)
        perror("the heap is elsewhere: PR_SET_MM_MAP");
}

