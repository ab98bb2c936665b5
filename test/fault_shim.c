/*
 * fault_shim: failures on order, for LD_PRELOAD into the gateway.
 *
 * OCPPD_FAULTS names a file of 32 numbers (64 bits each), mapped by every
 * process: a test writes an order into the file and it holds at once, for
 * all of them; what was done to whom is counted behind the orders.
 *
 *   pwrite    errno or delay. Of a write that fails, half is written: what
 *             a torn sector looks like.
 *   sync      fdatasync and fsync: errno or delay. After a failure nothing
 *             is known about what was written before.
 *   accept4   errno, but not at a control socket
 *   clock     milliseconds added to CLOCK_REALTIME
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum {
    WRITE_ERRNO,
    WRITE_DELAY_MS,
    SYNC_ERRNO,
    SYNC_DELAY_MS,
    ACCEPT_ERRNO,
    CLOCK_MS,
    COUNTS = 16, /* WRITE_ERRNO + COUNTS: how many writes failed, and so on */
    NUMBERS = 32
};

static _Atomic int64_t *numbers;

/* Before main(), so that no thread and no signal is in between. */
__attribute__((constructor)) static void
map(void)
{
    const char *name = getenv("OCPPD_FAULTS");
    int         fd = name ? open(name, O_RDWR | O_CLOEXEC) : -1;

    if (fd < 0)
        return;
    void *p = mmap(NULL, NUMBERS * sizeof *numbers, PROT_READ | PROT_WRITE,
        MAP_SHARED, fd, 0);
    close(fd);
    if (p != MAP_FAILED)
        numbers = p;
}

static int64_t
order(int which)
{
    int64_t v = numbers ? atomic_load(&numbers[which]) : 0;

    if (v != 0)
        atomic_fetch_add(&numbers[which + COUNTS], 1);
    return v;
}

static void
delay(int which)
{
    int64_t         ms = order(which);
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};

    if (ms > 0)
        nanosleep(&t, NULL);
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
    delay(WRITE_DELAY_MS);
    int64_t err = order(WRITE_ERRNO);
    ssize_t done = syscall(SYS_pwrite64, fd, p, err ? n / 2 : n, at);
    if (err == 0)
        return done;
    errno = (int)err;
    return -1;
}

ssize_t
pwrite64(int fd, const void *p, size_t n, off64_t at)
{
    return pwrite(fd, p, n, at);
}

static int
sync_by(long call, int fd)
{
    delay(SYNC_DELAY_MS);
    int64_t err = order(SYNC_ERRNO);
    if (err == 0)
        return (int)syscall(call, fd);
    errno = (int)err;
    return -1;
}

int
fdatasync(int fd)
{
    return sync_by(SYS_fdatasync, fd);
}

int
fsync(int fd)
{
    return sync_by(SYS_fsync, fd);
}

int
accept4(int fd, struct sockaddr *a, socklen_t *len, int flags)
{
    struct sockaddr_storage own;
    socklen_t               own_len = sizeof own;

    /* Charge points' listeners; the control socket goes on answering. */
    int64_t err = getsockname(fd, (struct sockaddr *)&own, &own_len) == 0 &&
            own.ss_family != AF_UNIX
        ? order(ACCEPT_ERRNO)
        : 0;
    if (err == 0)
        return (int)syscall(SYS_accept4, fd, a, len, flags);
    errno = (int)err;
    return -1;
}

int
clock_gettime(clockid_t id, struct timespec *t)
{
    static int (*real)(clockid_t, struct timespec *);

    if (real == NULL)
        real = (int (*)(clockid_t, struct timespec *))dlsym(
            RTLD_NEXT, "clock_gettime");
    int r = real(id, t);
    if (r != 0 || id != CLOCK_REALTIME)
        return r;
    int64_t ms = numbers ? atomic_load(&numbers[CLOCK_MS]) : 0;
    int64_t ns = t->tv_nsec + ms % 1000 * 1000000;
    t->tv_sec += ms / 1000 + (ns >= 1000000000) - (ns < 0);
    t->tv_nsec = ns >= 1000000000 ? ns - 1000000000
        : ns < 0                  ? ns + 1000000000
                                  : ns;
    return 0;
}

int
gettimeofday(struct timeval *restrict t, void *restrict unused)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    t->tv_sec = now.tv_sec;
    t->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t
time(time_t *out)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL)
        *out = now.tv_sec;
    return now.tv_sec;
}
