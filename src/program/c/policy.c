/* Flags of the mode, MPOL_F_*, go along with it; MPOL_MF_* have an argument of their own. */
#define MODE_FLAGS (MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES)

static inline void bind_range(unsigned long addr, unsigned long len, int mode,
                              unsigned long nodes, int flags)
{
    answered("%ld", syscall(SYS_mbind, addr, len, (long)(mode | (flags & MODE_FLAGS)), &nodes, 65L,
                            (long)(flags & ~MODE_FLAGS)));
}

static inline void set_policy(int mode, unsigned long nodes, int flags)
{
    answered("%ld", syscall(SYS_set_mempolicy, (long)(mode | flags), &nodes, 65L));
}


/* The mode with its flags, exclusive-or the nodes from bit 16 on. */
static inline void ask_policy(unsigned long addr, unsigned long flags)
{
    int mode = 0;
    unsigned long nodes = 0;
    long error = syscall(SYS_get_mempolicy, &mode, &nodes, 65L, addr, flags);
    unsigned long told = (unsigned int)mode ^ (nodes << 16 | nodes >> 48);

    answered("%#lx", error ? error : (long)told);
}
