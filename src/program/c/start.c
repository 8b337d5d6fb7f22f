#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/mempolicy.h>
#include <linux/mman.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char answer[64]; /* of the last call */

static const char *name_of(int error)
{
#define NAME(e) if (error == e) return #e;
    NAME(EPERM) NAME(EIO) NAME(EBADF) NAME(EAGAIN) NAME(ENOMEM) NAME(EACCES) NAME(EFAULT)
    NAME(EBUSY) NAME(EEXIST) NAME(ENODEV) NAME(EINVAL) NAME(EMFILE) NAME(ETXTBSY) NAME(EFBIG)
    NAME(EOVERFLOW) NAME(EOPNOTSUPP)
    return strerror(error);
}

static void answered(const char *format, long value)
{
    if (value == -1)
        snprintf(answer, sizeof answer, "-1 %s", name_of(errno));
    else
        snprintf(answer, sizeof answer, format, value);
}

