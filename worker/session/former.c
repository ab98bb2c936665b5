/* former: sessions and commands that the previous process left open. See
 * former.h. */
#include "session/former.h"

#include <stdlib.h>
#include <string.h>

#include "base/self.h"
#include "clock.h"
#include "hash.h"
#include "journal/journal.h"
#include "journal_line.h"
#include "log.h"
#include "number.h"
#include "ocpp/dialect.h"
#include "ocpp/tape.h"
#include "session/publish.h"
#include "session/recovered.h"

#define HEADS 65536
#define CONNECTED "\"charge_point.connected\""
#define DISCONNECTED "\"charge_point.disconnected\""

/* A session or a command that began. Strings are JSON, as in the journal. */
struct begun {
    struct begun *next;
    uint64_t      key; /* hash of the identity, or of the commandId */
    /* Session: the generations of its first and of its last event. They differ
     * if a claim in Redis has raised the generation (claims.h). A successor
     * that ends the session knows only the first one. */
    uint64_t first, generation;
    uint64_t later; /* session: generation of the next one in another journal, 0
                      if none was seen */
    uint64_t last;  /* session: number of its last event in this
                       journal */
    uint64_t wall_ms; /* command: when it was sent */
    bool     ended;   /* session: kept until all lines are read, because an
                       * answer of the platform may follow the end */
    size_t len;       /* bytes of the line */
    char   line[];    /* its first event */
};

static struct begun *sessions[HEADS], *commands[HEADS];
static unsigned      sessions_n, commands_n;

static struct begun **
find(struct begun **heads, uint64_t key)
{
    struct begun **p = &heads[key % HEADS];

    while (*p != NULL && (*p)->key != key)
        p = &(*p)->next;
    return p;
}

static bool
forget(struct begun **at)
{
    struct begun *b = *at;

    if (b == NULL)
        return false;
    *at = b->next;
    free(b);
    return true;
}

static struct begun *
remember(struct begun **heads, uint64_t key, const char *line, size_t len)
{
    struct begun *b = malloc(sizeof *b + len);

    if (b == NULL)
        return NULL;
    *b = (struct begun){.next = heads[key % HEADS], .key = key, .len = len};
    memcpy(b->line, line, len);
    heads[key % HEADS] = b;
    return b;
}

/* A member of a line; an empty text if there is none. */
static const char *
member(const char *line, size_t len, const char *name, size_t *n)
{
    const char *v;

    if (journal_line_field(line, len, name, &v, n))
        return v;
    *n = 0;
    return "";
}

static bool
is(const char *v, size_t n, const char *text)
{
    return n == strlen(text) && memcmp(v, text, n) == 0;
}

/* Copies the line without its payload, which is not needed later. */
static size_t
head_of(const char *line, size_t len)
{
    size_t      n;
    const char *v = member(line, len, "payload", &n);

    return n == 0 ? len : (size_t)(v - line);
}

/* The generation in the line; 0 if it has none. */
static uint64_t
generation_of(const char *line, size_t len)
{
    size_t      n;
    const char *v = member(line, len, "generation", &n);
    uint64_t    generation = 0;

    number_u64(v, n, UINT64_MAX, &generation);
    return generation;
}

static void
see_session(uint64_t number, const char *line, size_t len, const char *type,
    size_t type_len)
{
    size_t         n;
    const char    *id = member(line, len, "chargePointId", &n);
    uint64_t       generation = generation_of(line, len);
    uint64_t       key = hash_sum(id, n, 0);
    struct begun **at = find(sessions, key), *b = *at;
    bool           ended = is(type, type_len, DISCONNECTED);

    if (generation == 0)
        return;
    if (b != NULL && ended && !b->ended && generation >= b->first &&
        generation < b->generation)
        generation = b->generation; /* the end was published by a successor */
    if (b != NULL && generation < b->generation + b->ended)
        return;
    if (b != NULL && (ended || b->ended)) {
        sessions_n -= !b->ended;
        forget(at);
        b = NULL;
    }
    if (ended) {
        b = remember(sessions, key, line, 0);
        if (b != NULL) {
            b->generation = generation;
            b->ended = true;
        }
        return;
    }
    if (b == NULL) {
        b = remember(sessions, key, line, head_of(line, len));
        sessions_n += b != NULL;
        if (b != NULL)
            b->first = generation;
    }
    if (b != NULL) {
        if (is(type, type_len, CONNECTED))
            b->first = generation;
        b->generation = generation;
        b->last = number;
    }
}

static void
see_command(const char *line, size_t len, bool ended)
{
    size_t         p, n;
    const char    *payload = member(line, len, "payload", &p);
    const char    *id = member(payload, p, "commandId", &n);
    struct begun **at = find(commands, hash_sum(id, n, 0));

    if (n == 0)
        return;
    if (ended) {
        commands_n -= forget(at);
        return;
    }
    /* The outcome of a command from the queue in Redis is made in Redis. */
    const char *origin = member(payload, p, "origin", &p);
    if (*at != NULL || is(origin, p, "\"redis\""))
        return;
    struct begun *b = remember(commands, hash_sum(id, n, 0), line, len);
    if (b == NULL)
        return;
    commands_n++;
    const char *v = member(line, len, "timestamp", &n);
    if (n > 2)
        clock_parse_rfc3339(v + 1, n - 2, &b->wall_ms);
}

void
former_recover(uint64_t number, const char *line, size_t len)
{
    size_t      n;
    const char *type = member(line, len, "eventType", &n);

    if (is(type, n, "\"command.sent\"") || is(type, n, "\"command.response\""))
        see_command(line, len, type[9] == 'r');
    /* If only this worker was restarted, its sessions are still in the
     * registry.
     */
    if (!self.mem->served)
        former_recover_session(number, line, len);
}

void
former_recover_session(uint64_t number, const char *line, size_t len)
{
    size_t      n;
    const char *type = member(line, len, "eventType", &n);

    if (!is(type, n, "\"command.response\"") &&
        !is(type, n, "\"gateway.started\""))
        see_session(number, line, len, type, n);
}

bool
former_any(void)
{
    return sessions_n > 0 || commands_n > 0;
}

void
former_neighbour(uint64_t number, const char *line, size_t len)
{
    size_t      n, id_len;
    const char *type = member(line, len, "eventType", &n);

    if (is(type, n, "\"command.response\"")) {
        see_command(line, len, true);
        return;
    }
    const char    *id = member(line, len, "chargePointId", &id_len);
    struct begun **at = find(sessions, hash_sum(id, id_len, 0)), *b = *at;
    uint64_t       generation = generation_of(line, len);
    if (b == NULL || b->ended || generation < b->first)
        return;
    /* If this journal has the beginning of the higher generation, that is a
     * later session. Otherwise the generation of this session was raised. */
    if (generation > b->generation && is(type, n, CONNECTED) &&
        (b->later == 0 || generation < b->later))
        b->later = generation;
    if (b->later != 0 && generation >= b->later)
        return;
    if (number > b->last || is(type, n, DISCONNECTED))
        sessions_n -= forget(at);
}

/* The subject of the event. The identity is copied into out. */
static struct publish_subject
subject_of(const struct begun *b, char out[IDENTITY_MAX])
{
    struct publish_subject subject = {
        .identity = out, .generation = b->generation, .protocol = ""};
    size_t       n;
    const char  *id = member(b->line, b->len, "chargePointId", &n);
    struct json *tape = tape_borrow(TAPE_MESSAGE);

    if (json_scan(tape, id, n))
        subject.identity_len = json_string(tape, 0, out, IDENTITY_MAX, NULL);
    tape_return(tape);
    const char *protocol = member(b->line, b->len, "protocol", &n);
    for (unsigned i = 0; i < DIALECTS; i++)
        if (n == strlen(dialects[i].name) + 2 &&
            memcmp(protocol + 1, dialects[i].name, n - 2) == 0)
            subject.protocol = dialects[i].name;
    /* With the registry entry, the event is ordered after the events of the
     * identity in the journals of other slots. */
    uint32_t entry =
        registry_find(self.registry, out, subject.identity_len, true);
    if (entry != REGISTRY_NONE)
        subject.entry1 = entry + 1;
    return subject;
}

static bool
end_session(const struct begun *b)
{
    char                   name[IDENTITY_MAX];
    struct publish_subject subject = subject_of(b, name);

    if (subject.entry1 != 0) {
        struct registry_entry *e =
            registry_at(self.registry, subject.entry1 - 1);
        if (e->generation == b->generation && e->owner != 0)
            return true; /* the session has moved to another worker */
    }
    struct publish *p = publish_begin(EVENT_disconnected, &subject);
    writer_open(&p->w, "payload", '{');
    writer_str(&p->w, "reason", close_info[CLOSE_gateway_died].word);
    writer_close(&p->w);
    if (publish_end(p) == 0)
        return false;
    STAT_INC(self.st, closed[CLOSE_gateway_died]);
    return true;
}

static void
quote(struct buf *out, const char *name, size_t len)
{
    struct writer w = WRITER_INIT(out);

    writer_strn(&w, NULL, name, len);
}

void
former_buried(const char *name, size_t len, uint64_t generation)
{
    struct buf     quoted = BUF_INIT(8 * IDENTITY_MAX);
    struct begun **at;

    quote(&quoted, name, len);
    at = find(sessions, hash_sum(quoted.p, quoted.len, 0));
    if (*at != NULL && !(*at)->ended && generation >= (*at)->first &&
        generation <= (*at)->generation)
        sessions_n -= forget(at);
    buf_free(&quoted);
}

static bool
end_command(const struct begun *b)
{
    char                   name[IDENTITY_MAX];
    struct publish_subject subject = subject_of(b, name);
    struct buf             body = BUF_INIT(JOURNAL_LINE_MAX);
    struct writer          w = WRITER_INIT(&body);
    size_t                 m, a, c, n;
    const char            *payload = member(b->line, b->len, "payload", &n);
    const char            *id = member(payload, n, "commandId", &c);
    const char            *action = member(b->line, b->len, "action", &a);
    const char            *message = member(b->line, b->len, "messageId", &m);

    subject.generation = generation_of(b->line, b->len);
    writer_open(&w, NULL, '{');
    writer_raw(&w, "commandId", id, c);
    writer_raw(&w, "action", action, a);
    writer_str(&w, "outcome", outcome_info[OUTCOME_uncertain].word);
    writer_u64(&w, "durationMs",
        self.wall_ms > b->wall_ms ? self.wall_ms - b->wall_ms : 0);
    writer_close(&w);
    struct publish *p = publish_begin(EVENT_command, &subject);
    writer_raw(&p->w, "messageId", message, m);
    writer_raw(&p->w, "action", action, a);
    writer_raw(&p->w, "payload", body.p, body.len);
    bool published = publish_end(p) != 0;
    if (published) {
        STAT_INC(self.st, commands[OUTCOME_uncertain]);
        recovered_note(body.p, body.len);
    }
    buf_free(&body);
    return published;
}

static void
end_all(struct begun **heads, unsigned *n, bool (*end)(const struct begun *b))
{
    if (*n == 0)
        return;
    for (unsigned i = 0; i < HEADS; i++)
        while (heads[i] != NULL) {
            if (!end(heads[i]))
                return; /* the journal's buffer is full */
            forget(&heads[i]);
            --*n;
        }
}

static void
forget_ended(void)
{
    for (unsigned i = 0; i < HEADS; i++)
        for (struct begun **p = &sessions[i]; *p != NULL;)
            if ((*p)->ended)
                forget(p);
            else
                p = &(*p)->next;
}

void
former_tick(void)
{
    end_all(commands, &commands_n, end_command);
    /* During an upgrade the session may still be in a worker of the old
     * program. */
    if (!self.held)
        end_all(sessions, &sessions_n, end_session);
}

void
former_end(void)
{
    uint64_t none = 0;

    /* Every worker has read its journal back, and has raised the sequence above
     * the numbers in it. */
    atomic_compare_exchange_strong(
        &self.shm->life, &none, atomic_load(&self.shm->sequence));
    if (self.slot == 0 && self.mem->incarnation == 1) {
        struct publish_subject subject = {.identity = "", .protocol = ""};
        struct publish *p = publish_begin(EVENT_gateway_started, &subject);
        writer_open(&p->w, "payload", '{');
        writer_str(&p->w, "version", self.shm->version);
        writer_u64(&p->w, "workers", self.shm->slots);
        writer_close(&p->w);
        publish_end(p);
    }
    forget_ended();
    if (sessions_n > 0 || commands_n > 0)
        log_info("the journal shows %u sessions and %u commands that did not "
                 "end; they end now",
            sessions_n, commands_n);
    former_tick();
}
