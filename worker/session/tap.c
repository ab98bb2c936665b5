/* tap: copies of frames for `ocppctl tap`. See tap.h. */
#include "session/tap.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "base/master_link.h"
#include "base/self.h"
#include "channel.h"
#include "clock.h"
#include "ocpp/secrets.h"
#include "writer.h"

static struct tap {
    uint64_t id;
    uint64_t lost; /* frames lost since the last one that was sent */
    char     pattern[IDENTITY_MAX * 2];
} taps[TAP_MAX];

unsigned tap_count;

void
tap_add(uint64_t id, const char *pattern)
{
    for (unsigned i = 0; i < tap_count; i++)
        if (taps[i].id == id)
            return; /* this tap was taken over from the slot's former process */
    if (tap_count == TAP_MAX)
        return;
    struct tap *t = &taps[tap_count++];
    t->id = id;
    t->lost = 0;
    snprintf(t->pattern, sizeof t->pattern, "%s", pattern);
}

void
tap_remove(uint64_t id)
{
    for (unsigned i = 0; i < tap_count; i++)
        if (taps[i].id == id) {
            taps[i] = taps[--tap_count];
            return;
        }
}

void
tap_copy(struct conn *c, enum tap_direction d, const char *text, size_t len,
    const char *decision)
{
    static struct buf line = {.max = CHANNEL_BODY_MAX};
    static struct buf shown = {.max = SECRETS_FRAME_MAX};
    size_t            n;
    char              name[IDENTITY_MAX + 1], when[CLOCK_RFC3339_LEN + 1];

    if (c->self == 0)
        return;
    const char *known = registry_name(self.registry, c->session.entry, &n);
    memcpy(name, known, n);
    name[n] = '\0';
    buf_clear(&shown);
    secrets_put_frame(&shown, text, len, TAP_FRAME_MAX);
    for (unsigned i = 0; i < tap_count; i++) {
        struct tap *t = &taps[i];
        if (fnmatch(t->pattern, name, 0) != 0)
            continue;
        struct writer w = WRITER_INIT(&line);
        buf_clear(&line);
        writer_open(&w, NULL, '{');
        clock_rfc3339(when, clock_wall_ms());
        writer_str(&w, "timestamp", when);
        writer_str(&w, "chargePointId", name);
        writer_str(&w, "direction", d == TAP_IN ? "in" : "out");
        writer_strn(&w, "frame", shown.p,
            shown.len < TAP_FRAME_MAX ? shown.len : TAP_FRAME_MAX);
        if (len > TAP_FRAME_MAX)
            writer_u64(&w, "frameLength", len);
        writer_str(&w, "decision", decision);
        if (t->lost > 0)
            writer_u64(&w, "lostBefore", t->lost);
        writer_close(&w);
        if (master_link_tapped(t->id, line.p, line.len)) {
            t->lost = 0;
        } else {
            t->lost++;
            STAT_INC(self.st, tap_lost);
        }
    }
}

void
tap_write(struct buf *out)
{
    for (unsigned i = 0; i < tap_count; i++) {
        fields_begin(out, "tap");
        fields_put_u64(out, "id", taps[i].id);
        fields_put_str(out, "pattern", taps[i].pattern);
        fields_end(out);
    }
}

bool
tap_read(struct fields *f)
{
    if (strcmp(f->word, "tap") != 0)
        return false;
    uint64_t id = fields_u64(f, "id", 0, UINT64_MAX);
    if (id != 0)
        tap_add(id, fields_str(f, "pattern", IDENTITY_MAX * 2 - 1));
    return true;
}
