/* ship_batch: events as one request to Redis. See ship_batch.h. */
#include "fleet/ship_batch.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/self.h"
#include "buf.h"
#include "clock.h"
#include "hash.h"
#include "journal_line.h"
#include "ocpp/tape.h"
#include "ocpp/transaction.h"

#define FIELDS_MAX 24 /* fields of an event */

enum where { IN_LINE, IN_TEXT, IN_COUNT };

/* The arguments: for each event, first the keys that ocppd_ship must store (see
 * note()), then the number of its fields and values, then these. The values of
 * strings with escapes are in text, which may move. */
static struct {
    struct ship_batch_sum sum;
    struct buf            text;
    unsigned              n;
    struct {
        const char *p;
        size_t      at, len;
        enum where  where;
    } arg[BATCH_EVENTS * (2 * FIELDS_MAX + 2)];
} bt = {.text = {.max = JOURNAL_LINE_MAX}};

void
ship_batch_clear(void)
{
    bt.sum = (struct ship_batch_sum){0};
    bt.n = 0;
    buf_clear(&bt.text);
}

bool
ship_batch_full(void)
{
    return bt.sum.events == BATCH_EVENTS || bt.sum.bytes >= BATCH_BYTES;
}

const struct ship_batch_sum *
ship_batch_sum(void)
{
    return &bt.sum;
}

static void
put(enum where where, const char *p, size_t at, size_t len)
{
    bt.arg[bt.n].where = where;
    bt.arg[bt.n].p = p;
    bt.arg[bt.n].at = at;
    bt.arg[bt.n++].len = len;
}

/* Adds value i of the tape: the value of a string, the JSON text of anything
 * else. */
static bool
put_value(const struct json *tape, uint32_t i)
{
    const struct json_token *t = &tape->tok[i];

    if (t->type != JSON_STRING || !(t->flags & JSON_ESCAPED)) {
        put(IN_LINE, tape->text + t->start, 0, t->end - t->start);
        return true;
    }
    size_t room = 3 * (size_t)(t->end - t->start);
    bool   full;
    if (!buf_reserve(&bt.text, room))
        return false;
    size_t n = json_string(tape, i, bt.text.p + bt.text.len, room, &full);
    put(IN_TEXT, NULL, bt.text.len, n);
    bt.text.len += n;
    return true;
}

static bool
is_type(const struct json *tape, const char *type)
{
    uint32_t i = json_member(tape, 0, "eventType", 9);

    return i != 0 && json_equals(tape, i, type, strlen(type));
}

static uint64_t
meter_fingerprint(const struct json *tape, uint32_t payload)
{
    uint32_t    id = json_member(tape, 0, "messageId", 9);
    size_t      n, len = 0;
    const char *raw = json_raw(tape, payload, &n);
    const char *name = id ? json_raw(tape, id, &len) : "";

    return hash_sum(raw, n, hash_sum(name, len, 5));
}

/* Redis remembers keys of messages. "start:" and the fingerprint of a
 * StartTransaction (1.6) hold its answer, so that another gateway gives the
 * same answer. The other keys only record that the event is in the stream,
 * because the answers of these messages need no agreement: "event:" and the
 * fingerprint of a TransactionEvent (2.x); "stop:", the transaction id and the
 * fingerprint of a StopTransaction (1.6); "meter:" and a fingerprint of
 * MeterValues that includes the message id, because two different messages may
 * have equal payloads. */
static bool
note(const struct json *tape)
{
    uint32_t payload = json_member(tape, 0, "payload", 7);
    uint32_t answer = json_member(tape, 0, "answer", 6);
    size_t   at = bt.text.len;
    uint64_t fp[2];
    int64_t  id = 0;

    if (payload == 0 || answer == 0)
        return true;
    if (json_member(tape, payload, "transactionInfo", 15) != 0) {
        transaction_fingerprint(REGISTRY_START, tape, payload, fp);
        buf_addf(&bt.text, "event:%016" PRIx64 "%016" PRIx64, fp[0], fp[1]);
    } else if (is_type(tape, "transaction.started") &&
        json_member(tape, answer, "transactionId", 13) != 0) {
        transaction_fingerprint(REGISTRY_START, tape, payload, fp);
        buf_addf(&bt.text, "start:%016" PRIx64 "%016" PRIx64, fp[0], fp[1]);
    } else if (is_type(tape, "transaction.stopped")) {
        transaction_fingerprint(REGISTRY_START_STOP, tape, payload, fp);
        if (json_int64(
                tape, json_member(tape, payload, "transactionId", 13), &id))
            buf_addf(&bt.text, "stop:%" PRId64 ":%016" PRIx64 "%016" PRIx64, id,
                fp[0], fp[1]);
        else
            buf_addf(&bt.text, "event:%016" PRIx64 "%016" PRIx64, fp[0], fp[1]);
    } else if (is_type(tape, "transaction.meter_values")) {
        fp[0] = meter_fingerprint(tape, payload);
        buf_addf(&bt.text, "meter:%016" PRIx64, fp[0]);
    } else {
        return true;
    }
    put(IN_TEXT, NULL, at, bt.text.len - at);
    return !bt.text.overflow;
}

static enum ship_batch_added
add(const struct json *tape, uint64_t number)
{
    if (!note(tape))
        return BATCH_NO_MEMORY;
    unsigned head = bt.n, fields = 0;
    put(IN_COUNT, NULL, 0, 0);
    for (uint32_t i = 1; i < tape->tok[0].next && fields < FIELDS_MAX;
         i = tape->tok[i + 1].next) {
        if (json_equals(tape, i, "after", 5))
            continue; /* this member is only for the workers of this gateway */
        fields++;
        if (!put_value(tape, i) || !put_value(tape, i + 1))
            return BATCH_NO_MEMORY;
    }
    bt.arg[head].len = 2 * fields;
    bt.sum.last = number;
    bt.sum.bytes += tape->len;
    if (bt.sum.events++ == 0) {
        uint32_t when = json_member(tape, 0, "timestamp", 9);
        bt.sum.first = number;
        bt.sum.first_ms = self.wall_ms;
        if (when != 0)
            clock_parse_rfc3339(tape->text + tape->tok[when].start,
                tape->tok[when].end - tape->tok[when].start, &bt.sum.first_ms);
    }
    return BATCH_ADDED;
}

enum ship_batch_added
ship_batch_add(const char *line, size_t len, uint64_t number)
{
    struct json          *tape = tape_borrow(TAPE_EVENT);
    enum ship_batch_added r =
        json_scan(tape, line, len) ? add(tape, number) : BATCH_NO_EVENT;

    tape_return(tape);
    return r;
}

bool
ship_batch_send(
    unsigned shard, const char *journal, uint64_t from, redis_fn *fn, void *ctx)
{
    char     begins[24] = "", ends[24], counts[BATCH_EVENTS][8];
    unsigned event = 0;

    if (from != 0)
        snprintf(begins, sizeof begins, "%" PRIu64, from);
    snprintf(ends, sizeof ends, "%" PRIu64, bt.sum.last);
    redis_begin("FCALL");
    redis_name("ship", "2");
    redis_stream(shard);
    redis_add(journal);
    redis_add(begins);
    redis_add(ends);
    for (unsigned i = 0; i < bt.n; i++) {
        if (bt.arg[i].where == IN_COUNT) {
            snprintf(counts[event], sizeof counts[event], "%zu", bt.arg[i].len);
            redis_add(counts[event++]);
        } else {
            redis_addn(bt.arg[i].where == IN_TEXT ? bt.text.p + bt.arg[i].at
                                                  : bt.arg[i].p,
                bt.arg[i].len);
        }
    }
    return redis_send(shard, fn, ctx);
}

bool
ship_batch_shard(const char *line, size_t len, unsigned *shard)
{
    const char *value;
    size_t      n;
    char        id[64];
    bool        full;

    if (!journal_line_field(line, len, "chargePointId", &value, &n) || n < 2 ||
        value[0] != '"')
        return false;
    *shard = 0; /* an event without a charge point goes to shard 0 */
    if (n == 2)
        return true;
    if (memchr(value, '\\', n) == NULL) {
        *shard = redis_shard(value + 1, n - 2);
        return true;
    }
    struct json_token token;
    struct json       one = JSON_INIT(&token, 1);
    if (!json_scan(&one, value, n))
        return false;
    n = json_string(&one, 0, id, sizeof id, &full);
    *shard = redis_shard(id, n);
    return full;
}
