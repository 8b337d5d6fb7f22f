/* Which pages of a range are resident: the sum of 2^(i mod 64). */
static void resident(unsigned long addr, unsigned long len)
{
    static unsigned char pages[1 << 16];
    unsigned long sum = 0;

    if (len > sizeof pages * 4096)
        len = sizeof pages * 4096;
    if (syscall(SYS_mincore, addr, len, pages) != 0) {
        answered("%ld", -1);
        return;
    }
    for (unsigned long i = 0; i < (len + 4095) / 4096; i++)
        sum += (unsigned long)(pages[i] & 1) << (i % 64);
    snprintf(answer, sizeof answer, "%#lx", sum);
}

