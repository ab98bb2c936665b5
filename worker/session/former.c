/* former: sessions and commands that the previous process left open. See
 * former.h. */
#include "session/former.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

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
#include "session/unended.h"

#define HEADS 65536
/* A session whose end is older has it in a journal, perhaps in a part that is
 * not read. */
#define RECENT_S 600
/* The longest wait for the journals of other workers. */
#define OTHERS_MS 2000

/* A command that began. */
struct begun {
    struct begun *next;
    uint64_t      key;     /* hash of the commandId */
    uint64_t      wall_ms; /* when it was sent */
    size_t        len;     /* bytes of the line */
    char          line[];  /* its first event */
};

static struct begun *commands[HEADS];
static unsigned      commands_n;
/* The journal_floor that the former process has left: events from this number
 * on may be lost. */
static uint64_t          floor_left = UINT64_MAX;
static enum close_reason reason = CLOSE_gateway_died;

static struct begun **
find(uint64_t key)
{
    struct begun **p = &commands[key % HEADS];

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
remember(uint64_t key, const char *line, size_t len)
{
    struct begun *b = malloc(sizeof *b + len);

    if (b == NULL)
        return NULL;
    *b = (struct begun){.next = commands[key % HEADS], .key = key, .len = len};
    memcpy(b->line, line, len);
    commands[key % HEADS] = b;
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

static size_t
identity_of(const char *line, size_t len, char out[IDENTITY_MAX])
{
    struct json *tape = tape_borrow(TAPE_MESSAGE);
    size_t       n;
    const char  *id = member(line, len, "chargePointId", &n);

    n = json_scan(tape, id, n) ? json_string(tape, 0, out, IDENTITY_MAX, NULL)
                               : 0;
    tape_return(tape);
    return n;
}

static void
see_command(const char *line, size_t len, bool ended)
{
    size_t         p, n;
    const char    *payload = member(line, len, "payload", &p);
    const char    *id = member(payload, p, "commandId", &n);
    struct begun **at = find(hash_sum(id, n, 0));

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
    struct begun *b = remember(hash_sum(id, n, 0), line, len);
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
    unended_own(number, line, len);
}

void
former_neighbour(uint64_t number, const char *line, size_t len)
{
    size_t      n;
    const char *type = member(line, len, "eventType", &n);

    if (is(type, n, "\"command.response\""))
        see_command(line, len, true);
    unended_other(number, line, len);
}

/* --- after the death of this worker alone -------------------------------- */

static bool
is_recent(uint32_t s)
{
    return self.wall_ms / 1000 < (uint64_t)s + RECENT_S;
}

static unsigned candidates;

/* The registry shows most of the sessions that have an owner, in this slot
 * (worker.c ends these) or in another one. */
static enum unended_next
compare(struct unended *u)
{
    char name[IDENTITY_MAX];

    if (u->ended)
        return UNENDED_KEEP;
    uint32_t entry = registry_find(
        self.registry, name, identity_of(u->line, u->len, name), false);
    if (entry == REGISTRY_NONE)
        return UNENDED_FORGET;
    struct registry_entry *e = registry_at(self.registry, entry);
    cref                   owner = e->owner;
    uint64_t               generation = e->generation;
    bool                   newest = unended_is_newest(u, generation);
    if (newest && owner != 0) {
        u->owned = generation;
        return cref_slot(owner) == self.slot ? UNENDED_KEEP : UNENDED_FORGET;
    }
    if (!is_recent(newest ? e->closed_at : e->since))
        return UNENDED_FORGET;
    candidates++;
    return UNENDED_KEEP;
}

/* True if events of this worker may be in no journal yet. Between its start and
 * the end of its recovery a worker makes none (complete_from is raised then).
 */
static bool
is_behind(unsigned slot, uint64_t number)
{
    struct shm_worker *w = shm_worker(self.shm, slot);

    return slot != self.slot && w->pid != 0 && w->complete_from >= w->born &&
        atomic_load(&w->journal_floor) < number;
}

/* Waits until what other workers have published about a session of this slot is
 * in their journals. A worker lowers its floor before it claims an identity
 * (journal_expect()), so after the first round the turn of its loop with the
 * claim is over, and after the second one the events of this turn are durable.
 */
static void
wait_for_others(void)
{
    uint64_t until = clock_mono_ms() + OTHERS_MS;

    for (int round = 0; round < 2; round++) {
        uint64_t number = atomic_load(&self.shm->sequence);
        for (unsigned i = 0; i < self.shm->slots; i++)
            while (is_behind(i, number) && clock_mono_ms() < until)
                nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

bool
former_needs_others(void)
{
    candidates = unended_count();
    if (self.mem->served) {
        floor_left = self.mem->journal_floor;
        reason = CLOSE_worker_died;
        candidates = 0;
        unended_each(compare);
        if (candidates > 0)
            wait_for_others();
    }
    return candidates > 0 || commands_n > 0;
}

bool
former_ends(const char *name, size_t len, uint64_t *generation)
{
    struct buf quoted = BUF_INIT(8 * IDENTITY_MAX);
    bool       ends = *generation < floor_left;

    writer_quote(&quoted, name, len);
    struct unended *u = unended_find(quoted.p, quoted.len, *generation);
    if (u != NULL) {
        ends = !u->ended;
        *generation = u->high;
        if (ends)
            unended_forget(u);
    }
    buf_free(&quoted);
    return ends;
}

/* --- the events ---------------------------------------------------------- */

/* The subject of an event, from another event of the charge point. The identity
 * is copied into out. */
static struct publish_subject
subject_of(const char *line, size_t len, char out[IDENTITY_MAX])
{
    struct publish_subject subject = {.identity = out,
        .identity_len = identity_of(line, len, out),
        .generation = generation_of(line, len),
        .protocol = ""};
    size_t                 n;

    const char *protocol = member(line, len, "protocol", &n);
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

/* Of the sessions of the program before an upgrade, only those of a worker that
 * died have not moved here. */
static enum close_reason
reason_now(void)
{
    return self.shm->is_successor ? CLOSE_worker_died : reason;
}

static enum unended_next
end_session(struct unended *u)
{
    char                   name[IDENTITY_MAX];
    struct publish_subject subject = subject_of(u->line, u->len, name);

    if (u->ended)
        return UNENDED_KEEP;
    if (subject.entry1 != 0) {
        struct registry_entry *e =
            registry_at(self.registry, subject.entry1 - 1);
        if (e->owner != 0 && unended_is_newest(u, e->generation))
            return UNENDED_FORGET; /* it continues in another worker */
        /* It was in the registry as a session of this slot, so a newer
         * connection has taken the entry meanwhile (session_open()). */
        if (u->owned != 0 && u->owned < floor_left)
            return UNENDED_FORGET;
    }
    subject.generation = u->high;
    struct publish *p = publish_begin(EVENT_disconnected, &subject);
    writer_open(&p->w, "payload", '{');
    writer_str(&p->w, "reason", close_info[reason_now()].word);
    writer_close(&p->w);
    if (publish_end(p) == 0)
        return UNENDED_STOP; /* the journal's buffer is full */
    STAT_INC(self.st, closed[reason_now()]);
    if (!self.mem->served)
        return UNENDED_FORGET;
    unended_end(u); /* former_ends() may be called for it */
    return UNENDED_KEEP;
}

static bool
end_command(const struct begun *b)
{
    char                   name[IDENTITY_MAX];
    struct publish_subject subject = subject_of(b->line, b->len, name);
    struct buf             body = BUF_INIT(JOURNAL_LINE_MAX);
    struct writer          w = WRITER_INIT(&body);
    size_t                 m, a, c, n;
    const char            *payload = member(b->line, b->len, "payload", &n);
    const char            *id = member(payload, n, "commandId", &c);
    const char            *action = member(b->line, b->len, "action", &a);
    const char            *message = member(b->line, b->len, "messageId", &m);

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
end_commands(void)
{
    for (unsigned i = 0; commands_n > 0 && i < HEADS; i++)
        while (commands[i] != NULL) {
            if (!end_command(commands[i]))
                return; /* the journal's buffer is full */
            forget(&commands[i]);
            commands_n--;
        }
}

void
former_tick(void)
{
    end_commands();
    /* During an upgrade the session may still be in a worker of the old
     * program. */
    if (!self.held && unended_count() > 0)
        unended_each(end_session);
}

void
former_settle(void)
{
    unended_settle();
    if (unended_count() > 0 || commands_n > 0)
        log_info("the journal shows %u sessions and %u commands that did not "
                 "end; they end now",
            unended_count(), commands_n);
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
    former_settle();
    former_tick();
}
