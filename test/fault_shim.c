/*
 * fault_shim: makes system calls of the gateway fail on demand, by LD_PRELOAD.
 *
 * OCPPD_FAULTS names a file of 32 numbers (64 bits each), which every process
 * maps. A test writes an order into the file, and it takes effect at once in
 * all of them. The faults that were injected are counted after the orders.
 *
 *   pwrite    errno or delay. A write that fails writes its first half, as in a
 *             torn sector
 *   sync      fdatasync and fsync: errno or delay. After a failure, the state
 *             of everything that was written before is unknown
 *   accept4   errno, except at a control socket
 *   clock     milliseconds added to CLOCK_REALTIME
 *   recvmsg   delay, in one process
 *   hang      calls of a kind (a sum of HANG_ values) on paths that contain
 *             the text at byte 512 of the file do not return until the order
 *             is withdrawn; the empty text means every path
 *   step      the process that is about to send the (skip + 1)-th message that
 *             begins with the text at byte 768 writes its pid into the order,
 *             and waits until the order is withdrawn. A datagram of channel.h
 *             has the text `#type` here. An order is valid for one message
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
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
    HANG,
    RECEIVE_DELAY_MS,
    RECEIVE_PID,
    STEP,        /* 1: ordered; later the pid of the process that waits */
    STEP_SKIP,   /* number of messages that pass before */
    COUNTS = 16, /* WRITE_ERRNO + COUNTS: number of writes that have failed, and
                    so on */
    NUMBERS = 32
};

enum {
    HANG_SYNC = 1, /* fsync, fdatasync */
    HANG_LOCK = 2, /* flock */
    HANG_OPEN = 4, /* open, openat, rename, unlink, stat */
    HANG_READ = 8,
    HANG_WRITE = 16,
    HANG_NAME = 32 /* getaddrinfo, of the name */
};
#define PATTERN_AT 512
#define PATTERN_MAX 256
#define STEP_AT (PATTERN_AT + PATTERN_MAX)
#define STEP_MAX 64

static _Atomic int64_t *numbers;

/* Runs before main(), when there are no threads and no signals yet. */
__attribute__((constructor)) static void
map(void)
{
    const char *name = getenv("OCPPD_FAULTS");
    int         fd = name ? open(name, O_RDWR | O_CLOEXEC) : -1;

    if (fd < 0)
        return;
    void *p = mmap(
        NULL, STEP_AT + STEP_MAX, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
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

static bool
hangs(int call, const char *path)
{
    if (numbers == NULL || !(atomic_load(&numbers[HANG]) & call))
        return false;
    return strstr(path, (const char *)numbers + PATTERN_AT) != NULL;
}

static void
hang(int call, const char *path)
{
    const struct timespec t = {0, 10000000};

    if (!hangs(call, path))
        return;
    atomic_fetch_add(&numbers[HANG + COUNTS], 1);
    while (hangs(call, path))
        nanosleep(&t, NULL);
}

static void
hang_fd(int call, int fd)
{
    char link[64], path[1024];

    if (numbers == NULL || !(atomic_load(&numbers[HANG]) & call))
        return;
    int saved = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    errno = saved;
    if (n < 0)
        return;
    path[n] = '\0';
    hang(call, path);
}

ssize_t
recvmsg(int fd, struct msghdr *m, int flags)
{
    if (numbers != NULL && atomic_load(&numbers[RECEIVE_PID]) == getpid())
        delay(RECEIVE_DELAY_MS);
    return syscall(SYS_recvmsg, fd, m, flags);
}

/* True if this is the message of the order. */
static bool
is_step(const struct msghdr *m)
{
    const char *text = (const char *)numbers + STEP_AT;
    char        head[STEP_MAX] = "";
    uint32_t    type;

    if (m->msg_iovlen == 0 || m->msg_iov[0].iov_len < sizeof type)
        return false;
    size_t n = m->msg_iov[0].iov_len;
    memcpy(&type, m->msg_iov[0].iov_base, sizeof type);
    if (type < 256)
        snprintf(head, sizeof head, "#%u ", type);
    else
        memcpy(head, m->msg_iov[0].iov_base,
            n < sizeof head ? n : sizeof head - 1);
    return strncmp(head, text, strnlen(text, STEP_MAX)) == 0 &&
        atomic_fetch_sub(&numbers[STEP_SKIP], 1) == 0;
}

static void
step(const struct msghdr *m)
{
    const struct timespec t = {0, 2000000};
    int64_t               armed = 1;

    if (numbers != NULL && atomic_load(&numbers[STEP]) == 1 && is_step(m) &&
        atomic_compare_exchange_strong(&numbers[STEP], &armed, getpid()))
        while (atomic_load(&numbers[STEP]) == getpid())
            nanosleep(&t, NULL);
}

ssize_t
sendmsg(int fd, const struct msghdr *m, int flags)
{
    step(m);
    return syscall(SYS_sendmsg, fd, m, flags);
}

ssize_t
send(int fd, const void *p, size_t n, int flags)
{
    struct iovec iov = {(void *)p, n};

    step(&(struct msghdr){.msg_iov = &iov, .msg_iovlen = 1});
    return syscall(SYS_sendto, fd, p, n, flags, NULL, 0);
}

ssize_t
sendto(int fd, const void *p, size_t n, int flags, const struct sockaddr *to,
    socklen_t len)
{
    struct iovec iov = {(void *)p, n};

    step(&(struct msghdr){.msg_iov = &iov, .msg_iovlen = 1});
    return syscall(SYS_sendto, fd, p, n, flags, to, len);
}

int
flock(int fd, int how)
{
    hang_fd(HANG_LOCK, fd);
    return (int)syscall(SYS_flock, fd, how);
}

int
openat(int dir, const char *path, int flags, ...)
{
    va_list ap;

    va_start(ap, flags);
    int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, int) : 0;
    va_end(ap);
    hang(HANG_OPEN, path);
    return (int)syscall(SYS_openat, dir, path, flags, mode);
}

int
open(const char *path, int flags, ...)
{
    va_list ap;

    va_start(ap, flags);
    int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, int) : 0;
    va_end(ap);
    return openat(AT_FDCWD, path, flags, mode);
}

int
rename(const char *from, const char *to)
{
    hang(HANG_OPEN, to);
    return (int)syscall(SYS_rename, from, to);
}

int
unlink(const char *path)
{
    hang(HANG_OPEN, path);
    return (int)syscall(SYS_unlink, path);
}

ssize_t
read(int fd, void *p, size_t n)
{
    hang_fd(HANG_READ, fd);
    return syscall(SYS_read, fd, p, n);
}

ssize_t
write(int fd, const void *p, size_t n)
{
    hang_fd(HANG_WRITE, fd);
    return syscall(SYS_write, fd, p, n);
}

int
getaddrinfo(const char *restrict host, const char *restrict service,
    const struct addrinfo *restrict hints, struct addrinfo **restrict list)
{
    static int (*real)(const char *, const char *, const struct addrinfo *,
        struct addrinfo **);

    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (host != NULL)
        hang(HANG_NAME, host);
    return real(host, service, hints, list);
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
    hang_fd(HANG_WRITE, fd);
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
    hang_fd(HANG_SYNC, fd);
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

    /* Only listeners of charge points fail; the control socket continues
     * answering. */
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

    (void)unused;
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
