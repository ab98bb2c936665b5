/* unended: the sessions that journals leave without an end. See unended.h. */
#include "session/unended.h"

#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "journal_line.h"
#include "number.h"

#define HEADS 65536

enum kind { CONNECTED, DISCONNECTED, BETWEEN, OF_NO_SESSION };

struct seen {
    uint64_t    key, generation, number;
    enum kind   kind;
    const char *line;
    size_t      len;
};

static struct unended *heads[HEADS];
static unsigned        count;
static struct hash_key hash_key;

static uint64_t
key_of(const char *identity, size_t len)
{
    if (hash_key.k[0] == 0)
        hash_key_draw(&hash_key);
    return hash_keyed(&hash_key, 0, identity, len);
}

static enum kind
kind_of(const char *type, size_t n)
{
    static const struct {
        const char *type;
        enum kind   kind;
    } kinds[] = {{"\"charge_point.connected\"", CONNECTED},
        {"\"charge_point.disconnected\"", DISCONNECTED},
        {"\"command.response\"", OF_NO_SESSION},
        {"\"gateway.started\"", OF_NO_SESSION}};

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (n == strlen(kinds[i].type) && memcmp(type, kinds[i].type, n) == 0)
            return kinds[i].kind;
    return BETWEEN;
}

static bool
read_line(struct seen *s, uint64_t number, const char *line, size_t len)
{
    const char *v;
    size_t      n;

    *s = (struct seen){.number = number, .line = line, .len = len};
    if (!journal_line_field(line, len, "eventType", &v, &n))
        return false;
    s->kind = kind_of(v, n);
    if (s->kind == OF_NO_SESSION ||
        !journal_line_field(line, len, "chargePointId", &v, &n))
        return false;
    s->key = key_of(v, n);
    return journal_line_field(line, len, "generation", &v, &n) &&
        number_u64(v, n, UINT64_MAX, &s->generation) && s->generation != 0;
}

static struct unended *
add(uint64_t key, uint64_t generation, const char *line, size_t len)
{
    struct unended **head = &heads[key % HEADS];
    struct unended  *u = malloc(sizeof *u + len);

    if (u == NULL)
        return NULL;
    *u = (struct unended){.next = *head,
        .key = key,
        .first = generation,
        .high = generation,
        .len = len};
    memcpy(u->line, line, len);
    *head = u;
    count++;
    return u;
}

static struct unended *
remember(const struct seen *s)
{
    const char *payload;
    size_t      n, len = s->len;

    if (journal_line_field(s->line, s->len, "payload", &payload, &n))
        len = (size_t)(payload - s->line);
    struct unended *u = add(s->key, s->generation, s->line, len);
    if (u != NULL)
        u->last = s->number;
    return u;
}

void
unended_forget(struct unended *u)
{
    struct unended **p = &heads[u->key % HEADS];

    while (*p != u)
        p = &(*p)->next;
    *p = u->next;
    count -= !u->ended;
    free(u);
}

void
unended_end(struct unended *u)
{
    count--;
    u->ended = true;
}

/* The sessions of a key that a generation may belong to. */
struct around {
    struct unended *below; /* the newest that is open and begins at or below
                              it */
    struct unended *above; /* the next one, if it has its beginning elsewhere,
                              so that this may be at or below it */
    struct unended *ended; /* the one that has ended */
};

static struct around
look(uint64_t key, uint64_t generation)
{
    struct around a = {NULL, NULL, NULL};

    for (struct unended *u = heads[key % HEADS]; u != NULL; u = u->next)
        if (u->key != key)
            continue;
        else if (u->ended)
            a.ended = u;
        else if (u->first <= generation)
            a.below =
                a.below == NULL || u->first > a.below->first ? u : a.below;
        else
            a.above =
                a.above == NULL || u->first < a.above->first ? u : a.above;
    if (a.above != NULL && a.above->begin == a.above->first)
        a.above = NULL;
    return a;
}

static void
at_most(uint64_t *value, uint64_t v)
{
    if (*value == 0 || v < *value)
        *value = v;
}

static void
at_least(uint64_t *value, uint64_t v)
{
    if (v > *value)
        *value = v;
}

static void
widen(struct unended_range *r, uint64_t v)
{
    at_most(&r->low, v);
    at_least(&r->high, v);
}

/* Of an identity, the newest session that has ended is kept, without a line:
 * there may be one for each identity. */
static void
end(uint64_t key, uint64_t first, uint64_t high, struct unended *ended)
{
    if (ended == NULL && (ended = add(key, first, "", 0)) != NULL)
        unended_end(ended);
    if (ended == NULL)
        return;
    at_least(&ended->first, first);
    at_least(&ended->high, high);
}

static void
own_end(const struct seen *s, const struct around *a)
{
    if (a->above != NULL) {
        at_least(&a->above->ended_below, s->generation);
        if (a->below != NULL)
            widen(&a->below->ended_at, s->generation);
        return;
    }
    struct unended *u = a->below;
    uint64_t        first = u != NULL ? u->first : s->generation;
    uint64_t        high = u != NULL ? u->high : s->generation;
    end(s->key, first, high > s->generation ? high : s->generation, a->ended);
    if (u != NULL)
        unended_forget(u);
}

void
unended_own(uint64_t number, const char *line, size_t len)
{
    struct seen s;

    if (!read_line(&s, number, line, len))
        return;
    struct around a = look(s.key, s.generation);
    /* An event of a session that has ended, or of one before that. */
    if (a.ended != NULL && s.generation <= a.ended->high &&
        (a.below == NULL || a.below->first < a.ended->first) &&
        (a.below == NULL || s.generation >= a.ended->first))
        return;
    if (s.kind == DISCONNECTED) {
        own_end(&s, &a);
    } else if (s.kind == CONNECTED && a.above != NULL) {
        a.above->begin = a.above->first = s.generation;
    } else if (s.kind == CONNECTED) {
        if (a.below != NULL && a.below->first == s.generation)
            return; /* a repetition */
        struct unended *u = remember(&s);
        if (u != NULL)
            u->begin = s.generation;
    } else if (a.below != NULL) {
        if (s.generation > a.below->high) {
            a.below->last_below = a.below->last;
            a.below->high = s.generation;
        }
        a.below->last = number;
    } else {
        remember(&s);
    }
}

/* Takes what belongs to the session from this generation on. */
static struct unended_range
cut(struct unended_range *r, uint64_t generation)
{
    struct unended_range rest = {0, 0};

    if (r->high >= generation) {
        rest.low = r->low >= generation ? r->low : r->high;
        rest.high = r->high;
        r->high = r->low < generation ? r->low : 0;
        r->low = r->high;
    }
    return rest;
}

/* The higher generations are not those of a session that was raised, but of the
 * next one, which has begun in the other journal and moved here. */
static void
split(struct unended *u, uint64_t generation)
{
    struct unended *next = malloc(sizeof *next + u->len);

    if (next == NULL)
        return;
    *next = *u;
    memcpy(next->line, u->line, u->len);
    next->begin = next->first = generation;
    next->ended_at = cut(&u->ended_at, generation);
    next->moved_at = cut(&u->moved_at, generation);
    next->ended_below = 0;
    u->high = u->first;
    u->later = generation;
    u->last = u->last_below;
    u->next = next;
    count++;
}

void
unended_other(uint64_t number, const char *line, size_t len)
{
    struct seen s;

    if (!read_line(&s, number, line, len))
        return;
    struct around a = look(s.key, s.generation);
    switch (s.kind) {
    case CONNECTED:
        if (a.below != NULL && s.generation == a.below->first)
            a.below->begin = s.generation;
        else if (a.below != NULL && s.generation > a.below->high)
            at_most(&a.below->later, s.generation);
        else if (a.below != NULL && s.generation > a.below->first)
            split(a.below, s.generation);
        if (a.above != NULL)
            at_least(&a.above->begin, s.generation);
        break;
    case DISCONNECTED:
        if (a.below != NULL)
            widen(&a.below->ended_at, s.generation);
        if (a.above != NULL)
            at_least(&a.above->ended_below, s.generation);
        break;
    default:
        if (a.below != NULL && number > a.below->last)
            widen(&a.below->moved_at, s.generation);
    }
}

/* A higher generation than those of this journal belongs to the session if it
 * was raised, and to the next one if that has its beginning in another journal.
 */
static bool
is_of(const struct unended *u, uint64_t generation)
{
    return generation != 0 && (u->later == 0 || generation < u->later);
}

static enum unended_next
settle(struct unended *u)
{
    bool below = u->begin != 0 && u->ended_below >= u->begin;

    return u->ended || is_of(u, u->ended_at.low) || is_of(u, u->moved_at.low) ||
            below
        ? UNENDED_FORGET
        : UNENDED_KEEP;
}

void
unended_settle(void)
{
    unended_each(settle);
}

unsigned
unended_count(void)
{
    return count;
}

void unended_each(enum unended_next (*what)(struct unended *u))
{
    for (unsigned i = 0; i < HEADS; i++)
        for (struct unended *u = heads[i], *next; u != NULL; u = next) {
            next = u->next;
            switch (what(u)) {
            case UNENDED_KEEP:
                break;
            case UNENDED_FORGET:
                unended_forget(u);
                break;
            case UNENDED_STOP:
                return;
            }
        }
}

bool
unended_is_newest(const struct unended *u, uint64_t generation)
{
    return u->high >= generation;
}

struct unended *
unended_find(const char *identity, size_t len, uint64_t generation)
{
    uint64_t        key = key_of(identity, len);
    struct unended *found = NULL;

    for (struct unended *u = heads[key % HEADS]; u != NULL; u = u->next)
        if (u->key == key && unended_is_newest(u, generation) &&
            (found == NULL || u->first > found->first))
            found = u;
    return found;
}
