/*
 * `why`: the story of one charge point (story.h). The facts come from shared
 * memory, the pending calls and the worker. See command.h.
 */
#include <stdlib.h>
#include <string.h>

#include "base/master.h"
#include "cidr.h"
#include "clock.h"
#include "control/command.h"
#include "control/pending_calls.h"
#include "control/refused.h"
#include "control/story.h"
#include "json_members.h"
#include "penalty.h"
#include "printable.h"
#include "workers/slot.h"

#define WAIT_MS 2000
#define BODY_MAX (64u << 10)

static bool
last_refusal(const char *name, struct shm_refusal *out)
{
    struct shm_refusal *all = calloc(refused_most(), sizeof *all);
    bool                found = all != NULL && refused_copy(all, name) > 0;

    if (found)
        *out = all[0];
    free(all);
    return found;
}

static uint32_t
penalty_of(unsigned kind, const void *p, size_t n)
{
    uint64_t rows = (penalty_size(master.config.server_max_connections) -
                        sizeof(struct penalty)) /
        sizeof(uint64_t);

    return penalty_peek(shm_penalty(master.shm), (uint32_t)rows, kind, p, n,
        (uint32_t)(clock_mono_ms() / 1000));
}

/* The penalty of an address, for IPv6 of its /64. */
static uint32_t
address_penalty(const struct story *s)
{
    const uint64_t *addr = s->refused ? s->refusal.addr
        : s->known && s->e.claims > 0
        ? (const uint64_t[2]){s->e.addr[0], s->e.addr[1]}
        : NULL;

    if (addr == NULL)
        return 0;
    struct cidr one = cidr_around(addr, 32, 64);
    return penalty_of(PENALTY_ADDRESS, one.addr, sizeof one.addr);
}

static void
reply(struct client *c, const char *json, size_t len)
{
    struct buf   text = BUF_INIT(BODY_MAX), out = BUF_INIT(BODY_MAX);
    struct story s = {.name = c->name, .json = json, .len = len};

    s.known = c->entry != REGISTRY_NONE &&
        registry_copy(shm_registry(master.shm), c->entry, &s.e);
    if (s.known) {
        uint32_t end;
        registry_certificate(
            shm_registry(master.shm), c->entry, &s.profile, &end);
        s.certificate_end = (uint64_t)end * REGISTRY_END_S;
        struct registry *r = shm_registry(master.shm);
        registry_model_read(r, registry_model_of(r, c->entry), &s.model);
    }
    s.refused = last_refusal(c->name, &s.refusal);
    s.penalty_s = penalty_of(PENALTY_IDENTITY, c->name, strlen(c->name));
    s.address_penalty_s = address_penalty(&s);
    struct json_member m;
    s.slowed = len > 0 && json_members_find(json, len, "slowed", &m) &&
        m.value_len == 4;
    s.commands = pending_calls_of(c->name, &s.oldest_ms);
    bool unheard =
        !s.refused && (!s.known || (s.e.claims == 0 && s.e.refused_at == 0));
    story_put_text(&s, &text);
    if (c->format == 'j') {
        story_put_json(&s, buf_cstr(&text), &out);
    } else {
        printable_escape(&out, text.p, text.len);
        buf_addc(&out, '\n');
    }
    control_reply_buf(c, unheard ? CONTROL_NEGATIVE : CONTROL_DONE, &out);
    buf_free(&out);
    buf_free(&text);
}

/* Replies without the worker's answer, which has not arrived in time. */
static void
poll_cb(struct client *c)
{
    if (clock_mono_ms() + CONTROL_POLL_MS >= c->wait_until_ms)
        reply(c, "", 0);
}

void
cmd_why(struct client *c, int argc, char **argv)
{
    size_t n = argc == 2 ? strlen(argv[1]) : 0;

    if (n == 0 || n >= sizeof c->name) {
        command_usage(c, argv, "give one identity, of 1 to %zu bytes",
            sizeof c->name - 1);
        return;
    }
    memcpy(c->name, argv[1], n + 1);
    c->entry = registry_peek(shm_registry(master.shm), c->name, n);
    cref               owner = c->entry == REGISTRY_NONE
                      ? 0
                      : registry_at(shm_registry(master.shm), c->entry)->owner;
    struct channel_msg m = {
        .type = CHANNEL_ask, .id = channel_next_id(), .conn = owner};
    if (owner != 0 && !control_may_wait(c))
        return;
    if (owner == 0 || !slot_send(cref_slot(owner), &m, NULL, 0)) {
        reply(c, "", 0);
        return;
    }
    c->asked = m.id;
    c->described = reply;
    control_wait(c, poll_cb, WAIT_MS, "why: no answer");
}
