/* transactions: transaction ids, and how a StartTransaction is recognised. See
 * transactions.h. */
#include "session/transactions.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "log.h"
#include "fleet/redis.h"
#include "base/self.h"
#include "fleet/transaction_ids.h"

#define BLOCK 256
#define FILE_NAME "transaction-ids"
#define RETRY_MS 1000 /* after a failure the disk is left alone this long */

static int64_t  next = 1, end = 1; /* this worker's block, [next, end) */
static uint32_t failed_ms;
static bool     failed;

/* Makes a new counter's name durable. */
static bool
sync_dir(void)
{
    int fd =
        open(self.conf.server_state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return false;
    bool ok = fsync(fd) == 0;
    close(fd);
    return ok;
}

/* Takes [*from, *from + BLOCK) of the counter. The lock is held by nobody
 * for longer than a write and a sync. */
static bool
take_block(int64_t *from)
{
    if (redis_on())
        return transaction_ids_take(from, BLOCK);

    char    path[CONF_TEXT_MAX + sizeof FILE_NAME + 1], text[32];
    int64_t value = 1;

    snprintf(path, sizeof path, "%s/" FILE_NAME, self.conf.server_state_dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        goto fail;
    if (flock(fd, LOCK_EX) != 0)
        goto fail;
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    if (n < 0)
        goto fail;
    text[n] = '\0';
    if (n > 0) {
        char *rest;
        errno = 0;
        value = strtoll(text, &rest, 10);
        if (errno != 0 || *rest != '\n' || value < 1) {
            log_error("%s holds no transaction id; restore it, or write the "
                      "highest id ever used plus one into it",
                path);
            close(fd);
            return false;
        }
    }
    if (value > INT32_MAX - BLOCK) {
        log_error(
            "%s: the transaction ids are used up at %" PRId64, path, value);
        close(fd);
        return false;
    }
    /* Always the same length: overwriting in place never leaves a mixture
     * longer than the block that a crash could repeat. */
    int len = snprintf(text, sizeof text, "%020" PRId64 "\n", value + BLOCK);
    if (pwrite(fd, text, (size_t)len, 0) != len || fdatasync(fd) != 0)
        goto fail;
    if (n == 0 && !sync_dir())
        goto fail;
    close(fd);
    *from = value;
    return true;
fail:
    log_error("cannot take transaction ids from %s: %s; StartTransaction is "
              "not answered until this works",
        path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return false;
}

bool
transactions_new_id(int32_t *id)
{
    if (next == end) {
        if (failed && self.now_ms - failed_ms < RETRY_MS)
            return false;
        failed = !take_block(&next);
        if (failed) {
            failed_ms = self.now_ms;
            end = next;
            return false;
        }
        end = next + BLOCK;
    }
    *id = (int32_t)next++;
    return true;
}

void
transactions_fingerprint(
    const struct json *tape, uint32_t payload, uint64_t fingerprint[2])
{
    static const char *const members[] = {
        "connectorId", "idTag", "timestamp", "meterStart"};

    fingerprint[0] = 1;
    fingerprint[1] = 2;
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        uint32_t m = json_member(tape, payload, members[i], strlen(members[i]));
        size_t   n = 0;
        const char *raw = m ? json_raw(tape, m, &n) : "";
        fingerprint[0] = registry_hash(raw, n, fingerprint[0]);
        fingerprint[1] = registry_hash(raw, n, fingerprint[1]);
    }
    fingerprint[1] |= UINT64_C(1) << 63; /* never all zero */
}
