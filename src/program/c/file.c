/* A file in memory; page i of its first 16 starts with the byte 0xa0 + i. */
static void open_file(int access, unsigned long size)
{
    int fd = syscall(SYS_memfd_create, "file", 0);
    char path[32];

    answered("%ld", fd);
    if (fd < 0)
        return;
    if (ftruncate(fd, size) != 0 || (size <= 1 << 18 && fallocate(fd, 0, 0, size) != 0))
        answered("%ld", -1);
    for (unsigned long page = 0; page < 16 && page * 4096 < size; page++)
        if (pwrite(fd, &(unsigned char){ 0xa0 + page }, 1, page * 4096) != 1)
            answered("%ld", -1);
    if (access != O_RDWR) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        int again = open(path, access);
        dup2(again, fd);
        close(again);
    }
}

