/* recovered: the outcomes that recovery found in the journal. See
 * recovered.h. */
#include "session/recovered.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "base/master_link.h"
#include "channel.h"
#include "hash.h"
#include "journal_line.h"
#include "ocpp/tape.h"
#include "writer.h"

/* The number of texts that the master keeps, and the most bytes of texts that
 * wait here. */
#define TEXTS_MAX 1024u
#define TEXTS_BYTES ((size_t)1 << 20)
#define TEXT_MAX ((size_t)64 << 10)

/* Every command that has ended. */
static struct ended {
    uint64_t id_hash; /* of the id as JSON */
    uint8_t  outcome;
} * ended;
static size_t ended_n, ended_cap;

/* The last texts, oldest at next. */
static struct text {
    char  *json;
    size_t len;
} texts[TEXTS_MAX];
static unsigned next;
static size_t   bytes;

static void
drop(struct text *t)
{
    bytes -= t->len;
    free(t->json);
    *t = (struct text){0};
}

static void
keep_text(const char *json, size_t len)
{
    struct text *t = &texts[next];

    if (len > TEXT_MAX)
        return;
    drop(t);
    next = (next + 1) % TEXTS_MAX;
    for (unsigned i = 0; i < TEXTS_MAX && bytes + len > TEXTS_BYTES; i++)
        drop(&texts[(next + i) % TEXTS_MAX]);
    t->json = malloc(len);
    if (t->json == NULL)
        return;
    memcpy(t->json, json, len);
    t->len = len;
    bytes += len;
}

static enum outcome
outcome_of(const char *payload, size_t len)
{
    char        word[32] = "";
    const char *v;
    size_t      n;

    if (journal_line_field(payload, len, "outcome", &v, &n) && n >= 2 &&
        n - 2 < sizeof word)
        memcpy(word, v + 1, n - 2);
    return outcome_by_word(word);
}

void
recovered_note(const char *payload, size_t len)
{
    const char *id;
    size_t      n;

    if (!journal_line_field(payload, len, "commandId", &id, &n))
        return;
    if (ended_n == ended_cap) {
        struct ended *p = array_grow(ended, &ended_cap, sizeof *p);
        if (p == NULL)
            return;
        ended = p;
    }
    ended[ended_n++] =
        (struct ended){hash_sum(id, n, 0), (uint8_t)outcome_of(payload, len)};
    keep_text(payload, len);
}

void
recovered_line(const char *line, size_t len)
{
    static const char type[] = "\"command.response\"";
    const char       *value;
    size_t            n;

    if (journal_line_field(line, len, "eventType", &value, &n) &&
        n == sizeof type - 1 && memcmp(value, type, n) == 0 &&
        journal_line_field(line, len, "payload", &value, &n))
        recovered_note(value, n);
}

bool
recovered_find(const char *command_id, enum outcome *outcome)
{
    struct buf quoted = BUF_INIT(1024);

    writer_quote(&quoted, command_id, strlen(command_id));
    uint64_t h = hash_sum(quoted.p, quoted.len, 0);
    buf_free(&quoted);
    for (size_t i = ended_n; i-- > 0;)
        if (ended[i].id_hash == h) {
            *outcome = (enum outcome)ended[i].outcome;
            return true;
        }
    return false;
}

/* The body of the datagram: the id as text, NUL, and the JSON. */
static void
report(const struct text *t)
{
    struct buf   body = BUF_INIT(CHANNEL_BODY_MAX);
    struct json *tape = tape_borrow(TAPE_MESSAGE);
    char         id[256];
    const char  *v;
    size_t       n;

    if (journal_line_field(t->json, t->len, "commandId", &v, &n) &&
        json_scan(tape, v, n)) {
        n = json_string(tape, 0, id, sizeof id - 1, NULL);
        buf_add(&body, id, n);
        buf_addc(&body, '\0');
        buf_add(&body, t->json, t->len);
        master_link_recovered(outcome_of(t->json, t->len), body.p, body.len);
    }
    tape_return(tape);
    buf_free(&body);
}

void
recovered_report(void)
{
    for (unsigned i = 0; bytes > 0 && i < TEXTS_MAX; i++) {
        struct text *t = &texts[(next + i) % TEXTS_MAX];
        if (t->json == NULL)
            continue;
        report(t);
        drop(t);
    }
}

void
recovered_forget(void)
{
    free(ended);
    ended = NULL;
    ended_n = ended_cap = 0;
}
