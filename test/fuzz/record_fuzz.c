/* The record layer: a stream of genuine and forged records, in any pieces. The
 * plaintext is the same for all pieces, and never contains forged data. The
 * first byte chooses version and suite. */
#include "net/record.h"

#include <stdlib.h>
#include <string.h>

#include "ensure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static _Alignas(struct record) uint8_t memory[2][RECORD_SIZE_MAX];
static struct record *const receiver = (struct record *)memory[0];
static struct record *const sender = (struct record *)memory[1];

static void
begin(unsigned kind)
{
    uint8_t a[48], b[48];

    memset(a, 1, sizeof a);
    memset(b, 2, sizeof b);
    enum record_suite s = kind / 2 % RECORD_SUITES;
    if (kind % 2 == RECORD_TLS13) {
        ensure(record_begin13(receiver, s, a, b));
        ensure(record_begin13(sender, s, b, a));
    } else {
        ensure(record_begin12(receiver, s, false, a, a, b));
        ensure(record_begin12(sender, s, true, a, a, b));
    }
}

/* Makes the records that the input describes. All data is added to `sent`;
 * `honest` is true if there were only data and KeyUpdates. */
static size_t
make_stream(const uint8_t *p, size_t n, uint8_t *wire, uint8_t *sent,
    size_t *sent_len, size_t *updates, bool *honest)
{
    size_t at = 0, idle = 0;

    *sent_len = *updates = 0;
    *honest = true;
    while (n >= 2) {
        uint8_t what = p[0], type = what < 128 ? RECORD_DATA : what % 32;
        /* The type 0 would be padding, and any byte before it could be the
         * type. */
        type += type == 0;
        size_t len = p[1];
        p += 2;
        n -= 2;
        if (len > n)
            len = n;
        if (what >= 224) {
            /* Not encrypted. */
            memcpy(wire + at, p, len);
            at += len;
            *honest = false;
        } else if (what >= 192 && sender->version == RECORD_TLS13) {
            at += record_update(sender, what & 1, wire + at);
            ++*updates;
            idle++;
            len = 0;
        } else {
            /* Encrypted correctly, perhaps with another type. */
            at += record_seal(sender, type, p, len, wire + at);
            if (type == RECORD_DATA) {
                memcpy(sent + *sent_len, p, len);
                *sent_len += len;
                idle = len > 0 ? 0 : idle + 1;
            } else {
                *honest = false;
            }
        }
        if (idle > RECORD_IDLE_MAX)
            *honest = false;
        p += len;
        n -= len;
    }
    return at;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool    ready;
    static uint8_t wire[1 << 18], sent[8192], got[1 << 18];
    size_t         sent_len, updates, have = 0, total = 0, seen = 0;
    bool           honest;

    if (!ready)
        ensure(record_init());
    ready = true;
    if (size < 2 || size > 4096)
        return 0;
    begin(data[0]);
    unsigned step = data[1];
    size_t   n = make_stream(
          data + 2, size - 2, wire, sent, &sent_len, &updates, &honest);
    uint8_t *tail = malloc(RECORD_WIRE + 256);
    ensure(tail != NULL);
    enum record_end end = RECORD_OPEN;
    for (size_t at = 0; at < n && end == RECORD_OPEN;) {
        size_t part = 1 + step % 251;
        step = step * 167 + 13;
        if (part > n - at)
            part = n - at;
        ensure(have + part <= RECORD_WIRE + 256);
        memcpy(tail + have, wire + at, part);
        have += part;
        at += part;
        struct record_input in = record_open(receiver, tail, have);
        ensure(in.used <= have && in.len <= in.used);
        memcpy(got + total, tail, in.len);
        total += in.len;
        seen += in.updates;
        have -= in.used;
        memmove(tail, tail + in.used, have);
        end = in.end;
    }
    free(tail);
    /* Forged data is never delivered; genuine data is delivered completely. */
    ensure(total <= sent_len && memcmp(got, sent, total) == 0);
    if (honest)
        ensure(end == RECORD_OPEN && have == 0 && total == sent_len &&
            seen == updates);
    return 0;
}
