/* record: the record layer of TLS 1.2 and 1.3. See record.h. */
#include "net/record.h"

#include <endian.h>
#include <string.h>

#include "net/aead.h"

#define TAG AEAD_TAG
#define EXPLICIT 8 /* bytes of the explicit nonce of TLS 1.2 with AES-GCM */
#define KEY_UPDATE 24
#define NEW_SESSION_TICKET 4
/* The most records that may arrive before the next check. */
#define READ_MARGIN (1u << 24)

/* Shared by all connections: the key is an argument of each operation. */
static struct aead *ciphers[RECORD_SUITES];

bool
record_init(void)
{
    for (int s = 0; s < RECORD_SUITES; s++) {
        if (ciphers[s] == NULL)
            ciphers[s] =
                aead_new(record_parameters[s].cipher, record_parameters[s].key);
        if (ciphers[s] == NULL)
            return false;
    }
    return record_keys_init();
}

static void
put64(uint8_t *p, uint64_t v)
{
    v = htobe64(v);
    memcpy(p, &v, sizeof v);
}

static uint64_t
get64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    return be64toh(v);
}

/* --- the AEAD ------------------------------------------------------------ */

static void
make_nonce(const struct record *r, bool write, uint64_t sent, uint8_t nonce[12])
{
    const uint8_t *iv = write ? r->write_iv : r->read_iv;

    memcpy(nonce, iv, 4);
    put64(nonce + 4,
        record_explicit_nonce(r)
            ? sent
            : get64(iv + 4) ^ (write ? r->write_seq : r->read_seq));
}

/* Writes the additional data that is authenticated: the record's header in TLS
 * 1.3 (RFC 8446 5.2); sequence number, type, version and the plaintext's length
 * in TLS 1.2 (RFC 5246 6.2.3.3). */
static size_t
make_extra(const struct record *r, bool write, uint8_t type, size_t wire,
    size_t text, uint8_t extra[13])
{
    size_t at = 0, n = r->version == RECORD_TLS13 ? wire : text;

    if (r->version == RECORD_TLS12) {
        put64(extra, write ? r->write_seq : r->read_seq);
        at = 8;
    }
    extra[at++] = type;
    extra[at++] = 3;
    extra[at++] = 3;
    extra[at++] = (uint8_t)(n >> 8);
    extra[at++] = (uint8_t)n;
    return at;
}

/* Decrypts the record at p, whose body has n bytes, in place. */
static bool
decrypt(struct record *r, uint8_t *p, size_t n, uint8_t **text, size_t *len)
{
    uint8_t  nonce[12], extra[13], type = p[0];
    uint8_t *body = p + RECORD_HEAD;
    size_t   wire = n;
    uint64_t sent = 0;

    if (record_explicit_nonce(r)) {
        if (n < EXPLICIT + TAG)
            return false;
        sent = get64(body);
        body += EXPLICIT;
        n -= EXPLICIT;
    }
    if (n < TAG || r->read_seq == UINT32_MAX)
        return false;
    n -= TAG;
    make_nonce(r, false, sent, nonce);
    size_t m = make_extra(r, false, type, wire, n, extra);
    if (!aead_open(ciphers[r->suite], record_key(r, false), nonce, extra, m,
            body, n, body + n))
        return false;
    r->read_seq++;
    *text = body;
    *len = n;
    return true;
}

/* Seals one record. */
static size_t
encrypt(
    struct record *r, uint8_t type, const uint8_t *p, size_t n, uint8_t *out)
{
    uint8_t nonce[12], extra[13], *body = out + RECORD_HEAD;
    bool    tls13 = r->version == RECORD_TLS13;
    uint64_t explicit =
        record_explicit_nonce(r) ? record_nonce(r, r->write_seq) : 0;
    size_t wire = n + TAG +
        (tls13                             ? 1
                : record_explicit_nonce(r) ? EXPLICIT
                                           : 0);

    out[0] = tls13 ? RECORD_DATA : type;
    out[1] = out[2] = 3;
    out[3] = (uint8_t)(wire >> 8);
    out[4] = (uint8_t)wire;
    make_nonce(r, true, explicit, nonce);
    size_t m = make_extra(r, true, out[0], wire, n, extra);
    if (record_explicit_nonce(r)) {
        put64(body, explicit);
        body += EXPLICIT;
    }
    if (n > 0)
        memcpy(body, p, n);
    if (tls13)
        body[n++] = type;
    if (!aead_seal(ciphers[r->suite], record_key(r, true), nonce, extra, m,
            body, n, body + n))
        return 0;
    r->write_seq++;
    return RECORD_HEAD + wire;
}

/* --- reading ------------------------------------------------------------- */

size_t
record_wire_size(const uint8_t *p, size_t n)
{
    return n < RECORD_HEAD ? 0 : RECORD_HEAD + ((size_t)p[3] << 8 | p[4]);
}

static void
fail(struct record_input *in, enum record_alert alert)
{
    in->end = RECORD_FAILED;
    in->alert = (uint8_t)alert;
}

static void
got_alert(struct record_input *in, const uint8_t *p, size_t n, bool tls13)
{
    if (n == 0) {
        fail(in, ALERT_UNEXPECTED_MESSAGE); /* RFC 8446 5.4 */
    } else if (n != 2) {
        fail(in, ALERT_DECODE_ERROR);
    } else if (p[1] == ALERT_CLOSE_NOTIFY) {
        in->end = RECORD_CLOSED;
    } else if (tls13 ? p[1] != ALERT_USER_CANCELED : p[0] != 1) {
        in->end = RECORD_ALERTED;
        in->alert = p[1];
    }
    /* A warning has no effect. */
}

/* Skips tickets that a server sends after the handshake, because this client
   never resumes a session. */
static bool
only_tickets(const uint8_t *p, size_t n)
{
    while (n >= 4 && p[0] == NEW_SESSION_TICKET) {
        size_t len = (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
        if (len > n - 4)
            return false;
        p += 4 + len;
        n -= 4 + len;
    }
    return n == 0;
}

static void
got_handshake(
    struct record *r, struct record_input *in, const uint8_t *p, size_t n)
{
    static const uint8_t head[4] = {KEY_UPDATE, 0, 0, 1};

    if (r->version == RECORD_TLS12) {
        /* A ClientHello asks for a renegotiation. */
        fail(in,
            n > 0 && p[0] == 1 ? ALERT_NO_RENEGOTIATION
                               : ALERT_UNEXPECTED_MESSAGE);
    } else if (r->flags & RECORD_CLIENT && n > 0 && only_tickets(p, n)) {
        return;
    } else if (n != 5 || memcmp(p, head, 4) != 0) {
        /* A KeyUpdate must be the last message of its record, because the next
         * one is under the next key (RFC 8446 5.1). */
        fail(in, ALERT_UNEXPECTED_MESSAGE);
    } else if (p[4] > 1) {
        fail(in, ALERT_ILLEGAL_PARAMETER);
    } else if (!record_advance(r, false)) {
        fail(in, ALERT_INTERNAL_ERROR);
    } else {
        in->updates++;
        if (p[4] == 1)
            r->flags |= RECORD_OWES_UPDATE;
    }
}

/* Opens the record at p, whose body has n bytes. Data is moved to `data`. */
static void
open_one(struct record *r, struct record_input *in, uint8_t *p, size_t n,
    uint8_t *data)
{
    bool     tls13 = r->version == RECORD_TLS13;
    uint8_t  type = p[0];
    uint8_t *text;
    size_t   len;

    if (p[1] != 3 || p[2] != 3 || (tls13 && type != RECORD_DATA)) {
        fail(in, ALERT_UNEXPECTED_MESSAGE);
        return;
    }
    if (!decrypt(r, p, n, &text, &len)) {
        fail(in, ALERT_BAD_RECORD_MAC);
        return;
    }
    /* In TLS 1.3 the length includes the type and the padding (RFC 8446
     * 5.4). */
    if (len > RECORD_TEXT + (tls13 ? 1 : 0)) {
        fail(in, ALERT_RECORD_OVERFLOW);
        return;
    }
    if (tls13) {
        /* The type is the last byte that is not zero (RFC 8446 5.4). */
        while (len > 0 && text[len - 1] == 0)
            len--;
        if (len == 0) {
            fail(in, ALERT_UNEXPECTED_MESSAGE);
            return;
        }
        type = text[--len];
    }
    if (type == RECORD_DATA && len > 0) {
        memmove(data, text, len);
        in->len += len;
        r->idle = 0;
        return;
    }
    bool too_many = ++r->idle > RECORD_IDLE_MAX;
    if (!too_many && type == RECORD_ALERT)
        got_alert(in, text, len, tls13);
    else if (!too_many && type == RECORD_HANDSHAKE)
        got_handshake(r, in, text, len);
    else if (too_many || type != RECORD_DATA)
        fail(in, ALERT_UNEXPECTED_MESSAGE);
}

struct record_input
record_open(struct record *r, uint8_t *p, size_t n)
{
    struct record_input in = {.end = RECORD_OPEN};

    while (in.end == RECORD_OPEN) {
        size_t wire = record_wire_size(p + in.used, n - in.used);
        if (wire == 0)
            break;
        if (wire > RECORD_WIRE) {
            fail(&in, ALERT_RECORD_OVERFLOW);
            break;
        }
        if (wire > n - in.used)
            break;
        open_one(r, &in, p + in.used, wire - RECORD_HEAD, p + in.len);
        in.used += wire;
    }
    return in;
}

/* --- writing ------------------------------------------------------------- */

static size_t
overhead(const struct record *r)
{
    return RECORD_HEAD + TAG +
        (r->version == RECORD_TLS13        ? 1
                : record_explicit_nonce(r) ? EXPLICIT
                                           : 0);
}

size_t
record_bound(const struct record *r, size_t n)
{
    /* This counts one more record for the rest of n, and one for a KeyUpdate of
     * 5 bytes. RECORD_LIMIT records hold more data than n can be, so a second
     * KeyUpdate is not needed. */
    return n + (n / r->max_text + 2) * overhead(r) + 5;
}

size_t
record_update(struct record *r, bool request, uint8_t *out)
{
    uint8_t message[5] = {KEY_UPDATE, 0, 0, 1, request};

    if (r->version != RECORD_TLS13)
        return 0;
    size_t n = encrypt(r, RECORD_HANDSHAKE, message, sizeof message, out);
    r->sealed = 0;
    r->flags &= (uint8_t)~RECORD_OWES_UPDATE;
    return n > 0 && record_advance(r, true) ? n : 0;
}

size_t
record_seal(struct record *r, enum record_type type, const void *p, size_t n,
    uint8_t *out)
{
    const uint8_t *from = p;
    size_t         at = 0;
    unsigned       records = 0;

    /* Earlier records may have been sent, so they cannot be taken back any
       more, even if nothing is sealed now. */
    r->sealed = 0;
    do {
        size_t part = n < r->max_text ? n : r->max_text;
        bool   used_up = r->write_seq >= RECORD_LIMIT;
        if (used_up && r->version == RECORD_TLS12)
            return 0;
        if (r->version == RECORD_TLS13 &&
            (used_up || (records == 0 && r->flags & RECORD_OWES_UPDATE))) {
            size_t m = record_update(r, false, out + at);
            if (m == 0)
                return 0;
            at += m;
            records++;
        }
        size_t m = encrypt(r, (uint8_t)type, from, part, out + at);
        if (m == 0)
            return 0;
        at += m;
        from += part;
        n -= part;
        records++;
    } while (n > 0);
    r->sealed = records == 1 ? 1 : 0;
    return at;
}

bool
record_unseal(struct record *r)
{
    if (r->sealed == 0)
        return false;
    r->sealed = 0;
    r->write_seq--;
    return true;
}

bool
record_spent(const struct record *r)
{
    /* The margin leaves room for the close frame, the alert and waiting
       output. */
    return r->read_seq >= UINT32_MAX - READ_MARGIN ||
        (r->version == RECORD_TLS12 && r->write_seq >= RECORD_LIMIT - 4096);
}

size_t
record_alert(struct record *r, enum record_alert alert, uint8_t *out)
{
    bool warning =
        alert == ALERT_CLOSE_NOTIFY || alert == ALERT_NO_RENEGOTIATION;
    uint8_t message[2] = {warning ? 1 : 2, (uint8_t)alert};

    return record_seal(r, RECORD_ALERT, message, sizeof message, out);
}
