/*
 * The commands about charge points that look and change nothing:
 * connections, show, refused. They read shared memory; only `show` asks a
 * worker, for what its connection holds. See command.h.
 */
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "base/when.h"
#include "clock.h"
#include "close.h"
#include "control/command.h"
#include "json_members.h"
#include "control/refused.h"
#include "base/master.h"
#include "printable.h"
#include "workers/supervise.h"
#include "writer.h"

#define LIST_DEFAULT 100
#define LIST_MAX 200000 /* offset and limit together */
#define SHOW_WAIT_MS 2000
#define BODY_MAX (64u << 20)
#define KIND_WIDTH 22 /* of vendor and model in a list */

/* --- connections --------------------------------------------------------- */

enum sort { SORT_ID, SORT_SINCE, SORT_SEEN, SORT_MESSAGES };
enum wanted { WANT_ONLINE, WANT_OFFLINE, WANT_ALL };

struct query {
    const char *match, *model; /* NULL: any */
    enum wanted state;
    uint64_t    worker; /* UINT64_MAX: any */
    enum sort   sort;
    uint64_t    offset, limit;
};

/* The best offset + limit entries so far: an array of twice as many, which
 * is sorted and cut in half when it is full. So a listing of a million
 * charge points takes memory for one page. */
struct found {
    struct registry_entry e;
    uint32_t              number; /* of the entry */
};

struct best {
    struct found *entry;
    size_t        n, keep, room;
    uint64_t      seen; /* all that matched */
};

static int (*sorter(enum sort sort))(const void *, const void *);

static int
by_id(const void *a, const void *b)
{
    const struct registry_entry *x = &((const struct found *)a)->e;
    const struct registry_entry *y = &((const struct found *)b)->e;
    size_t n = x->name_len < y->name_len ? x->name_len : y->name_len;
    int    d = memcmp(x->name, y->name, n);

    return d != 0 ? d : (int)x->name_len - (int)y->name_len;
}

/* Newest and largest first, then by name. */
#define SORTER(function, field)                                                \
    static int function(const void *a, const void *b)                          \
    {                                                                          \
        uint32_t x = ((const struct found *)a)->e.field;                       \
        uint32_t y = ((const struct found *)b)->e.field;                       \
        return x != y ? (x < y ? 1 : -1) : by_id(a, b);                        \
    }
SORTER(by_since, since)
SORTER(by_seen, last_seen)
SORTER(by_messages, messages)
#undef SORTER

static int (*sorter(enum sort sort))(const void *, const void *)
{
    switch (sort) {
    case SORT_SINCE:
        return by_since;
    case SORT_SEEN:
        return by_seen;
    case SORT_MESSAGES:
        return by_messages;
    case SORT_ID:
        break;
    }
    return by_id;
}

static struct registry_model
model_of(uint32_t entry)
{
    struct registry      *r = shm_registry(master.shm);
    struct registry_model m;

    registry_model_read(r, registry_model_of(r, entry), &m);
    return m;
}

static bool
is_model(const char *pattern, uint32_t entry)
{
    struct registry_model m = model_of(entry);
    char                  text[2 * REGISTRY_MODEL_MAX + 6];

    snprintf(text, sizeof text, "%s %s", m.vendor, m.model);
    return fnmatch(pattern, text, FNM_CASEFOLD) == 0;
}

static bool
wanted(const struct query *q, const struct registry_entry *e)
{
    cref owner = e->owner;
    char name[IDENTITY_MAX + 1];

    if ((q->state == WANT_ONLINE && owner == 0) ||
        (q->state == WANT_OFFLINE && owner != 0))
        return false;
    if (q->worker != UINT64_MAX &&
        (owner == 0 || cref_slot(owner) != q->worker))
        return false;
    if (q->match == NULL)
        return true;
    snprintf(name, sizeof name, "%.*s", e->name_len, e->name);
    return fnmatch(q->match, name, 0) == 0;
}

static void
trim(struct best *b, const struct query *q)
{
    qsort(b->entry, b->n, sizeof *b->entry, sorter(q->sort));
    if (b->n > b->keep)
        b->n = b->keep;
}

static bool
collect(struct best *b, const struct query *q)
{
    struct registry *r = shm_registry(master.shm);
    uint32_t         used = registry_used(r);

    *b = (struct best){.keep = q->offset + q->limit};
    b->room = 2 * b->keep;
    if (b->room > used)
        b->room = (size_t)used + 1;
    if (b->room < b->keep + 1)
        b->keep = b->room; /* everything fits */
    b->entry = malloc(b->room * sizeof *b->entry);
    if (b->entry == NULL)
        return false;
    for (uint32_t i = 0; i < used; i++) {
        if (b->n == b->room)
            trim(b, q);
        struct found *f = &b->entry[b->n];
        f->number = i;
        if (registry_copy(r, i, &f->e) && wanted(q, &f->e) &&
            (q->model == NULL || is_model(q->model, i))) {
            b->n++;
            b->seen++;
        }
    }
    trim(b, q);
    return true;
}

static const char *
last_action(const struct registry_entry *e)
{
    unsigned a = e->last_action;

    return a > 0 && a <= ACTIONS ? action_names[a - 1] : "-";
}

static const char *
close_word(const struct registry_entry *e)
{
    return e->close_reason < CLOSE_REASONS ? close_info[e->close_reason].word
                                           : "unknown";
}

static const char *
refuse_word(const struct registry_entry *e)
{
    return e->refuse_reason < REFUSE_REASONS
        ? refuse_info[e->refuse_reason].word
        : "unknown";
}

static void
put_time(struct writer *w, const char *key, uint32_t then)
{
    char text[CLOCK_RFC3339_LEN + 1];

    if (then == 0) {
        writer_null(w, key);
        return;
    }
    clock_rfc3339(text, (uint64_t)then * 1000);
    writer_str(w, key, text);
}

/* By the number that workers give them (worker/ocpp/dialect.h). */
static const char *const protocols[] = {
#define DIALECT(word, name) name,
#include "ocpp_dialects.def"
#undef DIALECT
};

static void
put_text(struct writer *w, const char *key, const char *text)
{
    if (text[0] != '\0')
        writer_str(w, key, text);
    else
        writer_null(w, key);
}

/* The members of an entry, into an open object. number: of the entry. */
static void
put_entry(struct writer *w, const struct registry_entry *e, uint32_t number)
{
    struct registry_model model = model_of(number);

    char addr[ADDRESS_LEN];
    cref owner = e->owner;

    writer_strn(w, "identity", e->name, e->name_len);
    writer_bool(w, "online", owner != 0);
    if (owner != 0)
        writer_u64(w, "worker", cref_slot(owner));
    else
        writer_null(w, "worker");
    if (e->claims > 0) {
        uint64_t packed[2] = {e->addr[0], e->addr[1]};
        address_text(addr, packed, e->port);
        writer_str(w, "address", addr);
    } else {
        writer_null(w, "address");
    }
    if (e->claims > 0 && e->protocol < sizeof protocols / sizeof *protocols)
        writer_str(w, "protocol", protocols[e->protocol]);
    else
        writer_null(w, "protocol");
    put_text(w, "vendor", model.vendor);
    put_text(w, "model", model.model);
    put_time(w, "since", e->since);
    put_time(w, "lastSeen", e->last_seen);
    put_time(w, "booted", e->booted_at);
    writer_u64(w, "messages", e->messages);
    writer_u64(w, "connections", e->claims);
    writer_u64(w, "generation", e->generation);
    if (e->last_action != 0)
        writer_str(w, "lastAction", last_action(e));
    else
        writer_null(w, "lastAction");
    put_time(w, "closed", e->closed_at);
    if (e->closed_at != 0)
        writer_str(w, "closeReason", close_word(e));
    put_time(w, "refused", e->refused_at);
    if (e->refused_at != 0)
        writer_str(w, "refuseReason", refuse_word(e));
}

static void
list_json(const struct best *b, const struct query *q, struct buf *out)
{
    struct writer w = WRITER_INIT(out);

    writer_open(&w, NULL, '{');
    writer_u64(&w, "total", b->seen);
    writer_u64(&w, "offset", q->offset);
    writer_open(&w, "connections", '[');
    for (size_t i = q->offset; i < b->n; i++) {
        writer_open(&w, NULL, '{');
        put_entry(&w, &b->entry[i].e, b->entry[i].number);
        writer_close(&w);
    }
    writer_close(&w);
    writer_close(&w);
    buf_addc(out, '\n');
}

/* A name as it may stand on a terminal. */
static void
put_name(struct buf *out, const char *name, size_t n, int width)
{
    for (size_t i = 0; i < n; i++)
        buf_addc(out,
            (char)((unsigned char)name[i] < 0x20 || name[i] == 0x7f ? '?'
                                                                    : name[i]));
    buf_addf(out, "%*s", width > (int)n ? width - (int)n : 0, "");
}

static void
put_ago_column(struct buf *out, uint64_t now, uint64_t then)
{
    struct buf text = BUF_INIT(64);

    when_ago(&text, now, then);
    buf_addf(out, "  %9s", buf_cstr(&text));
    buf_free(&text);
}

/* Version, vendor and model; cut, since the names may be long. */
static void
put_kind(struct buf *out, const struct found *f)
{
    struct registry_model m = model_of(f->number);
    char                  text[2 * REGISTRY_MODEL_MAX + 6];
    const char           *version =
        f->e.claims > 0 && f->e.protocol < sizeof protocols / sizeof *protocols
                  ? protocols[f->e.protocol]
                  : "-";

    snprintf(text, sizeof text, "%s %s", m.vendor, m.model);
    if (text[1] == '\0')
        strcpy(text, "-");
    text[KIND_WIDTH] = '\0'; /* perhaps within a character */
    printable_mask(text, strlen(text));
    buf_addf(out, "%-9s %-*s ", version, KIND_WIDTH, text);
}

static void
list_text(const struct best *b, const struct query *q, struct buf *out)
{
    uint64_t now = clock_wall_ms() / 1000;
    char     addr[ADDRESS_LEN];

    buf_adds(out,
        "IDENTITY              WORKER  ADDRESS                      "
        "SINCE      SEEN    MESSAGES  VERSION   VENDOR AND MODEL      "
        "LAST ACTION\n");
    for (size_t i = q->offset; i < b->n; i++) {
        const struct registry_entry *e = &b->entry[i].e;
        cref                         owner = e->owner;
        uint64_t                     packed[2] = {e->addr[0], e->addr[1]};
        put_name(out, e->name, e->name_len, 20);
        if (owner != 0)
            buf_addf(out, "  %6u", cref_slot(owner));
        else
            buf_adds(out, "       -");
        if (e->claims > 0)
            address_text(addr, packed, e->port);
        else
            strcpy(addr, "-");
        buf_addf(out, "  %-21s", addr);
        put_ago_column(out, now, e->since);
        put_ago_column(out, now, e->last_seen);
        buf_addf(out, "  %10u  ", e->messages);
        put_kind(out, &b->entry[i]);
        if (owner == 0 && e->closed_at >= e->refused_at && e->closed_at != 0)
            buf_addf(out, "away: %s\n", close_word(e));
        else if (owner == 0 && e->refused_at != 0)
            buf_addf(out, "refused: %s\n", refuse_word(e));
        else
            buf_addf(out, "%s\n", last_action(e));
    }
    size_t shown = b->n > q->offset ? b->n - q->offset : 0;
    buf_addf(out, "%zu of %" PRIu64 "%s\n", shown, b->seen,
        q->offset + shown < b->seen ? "; --offset and --limit show others"
                                    : "");
}

static bool
choose(struct client *c, char **argv, const char *text,
    const char *const *words, int n, int *out)
{
    if (text == NULL)
        return true;
    for (int i = 0; i < n; i++)
        if (strcmp(words[i], text) == 0) {
            *out = i;
            return true;
        }
    command_bad_word(c, argv, text);
    return false;
}

static bool
parse_query(struct client *c, int argc, char **argv, struct query *q)
{
    static const char *const names[] = {"--match", "--state", "--worker",
        "--sort", "--offset", "--limit", "--model"};
    static const char *const states[] = {"online", "offline", "all"};
    static const char *const sorts[] = {"id", "since", "seen", "messages"};
    const char              *v[7] = {NULL};
    int                      state = WANT_ONLINE, sort = SORT_ID;

    *q = (struct query){.worker = UINT64_MAX, .limit = LIST_DEFAULT};
    if (!command_options(c, &argc, argv, names, v, 7))
        return false;
    if (argc > 1) {
        command_usage(
            c, argv, "%.64s: a pattern is given with --match", argv[1]);
        return false;
    }
    q->match = v[0];
    q->model = v[6];
    if (!choose(c, argv, v[1], states, 3, &state) ||
        !choose(c, argv, v[3], sorts, 4, &sort) ||
        (v[2] &&
            !command_number(
                c, argv, "--worker", v[2], 0, master.slots - 1, &q->worker)) ||
        (v[4] &&
            !command_number(
                c, argv, "--offset", v[4], 0, LIST_MAX, &q->offset)) ||
        (v[5] &&
            !command_number(c, argv, "--limit", v[5], 1, LIST_MAX, &q->limit)))
        return false;
    if (q->offset + q->limit > LIST_MAX) {
        command_usage(c, argv,
            "--offset and --limit together may be at most "
            "%d; narrow the list with --match",
            LIST_MAX);
        return false;
    }
    q->state = (enum wanted)state;
    q->sort = (enum sort)sort;
    return true;
}

void
cmd_connections(struct client *c, int argc, char **argv)
{
    struct buf   out = BUF_INIT(BODY_MAX);
    struct query q;
    struct best  b;

    if (!parse_query(c, argc, argv, &q))
        return;
    if (!collect(&b, &q)) {
        control_replyf(c, CONTROL_FAILED, "connections: out of memory");
        return;
    }
    (c->format == 'j' ? list_json : list_text)(&b, &q, &out);
    free(b.entry);
    control_reply_buf(c, CONTROL_DONE, &out);
    buf_free(&out);
}

/* --- show ---------------------------------------------------------------- */

static void
show_line(struct buf *out, const char *key, uint64_t now, uint64_t then,
    const char *word, const char *sentence)
{
    buf_addf(out, "%-16s ", key);
    when_put(out, then);
    if (then != 0) {
        buf_adds(out, " (");
        when_ago(out, now, then);
        buf_adds(out, ")");
        if (word != NULL)
            buf_addf(out, " %s: %s", word, sentence);
    }
    buf_addc(out, '\n');
}

/* The highest security profile that was seen, and the end of the certificate
 * of the last connection; nothing without TLS. */
static void
put_profile(uint32_t entry, struct writer *w, struct buf *lines)
{
    unsigned profile;
    uint32_t units;

    registry_certificate(shm_registry(master.shm), entry, &profile, &units);
    uint64_t end = (uint64_t)units * REGISTRY_END_S;
    if (profile == 0)
        return;
    if (w != NULL) {
        writer_u64(w, "securityProfile", profile);
        put_time(w, "certificateEnds", (uint32_t)end);
        return;
    }
    buf_addf(lines, "highest profile  %u (%s)\n", profile,
        profile == 3 ? "TLS with a client certificate" : "TLS");
    if (end != 0) {
        buf_adds(lines, "certificate ends ");
        when_put(lines, end);
        buf_addc(lines, '\n');
    }
}

/* What the worker knows: connectedMs is printed as "connected", in ms. */
static void
put_connection(const char *json, size_t len, struct buf *out)
{
    struct json_member m;
    size_t             at = 0;

    while (json_members_next(json, len, &at, &m)) {
        size_t start = out->len;
        size_t n = m.key_len;
        if (n == 10 && memcmp(m.key, "generation", n) == 0)
            continue; /* it stands above */
        bool ms = n > 2 && memcmp(m.key + n - 2, "Ms", 2) == 0;
        for (size_t i = 0; i < n - (ms ? 2 : 0); i++)
            if (m.key[i] >= 'A' && m.key[i] <= 'Z')
                buf_addf(out, " %c", m.key[i] + ('a' - 'A'));
            else
                buf_addc(out, m.key[i]);
        size_t used = out->len - start;
        buf_addf(out, "%*s", used < 17 ? (int)(17 - used) : 1, "");
        json_members_put_value(out, &m);
        buf_adds(out, ms ? " ms\n" : "\n");
    }
}

static void
show_text(const struct registry_entry *e, uint32_t entry, const char *json,
    size_t len, struct buf *out)
{
    uint64_t now = clock_wall_ms() / 1000;
    char     addr[ADDRESS_LEN] = "-";
    uint64_t packed[2] = {e->addr[0], e->addr[1]};
    cref     owner = e->owner;

    buf_adds(out, "identity         ");
    put_name(out, e->name, e->name_len, 0);
    if (owner != 0)
        buf_addf(
            out, "\nstate            online, on worker %u\n", cref_slot(owner));
    else
        buf_adds(out, "\nstate            offline\n");
    if (e->claims > 0)
        address_text(addr, packed, e->port);
    buf_addf(out, "address          %s\n", addr);
    show_line(out, "since", now, e->since, NULL, NULL);
    show_line(out, "last seen", now, e->last_seen, NULL, NULL);
    show_line(out, "booted", now, e->booted_at, NULL, NULL);
    buf_addf(out, "last action      %s\n", last_action(e));
    buf_addf(out, "messages         %u\n", e->messages);
    buf_addf(out, "connections      %u\n", e->claims);
    buf_addf(out, "generation       %" PRIu64 "\n", (uint64_t)e->generation);
    show_line(out, "last closed", now, e->closed_at, close_word(e),
        e->close_reason < CLOSE_REASONS ? close_info[e->close_reason].sentence
                                        : "");
    show_line(out, "last refused", now, e->refused_at, refuse_word(e),
        e->refuse_reason < REFUSE_REASONS
            ? refuse_info[e->refuse_reason].sentence
            : "");
    put_profile(entry, NULL, out);
    if (len > 2) {
        buf_adds(out, "\n");
        put_connection(json, len, out);
    }
}

/* The refused handshakes of an identity, as an array of JSON or as lines. */
static size_t
put_refused(const char *name, struct writer *w, struct buf *lines)
{
    struct shm_refusal *all = calloc(refused_most(), sizeof *all);
    size_t              n = all != NULL ? refused_copy(all, name) : 0;

    if (w != NULL)
        writer_open(w, "refusals", '[');
    else if (n > 0)
        buf_adds(lines, "\n");
    for (size_t i = 0; i < n; i++)
        if (w != NULL)
            refused_json(&all[i], w);
        else
            refused_text(&all[i], lines);
    if (w != NULL)
        writer_close(w);
    free(all);
    return n;
}

/* An identity without an entry: it never was connected, but it may have been
 * refused. */
static void
show_stranger(struct client *c, const char *name)
{
    struct buf    out = BUF_INIT(BODY_MAX);
    struct writer w = WRITER_INIT(&out);
    size_t        n;

    if (c->format == 'j') {
        writer_open(&w, NULL, '{');
        writer_str(&w, "identity", name);
        writer_bool(&w, "online", false);
        writer_u64(&w, "connections", 0);
        n = put_refused(name, &w, NULL);
        writer_close(&w);
        buf_addc(&out, '\n');
    } else {
        buf_adds(&out, "identity         ");
        put_name(&out, name, strlen(name), 0);
        buf_adds(&out, "\nstate            never connected, but refused\n");
        n = put_refused(name, NULL, &out);
    }
    if (n > 0)
        control_reply_buf(c, CONTROL_DONE, &out);
    else
        control_replyf(c, CONTROL_NOT_FOUND,
            "%.64s: not known here; it has not tried to connect to this "
            "gateway, or long ago (`refused` shows handshakes that failed, "
            "also those without a readable identity)",
            name);
    buf_free(&out);
}

/* json: what the owner of the connection answered, len 0 without an answer. */
static void
show_reply(struct client *c, const char *json, size_t len)
{
    struct registry_entry e;
    struct buf            out = BUF_INIT(BODY_MAX);
    char                  name[IDENTITY_MAX + 1];

    if (!registry_copy(shm_registry(master.shm), c->entry, &e)) {
        control_replyf(
            c, CONTROL_BUSY, "show: it was forgotten just now; try again");
        return;
    }
    memcpy(name, e.name, e.name_len);
    name[e.name_len] = '\0';
    if (c->format == 'j') {
        struct writer w = WRITER_INIT(&out);
        writer_open(&w, NULL, '{');
        put_entry(&w, &e, c->entry);
        put_profile(c->entry, &w, NULL);
        if (len > 0)
            writer_raw(&w, "connection", json, len);
        else
            writer_null(&w, "connection");
        put_refused(name, &w, NULL);
        writer_close(&w);
        buf_addc(&out, '\n');
    } else {
        show_text(&e, c->entry, json, len, &out);
        put_refused(name, NULL, &out);
    }
    control_reply_buf(c, CONTROL_DONE, &out);
    buf_free(&out);
}

/* The owner does not answer: show what is in the registry. */
static void
show_poll(struct client *c)
{
    if (clock_mono_ms() + CONTROL_POLL_MS >= c->wait_until_ms)
        show_reply(c, "", 0);
}

void
cmd_show(struct client *c, int argc, char **argv)
{
    if (argc != 2) {
        command_usage(c, argv, "give one identity");
        return;
    }
    c->entry =
        registry_peek(shm_registry(master.shm), argv[1], strlen(argv[1]));
    if (c->entry == REGISTRY_NONE) {
        show_stranger(c, argv[1]);
        return;
    }
    cref owner = registry_at(shm_registry(master.shm), c->entry)->owner;
    struct channel_msg m = {
        .type = CHANNEL_ask, .id = channel_next_id(), .conn = owner};
    if (owner != 0 && !control_may_wait(c))
        return;
    if (owner == 0 || !supervise_send(cref_slot(owner), &m, NULL, 0)) {
        show_reply(c, "", 0);
        return;
    }
    c->asked = m.id;
    c->described = show_reply;
    control_wait(c, show_poll, SHOW_WAIT_MS, "show: no answer");
}
