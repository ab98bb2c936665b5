/*
 * cmd_show: all that is known of one charge point. It reads shared memory, and
 * asks the worker that owns the connection for the facts that only the worker
 * has. See command.h.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/master.h"
#include "base/when.h"
#include "clock.h"
#include "close.h"
#include "control/command.h"
#include "control/entry.h"
#include "control/refused.h"
#include "json_members.h"
#include "workers/slot.h"

#define SHOW_WAIT_MS 2000

static void
show_line(struct buf *out, const char *key, uint64_t now, uint64_t then,
    const char *word, const char *sentence)
{
    buf_addf(out, "%-16s ", key);
    when_put(out, then);
    if (then != 0) {
        buf_adds(out, " (");
        when_ago(out, now, then);
        buf_adds(out, ")");
        if (word != NULL)
            buf_addf(out, " %s: %s", word, sentence);
    }
    buf_addc(out, '\n');
}

/* The highest security profile that was seen, and the end of the certificate
 * of the last connection; nothing without TLS. */
static void
put_profile(uint32_t entry, struct writer *w, struct buf *lines)
{
    unsigned profile;
    uint32_t units;

    registry_certificate(shm_registry(master.shm), entry, &profile, &units);
    uint64_t end = (uint64_t)units * REGISTRY_END_S;
    if (profile == 0)
        return;
    if (w != NULL) {
        writer_u64(w, "securityProfile", profile);
        entry_put_time(w, "certificateEnds", (uint32_t)end);
        return;
    }
    buf_addf(lines, "highest profile  %u (%s)\n", profile,
        profile == 3 ? "TLS with a client certificate" : "TLS");
    if (end != 0) {
        buf_adds(lines, "certificate ends ");
        when_put(lines, end);
        buf_addc(lines, '\n');
    }
}

/* Prints the members of the worker's answer as lines. A member such as
 * connectedMs is printed as "connected", with the unit ms. */
static void
put_connection(const char *json, size_t len, struct buf *out)
{
    struct json_member m;
    size_t             at = 0;

    while (json_members_next(json, len, &at, &m)) {
        size_t start = out->len;
        size_t n = m.key_len;
        if (n == 10 && memcmp(m.key, "generation", n) == 0)
            continue; /* it was printed before */
        bool ms = n > 2 && memcmp(m.key + n - 2, "Ms", 2) == 0;
        for (size_t i = 0; i < n - (ms ? 2 : 0); i++)
            if (m.key[i] >= 'A' && m.key[i] <= 'Z')
                buf_addf(out, " %c", m.key[i] + ('a' - 'A'));
            else
                buf_addc(out, m.key[i]);
        size_t used = out->len - start;
        buf_addf(out, "%*s", used < 17 ? (int)(17 - used) : 1, "");
        json_members_put_value(out, &m);
        buf_adds(out, ms ? " ms\n" : "\n");
    }
}

static void
show_text(const struct registry_entry *e, uint32_t entry, const char *json,
    size_t len, struct buf *out)
{
    uint64_t now = clock_wall_ms() / 1000;
    char     addr[ADDRESS_LEN];
    cref     owner = e->owner;

    buf_adds(out, "identity         ");
    entry_put_name(out, e->name, e->name_len, 0);
    if (owner != 0)
        buf_addf(
            out, "\nstate            online, on worker %u\n", cref_slot(owner));
    else
        buf_adds(out, "\nstate            offline\n");
    entry_address(e, addr);
    buf_addf(out, "address          %s\n", addr);
    show_line(out, "since", now, e->since, NULL, NULL);
    show_line(out, "last seen", now, e->last_seen, NULL, NULL);
    show_line(out, "booted", now, e->booted_at, NULL, NULL);
    buf_addf(out, "last action      %s\n", entry_last_action(e));
    buf_addf(out, "messages         %u\n", e->messages);
    buf_addf(out, "connections      %u\n", e->claims);
    buf_addf(out, "generation       %" PRIu64 "\n", (uint64_t)e->generation);
    show_line(out, "last closed", now, e->closed_at, entry_close_word(e),
        e->close_reason < CLOSE_REASONS ? close_info[e->close_reason].sentence
                                        : "");
    show_line(out, "last refused", now, e->refused_at, entry_refuse_word(e),
        e->refuse_reason < REFUSE_REASONS
            ? refuse_info[e->refuse_reason].sentence
            : "");
    put_profile(entry, NULL, out);
    if (len > 2) {
        buf_adds(out, "\n");
        put_connection(json, len, out);
    }
}

/* Writes the refused handshakes of an identity, as a JSON array or as lines. */
static size_t
put_refused(const char *name, struct writer *w, struct buf *lines)
{
    struct shm_refusal *all = calloc(refused_most(), sizeof *all);
    size_t              n = all != NULL ? refused_copy(all, name) : 0;

    if (w != NULL)
        writer_open(w, "refusals", '[');
    else if (n > 0)
        buf_adds(lines, "\n");
    for (size_t i = 0; i < n; i++)
        if (w != NULL)
            refused_json(&all[i], w);
        else
            refused_text(&all[i], lines);
    if (w != NULL)
        writer_close(w);
    free(all);
    return n;
}

/* Replies for an identity without an entry, which was never connected but may
 * have been refused. */
static void
show_stranger(struct client *c, const char *name)
{
    struct buf    out = BUF_INIT(CONTROL_REPLY_MAX);
    struct writer w = WRITER_INIT(&out);
    size_t        n;

    if (c->format == 'j') {
        writer_open(&w, NULL, '{');
        writer_str(&w, "identity", name);
        writer_bool(&w, "online", false);
        writer_u64(&w, "connections", 0);
        n = put_refused(name, &w, NULL);
        writer_close(&w);
        buf_addc(&out, '\n');
    } else {
        buf_adds(&out, "identity         ");
        entry_put_name(&out, name, strlen(name), 0);
        buf_adds(&out, "\nstate            never connected, but refused\n");
        n = put_refused(name, NULL, &out);
    }
    if (n > 0)
        control_reply_buf(c, CONTROL_DONE, &out);
    else
        control_replyf(c, CONTROL_NOT_FOUND,
            "%.64s: not known here; it has never tried to connect to this "
            "gateway, or its entry was reused (`refused` shows handshakes that "
            "failed, including those without a readable identity)",
            name);
    buf_free(&out);
}

/* json: the answer of the worker that owns the connection; len is 0 if there is
   none. */
static void
show_reply(struct client *c, const char *json, size_t len)
{
    struct registry_entry e;
    struct buf            out = BUF_INIT(CONTROL_REPLY_MAX);
    char                  name[IDENTITY_MAX + 1];

    if (!registry_copy(shm_registry(master.shm), c->entry, &e)) {
        control_replyf(c, CONTROL_BUSY,
            "show: its registry entry was just reused; try again");
        return;
    }
    memcpy(name, e.name, e.name_len);
    name[e.name_len] = '\0';
    if (c->format == 'j') {
        struct writer w = WRITER_INIT(&out);
        writer_open(&w, NULL, '{');
        entry_put(&w, &e, c->entry);
        put_profile(c->entry, &w, NULL);
        if (len > 0)
            writer_raw(&w, "connection", json, len);
        else
            writer_null(&w, "connection");
        put_refused(name, &w, NULL);
        writer_close(&w);
        buf_addc(&out, '\n');
    } else {
        show_text(&e, c->entry, json, len, &out);
        put_refused(name, NULL, &out);
    }
    control_reply_buf(c, CONTROL_DONE, &out);
    buf_free(&out);
}

/* The owner does not answer: show what is in the registry. */
static void
show_poll(struct client *c)
{
    if (clock_mono_ms() + CONTROL_POLL_MS >= c->wait_until_ms)
        show_reply(c, "", 0);
}

void
cmd_show(struct client *c, int argc, char **argv)
{
    if (argc != 2) {
        command_usage(c, argv, "give one identity");
        return;
    }
    c->entry =
        registry_peek(shm_registry(master.shm), argv[1], strlen(argv[1]));
    if (c->entry == REGISTRY_NONE) {
        show_stranger(c, argv[1]);
        return;
    }
    cref owner = registry_at(shm_registry(master.shm), c->entry)->owner;
    struct channel_msg m = {
        .type = CHANNEL_ask, .id = channel_next_id(), .conn = owner};
    if (owner != 0 && !control_may_wait(c))
        return;
    if (owner == 0 || !slot_send(cref_slot(owner), &m, NULL, 0)) {
        show_reply(c, "", 0);
        return;
    }
    c->asked = m.id;
    c->described = show_reply;
    control_wait(c, show_poll, SHOW_WAIT_MS, "show: no answer");
}
