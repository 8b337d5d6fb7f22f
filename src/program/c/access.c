/* Loads, stores and jumps, and the signals that they raise. */

static sigjmp_buf back;
static siginfo_t seen;
static int of_a_fetch; /* the fault was the jump's own */

static void on_signal(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    seen = *info;
    of_a_fetch = (((ucontext_t *)context)->uc_mcontext.gregs[REG_ERR] & 16) != 0;
    siglongjmp(back, 1);
}

static void catch_signals(void)
{
    static char stack[1 << 16];
    stack_t where = { .ss_sp = stack, .ss_size = sizeof stack };
    struct sigaction action = { .sa_sigaction = on_signal };
    int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE };

    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigaltstack(&where, NULL);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &action, NULL);
}

static void refused(void)
{
    int no_area = seen.si_code == SEGV_MAPERR || seen.si_code == SI_KERNEL;

    if (seen.si_signo == SIGBUS)
        strcpy(answer, "SIGBUS");
    else
        strcpy(answer, no_area ? "SIGSEGV MAPERR" : "SIGSEGV ACCERR");
}

static inline void load_byte(unsigned long addr)
{
    if (sigsetjmp(back, 1) == 0)
        answered("%ld", *(volatile unsigned char *)addr);
    else
        refused();
}

static inline void store_byte(unsigned long addr, unsigned char value)
{
    if (sigsetjmp(back, 1) == 0) {
        *(volatile unsigned char *)addr = value;
        answered("%ld", 0);
    } else {
        refused();
    }
}

/* Jumps into the page. Whatever the instruction there comes to, the page could be executed. */
static inline void jump_to(unsigned long addr)
{
    unsigned long target = (addr & ~4095UL) | 0x7f8;

    if (sigsetjmp(back, 1) == 0)
        __asm__ volatile("xor %%eax, %%eax\n\tjmp *%0" : : "r"(target) : "rax", "memory");
    else if (of_a_fetch)
        refused();
    else
        answered("%ld", 0);
}

#define load(a) load_byte((unsigned long)(a))
#define store(a, value) store_byte((unsigned long)(a), value)
#define exec(a) jump_to((unsigned long)(a))

