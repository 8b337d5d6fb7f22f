/* All processes run main; each call is made by the one that has its task, one after another. */

static volatile int *next;  /* number of the call that is next; shared by all */
static int number;          /* of the call that this process has come to */
static unsigned long tasks; /* of this process: bit n for task n */
static pid_t first;

static void share_turns(unsigned long of_the_first)
{
    /* Out of the way of what the program maps. */
    next = (int *)syscall(SYS_mmap, 0x200000000000, 4096L, (long)(PROT_READ | PROT_WRITE),
                          (long)(MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE), -1L, 0L);
    *next = 1;
    tasks = of_the_first;
    first = getpid();
}

static int my_turn(int task)
{
    number++;
    if (!(tasks >> task & 1))
        return 0;
    while (*next != number)
        usleep(100);
    return 1;
}

/* The first process waits for all others, so that nobody takes the program for over. */
static void leave(void)
{
    if (getpid() == first)
        while (wait(NULL) > 0)
            ;
    _exit(0);
}

#define DONE(task, text)                                                      \
    do {                                                                      \
        printf("%s%s = %s\n", task == 1 ? "" : "[" #task "] ", text, answer); \
        *next = number + 1;                                                   \
    } while (0)

#define CALL(task, call)                                                      \
    if (my_turn(task)) {                                                      \
        call;                                                                 \
        DONE(task, #call);                                                    \
    }

#define FORK(task, child)                                                     \
    if (my_turn(task)) {                                                      \
        pid_t pid = fork();                                                   \
        if (pid == 0) {                                                       \
            tasks = 1UL << child;                                             \
            alarm(10);                                                        \
        } else {                                                              \
            answered("%ld", pid < 0 ? -1 : child);                            \
            DONE(task, "fork()");                                             \
        }                                                                     \
    }

#define EXIT(task)                                                            \
    if (my_turn(task)) {                                                      \
        answered("%ld", 0);                                                   \
        tasks &= ~(1UL << task);                                              \
        DONE(task, "exit()");                                                 \
        if (tasks == 0)                                                       \
            leave();                                                          \
    }

