/* listen: the sockets that charge points connect to. See listen.h. */
#include "workers/listen.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"
#include "cref.h"
#include "log.h"

#define SPARE_FDS 64 /* listeners, channel, journal, log, epoll ... */

static const char *
remedy(int error)
{
    switch (error) {
    case EADDRINUSE:
        return "another program listens there (`ss -ltnp` shows which); stop "
               "it or choose another port. The workers of an ocppd that was "
               "killed need a moment to end";
    case EACCES:
    case EPERM:
        return "ports below 1024 need root, or CAP_NET_BIND_SERVICE; start "
               "ocppd as root with server.user set, or choose another port";
    case EADDRNOTAVAIL:
        return "this machine does not have the address (`ip addr` shows those "
               "it has)";
    case EAFNOSUPPORT:
        return "this kernel has no IPv6";
    case EMFILE:
    case ENFILE:
        return "too few file descriptors; raise the limit (`ulimit -n`, "
               "LimitNOFILE=)";
    default:
        return "see the configuration";
    }
}

/* Makes a bound socket; -1 with errno. */
static int
bind_one(const struct sockaddr_storage *address, socklen_t size, bool share)
{
    int one = 1;
    int fd = socket(
        address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        (share &&
            setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) != 0) ||
        (address->ss_family == AF_INET6 &&
            setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) != 0) ||
        bind(fd, (const struct sockaddr *)address, size) != 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

static bool
explain(struct buf *why, const char *knob, const char *item, int error)
{
    buf_addf(why, "%s = %s: cannot listen: %s; %s", knob, item, strerror(error),
        remedy(error));
    return false;
}

static bool
probe(const char *knob, const char *list, bool in_use, struct buf *why)
{
    char item[CONF_LIST_MAX];

    for (const char *at = list; config_list_next(&at, item, sizeof item);) {
        struct sockaddr_storage address;
        socklen_t               size;
        if (!config_address(item, &address, &size))
            return explain(why, knob, item, EINVAL);
        int fd = bind_one(&address, size, in_use);
        if (fd >= 0)
            close(fd);
        else if (errno != EADDRINUSE || !in_use)
            return explain(why, knob, item, errno);
    }
    return true;
}

bool
listen_probe(const char *knob, const char *list, struct buf *why)
{
    return probe(knob, list, false, why);
}

bool
listen_check(const char *knob, const char *list, struct buf *why)
{
    return probe(knob, list, true, why);
}

/* --- sockets of the old program ------------------------------------------ */

#define OFFERED_MAX 8192

static struct offered {
    enum listener_kind kind;
    unsigned           slot;
    int                fd; /* -1: taken */
} * offered;
static unsigned offered_n;

void
listen_offer(enum listener_kind kind, unsigned slot, int fd)
{
    struct offered *more = offered_n < OFFERED_MAX
        ? realloc(offered, (offered_n + 1) * sizeof *offered)
        : NULL;
    if (more == NULL) {
        close(fd);
        return;
    }
    offered = more;
    offered[offered_n++] = (struct offered){kind, slot, fd};
}

static bool
has_address(int fd, const struct sockaddr_storage *address)
{
    struct sockaddr_storage has;
    socklen_t               size = sizeof has;

    memset(&has, 0, sizeof has);
    if (getsockname(fd, (struct sockaddr *)&has, &size) != 0)
        return false;
    uint64_t a[2], b[2];
    uint16_t port_a, port_b;
    address_pack(&has, a, &port_a);
    address_pack(address, b, &port_b);
    return has.ss_family == address->ss_family && port_a == port_b &&
        a[0] == b[0] && a[1] == b[1];
}

static int
take(enum listener_kind kind, unsigned slot,
    const struct sockaddr_storage *address)
{
    for (unsigned i = 0; i < offered_n; i++) {
        struct offered *o = &offered[i];
        if (o->fd < 0 || o->kind != kind || o->slot != slot ||
            !has_address(o->fd, address))
            continue;
        int fd = o->fd;
        o->fd = -1;
        return fd;
    }
    return -1;
}

void
listen_take_rest(struct listen_set *set, enum listener_kind kind,
    const char *list, unsigned slot, unsigned slots)
{
    char item[CONF_LIST_MAX];

    for (const char *at = list; config_list_next(&at, item, sizeof item);) {
        struct sockaddr_storage address;
        socklen_t               size;
        if (!config_address(item, &address, &size))
            continue;
        for (unsigned i = slots + slot; i < CREF_SLOTS; i += slots) {
            int fd = set->n < LISTEN_ADDRESSES ? take(kind, i, &address) : -1;
            if (fd >= 0)
                set->at[set->n++] = (struct listener){fd, kind};
        }
    }
}

void
listen_close_rest(void)
{
    for (unsigned i = 0; i < offered_n; i++)
        if (offered[i].fd >= 0)
            close(offered[i].fd);
    free(offered);
    offered = NULL;
    offered_n = 0;
}

bool
listen_begin(struct listen_set *set, int backlog)
{
    for (unsigned i = 0; i < set->n; i++)
        if (listen(set->at[i].fd, backlog) != 0)
            return false;
    return true;
}

/* --- binding -------------------------------------------------------------- */

bool
listen_open(struct listen_set *set, enum listener_kind kind, unsigned slot,
    const char *knob, const char *list, int backlog, struct buf *why)
{
    char item[CONF_LIST_MAX];

    for (const char *at = list; config_list_next(&at, item, sizeof item);) {
        struct sockaddr_storage address;
        socklen_t               size;
        if (set->n == LISTEN_ADDRESSES) {
            buf_addf(why, "%s: more than %d addresses", knob, LISTEN_ADDRESSES);
            listen_close(set);
            return false;
        }
        if (!config_address(item, &address, &size)) {
            listen_close(set);
            return explain(why, knob, item, EINVAL);
        }
        int fd = take(kind, slot, &address);
        if (fd < 0)
            fd = bind_one(&address, size, true);
        if (fd >= 0 && backlog > 0 && listen(fd, backlog) != 0) {
            int saved = errno;
            close(fd);
            errno = saved;
            fd = -1;
        }
        if (fd < 0) {
            int saved = errno;
            listen_close(set);
            return explain(why, knob, item, saved);
        }
        set->at[set->n++] = (struct listener){fd, kind};
    }
    return true;
}

void
listen_close(struct listen_set *set)
{
    while (set->n > 0)
        close(set->at[--set->n].fd);
}

void
listen_raise_limit(const struct config *c, unsigned workers)
{
    /* The kernel distributes clients by a hash, so a worker may get more than
     * its share, and may also get the clients of a worker that is not alive. */
    uint64_t      share = (c->server_max_connections + workers - 1) / workers;
    uint64_t      need = (workers > 1 ? share + share / 4 : share) + SPARE_FDS;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    if (limit.rlim_max < need) {
        /* Root may raise the hard limit too. */
        struct rlimit more = {.rlim_cur = need, .rlim_max = need};
        if (setrlimit(RLIMIT_NOFILE, &more) == 0)
            return;
    }
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        log_warn(
            "cannot raise the limit of file descriptors: %s", strerror(errno));
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < need)
        log_warn("server.max_connections = %" PRIu64 " on %u workers needs "
                 "%" PRIu64 " file descriptors each, the limit is %" PRIu64
                 "; raise it (`ulimit -n %" PRIu64 "`, LimitNOFILE=%" PRIu64
                 " in the unit), or set server.max_connections to %" PRIu64,
            c->server_max_connections, workers, need, (uint64_t)limit.rlim_cur,
            need, need,
            limit.rlim_cur <= SPARE_FDS
                ? UINT64_C(1)
                : ((uint64_t)limit.rlim_cur - SPARE_FDS) * workers *
                    (workers > 1 ? 4 : 5) / 5);
}
