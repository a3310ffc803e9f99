/* Makes writing fail below one folder: loaded before the C library (LD_PRELOAD), told what to do by `fault_set`.

   Counted are the calls that change something there: files opened to be written or made, writes, flushes,
   renames, removals. The call with the number `at` fails, and where `lasts` is not 0 all after it. The error -1
   is none: the call waits. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static char folder[PATH_MAX];
static long at, calls;
static int error, lasts;

void fault_set(const char *path, long number, int code, int and_after)
{
    strncpy(folder, path, sizeof folder - 1);
    at = number, error = code, lasts = and_after, calls = 0;
}

long fault_calls(void) { return calls; }

static int fails(const char *path)
{
    size_t length = strlen(folder);

    if (!length || strncmp(path, folder, length) || (path[length] && path[length] != '/'))
        return 0;
    calls++;
    if (!at || calls < at || (calls > at && !lasts))
        return 0;
    if (error < 0) {
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

ssize_t write(int number, const void *data, size_t size)
{
    return fails_in(number) ? -1 : NEXT(write)(number, data, size);
}

int fsync(int number) { return fails_in(number) ? -1 : NEXT(fsync)(number); }

int rename(const char *from, const char *to) { return fails(to) ? -1 : NEXT(rename)(from, to); }

int unlink(const char *path) { return fails(path) ? -1 : NEXT(unlink)(path); }
