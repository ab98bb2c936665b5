/* transaction_ids: transaction ids that no other node has. See
 * transaction_ids.h. */
#include "fleet/transaction_ids.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "log.h"
#include "fleet/redis.h"
#include "base/self.h"

#define RANGE 65536     /* fetched at once */
#define LOW (RANGE / 4) /* what is left is given up for a new one */
#define LOOK_MS 1000

static bool     fetching, was_ready;
static uint32_t looked_ms;

static int
open_file(void)
{
    char path[2 * CONF_TEXT_MAX + 32];

    snprintf(path, sizeof path, "%s/transaction-ids-%s",
        self.conf.server_state_dir, self.conf.redis_prefix);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd >= 0 && flock(fd, LOCK_EX) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* "NEXT END\n", always of one length. An empty file is an empty range. */
static bool
read_range(int fd, int64_t *next, int64_t *end)
{
    char    text[64];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);

    if (n < 0)
        return false;
    text[n] = '\0';
    *next = *end = 0;
    if (n > 0 &&
        (sscanf(text, "%" SCNd64 " %" SCNd64, next, end) != 2 || *next < 1)) {
        errno = EINVAL;
        return false;
    }
    return true;
}

static bool
write_range(int fd, int64_t next, int64_t end)
{
    char text[64];
    int  len = snprintf(
         text, sizeof text, "%020" PRId64 " %020" PRId64 "\n", next, end);

    return pwrite(fd, text, (size_t)len, 0) == len && fdatasync(fd) == 0;
}

bool
transaction_ids_take(int64_t *from, int64_t n)
{
    int64_t next, end;
    int     fd = open_file();
    bool    ok = fd >= 0 && read_range(fd, &next, &end);

    if (ok && end - next < n) {
        log_error(
            "no transaction ids are left, and Redis has given no new ones; "
            "StartTransaction is not answered until it does");
        close(fd);
        return false;
    }
    ok = ok && write_range(fd, next + n, end);
    if (!ok)
        log_error("cannot take transaction ids from %s/transaction-ids-%s: %s; "
                  "StartTransaction is not answered until this works",
            self.conf.server_state_dir, self.conf.redis_prefix,
            strerror(errno));
    if (fd >= 0)
        close(fd);
    if (ok)
        *from = next;
    return ok;
}

static void
fetched_cb(void *ctx, const struct redis_value *v)
{
    int64_t first = v != NULL && redis_error(v) == NULL ? redis_int(v) : -1;

    fetching = false;
    if (first == 0)
        log_error("the transaction ids of the fleet are used up");
    if (first <= 0)
        return;
    int fd = open_file();
    if (fd < 0 || !write_range(fd, first, first + RANGE))
        log_error("cannot keep transaction ids in %s: %s",
            self.conf.server_state_dir, strerror(errno));
    else
        log_debug("transaction ids from %" PRId64 " on", first);
    if (fd >= 0)
        close(fd);
}

/* Of the counter that is used without Redis: ids of former times. */
static int64_t
local_highest(void)
{
    char      path[CONF_TEXT_MAX + 32];
    long long n = 0;

    snprintf(
        path, sizeof path, "%s/transaction-ids", self.conf.server_state_dir);
    FILE *f = fopen(path, "re");
    if (f != NULL) {
        if (fscanf(f, "%lld", &n) != 1)
            n = 0;
        fclose(f);
    }
    return n;
}

void
transaction_ids_tick(void)
{
    int64_t next, end, local;

    if (!redis_on() || self.slot != 0 || fetching)
        return;
    if (!redis_ready(0)) {
        was_ready = false;
        return;
    }
    if (was_ready && self.now_ms - looked_ms < LOOK_MS)
        return;
    was_ready = true;
    looked_ms = self.now_ms;
    int fd = open_file();
    if (fd < 0)
        return; /* said when one is wanted */
    bool ok = read_range(fd, &next, &end);
    close(fd);
    if (!ok || end - next >= LOW)
        return;
    local = local_highest();
    redis_begin("FCALL");
    redis_name("txids", "1");
    redis_key(0, "txid", "last");
    redis_addu(RANGE);
    redis_addu((uint64_t)(local > end ? local : end));
    fetching = redis_send(0, fetched_cb, NULL);
}
