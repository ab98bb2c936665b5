/* cmd_connections: the list of charge points. See command.h. */
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/master.h"
#include "base/when.h"
#include "clock.h"
#include "control/command.h"
#include "control/entry.h"
#include "printable.h"

#define LIST_DEFAULT 100
#define LIST_MAX 200000 /* offset and limit together */
#define KIND_WIDTH 22   /* of vendor and model in a list */

enum sort { SORT_ID, SORT_SINCE, SORT_SEEN, SORT_MESSAGES };
enum wanted { WANT_ONLINE, WANT_OFFLINE, WANT_ALL };

struct query {
    const char *match, *model; /* NULL: any */
    enum wanted state;
    uint64_t    worker; /* UINT64_MAX: any */
    enum sort   sort;
    uint64_t    offset, limit;
};

/* The first offset + limit entries so far, in the order of the listing. The
 * array has room for twice as many; when it is full, it is sorted and cut in
 * half. So a listing of a million charge points needs memory for one page
 * only. */
struct found {
    struct registry_entry e;
    uint32_t              number; /* of the entry */
};

struct best {
    struct found *entry;
    size_t        n, keep, room;
    uint64_t      seen; /* number of entries that matched */
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

static bool
is_model(const char *pattern, uint32_t entry)
{
    struct registry_model m = entry_model(entry);
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
        b->keep = b->room; /* all entries fit */
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
        entry_put(&w, &b->entry[i].e, b->entry[i].number);
        writer_close(&w);
    }
    writer_close(&w);
    writer_close(&w);
    buf_addc(out, '\n');
}

static void
put_ago_column(struct buf *out, uint64_t now, uint64_t then)
{
    struct buf text = BUF_INIT(64);

    when_ago(&text, now, then);
    buf_addf(out, "  %9s", buf_cstr(&text));
    buf_free(&text);
}

/* Writes version, vendor and model, which are cut because names may be long. */
static void
put_kind(struct buf *out, const struct found *f)
{
    struct registry_model m = entry_model(f->number);
    char                  text[2 * REGISTRY_MODEL_MAX + 6];
    const char           *version = entry_protocol(&f->e);

    snprintf(text, sizeof text, "%s %s", m.vendor, m.model);
    if (text[1] == '\0')
        strcpy(text, "-");
    text[KIND_WIDTH] = '\0'; /* this may cut a character */
    printable_mask(text, strlen(text));
    buf_addf(
        out, "%-9s %-*s ", version != NULL ? version : "-", KIND_WIDTH, text);
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
        entry_put_name(out, e->name, e->name_len, 20);
        if (owner != 0)
            buf_addf(out, "  %6u", cref_slot(owner));
        else
            buf_adds(out, "       -");
        entry_address(e, addr);
        buf_addf(out, "  %-21s", addr);
        put_ago_column(out, now, e->since);
        put_ago_column(out, now, e->last_seen);
        buf_addf(out, "  %10u  ", e->messages);
        put_kind(out, &b->entry[i]);
        if (owner == 0 && e->closed_at >= e->refused_at && e->closed_at != 0)
            buf_addf(out, "away: %s\n", entry_close_word(e));
        else if (owner == 0 && e->refused_at != 0)
            buf_addf(out, "refused: %s\n", entry_refuse_word(e));
        else
            buf_addf(out, "%s\n", entry_last_action(e));
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
        command_usage(c, argv, "%.64s: give a pattern with --match", argv[1]);
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
    struct buf   out = BUF_INIT(CONTROL_REPLY_MAX);
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
