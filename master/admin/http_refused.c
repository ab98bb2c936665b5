/* http_refused: requests and connections that the admin port refuses. See
 * http_refused.h. */
#include "admin/http_refused.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "address.h"
#include "base/master.h"
#include "clock.h"
#include "log.h"
#include "printable.h"

#define LOG_MS 60000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Since the last flush, and since the last line of the log. */
static struct {
    uint64_t n[SHM_HTTP_STATUSES], unlogged;
    unsigned status; /* of the last one */
    uint64_t addr[2];
} sums;

static unsigned
row_of(unsigned status)
{
    unsigned i = 0;

    while (i < SHM_HTTP_STATUSES && shm_http_status[i] != status)
        i++;
    return i;
}

void
http_refused_count(unsigned status, const uint64_t addr[2])
{
    unsigned i = row_of(status);

    if (i == SHM_HTTP_STATUSES)
        return;
    pthread_mutex_lock(&lock);
    sums.n[i]++;
    sums.unlogged++;
    sums.status = status;
    memcpy(sums.addr, addr, sizeof sums.addr);
    pthread_mutex_unlock(&lock);
}

static void
log_sum(const char *address, unsigned status, uint64_t n)
{
    if (status == 0)
        log_warn("admin.listen: %llu requests or connections were refused "
                 "since the last such line; the last, from %s, had no request "
                 "and made room for another (admin.address_connections)",
            (unsigned long long)n, address);
    else
        log_warn("admin.listen: %llu requests or connections were refused "
                 "since the last such line; the last, from %s, with status %u "
                 "(%s)",
            (unsigned long long)n, address, status,
            status == 401 ? "without a token, or with an unknown one"
                : status == 403
                ? "its token does not have the right, or its host "
                  "name or origin is not accepted"
                : status == 413 ? "it is too large"
                                : "the gateway is busy, or not ready");
}

void
http_refused_flush(int channel)
{
    static uint64_t logged_ms;
    uint64_t        now = clock_mono_ms(), unlogged = 0;
    char            address[ADDRESS_LEN];

    pthread_mutex_lock(&lock);
    unsigned status = sums.status;
    address_text(address, sums.addr, 0);
    for (unsigned i = 0; i < SHM_HTTP_STATUSES; i++) {
        struct channel_msg m = {.type = CHANNEL_http_refused,
            .id = shm_http_status[i],
            .arg = sums.n[i]};
        if (sums.n[i] > 0 &&
            channel_send(channel, &m, address, strlen(address) + 1))
            sums.n[i] = 0;
    }
    if (sums.unlogged > 0 && (logged_ms == 0 || now - logged_ms >= LOG_MS)) {
        unlogged = sums.unlogged;
        sums.unlogged = 0;
        logged_ms = now;
    }
    pthread_mutex_unlock(&lock);
    if (unlogged > 0)
        log_sum(address, status, unlogged);
}

void
http_refused_take(const struct channel_msg *m, const char *body)
{
    struct shm *s = master.shm;
    unsigned    i =
        m->id <= UINT32_MAX ? row_of((unsigned)m->id) : SHM_HTTP_STATUSES;

    if (i == SHM_HTTP_STATUSES || m->arg == 0 || m->arg > UINT32_MAX)
        return;
    s->http_refused[i] += m->arg;
    s->http_refused_status = shm_http_status[i];
    s->http_refused_wall_ms = clock_wall_ms();
    snprintf(s->http_refused_from, sizeof s->http_refused_from, "%.*s",
        (int)strnlen(body, m->len), body);
    printable_mask(s->http_refused_from, strlen(s->http_refused_from));
}
