/* last_outcomes: how the last commands ended. See last_outcomes.h. */
#include "control/last_outcomes.h"

#include <stdlib.h>
#include <string.h>

static struct kept {
    char        *text; /* the id with its NUL, then the JSON */
    size_t       id_len, len;
    enum outcome outcome;
} ring[LAST_OUTCOMES_KEPT];
static unsigned next;
static size_t   bytes;

static size_t
size_of(const struct kept *k)
{
    return k->text != NULL ? k->id_len + 1 + k->len : 0;
}

static void
forget(struct kept *k)
{
    bytes -= size_of(k);
    free(k->text);
    *k = (struct kept){0};
}

void
last_outcomes_put(
    const char *command_id, enum outcome outcome, const char *json, size_t len)
{
    size_t id_len = strlen(command_id);

    while (len > 0 && (json[len - 1] == '\0' || json[len - 1] == '\n'))
        len--;
    if (len == 0 || len > LAST_OUTCOMES_ONE)
        return;
    struct kept *k = &ring[next];
    forget(k);
    next = (next + 1) % LAST_OUTCOMES_KEPT;
    /* In the ring the oldest outcomes follow the newest one. */
    for (unsigned i = 0; i < LAST_OUTCOMES_KEPT &&
         bytes + id_len + 1 + len > LAST_OUTCOMES_BYTES;
         i++)
        forget(&ring[(next + i) % LAST_OUTCOMES_KEPT]);
    k->text = malloc(id_len + 1 + len);
    if (k->text == NULL)
        return;
    memcpy(k->text, command_id, id_len + 1);
    memcpy(k->text + id_len + 1, json, len);
    k->id_len = id_len;
    k->len = len;
    k->outcome = outcome;
    bytes += size_of(k);
}

bool
last_outcomes_full(void)
{
    return ring[next].text != NULL || bytes > LAST_OUTCOMES_BYTES / 2;
}

static struct kept *
find(const char *command_id)
{
    for (unsigned i = 1; i <= LAST_OUTCOMES_KEPT; i++) {
        struct kept *k =
            &ring[(next + LAST_OUTCOMES_KEPT - i) % LAST_OUTCOMES_KEPT];
        if (k->text != NULL && strcmp(k->text, command_id) == 0)
            return k;
    }
    return NULL;
}

const char *
last_outcomes_find(const char *command_id, enum outcome *outcome, size_t *len)
{
    const struct kept *k = find(command_id);

    if (k == NULL)
        return NULL;
    *outcome = k->outcome;
    *len = k->len;
    return k->text + k->id_len + 1;
}

bool
last_outcomes_write(unsigned i, struct buf *out)
{
    const struct kept *k = &ring[(next + i) % LAST_OUTCOMES_KEPT];

    if (i >= LAST_OUTCOMES_KEPT)
        return false;
    if (k->text == NULL)
        return true;
    fields_begin(out, "outcome");
    fields_put_bytes(out, "command", k->text, k->id_len);
    fields_put_str(out, "outcome", outcome_info[k->outcome].word);
    fields_put_bytes(out, "json", k->text + k->id_len + 1, k->len);
    fields_end(out);
    return true;
}

bool
last_outcomes_read(struct fields *f)
{
    if (strcmp(f->word, "outcome") != 0)
        return false;
    const struct field *json = fields_find(f, "json");
    const char         *id = fields_str(f, "command", LAST_OUTCOMES_ONE);
    if (id[0] == '\0' || json == NULL)
        return true;
    /* A worker may have reported the same one, without its payload. */
    struct kept *known = find(id);
    if (known != NULL)
        forget(known);
    last_outcomes_put(id, outcome_by_word(fields_str(f, "outcome", 32)),
        json->value, json->len);
    return true;
}
