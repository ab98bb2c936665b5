/*
 * ws_pool: the leases, and the memory of the messages that they collect. See
 * ws.h.
 */
#include "net/ws_private.h"

#include <stdlib.h>

#include "ensure.h"

static struct {
    struct ws *idle;
    unsigned   idle_n;
    unsigned   lent_n;
    unsigned   keep;
    uint64_t   bytes; /* bytes of messages that are being collected, in all
                         leases */
    uint64_t limit;   /* limit of bytes; 0: none */
} pool;

bool
ws_message_fits(const struct ws *ws, size_t n)
{
    /* A growing buffer gets at most twice its length. */
    return pool.limit == 0 || ws->msg.len + n <= ws->msg.cap ||
        pool.bytes + ws->msg.cap + 2 * (uint64_t)n <= pool.limit;
}

bool
ws_message_add(struct ws *ws, const void *data, size_t n)
{
    size_t before = ws->msg.cap;
    bool   added = buf_add(&ws->msg, data, n);

    pool.bytes += ws->msg.cap - before;
    return added;
}

void
ws_message_free(struct ws *ws)
{
    pool.bytes -= ws->msg.cap;
    buf_free(&ws->msg);
}

/* --- leases -------------------------------------------------------------- */

static struct ws *
create(void)
{
    struct ws *ws = calloc(1, sizeof *ws);
    if (ws == NULL)
        return NULL;
    if (wslay_event_context_server_init(&ws->ctx, &ws_callbacks, ws) != 0) {
        free(ws);
        return NULL;
    }
    wslay_event_config_set_no_buffering(ws->ctx, 1);
    wslay_event_shutdown_write(ws->ctx);
    return ws;
}

static void
destroy(struct ws *ws)
{
    wslay_event_context_free(ws->ctx);
    ws_message_free(ws);
    free(ws);
}

struct ws *
ws_borrow(void *owner, uint8_t *bits, size_t max_message)
{
    /* wslay compares each frame with 2^31 - 1. */
    ensure(max_message > 0 && max_message <= INT32_MAX);
    struct ws *ws = pool.idle;
    if (ws != NULL) {
        pool.idle = ws->next;
        pool.idle_n--;
    } else {
        ws = create();
        if (ws == NULL)
            return NULL;
    }
    pool.lent_n++;
    ws->next = NULL;
    ws->owner = owner;
    ws->bits = bits;
    ws->max = max_message;
    ws->msg = BUF_INIT(max_message);
    wslay_event_config_set_allowed_rsv_bits(
        ws->ctx, frame_window(*bits) != 0 ? WSLAY_RSV1_BIT : WSLAY_RSV_NONE);
    return ws;
}

void
ws_return(struct ws *ws)
{
    ensure(!ws->busy);
    pool.lent_n--;
    /* Except for its message buffer, a clean lease is in the state that
       create() made. */
    if (!ws_is_clean(ws) || pool.idle_n >= pool.keep) {
        destroy(ws);
        return;
    }
    if (ws->msg.cap > 0)
        ws_message_free(ws);
    ws->owner = NULL;
    ws->bits = NULL;
    ws->next = pool.idle;
    pool.idle = ws;
    pool.idle_n++;
}

void
ws_pool_keep(unsigned keep)
{
    pool.keep = keep;
    while (pool.idle_n > keep) {
        struct ws *ws = pool.idle;
        pool.idle = ws->next;
        pool.idle_n--;
        destroy(ws);
    }
}

void
ws_pool_limit(uint64_t bytes)
{
    pool.limit = bytes;
}

uint64_t
ws_pool_bytes(void)
{
    return pool.bytes;
}

unsigned
ws_pool_lent(void)
{
    return pool.lent_n;
}

unsigned
ws_pool_idle(void)
{
    return pool.idle_n;
}
