/* deflate: permessage-deflate (RFC 7692). See deflate.h. */
#include "net/deflate.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <zlib.h>

#define WINDOW_MIN 9
#define WINDOW_MAX 15
/* Bytes of the output buffer that are kept between messages. */
#define KEPT (64u << 10)

/* The last bytes of each compressed message, which are not sent (section
 * 7.2.1). */
static const unsigned char tail[4] = {0x00, 0x00, 0xff, 0xff};

/* --- negotiation --------------------------------------------------------- */

struct text {
    const char *p;
    size_t      n;
};

struct offer {
    bool     client_no_context_takeover;
    bool     server_no_context_takeover;
    bool     client_max_window_bits;
    unsigned server_max_window_bits; /* 0: not offered */
};

static struct text
trim(struct text t)
{
    while (t.n > 0 && (*t.p == ' ' || *t.p == '\t')) {
        t.p++;
        t.n--;
    }
    while (t.n > 0 && (t.p[t.n - 1] == ' ' || t.p[t.n - 1] == '\t'))
        t.n--;
    return t;
}

/* Takes the text up to the next separator `by` from *rest, without blanks
 * around it. False if nothing is left. Quotes need no attention: no valid value
 * of a parameter contains a separator. */
static bool
cut(struct text *rest, char by, struct text *part)
{
    if (rest->p == NULL)
        return false;
    const char *at = memchr(rest->p, by, rest->n);
    *part = trim((struct text){rest->p, at ? (size_t)(at - rest->p) : rest->n});
    if (at != NULL) {
        rest->n -= (size_t)(at + 1 - rest->p);
        rest->p = at + 1;
    } else {
        rest->p = NULL;
    }
    return true;
}

static bool
is(struct text t, const char *word)
{
    return t.n == strlen(word) && strncasecmp(t.p, word, t.n) == 0;
}

/* Reads a window size, 8 to 15 without leading zeros, quoted or not (section
   7.1.2). 0 if it is something else. */
static unsigned
window_bits(struct text v)
{
    if (v.n >= 2 && v.p[0] == '"' && v.p[v.n - 1] == '"')
        v = (struct text){v.p + 1, v.n - 2};
    if (v.n == 1 && (v.p[0] == '8' || v.p[0] == '9'))
        return (unsigned)(v.p[0] - '0');
    if (v.n == 2 && v.p[0] == '1' && v.p[1] >= '0' && v.p[1] <= '5')
        return 10u + (unsigned)(v.p[1] - '0');
    return 0;
}

/* Reads one parameter. False if the offer must be declined because of it. */
static bool
take_parameter(struct text t, struct offer *o)
{
    struct text name = {NULL, 0}, value = {NULL, 0};
    bool        has_value;

    cut(&t, '=', &name);
    has_value = t.p != NULL;
    if (has_value)
        value = trim(t);
    if (is(name, "client_no_context_takeover")) {
        bool again = o->client_no_context_takeover;
        o->client_no_context_takeover = true;
        return !has_value && !again;
    }
    if (is(name, "server_no_context_takeover")) {
        bool again = o->server_no_context_takeover;
        o->server_no_context_takeover = true;
        return !has_value && !again;
    }
    if (is(name, "client_max_window_bits")) {
        bool again = o->client_max_window_bits;
        o->client_max_window_bits = true;
        return !again && (!has_value || window_bits(value) != 0);
    }
    if (is(name, "server_max_window_bits") && o->server_max_window_bits == 0) {
        o->server_max_window_bits = window_bits(value);
        return o->server_max_window_bits >= WINDOW_MIN;
    }
    return false;
}

static bool
acceptable(struct text t, struct offer *o)
{
    struct text part = {NULL, 0};

    *o = (struct offer){0};
    cut(&t, ';', &part);
    if (!is(part, "permessage-deflate"))
        return false;
    while (cut(&t, ';', &part))
        if (!take_parameter(part, o))
            return false;
    return true;
}

unsigned
deflate_negotiate(
    const char *value, size_t len, char answer[DEFLATE_ANSWER_LEN])
{
    struct text  rest = {value, len}, one = {NULL, 0};
    struct offer o;
    char         bits[40] = "";

    while (cut(&rest, ',', &one)) {
        if (!acceptable(one, &o))
            continue;
        if (o.server_max_window_bits != 0)
            snprintf(bits, sizeof bits, "; server_max_window_bits=%u",
                o.server_max_window_bits);
        /* server_no_context_takeover is in the answer only if it was offered,
         * because some clients fail otherwise. */
        snprintf(answer, DEFLATE_ANSWER_LEN,
            "permessage-deflate; client_no_context_takeover%s%s",
            o.server_no_context_takeover ? "; server_no_context_takeover" : "",
            bits);
        return o.server_max_window_bits ? o.server_max_window_bits : WINDOW_MAX;
    }
    return 0;
}

/* --- inflate ------------------------------------------------------------- */

static z_stream inflater;
static bool     inflater_made;
static char    *text;
static size_t   text_cap;

/* Makes room for at least one more byte, up to max. */
static bool
grow(size_t used, size_t max)
{
    if (used < text_cap)
        return true;
    size_t cap = text_cap ? 2 * text_cap : 4096;
    if (cap > max)
        cap = max;
    char *p = realloc(text, cap);
    if (p == NULL)
        return false;
    text = p;
    text_cap = cap;
    return true;
}

/* Inflates one piece of input. *len: bytes of output so far. *last: the piece
 * ended with a block that is marked as the last one. */
static enum deflate_result
inflate_piece(const void *p, size_t n, size_t max, size_t *len, bool *last)
{
    inflater.next_in = (z_const Bytef *)p;
    inflater.avail_in = (uInt)n;
    *last = false;
    for (;;) {
        /* One byte more than max shows that the message is too long. */
        if (!grow(*len, max + 1))
            return DEFLATE_NO_MEMORY;
        inflater.next_out = (Bytef *)text + *len;
        inflater.avail_out = (uInt)(text_cap - *len);
        uInt out = inflater.avail_out;
        int  r = inflate(&inflater, Z_SYNC_FLUSH);
        *len += out - inflater.avail_out;
        if (*len > max)
            return DEFLATE_TOO_BIG;
        if (r == Z_STREAM_END) {
            /* The bytes after it belong to another DEFLATE stream (section
             * 7.2.3.4). */
            inflateReset(&inflater);
            *last = inflater.avail_in == 0;
            if (*last)
                return DEFLATE_OK;
        } else if (r != Z_OK && r != Z_BUF_ERROR) {
            return r == Z_MEM_ERROR ? DEFLATE_NO_MEMORY : DEFLATE_BROKEN;
        } else if (inflater.avail_in == 0 && inflater.avail_out > 0) {
            return DEFLATE_OK;
        }
    }
}

enum deflate_result
deflate_inflate(
    const void *p, size_t n, size_t max, const char **out, size_t *len)
{
    size_t got = 0;
    bool   last;

    *out = "";
    *len = 0;
    if (n > UINT_MAX || max >= UINT_MAX)
        return DEFLATE_TOO_BIG;
    if (n == 0)
        return DEFLATE_OK;
    if (!inflater_made) {
        if (inflateInit2(&inflater, -WINDOW_MAX) != Z_OK)
            return DEFLATE_NO_MEMORY;
        inflater_made = true;
    }
    inflateReset(&inflater);
    enum deflate_result r = inflate_piece(p, n, max, &got, &last);
    if (r == DEFLATE_OK && !last) {
        r = inflate_piece(tail, sizeof tail, max, &got, &last);
        /* Bit 7 of data_type: inflate() stopped at the end of a block, which
           the tail must cause. */
        if (r == DEFLATE_OK && !last && !(inflater.data_type & 128))
            r = DEFLATE_BROKEN;
    }
    if (r != DEFLATE_OK)
        return r;
    *out = text;
    *len = got;
    return DEFLATE_OK;
}

void
deflate_done(void)
{
    if (text_cap <= KEPT)
        return;
    free(text);
    text = NULL;
    text_cap = 0;
}

/* --- deflate ------------------------------------------------------------- */

static z_stream deflaters[WINDOW_MAX + 1];
static bool     deflaters_made[WINDOW_MAX + 1];

static z_stream *
deflater(unsigned window)
{
    z_stream *z = &deflaters[window];

    if (!deflaters_made[window]) {
        if (deflateInit2(z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -(int)window, 8,
                Z_DEFAULT_STRATEGY) != Z_OK)
            return NULL;
        deflaters_made[window] = true;
    }
    deflateReset(z);
    return z;
}

bool
deflate_compress(const void *p, size_t n, unsigned window, struct buf *out)
{
    buf_clear(out);
    if (window < WINDOW_MIN || window > WINDOW_MAX || n > UINT_MAX)
        return false;
    z_stream *z = deflater(window);
    /* The output may not be longer than the message, which is then sent
     * uncompressed. */
    if (z == NULL || !buf_reserve(out, n + sizeof tail))
        return false;
    z->next_in = (z_const Bytef *)p;
    z->avail_in = (uInt)n;
    z->next_out = (Bytef *)out->p;
    z->avail_out = (uInt)(n + sizeof tail);
    if (deflate(z, Z_SYNC_FLUSH) != Z_OK || z->avail_in != 0 ||
        z->avail_out == 0)
        return false;
    size_t len = n + sizeof tail - z->avail_out;
    if (len < sizeof tail || len - sizeof tail >= n ||
        memcmp(out->p + len - sizeof tail, tail, sizeof tail) != 0)
        return false;
    out->len = len - sizeof tail;
    return true;
}
