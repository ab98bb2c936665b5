/* session_move: the part of session/ in a connection's record. See moving.h. */
#include "session/session.h"

#include <string.h>

#include "base/self.h"
#include "session/permits.h"

static const char *const boots[] = {
    [BOOT_NONE] = "none",
    [BOOT_WAITS] = "waits",
    [BOOT_ACCEPTED] = "accepted",
    [BOOT_PENDING] = "pending",
    [BOOT_REJECTED] = "rejected",
};
#define PERMITS_MAX 512 /* bytes of the names of permitted messages */
#define BOOTS (sizeof boots / sizeof boots[0])

static void
put_permits(const struct conn *c, struct buf *out)
{
    uint16_t   set = permits_of(c);
    struct buf names = BUF_INIT(PERMITS_MAX);

    if (set == 0)
        return;
    dialect_put_caused(&names, set);
    fields_put_str(out, "permits", buf_cstr(&names));
    buf_free(&names);
}

void
session_write(const struct conn *c, struct buf *out)
{
    const struct conn_session *s = &c->session;
    size_t                     len;

    if (c->state == CONN_CLOSING)
        fields_put_str(out, "reason",
            close_info[s->reason < CLOSE_REASONS ? s->reason : 0].word);
    if (c->state != CONN_OPEN)
        return;
    const char *name = registry_name(self.registry, s->entry, &len);
    fields_put_bytes(out, "identity", name, len);
    fields_put_str(out, "protocol", dialects[s->protocol].name);
    fields_put_str(out, "boot", boots[s->boot]);
    put_permits(c, out);
    if (s->charging)
        fields_put_u64(out, "charging", 1);
    fields_put_u64(out, "session_age", session_age_ms(c));
    fields_put_u64(out, "messages_in", s->messages_in);
    fields_put_u64(out, "messages_out", s->messages_out);
    fields_put_u64(out, "rtt", s->rtt_ms);
    fields_put_u64(out, "bad", s->bad);
    fields_put_u64(out, "violations", s->violations);
    fields_put_u64(out, "violations_minute", s->violations_minute);
}

static unsigned
boot_of(const char *word)
{
    for (unsigned i = 0; i < BOOTS; i++)
        if (strcmp(boots[i], word) == 0)
            return i;
    return BOOT_NONE;
}

static void
read_reason(struct conn *c, struct fields *f)
{
    const char *word = fields_str(f, "reason", 64);

    for (unsigned i = 0; i < CLOSE_REASONS; i++)
        if (strcmp(close_info[i].word, word) == 0)
            c->session.reason = (uint8_t)i;
}

bool
session_read(struct conn *c, struct fields *f)
{
    struct conn_session *s = &c->session;

    if (c->state == CONN_CLOSING)
        read_reason(c, f);
    if (c->state != CONN_OPEN)
        return true;
    const struct field *identity = fields_find(f, "identity");
    const char         *protocol = fields_str(f, "protocol", 32);
    while (s->protocol < DIALECTS &&
        strcmp(dialects[s->protocol].name, protocol) != 0)
        s->protocol++;
    if (s->protocol == DIALECTS || identity == NULL)
        return false;
    s->entry =
        registry_find(self.registry, identity->value, identity->len, false);
    if (s->entry == REGISTRY_NONE)
        return false;
    s->boot = (uint8_t)boot_of(fields_str(f, "boot", 16));
    s->charging = fields_u64(f, "charging", 0, 1) != 0;
    permits_clear(c);
    uint16_t permits =
        dialect_read_caused(fields_str(f, "permits", PERMITS_MAX));
    if (permits != 0)
        permits_add(c, permits);
    s->messages_in = (uint32_t)fields_u64(f, "messages_in", 0, UINT32_MAX);
    s->messages_out = (uint32_t)fields_u64(f, "messages_out", 0, UINT32_MAX);
    s->rtt_ms = (uint16_t)fields_u64(f, "rtt", UINT16_MAX, UINT16_MAX);
    s->bad = (uint16_t)fields_u64(f, "bad", 0, UINT16_MAX);
    s->violations = (uint16_t)fields_u64(f, "violations", 0, UINT16_MAX);
    s->violations_minute =
        (uint8_t)fields_u64(f, "violations_minute", 0, UINT8_MAX);
    /* The session may be older than this process: the subtraction wraps, and
     * session_age_ms() wraps back. */
    uint64_t begin = ((uint64_t)self.now_era << 32 | self.now_ms) -
        fields_u64(f, "session_age", 0, UINT64_MAX >> 24);
    c->opened_ms = (uint32_t)begin;
    s->opened_era = (uint8_t)(begin >> 32);
    return f->bad == NULL;
}
