/* taps: live frames of charge points. See taps.h. */
#include "control/taps.h"

#include <stdio.h>
#include <string.h>

#include "base/master.h"
#include "channel.h"
#include "control/control.h"
#include "json_members.h"
#include "workers/slot.h"

#define PATTERN_MAX 128

static struct tap {
    uint64_t id; /* 0: free */
    uint64_t client;
    uint64_t lost; /* frames dropped since the last one that was sent */
    char     pattern[PATTERN_MAX];
} taps[TAPS_MAX];

static void
notify(unsigned slot, const struct tap *t, enum channel_type type)
{
    struct channel_msg m = {.type = type, .id = t->id};

    slot_send(
        slot, &m, t->pattern, type == CHANNEL_tap ? strlen(t->pattern) + 1 : 0);
}

static void
untap(struct tap *t)
{
    for (unsigned s = 0; s < master.slots; s++)
        notify(s, t, CHANNEL_untap);
    t->id = 0;
}

static void
gone(struct client *c)
{
    for (int i = 0; i < TAPS_MAX; i++)
        if (taps[i].id != 0 && taps[i].client == c->id)
            untap(&taps[i]);
}

bool
taps_start(struct client *c, const char *pattern)
{
    for (int i = 0; i < TAPS_MAX; i++) {
        struct tap *t = &taps[i];
        if (t->id != 0)
            continue;
        *t = (struct tap){.id = channel_next_id(), .client = c->id};
        snprintf(t->pattern, sizeof t->pattern, "%s", pattern);
        for (unsigned s = 0; s < master.slots; s++)
            if (slot_state(s) == SHM_WORKER_READY ||
                slot_state(s) == SHM_WORKER_DRAINING)
                notify(s, t, CHANNEL_tap);
        c->gone = gone;
        return true;
    }
    return false;
}

void
taps_worker_ready(unsigned slot)
{
    for (int i = 0; i < TAPS_MAX; i++)
        if (taps[i].id != 0)
            notify(slot, &taps[i], CHANNEL_tap);
}

static bool
mark_lost(struct client *c, struct tap *t)
{
    char mark[64];
    int  n = snprintf(mark, sizeof mark,
        c->format == 'j' ? "{\"lost\":%llu}\n" : "... %llu frames lost\n",
         (unsigned long long)t->lost);

    if (!control_stream(c, mark, (size_t)n))
        return false;
    t->lost = 0;
    return true;
}

/* Writes a frame as one line. It consists of the values of the members,
 * separated by blanks. */
static void
put_text(struct buf *out, const char *json, size_t len)
{
    struct json_member m;
    size_t             at = 0;

    while (json_members_next(json, len, &at, &m)) {
        if (out->len > 0)
            buf_addc(out, ' ');
        json_members_put_value(out, &m);
    }
}

void
taps_frame(uint64_t id, const char *json, size_t len)
{
    static struct buf line = {.max = CHANNEL_BODY_MAX + 64};
    struct tap       *t = NULL;

    for (int i = 0; i < TAPS_MAX; i++)
        if (taps[i].id == id && id != 0)
            t = &taps[i];
    struct client *c = t != NULL ? control_client(t->client) : NULL;
    if (c == NULL)
        return; /* the tap has ended in the meantime */
    while (len > 0 && json[len - 1] == '\n')
        len--;
    buf_clear(&line);
    if (c->format == 'j')
        buf_add(&line, json, len);
    else
        put_text(&line, json, len);
    buf_addc(&line, '\n');
    if ((t->lost > 0 && !mark_lost(c, t)) ||
        !control_stream(c, line.p, line.len))
        t->lost++;
}
