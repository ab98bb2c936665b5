/* story: what is known about one charge point. See story.h. */
#include "control/story.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "address.h"
#include "base/master.h"
#include "base/when.h"
#include "clock.h"
#include "close.h"
#include "deviation.h"
#include "json_members.h"
#include "writer.h"

/* The remedy for each refusal. */
static const char *const remedies[REFUSE_REASONS] = {
    [REFUSE_bad_request] =
        "find out which program connects from that address; it does "
        "not speak HTTP",
    [REFUSE_not_websocket] =
        "set its central system URL, and connect with a WebSocket client of "
        "version 13",
    [REFUSE_wrong_path] = "set its central system URL to "
                          "ws://HOST:PORT followed by server.path",
    [REFUSE_bad_identity] =
        "give it an identity of letters and digits, or percent-encode "
        "the other characters",
    [REFUSE_long_identity] = "shorten its identity, or raise "
                             "ocpp.max_identity_length",
    [REFUSE_too_large] = "raise websocket.max_handshake_size",
    [REFUSE_timed_out] = "look at its network; or raise "
                         "websocket.handshake_timeout",
    [REFUSE_gave_up] = "look at its network",
    [REFUSE_full] = "raise server.max_connections",
    [REFUSE_identities_full] = "raise server.max_identities",
    [REFUSE_registry_busy] = "nothing: it will try again",
    [REFUSE_draining] = "nothing: it will try again after the start",
    [REFUSE_unknown] = "`ocppctl auth add IDENTITY` allows it",
    [REFUSE_wrong_key] = "`ocppctl auth check IDENTITY KEY` shows whether a "
                         "key is right; `auth add IDENTITY --replace` makes "
                         "another",
    [REFUSE_auth_down] = "look at the log for why the credentials cannot be "
                         "read",
    [REFUSE_denied] = "`ocppctl deny remove` allows it again",
    [REFUSE_no_proxy_header] = "turn the PROXY protocol on at the load "
                               "balancer, or take its address out of "
                               "server.proxy_from",
    [REFUSE_crowded] = "raise limits.address_connections",
    [REFUSE_crowded_prefix] = "raise limits.prefix_connections",
    [REFUSE_handshakes_full] = "raise limits.handshakes",
    [REFUSE_tls_on_plain] = "it uses wss://; give it a ws:// URL, or an "
                            "address of server.listen_tls",
    [REFUSE_no_subprotocol] = "turn on a version in ocpp.versions that it "
                              "offers, or set its OCPP version",
    [REFUSE_flapping] = "find out why it connects so often; its connections "
                        "end as described above",
    [REFUSE_failing] = "find out which client at that address is refused "
                       "(`ocppctl refused`)",
};

static const char *
remedy(unsigned reason)
{
    return reason < REFUSE_REASONS && remedies[reason] != NULL
        ? remedies[reason]
        : "see the log";
}

static void
put_ago(struct buf *out, uint64_t then)
{
    when_ago(out, clock_wall_ms() / 1000, then);
}

/* A member of the worker's answer as a number; 0 if there is none. */
static uint64_t
number_of(const struct story *s, const char *key)
{
    struct json_member m;
    uint64_t           n = 0;

    if (s->len == 0 || !json_members_find(s->json, s->len, key, &m))
        return 0;
    for (size_t i = 0;
         i < m.value_len && m.value[i] >= '0' && m.value[i] <= '9'; i++)
        n = n * 10 + (uint64_t)(m.value[i] - '0');
    return n;
}

/* Writes the deviations that its worker remembers, with their sentences. */
static void
put_deviations(const struct story *s, struct buf *out)
{
    struct json_member m;
    const char        *between = " Its messages deviate from the "
                                 "specification, and are accepted: ";
    char               word[64];

    if (s->len == 0 || !json_members_find(s->json, s->len, "deviations", &m))
        return;
    for (unsigned i = 0; i < DEVIATIONS; i++) {
        snprintf(word, sizeof word, "\"%s\"", deviation_names[i]);
        if (memmem(m.value, m.value_len, word, strlen(word)) == NULL)
            continue;
        buf_addf(out, "%s%s (%s)", between, deviation_sentences[i],
            deviation_names[i]);
        between = ", ";
    }
    buf_adds(out, between[0] == ',' ? "." : "");
}

static void
put_here(const struct story *s, struct buf *out)
{
    const struct registry_entry *e = &s->e;
    char                         addr[ADDRESS_LEN];
    uint64_t                     packed[2] = {e->addr[0], e->addr[1]};
    cref                         owner = e->owner;

    address_text(addr, packed, e->port);
    buf_adds(out, " is connected since ");
    when_put(out, e->since);
    buf_adds(out, " (");
    put_ago(out, e->since);
    buf_addf(out, ") from %s, on worker %u", addr, cref_slot(owner));
    if (cref_slot(owner) < master.slots) {
        uint32_t starts = shm_worker(master.shm, cref_slot(owner))->incarnation;
        if (starts > 1)
            buf_addf(out, ", which was started %u times", starts);
    }
    buf_adds(out, ". It last sent something ");
    put_ago(out, e->last_seen);
    buf_addf(out, " (last action %s; %u message%s on this connection).",
        e->last_action > 0 && e->last_action <= ACTIONS
            ? action_names[e->last_action - 1]
            : "none",
        e->messages, e->messages == 1 ? "" : "s");
    if (e->claims > 1)
        buf_addf(out, " It has connected %u times.", e->claims);
    if (s->len == 0) {
        buf_adds(out, " Its worker did not answer within 2 s.");
        return;
    }
    struct json_member m;
    if (json_members_find(s->json, s->len, "boot", &m)) {
        buf_adds(out, " Its BootNotification: ");
        json_members_put_value(out, &m);
        buf_addc(out, '.');
    }
    put_deviations(s, out);
    uint64_t unanswered = number_of(s, "unanswered");
    if (unanswered > 0)
        buf_addf(out, " %" PRIu64 " of its messages %s for an answer.",
            unanswered, unanswered == 1 ? "waits" : "wait");
}

/* By number of the version (enum dialect_number of worker/ocpp/dialect.h). */
static const char *const versions[] = {
#define DIALECT(word, name) name,
#include "ocpp_dialects.def"
#undef DIALECT
};

static const char *
version_of(const struct story *s)
{
    return s->known && s->e.claims > 0 &&
            s->e.protocol < sizeof versions / sizeof *versions
        ? versions[s->e.protocol]
        : NULL;
}

static void
put_model(const struct story *s, struct buf *out)
{
    if (version_of(s) != NULL)
        buf_addf(out, " It %s %s", s->e.owner != 0 ? "speaks" : "spoke",
            version_of(s));
    if (s->model.vendor[0] != '\0' || s->model.model[0] != '\0')
        buf_addf(out, "%s of the vendor %s, model %s",
            version_of(s) != NULL ? " and is" : " It is", s->model.vendor,
            s->model.model);
    else if (version_of(s) == NULL)
        return;
    buf_addc(out, '.');
}

/* Writes the limits because of which the charge point has to wait now. */
static void
put_limits(const struct story *s, struct buf *out)
{
    if (s->slowed)
        buf_adds(out,
            " It sends more than limits.message_rate or limits.byte_rate "
            "permits, and is read more slowly.");
    if (s->penalty_s > 0)
        buf_addf(out,
            " It connected too often and has to wait %u s more "
            "(limits.identity_rate).",
            s->penalty_s);
    if (s->address_penalty_s > 0)
        buf_addf(out,
            " Its address was refused too often: further refusals of this "
            "address in the next %u s have no reason (limits.failure_rate).",
            s->address_penalty_s);
}

/* Writes the facts about its certificate, which are known also while it is not
 * connected. */
static void
put_certificate(const struct story *s, struct buf *out)
{
    uint64_t now = clock_wall_ms() / 1000;

    if (s->profile >= 2)
        buf_addf(out, " It uses TLS (security profile %u).", s->profile);
    if (s->certificate_end == 0)
        return;
    buf_addf(out, " Its client certificate %s ",
        s->certificate_end > now ? "is valid until" : "has expired:");
    when_put(out, s->certificate_end);
    if (s->certificate_end > now)
        buf_addf(out, " (%" PRIu64 " days more)",
            (s->certificate_end - now) / 86400);
    buf_addc(out, '.');
}

static void
put_away(const struct story *s, struct buf *out)
{
    if (!s->known || s->e.claims == 0) {
        buf_adds(
            out, " has not been connected to this gateway since its start");
        buf_adds(out,
            s->refused ? "."
                       : ", and was not refused either: check "
                         "its URL, its network and its identity.");
        return;
    }
    buf_adds(out, " is not connected. It last sent something ");
    put_ago(out, s->e.last_seen);
    buf_addf(out, ", after %u connection%s.", s->e.claims,
        s->e.claims == 1 ? "" : "s");
}

static const char *
closed_by(unsigned reason)
{
    return reason == CLOSE_peer_closed  ? "the charge point"
        : reason == CLOSE_peer_vanished ? "the network"
        : reason == CLOSE_operator      ? "an operator"
                                        : "the gateway";
}

static void
put_end(const struct story *s, struct buf *out)
{
    unsigned r = s->e.close_reason;
    if (!s->known || s->e.closed_at == 0 || r >= CLOSE_REASONS)
        return;
    buf_adds(out,
        s->e.owner != 0 ? " Its previous connection ended "
                        : " Its last connection ended ");
    put_ago(out, s->e.closed_at);
    buf_addf(out, ", by %s: %s (%s).", closed_by(r), close_info[r].sentence,
        close_info[r].word);
}

static void
put_refusal(const struct story *s, struct buf *out)
{
    unsigned reason = s->refused ? s->refusal.reason : s->e.refuse_reason;
    uint64_t when = s->refused ? s->refusal.wall_ms / 1000
        : s->known             ? s->e.refused_at
                               : 0;

    if (when == 0 || reason >= REFUSE_REASONS)
        return;
    buf_adds(out, " It was last refused ");
    put_ago(out, when);
    if (s->refused) {
        char addr[ADDRESS_LEN];
        address_text(addr, s->refusal.addr, s->refusal.port);
        buf_addf(out, ", from %s", addr);
    }
    buf_addf(out, ": %s (%s", refuse_info[reason].sentence,
        refuse_info[reason].word);
    if (s->refused && s->refusal.detail[0] != '\0')
        buf_addf(out, "; %.*s",
            (int)strnlen(s->refusal.detail, sizeof s->refusal.detail),
            s->refusal.detail);
    buf_addf(out, "). Remedy: %s.", remedy(reason));
}

void
story_put_text(const struct story *s, struct buf *out)
{
    buf_adds(out, s->name);
    if (s->known && s->e.owner != 0)
        put_here(s, out);
    else
        put_away(s, out);
    put_model(s, out);
    put_certificate(s, out);
    put_end(s, out);
    put_refusal(s, out);
    put_limits(s, out);
    if (s->commands > 0)
        buf_addf(out,
            " %u command%s to it wait%s for an outcome, the oldest for %" PRIu64
            ".%" PRIu64 " s.",
            s->commands, s->commands == 1 ? "" : "s",
            s->commands == 1 ? "s" : "", s->oldest_ms / 1000,
            s->oldest_ms % 1000 / 100);
}

static void
put_time(struct writer *w, const char *key, uint64_t then)
{
    char text[CLOCK_RFC3339_LEN + 1];

    if (then == 0) {
        writer_null(w, key);
        return;
    }
    clock_rfc3339(text, then * 1000);
    writer_str(w, key, text);
}

void
story_put_json(const struct story *s, const char *text, struct buf *out)
{
    struct writer w = WRITER_INIT(out);
    bool          here = s->known && s->e.owner != 0;
    unsigned      reason = s->refused ? s->refusal.reason : s->e.refuse_reason;
    uint64_t      when = s->refused ? s->refusal.wall_ms / 1000
             : s->known             ? s->e.refused_at
                                    : 0;

    writer_open(&w, NULL, '{');
    writer_str(&w, "identity", s->name);
    writer_bool(&w, "online", here);
    writer_bool(&w, "known", s->known && s->e.claims > 0);
    writer_str(&w, "text", text);
    put_time(&w, "since", here ? s->e.since : 0);
    put_time(&w, "lastSeen", s->known ? s->e.last_seen : 0);
    put_time(&w, "closed", s->known ? s->e.closed_at : 0);
    if (s->known && s->e.closed_at != 0 && s->e.close_reason < CLOSE_REASONS) {
        writer_str(&w, "closeReason", close_info[s->e.close_reason].word);
        writer_str(&w, "closedBy", closed_by(s->e.close_reason));
    }
    const char *version = version_of(s);
    if (version != NULL)
        writer_str(&w, "protocol", version);
    if (s->model.vendor[0] != '\0' || s->model.model[0] != '\0') {
        writer_str(&w, "vendor", s->model.vendor);
        writer_str(&w, "model", s->model.model);
    }
    put_time(&w, "refused", when);
    if (when != 0 && reason < REFUSE_REASONS) {
        writer_str(&w, "refuseReason", refuse_info[reason].word);
        writer_str(&w, "remedy", remedy(reason));
    }
    struct json_member m;
    if (s->len > 0 && json_members_find(s->json, s->len, "deviations", &m))
        writer_raw(&w, "deviations", m.value, m.value_len);
    writer_u64(&w, "securityProfile", s->profile);
    put_time(&w, "certificateEnds", s->certificate_end);
    writer_bool(&w, "slowed", s->slowed);
    writer_u64(&w, "penaltySeconds", s->penalty_s);
    writer_u64(&w, "addressPenaltySeconds", s->address_penalty_s);
    writer_u64(&w, "commandsPending", s->commands);
    writer_u64(&w, "oldestCommandMs", s->oldest_ms);
    writer_close(&w);
    buf_addc(out, '\n');
}
