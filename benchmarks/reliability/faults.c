/* Makes writing fail below one folder: loaded before the C library (LD_PRELOAD), told what to do by `fault_set`.

   Counted are the calls that change something there: folders made, files opened to be written or made, writes,
   copies, sizes set, flushes, renames, removals. The call with the number `at` fails, and where `lasts` is not 0
   all after it. The error -1 is none: the call waits. At -2 the process is killed instead. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { SLOW = -1, KILLED = -2 };

static char folder[PATH_MAX];
static long at, calls;
static int error, lasts;

void fault_set(const char *path, long number, int code, int and_after)
{
    strncpy(folder, path, sizeof folder - 1);
    at = number, error = code, lasts = and_after, calls = 0;
}

long fault_calls(void) { return calls; }

static int fails(const char *given)
{
    char path[2 * PATH_MAX] = "";
    size_t length = strlen(folder);

    if (!length)
        return 0;
    if (given[0] != '/' && getcwd(path, PATH_MAX))
        strcat(path, "/");
    strncat(path, given, PATH_MAX - 1);
    if (strncmp(path, folder, length) || (path[length] && path[length] != '/'))
        return 0;
    calls++;
    if (!at || calls < at || (calls > at && !lasts))
        return 0;
    if (error == KILLED)
        kill(getpid(), SIGKILL);
    if (error == SLOW) {
        usleep(20000);
        return 0;
    }
    errno = error;
    return 1;
}

static int fails_in(int number)
{
    char link[64], path[PATH_MAX];
    ssize_t length;
    int kept = errno;

    if (!folder[0])
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", number);
    length = readlink(link, path, sizeof path - 1);
    errno = kept;
    if (length < 0)
        return 0;
    path[length] = 0;
    return fails(path);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define OPENS(name)                                                             \
    int name(const char *path, int flags, ...)                                  \
    {                                                                           \
        va_list more;                                                           \
        mode_t mode = 0;                                                        \
        va_start(more, flags);                                                  \
        if (flags & O_CREAT)                                                    \
            mode = va_arg(more, mode_t);                                        \
        va_end(more);                                                           \
        if ((flags & (O_CREAT | O_WRONLY | O_RDWR)) && fails(path))             \
            return -1;                                                          \
        return NEXT(name)(path, flags, mode);                                   \
    }

OPENS(open)
OPENS(open64)

#define OPENS_STREAM(name)                                                          \
    FILE *name(const char *path, const char *mode)                                  \
    {                                                                               \
        return strpbrk(mode, "wa+") && fails(path) ? NULL : NEXT(name)(path, mode); \
    }

OPENS_STREAM(fopen)
OPENS_STREAM(fopen64)

ssize_t write(int number, const void *data, size_t size)
{
    return fails_in(number) ? -1 : NEXT(write)(number, data, size);
}

ssize_t writev(int number, const struct iovec *parts, int count)
{
    return fails_in(number) ? -1 : NEXT(writev)(number, parts, count);
}

#define WRITES_AT(name, offset_t)                                               \
    ssize_t name(int number, const void *data, size_t size, offset_t at_byte)   \
    {                                                                           \
        return fails_in(number) ? -1 : NEXT(name)(number, data, size, at_byte); \
    }
#define SENDS(name, offset_t)                                                   \
    ssize_t name(int to, int from, offset_t *at_byte, size_t size)              \
    {                                                                           \
        return fails_in(to) ? -1 : NEXT(name)(to, from, at_byte, size);         \
    }
#define SETS_SIZE(name, offset_t)                                               \
    int name(int number, offset_t size)                                         \
    {                                                                           \
        return fails_in(number) ? -1 : NEXT(name)(number, size);                \
    }
/* It returns its error. */
#define RESERVES(name, offset_t)                                                \
    int name(int number, offset_t at_byte, offset_t size)                       \
    {                                                                           \
        return fails_in(number) ? errno : NEXT(name)(number, at_byte, size);    \
    }

WRITES_AT(pwrite, off_t)
WRITES_AT(pwrite64, off64_t)
SENDS(sendfile, off_t)
SENDS(sendfile64, off64_t)
SETS_SIZE(ftruncate, off_t)
SETS_SIZE(ftruncate64, off64_t)
RESERVES(posix_fallocate, off_t)
RESERVES(posix_fallocate64, off64_t)

int mkdir(const char *path, mode_t mode) { return fails(path) ? -1 : NEXT(mkdir)(path, mode); }

int fsync(int number) { return fails_in(number) ? -1 : NEXT(fsync)(number); }

int rename(const char *from, const char *to) { return fails(to) ? -1 : NEXT(rename)(from, to); }

/* A full disk does not mind. */
int unlink(const char *path) { return fails(path) && error != ENOSPC ? -1 : NEXT(unlink)(path); }
