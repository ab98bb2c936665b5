/* score: counts the problems of charge points. See score.h. */
#include "score.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "hash.h"
#include "journal_dir.h"
#include "stats.h"

#define LOOK_EVENTS 1000 /* events between two looks at the clock */
#define DAY_MS 86400000.0

/* Demerits for one problem of each kind. */
#define DEMERIT_MISSING 10.0
#define DEMERIT_LATE 5.0
#define DEMERIT_VIOLATION 5.0
#define DEMERIT_END 2.0
#define DEMERIT_DEVIATION 1.0
/* Demerits for each day. */
#define DEMERIT_CLOCK 10.0
#define DEMERIT_PING 10.0
#define CLOCK_MS 60000
#define PING_MS 2000

struct score {
    struct score_row *rows; /* max + 1 rows; the last one is for all other
                               charge points */
    uint32_t         *at;   /* hash table of row + 1; 0: free */
    uint32_t          max, n, slots;
    struct score_row *view;
    struct hash_key   key;
    uint64_t          events;
};

const char *const score_by_name[4] = {
    "identity", "vendor", "model", "firmware"};

struct score *
score_new(uint32_t max_points)
{
    struct score *s = calloc(1, sizeof *s);

    if (s == NULL)
        return NULL;
    s->max = max_points;
    for (s->slots = 64; s->slots < 2 * max_points;)
        s->slots *= 2;
    /* Untouched pages take no memory. */
    s->rows = calloc(max_points + 1, sizeof *s->rows);
    s->at = calloc(s->slots, sizeof *s->at);
    hash_key_draw(&s->key);
    if (s->rows == NULL || s->at == NULL) {
        score_free(s);
        return NULL;
    }
    return s;
}

void
score_free(struct score *s)
{
    free(s->rows);
    free(s->at);
    free(s->view);
    free(s);
}

/* The row of a name; the last row if the table is full. */
static struct score_row *
row_of(struct score *s, const char *name, size_t len)
{
    if (len >= sizeof s->rows->name)
        len = sizeof s->rows->name - 1;
    uint64_t hash = hash_keyed(&s->key, 0, name, len);
    uint32_t i = (uint32_t)hash & (s->slots - 1);

    for (; s->at[i] != 0; i = (i + 1) & (s->slots - 1)) {
        struct score_row *r = &s->rows[s->at[i] - 1];
        if (r->hash == hash && strlen(r->name) == len &&
            memcmp(r->name, name, len) == 0)
            return r;
    }
    struct score_row *r = &s->rows[s->n < s->max ? s->n : s->max];
    if (s->n < s->max) {
        s->at[i] = ++s->n;
        memcpy(r->name, name, len);
        r->hash = hash;
    }
    r->points = 1;
    return r;
}

/* --- one event ------------------------------------------------------------- */

struct span {
    const char *p;
    size_t      n;
};

static struct span
member(struct span object, const char *name)
{
    struct span v = {NULL, 0};

    if (object.p != NULL)
        journal_line_field(object.p, object.n, name, &v.p, &v.n);
    return v.n > 0 ? v : (struct span){NULL, 0};
}

/* The text of a string without its quotes; empty if the value is not a
   string. */
static struct span
text_of(struct span v)
{
    return v.n >= 2 && v.p[0] == '"' ? (struct span){v.p + 1, v.n - 2}
                                     : (struct span){"", 0};
}

static bool
is(struct span v, const char *word)
{
    return v.n == strlen(word) && memcmp(v.p, word, v.n) == 0;
}

static uint64_t
number_of(struct span v)
{
    uint64_t n = 0;

    for (size_t i = 0; i < v.n && v.p[i] >= '0' && v.p[i] <= '9'; i++)
        n = n < UINT32_MAX ? n * 10 + (uint64_t)(v.p[i] - '0') : n;
    return n;
}

/* Writes the text of a JSON string for people. An escape of a character that
 * cannot be shown becomes a question mark; a long text is cut. */
static void
set_name(char *out, size_t size, struct span v)
{
    size_t n = 0;

    for (size_t i = 0; i < v.n && n + 1 < size; i++) {
        char c = v.p[i];
        if (c == '\\' && i + 1 < v.n) {
            c = v.p[++i];
            if (c == 'u')
                i += i + 4 < v.n ? 4 : 0;
            if (c != '"' && c != '\\' && c != '/')
                c = '?';
        }
        out[n++] = c;
    }
    /* The text is cut only between characters. */
    while (n + 1 == size && n > 0 && ((uint8_t)out[n - 1] & 0x80))
        n--;
    out[n] = '\0';
}

static void
booted(struct score_row *r, struct span payload)
{
    struct span station = member(payload, "chargingStation");
    bool        two = station.p != NULL; /* OCPP 2.x */

    set_name(r->of[SCORE_VENDOR], SCORE_NAME_MAX,
        text_of(two ? member(station, "vendorName")
                    : member(payload, "chargePointVendor")));
    set_name(r->of[SCORE_MODEL], SCORE_NAME_MAX,
        text_of(two ? member(station, "model")
                    : member(payload, "chargePointModel")));
    set_name(r->of[SCORE_FIRMWARE], SCORE_NAME_MAX,
        text_of(member(two ? station : payload, "firmwareVersion")));
}

static void
ended(struct score_row *r, struct span payload)
{
    struct span reason = text_of(member(payload, "reason"));
    struct span ping = member(payload, "pingMs");

    for (unsigned i = 0; i < CLOSE_REASONS; i++)
        if (is(reason, close_info[i].word))
            r->ends[i]++;
    if (ping.p != NULL) {
        uint64_t ms = number_of(ping);
        r->pings++;
        r->ping_sum_ms += ms;
        if (ms > r->ping_max_ms)
            r->ping_max_ms = (uint32_t)ms;
    }
}

static void
deviated(struct score_row *r, struct span list)
{
    for (size_t i = 0; i < list.n; i++) {
        if (list.p[i] != '"')
            continue;
        const char *end = memchr(list.p + i + 1, '"', list.n - i - 1);
        if (end == NULL)
            return;
        struct span word = {list.p + i + 1, (size_t)(end - list.p) - i - 1};
        for (unsigned k = 0; k < DEVIATIONS; k++)
            if (is(word, deviation_names[k]))
                r->deviations[k]++;
        i = (size_t)(end - list.p);
    }
}

/* A message may be old when it arrives, if the charge point was offline, but it
 * is never sent before its timestamp. So the largest difference seen is that of
 * the clocks. */
static void
timed(struct score_row *r, struct span event, struct span payload)
{
    struct span then = text_of(member(payload, "timestamp"));
    struct span now = text_of(member(event, "timestamp"));
    uint64_t    then_ms, now_ms;

    if (then.p == NULL || now.p == NULL ||
        !clock_parse_rfc3339(then.p, then.n, &then_ms) ||
        !clock_parse_rfc3339(now.p, now.n, &now_ms))
        return;
    int64_t ms = (int64_t)(then_ms - now_ms);
    if (!r->clock_known || ms > r->clock_ms)
        r->clock_ms = ms;
    r->clock_known = true;
}

void
score_add(struct score *s, const struct journal_line *line)
{
    struct span event = {line->p, line->len};
    struct span type = text_of(member(event, "eventType"));
    struct span name = text_of(member(event, "chargePointId"));

    if (name.n == 0 || type.n == 0)
        return;
    struct score_row *r = row_of(s, name.p, name.n);
    struct span       payload = member(event, "payload");
    s->events++;
    r->events++;
    if (is(type, "charge_point.booted")) {
        booted(r, payload);
    } else if (is(type, "charge_point.disconnected")) {
        ended(r, payload);
    } else if (is(type, "protocol.violation")) {
        if (is(text_of(member(payload, "kind")), "late_result"))
            r->late++;
        else
            r->violations++;
    } else if (is(type, "command.response")) {
        r->missing += is(text_of(member(payload, "outcome")), "timeout");
        deviated(r, member(payload, "deviations"));
    } else if (!is(type, "answer.requested")) {
        timed(r, event, payload);
    }
    if (memmem(line->p, line->len, "\"deviations\":", 13) != NULL)
        deviated(r, member(event, "deviations"));
}

bool
score_read(struct score *s, const char *dir, uint64_t since_ms, uint64_t mark,
    uint64_t patience_ms, bool *partial, struct buf *why)
{
    struct journal_dir_want want = {.slot = -1, .since_wall_ms = since_ms};
    struct journal_line     line;
    char                    since[CLOCK_RFC3339_LEN + 1];
    uint64_t                until = clock_mono_ms() + patience_ms, n = 0;
    struct journal_dir     *d = journal_dir_open(dir, &want, why);

    *partial = false;
    if (d == NULL)
        return false;
    clock_rfc3339(since, since_ms);
    bool good = journal_dir_refresh(d, why);
    while (good && !*partial && journal_dir_next(d, mark, &line)) {
        struct span when =
            text_of(member((struct span){line.p, line.len}, "timestamp"));
        /* All timestamps have the same form, so they are compared as text. */
        if (when.n == CLOCK_RFC3339_LEN && memcmp(when.p, since, when.n) >= 0)
            score_add(s, &line);
        *partial = patience_ms > 0 && ++n % LOOK_EVENTS == 0 &&
            clock_mono_ms() > until;
    }
    journal_dir_close(d);
    return good;
}

/* --- a view ------------------------------------------------------------------ */

bool
score_blames(enum close_reason reason)
{
    switch (reason) {
    case CLOSE_operator:
    case CLOSE_drained:
    case CLOSE_worker_died:
    case CLOSE_gateway_died:
    case CLOSE_out_of_memory:
    case CLOSE_denied:
    case CLOSE_journal_stalled:
    case CLOSE_tls_spent:
        return false;
    default:
        return true;
    }
}

static void
judge(struct score_row *r, double days)
{
    double sum = DEMERIT_MISSING * r->missing + DEMERIT_LATE * r->late +
        DEMERIT_VIOLATION * r->violations;

    for (unsigned i = 0; i < DEVIATIONS; i++)
        sum += DEMERIT_DEVIATION * r->deviations[i];
    for (unsigned i = 0; i < CLOSE_REASONS; i++)
        sum +=
            score_blames((enum close_reason)i) ? DEMERIT_END * r->ends[i] : 0;
    r->score = sum / days / r->points;
    if (r->clock_known && (r->clock_ms > CLOCK_MS || r->clock_ms < -CLOCK_MS))
        r->score += DEMERIT_CLOCK;
    if (r->pings > 0 && r->ping_sum_ms / r->pings > PING_MS)
        r->score += DEMERIT_PING;
}

static int64_t
distance(int64_t v)
{
    return v < 0 ? -v : v;
}

static void
fold(struct score_row *to, const struct score_row *r)
{
    to->points += r->points;
    to->events += r->events;
    for (unsigned i = 0; i < DEVIATIONS; i++)
        to->deviations[i] += r->deviations[i];
    for (unsigned i = 0; i < CLOSE_REASONS; i++)
        to->ends[i] += r->ends[i];
    to->violations += r->violations;
    to->late += r->late;
    to->missing += r->missing;
    to->pings += r->pings;
    to->ping_sum_ms += r->ping_sum_ms;
    if (r->ping_max_ms > to->ping_max_ms)
        to->ping_max_ms = r->ping_max_ms;
    /* In a group, the clock with the largest error is shown. */
    if (r->clock_known &&
        (!to->clock_known || distance(r->clock_ms) > distance(to->clock_ms)))
        to->clock_ms = r->clock_ms;
    to->clock_known |= r->clock_known;
}

static int
worse(const void *a, const void *b)
{
    const struct score_row *l = a, *r = b;

    return l->score != r->score ? (l->score < r->score ? 1 : -1)
                                : strcmp(l->name, r->name);
}

static int
by_name(const void *a, const void *b)
{
    const struct score_row *l = a, *r = b;

    return strcmp(l->name, r->name);
}

const struct score_row *
score_rows(struct score *s, const struct score_view *v, size_t *n)
{
    size_t all = s->n + (s->rows[s->max].points > 0), groups = 0;
    double days = v->until_ms > v->since_ms
        ? (double)(v->until_ms - v->since_ms) / DAY_MS
        : 1;

    free(s->view);
    *n = 0;
    s->view = calloc(all > 0 ? all : 1, sizeof *s->view);
    if (s->view == NULL)
        return NULL;
    for (size_t i = 0; i < all; i++) {
        s->view[i] = s->rows[i < s->n ? i : s->max];
        struct score_row *r = &s->view[i];
        char              raw[sizeof r->name];
        memcpy(raw, r->name, sizeof raw);
        if (v->by != SCORE_POINT)
            memcpy(r->name, r->of[v->by], SCORE_NAME_MAX);
        else
            set_name(r->name, sizeof r->name, (struct span){raw, strlen(raw)});
    }
    /* Charge points that have not booted in the window have an empty name. */
    if (v->by != SCORE_POINT) {
        qsort(s->view, all, sizeof *s->view, by_name);
        for (size_t i = 0; i < all; i++) {
            if (groups > 0 &&
                strcmp(s->view[groups - 1].name, s->view[i].name) == 0)
                fold(&s->view[groups - 1], &s->view[i]);
            else
                s->view[groups++] = s->view[i];
        }
        all = groups;
    }
    for (size_t i = 0; i < all; i++)
        judge(&s->view[i], days);
    qsort(s->view, all, sizeof *s->view, worse);
    *n = all;
    return s->view;
}

uint64_t
score_events(const struct score *s)
{
    return s->events;
}

uint32_t
score_points(const struct score *s)
{
    return s->n;
}
