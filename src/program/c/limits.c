/* What this process has already, by a field of /proc/self/status; bytes. */
static inline unsigned long has(const char *field)
{
    static char text[1 << 13];
    int fd = open("/proc/self/status", O_RDONLY);
    ssize_t length = read(fd, text, sizeof text - 1);

    close(fd);
    text[length < 0 ? 0 : length] = 0;
    const char *line = strstr(text, field);
    return line ? strtoul(line + strlen(field), NULL, 10) * 1024 : 0;
}

static void limit(int resource, unsigned long most)
{
    struct rlimit now;

    getrlimit(resource, &now);
    now.rlim_cur = most < now.rlim_max ? most : now.rlim_max;
    if (setrlimit(resource, &now) != 0)
        perror("setrlimit");
}

/* As an ordinary user: no capability is in effect. */
static inline void give_up_capabilities(void)
{
    unsigned int header[2] = { 0x20080522, 0 }, sets[6] = { 0 };

    if (syscall(SYS_capset, header, sets) != 0)
        perror("capset");
}


/* Bytes that the process had before the program began. */
static unsigned long own;

/* As a program sets it: what the process had comes on top. */
static inline void set_limit(int resource, unsigned long soft, unsigned long hard)
{
    unsigned long limit[2] = { soft, hard };

    for (int i = 0; i < 2 && resource == RLIMIT_AS; i++)
        limit[i] = limit[i] + own < own ? ~0UL : limit[i] + own;
    answered("%ld", syscall(SYS_prlimit64, 0L, (long)resource, limit, NULL));
}
