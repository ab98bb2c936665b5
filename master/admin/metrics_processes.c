/*
 * metrics_processes: the process_ metrics, one value for each process of the
 * daemon. See report.h.
 *
 * They are read from /proc. What the kernel does not show (the number of open
 * files before Linux 6.2) is omitted.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/metrics.h"
#include "clock.h"
#include "journal_line.h"

#define NAME_LEN 24

struct usage {
    char     name[NAME_LEN]; /* value of the label: master, admin, worker 0 */
    bool     known, fds_known;
    double   cpu_s, started_s;
    uint64_t virtual_bytes, resident_bytes, fds, fds_max;
};

/* The contents of a file of /proc; "" if it cannot be read. */
static const char *
read_file(pid_t pid, const char *name)
{
    static char text[4096];
    char        path[64];

    snprintf(path, sizeof path, "/proc/%ld/%s", (long)pid, name);
    FILE  *f = fopen(path, "re");
    size_t n = f != NULL ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f != NULL)
        fclose(f);
    text[n] = '\0';
    return text;
}

/* The Unix time of the boot, to which start times are relative. */
static double
booted_s(void)
{
    struct timespec up;

    clock_gettime(CLOCK_BOOTTIME, &up);
    return (double)clock_wall_ms() / 1e3 - (double)up.tv_sec -
        (double)up.tv_nsec / 1e9;
}

static void
read_usage(struct usage *u, pid_t pid)
{
    double             tick = (double)sysconf(_SC_CLK_TCK);
    unsigned long long utime, stime, start, size;
    long long          pages;

    /* The name in parentheses may contain any character. */
    const char *p = strrchr(read_file(pid, "stat"), ')');
    if (p == NULL ||
        sscanf(p + 1,
            " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d "
            "%*d %*d %*d %*d %llu %llu %lld",
            &utime, &stime, &start, &size, &pages) != 5)
        return;
    u->known = true;
    u->cpu_s = (double)(utime + stime) / tick;
    u->started_s = booted_s() + (double)start / tick;
    u->virtual_bytes = size;
    u->resident_bytes = (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
    p = strstr(read_file(pid, "limits"), "Max open files");
    if (p != NULL)
        (void)sscanf(p, "Max open files %" SCNu64, &u->fds_max);
    char        path[64];
    struct stat st;
    snprintf(path, sizeof path, "/proc/%ld/fd", (long)pid);
    u->fds_known = stat(path, &st) == 0 && st.st_size > 0;
    u->fds = u->fds_known ? (uint64_t)st.st_size : 0;
}

static void
head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_addf(out, "# HELP process_%s %s\n# TYPE process_%s %s\n", name, help,
        name, type);
}

static void
row(struct buf *out, const char *name, const struct usage *u, double value)
{
    buf_addf(out, "process_%s{process=\"%s\"} %.15g\n", name, u->name, value);
}

static void
put(struct buf *out, const struct usage *u, unsigned n)
{
    head(out, "cpu_seconds_total", "counter", "CPU time, user and system");
    for (unsigned i = 0; i < n; i++)
        row(out, "cpu_seconds_total", &u[i], u[i].cpu_s);
    head(out, "resident_memory_bytes", "gauge",
        "Resident memory; pages that processes share count for each of them");
    for (unsigned i = 0; i < n; i++)
        row(out, "resident_memory_bytes", &u[i], (double)u[i].resident_bytes);
    head(out, "virtual_memory_bytes", "gauge", "Address space");
    for (unsigned i = 0; i < n; i++)
        row(out, "virtual_memory_bytes", &u[i], (double)u[i].virtual_bytes);
    head(out, "start_time_seconds", "gauge",
        "When the process was started, Unix time");
    for (unsigned i = 0; i < n; i++)
        row(out, "start_time_seconds", &u[i], u[i].started_s);
    head(out, "max_fds", "gauge", "Limit of open files");
    for (unsigned i = 0; i < n; i++)
        row(out, "max_fds", &u[i], (double)u[i].fds_max);
    if (!u[0].fds_known)
        return;
    head(out, "open_fds", "gauge", "Open files, sockets included");
    for (unsigned i = 0; i < n; i++)
        if (u[i].fds_known)
            row(out, "open_fds", &u[i], (double)u[i].fds);
}

void
metrics_processes(const struct shm *s, struct buf *out)
{
    static struct usage u[JOURNAL_SLOTS + 2];
    unsigned            n = 0;

    for (unsigned i = 0; i < shm_slots(s) + 2; i++) {
        pid_t pid = i == 0 ? s->master_pid
            : i == 1       ? getpid()
                           : shm_worker(s, i - 2)->pid;
        u[n] = (struct usage){0};
        if (i < 2)
            snprintf(u[n].name, NAME_LEN, "%s", i == 0 ? "master" : "admin");
        else
            snprintf(u[n].name, NAME_LEN, "worker %u", i - 2);
        if (pid > 0)
            read_usage(&u[n], pid);
        n += u[n].known;
    }
    if (n > 0)
        put(out, u, n);
}
