/* lease: wslay contexts that links borrow. See lease.h. */
#include "lease.h"

#include <stdlib.h>
#include <string.h>

#include "common/ensure.h"

static struct lease *pool;
static struct buf   *gather; /* the buffer for all bytes to be sent */
static void (*deliver)(
    void *owner, int opcode, const char *p, size_t n, bool compressed);

void
lease_setup(struct buf *out,
    void (*message)(
        void *owner, int opcode, const char *p, size_t n, bool compressed))
{
    gather = out;
    deliver = message;
}

/* --- wslay's callbacks --------------------------------------------------- */

static ssize_t
recv_cb(wslay_event_context_ptr ctx, uint8_t *buf, size_t len, int flags,
    void *user_data)
{
    struct lease *lease = user_data;

    (void)flags;
    if (lease->in_len == 0 || lease->doomed) {
        wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    if (len > lease->in_len)
        len = lease->in_len;
    memcpy(buf, lease->in, len);
    lease->in += len;
    lease->in_len -= len;
    return (ssize_t)len;
}

/* wslay passes header and payload in two calls; they are sent together. */
static ssize_t
send_cb(wslay_event_context_ptr ctx, const uint8_t *data, size_t len, int flags,
    void *user_data)
{
    (void)flags;
    (void)user_data;
    if (!buf_add(gather, data, len)) {
        wslay_event_set_error(ctx, WSLAY_ERR_CALLBACK_FAILURE);
        return -1;
    }
    return (ssize_t)len;
}

static uint32_t
mask_word(void)
{
    static uint32_t x = 2463534242u;

    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return x;
}

static int
genmask_cb(
    wslay_event_context_ptr ctx, uint8_t *buf, size_t len, void *user_data)
{
    (void)ctx;
    (void)user_data;
    uint32_t word = mask_word();
    memcpy(buf, &word, len < 4 ? len : 4);
    return 0;
}

static void
frame_start_cb(wslay_event_context_ptr                ctx,
    const struct wslay_event_on_frame_recv_start_arg *arg, void *user_data)
{
    struct lease *lease = user_data;

    (void)ctx;
    if (!wslay_is_ctrl_frame(arg->opcode))
        lease->open = !arg->fin;
}

static void
message_cb(wslay_event_context_ptr            ctx,
    const struct wslay_event_on_msg_recv_arg *arg, void *user_data)
{
    struct lease *lease = user_data;

    (void)ctx;
    if (lease->doomed || lease->closed)
        return;
    if (arg->opcode == WSLAY_CONNECTION_CLOSE) {
        lease->closed = true;
        lease->code = arg->status_code ? arg->status_code : 1005;
        size_t n = arg->msg_length > 2 ? arg->msg_length - 2 : 0;
        if (n > 0)
            memcpy(lease->reason, arg->msg + 2, n);
        lease->reason[n] = '\0';
        return;
    }
    deliver(lease->owner, arg->opcode, (const char *)arg->msg, arg->msg_length,
        arg->rsv & WSLAY_RSV1_BIT);
}

/* --- the pool ------------------------------------------------------------ */

struct lease *
lease_take(void *owner)
{
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = recv_cb,
        .send_callback = send_cb,
        .genmask_callback = genmask_cb,
        .on_frame_recv_start_callback = frame_start_cb,
        .on_msg_recv_callback = message_cb,
    };
    struct lease *lease = pool;

    if (lease != NULL) {
        pool = lease->next;
    } else {
        lease = calloc(1, sizeof *lease);
        ensure(lease != NULL);
        ensure(wslay_event_context_client_init(
                   &lease->ctx, &callbacks, lease) == 0);
        wslay_event_config_set_max_recv_msg_length(
            lease->ctx, LEASE_MESSAGE_MAX);
        wslay_event_config_set_allowed_rsv_bits(lease->ctx, WSLAY_RSV1_BIT);
    }
    lease->owner = owner;
    return lease;
}

/* Only whole frames are fed, so a context is clean between reads unless a
 * message is open. After a close frame or an error it cannot be used again. */
void
lease_give(struct lease *lease, bool spent)
{
    if (spent || lease->open || lease->closed || lease->doomed) {
        wslay_event_context_free(lease->ctx);
        free(lease);
        return;
    }
    lease->owner = NULL;
    lease->in_len = 0;
    lease->next = pool;
    pool = lease;
}

/* --- whole frames in, frames out ----------------------------------------- */

bool
lease_feed(struct lease *lease, const uint8_t *p, size_t n)
{
    lease->in = p;
    lease->in_len = n;
    bool fine = wslay_event_recv(lease->ctx) == 0 &&
        (lease->closed || wslay_event_get_read_enabled(lease->ctx));
    if (!lease->doomed && wslay_event_want_write(lease->ctx))
        fine = wslay_event_send(lease->ctx) == 0 && fine;
    return fine;
}

void
lease_queue(
    struct lease *lease, int opcode, const void *p, size_t n, bool compressed)
{
    struct wslay_event_msg msg = {
        .opcode = (uint8_t)opcode, .msg = p, .msg_length = n};

    ensure(wslay_event_queue_msg_ex(lease->ctx, &msg,
               compressed ? WSLAY_RSV1_BIT : WSLAY_RSV_NONE) == 0);
}

void
lease_write(struct lease *lease)
{
    ensure(wslay_event_send(lease->ctx) == 0);
}

void
lease_close(struct lease *lease, int code, const char *reason)
{
    uint8_t body[125];
    size_t  n = strlen(reason);

    if (code != 0 &&
        wslay_event_queue_close(
            lease->ctx, (uint16_t)code, (const uint8_t *)reason, n) == 0) {
        lease_write(lease);
        return;
    }
    /* No status, or one that wslay does not send, but that tests need. */
    if (n > sizeof body - 2)
        n = sizeof body - 2;
    body[0] = (uint8_t)(code >> 8);
    body[1] = (uint8_t)code;
    /* A frame has a length.
     * NOLINTNEXTLINE(bugprone-not-null-terminated-result) */
    memcpy(body + 2, reason, n);
    lease_frame(gather, 0x88, true, body, code == 0 ? 0 : n + 2);
}

/* --- frames that wslay does not make -------------------------------------- */

void
lease_frame(
    struct buf *out, unsigned flags, bool masked, const void *p, size_t n)
{
    const uint8_t *in = p;
    uint8_t        mask[4];
    uint32_t       word = mask_word();
    unsigned       bit = masked ? 0x80u : 0u;

    memcpy(mask, &word, 4);
    buf_addc(out, (char)flags);
    if (n < 126) {
        buf_addc(out, (char)(bit | n));
    } else if (n < 65536) {
        buf_addc(out, (char)(bit | 126));
        buf_addc(out, (char)(n >> 8));
        buf_addc(out, (char)n);
    } else {
        buf_addc(out, (char)(bit | 127));
        for (int shift = 56; shift >= 0; shift -= 8)
            buf_addc(out, (char)((uint64_t)n >> shift));
    }
    if (!masked) {
        buf_add(out, p, n);
        return;
    }
    buf_add(out, mask, 4);
    for (size_t i = 0; i < n; i++)
        buf_addc(out, (char)(in[i] ^ mask[i & 3]));
}

int64_t
lease_frame_size(const uint8_t *p, size_t n)
{
    if (n < 2)
        return 0;
    if (p[1] & 0x80)
        return -1;
    uint64_t len = p[1] & 0x7f;
    size_t   head = len < 126 ? 2 : len == 126 ? 4 : 10;
    if (n < head)
        return 0;
    if (head > 2) {
        len = 0;
        for (size_t i = 2; i < head; i++)
            len = len << 8 | p[i];
    }
    return len > LEASE_MESSAGE_MAX ? -1 : (int64_t)(head + len);
}
