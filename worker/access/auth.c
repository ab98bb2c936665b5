/* auth: whether a charge point has the key of its identity. See auth.h. */
#include "access/auth.h"

#include <stdlib.h>
#include <string.h>

#include "authfile.h"
#include "base/master_link.h"
#include "base/self.h"
#include "channel.h"
#include "clock.h"
#include "helper.h"
#include "log.h"
#include "net/http_hint.h"
#include "ocpp/dialect.h"
#include "ocpp/json.h"
#include "ocpp/tape.h"
#include "sandbox.h"

#define RETRY_MS 1000
/* Ms that a handshake waits for a file that is being read. */
#define PATIENCE_MS 1000

static struct authfile table;
static uint64_t        version; /* the value of shm.auth_version that belongs to
                                   the table */
static bool     loaded;         /* the table holds a file, or there is none */
static bool     stale;          /* the last reading failed */
static uint32_t tried_ms;
static bool     hidden;

/* --- reading the file ---------------------------------------------------- */

/* A helper reads the file, because 100,000 lines take 40 ms and a disk may
 * hang; the loop only replaces the table. */
struct loading {
    struct helper_job    h;
    char                 path[AUTHFILE_PATH_MAX];
    uint64_t             version;
    struct authfile      table;
    struct buf           why;
    enum authfile_result result;
    uint64_t             took_us;
};

static struct helper helper =
    HELPER_INIT("ocppd-auth", "the disk of the credential file", 4, 2000);
static bool     loading;
static bool     behind; /* shm.auth_version is newer than the table */
static uint32_t behind_ms;

bool
auth_asks(void)
{
    return self.conf.auth_mode == CONF_auth_mode_redis;
}

static void
load_work(struct helper_job *h)
{
    struct loading *l = (struct loading *)h;
    uint64_t        began = clock_mono_ns();

    l->result = authfile_read(&l->table, l->path, &l->why);
    l->took_us = (clock_mono_ns() - began) / 1000;
}

static void
free_work(struct helper_job *h)
{
    authfile_free(&((struct loading *)h)->table);
}

static void
freed(struct helper_job *h)
{
    free(h);
}

/* The helper also frees the table of the job, or the table that it replaced. */
static void
dispose(struct loading *l)
{
    buf_free(&l->why);
    l->h.work = free_work;
    l->h.done = freed;
    if (!helper_submit(&helper, &l->h)) {
        free_work(&l->h);
        free(l);
    }
}

static void
load_done(struct helper_job *h)
{
    struct loading      *l = (struct loading *)h;
    enum authfile_result r = l->result;
    size_t               first = strcspn(buf_cstr(&l->why), "\n");
    bool                 again = stale;

    loading = false;
    version = l->version;
    behind = false;
    /* A missing file must not lock out a fleet, so the previous table stays and
       the file is tried again. */
    stale = r == AUTHFILE_UNREADABLE || (r == AUTHFILE_MISSING && table.n > 0);
    if (stale && !again)
        log_error("%.*s; %s; trying again each second", (int)first,
            buf_cstr(&l->why),
            loaded ? "the credentials read before stay in force"
                   : "every charge point is refused until it can be read");
    if (!stale) {
        /* The master does not accept a broken file, but the file may have been
         * edited since. A new worker must serve the charge points whose lines
         * are right. */
        if (r == AUTHFILE_BROKEN)
            log_error("%.*s; charge points whose lines are wrong are refused",
                (int)first, buf_cstr(&l->why));
        struct authfile former = table;
        table = l->table;
        l->table = former;
        loaded = true;
        log_debug("%s: %u identities in %.1f ms", l->path, table.n,
            (double)l->took_us / 1e3);
    }
    dispose(l);
}

/* Called before the first connection, so the file may be read at once, without
   a helper. */
static void
load(bool here)
{
    struct loading *l = calloc(1, sizeof *l);

    tried_ms = self.now_ms;
    if (l == NULL)
        return;
    l->h.work = load_work;
    l->h.done = load_done;
    l->why = (struct buf)BUF_INIT(16384);
    l->version = self.shm->auth_version;
    authfile_path(&self.conf, l->path);
    loading = true;
    if (!(here ? helper_run(&l->h) : helper_submit(&helper, &l->h))) {
        loading = false;
        free(l);
    }
}

static void
look(bool here)
{
    if (self.conf.auth_mode != CONF_auth_mode_none && !hidden) {
        sandbox_hide(); /* a reload may have switched keys on */
        hidden = true;
    }
    if (!authfile_wanted(&self.conf) || loading)
        return;
    bool newer = self.shm->auth_version != version;
    if (newer && !behind) {
        behind = true;
        behind_ms = self.now_ms;
    } else if (self.now_ms - tried_ms < RETRY_MS && (!newer || stale)) {
        return;
    }
    if (newer || stale)
        load(here);
}

void
auth_open(void)
{
    look(true);
}

void
auth_tick(void)
{
    look(false);
}

bool
auth_waits(void)
{
    if (!authfile_wanted(&self.conf) ||
        (self.shm->auth_version == version && loaded))
        return false;
    look(false);
    return behind && self.now_ms - behind_ms < PATIENCE_MS;
}

/* --- credentials ----------------------------------------------------- */

static void
report_key(enum channel_key what, const char *name, size_t len,
    const struct auth_key *key)
{
    char text[IDENTITY_MAX + 1 + AUTH_KEY_TEXT];

    if (auth_asks()) {
        auth_redis_notify(what, name, len, key);
        return;
    }
    memcpy(text, name, len);
    text[len] = '\0';
    auth_key_text(key, text + len + 1);
    master_link_key(what, text, len + 1 + AUTH_KEY_TEXT);
}

/* The key of the entry that matches these bytes, or NULL. All keys are
 * compared, even after a match, so that the time reveals nothing. New keys come
 * first. */
static const struct auth_key *
match(const struct authfile_entry *e, const uint8_t *p, size_t n)
{
    const struct auth_key *found =
        auth_key_matches(&e->key, p, n) ? &e->key : NULL;

    for (unsigned i = 0; i < e->nexts; i++)
        if (auth_key_matches(&e->next[i], p, n))
            found = &e->next[i];
    return found;
}

/* Describes which other form of the key would have matched, for the
   operator. */
static const char *
explain(const struct authfile_entry *e, const struct http_password *pw)
{
    size_t n = pw->len;

    if (n == 0)
        return "the key is empty";
    while (n > 0 &&
        (pw->bytes[n - 1] == '\n' || pw->bytes[n - 1] == '\r' ||
            pw->bytes[n - 1] == ' ' || pw->bytes[n - 1] == '\0'))
        n--;
    if (n < pw->len && n > 0) {
        uint8_t canonical[HTTP_PASSWORD_MAX];
        size_t  k = auth_key_canonical(pw->bytes, n, canonical);
        bool    same = match(e, canonical, k) != NULL;
        explicit_bzero(canonical, sizeof canonical);
        if (same)
            return "the key matches without the blank or line end after it";
    }
    return "the key does not match";
}

/* *shown is set to the entry's key that matched. */
static enum refuse_reason
check_key(const struct authfile_entry *e, const struct http_password *pw,
    const struct auth_key **shown, const char **detail)
{
    uint8_t                plain[HTTP_PASSWORD_MAX];
    size_t                 n;
    const struct auth_key *m = match(e, pw->bytes, pw->len);
    bool                   as_hex = false;

    if (auth_key_unhex(pw->bytes, pw->len, plain, &n)) {
        const struct auth_key *other = match(e, plain, n);
        if (m == NULL && other != NULL) {
            m = other;
            as_hex = true;
        }
    }
    explicit_bzero(plain, sizeof plain);
    if (as_hex && !self.conf.auth_accept_hex) {
        *detail = "the key matches when read as hex; auth.accept_hex is no";
        return REFUSE_wrong_key;
    }
    if (m == NULL) {
        *detail = explain(e, pw);
        return REFUSE_wrong_key;
    }
    if (as_hex)
        STAT_INC(self.st, auth_hex);
    *shown = m;
    return REFUSE_REASONS;
}

static enum refuse_reason
check_entry(const struct authfile_entry *e, const struct http_request *r,
    const char *name, size_t len, const struct auth_key **shown,
    const char **detail)
{
    struct http_password pw;

    if (http_basic(r->authorization, name, len, &pw) != HTTP_BASIC_OK) {
        *detail = http_hint(r->authorization, name, len);
        return REFUSE_wrong_key;
    }
    enum refuse_reason reason = check_key(e, &pw, shown, detail);
    explicit_bzero(&pw, sizeof pw);
    if (reason == REFUSE_REASONS && *shown != &e->key) {
        STAT_INC(self.st, auth_new_key);
        report_key(CHANNEL_KEY_USED, name, len, *shown);
    }
    return reason;
}

static enum refuse_reason
check_answer(const struct http_request *r, const char *name, size_t len,
    struct auth_redis_answer *a, const char **detail)
{
    if (a->word == KEYS_NONE)
        return REFUSE_unknown;
    if (a->word == KEYS_SILENT && !a->entry.has_key) {
        *detail =
            "Redis does not answer, and the key of the identity was not read "
            "lately; see `ocppctl health`";
        return REFUSE_auth_down;
    }
    if (!a->entry.has_key && a->entry.nexts == 0) {
        *detail = "the value in Redis is not a valid key; see the log";
        return REFUSE_wrong_key;
    }
    enum refuse_reason reason =
        check_entry(&a->entry, r, name, len, &a->shown, detail);
    if (a->word != KEYS_SILENT)
        return reason;
    /* The charge point may have a newer key; Redis decides. */
    if (reason != REFUSE_REASONS) {
        *detail = "Redis does not answer, and this is not the key that it "
                  "showed before";
        return REFUSE_auth_down;
    }
    STAT_INC(self.st, auth_remembered);
    return reason;
}

/* A changed file is still being read, and may hold another key. A 401 could be
 * wrong then, and a charge point may treat it as final. */
static enum refuse_reason
doubt(const struct http_request *r, const char *name, size_t len,
    enum refuse_reason reason, const char **detail)
{
    struct http_password pw;

    if (reason != REFUSE_wrong_key || !behind ||
        http_basic(r->authorization, name, len, &pw) != HTTP_BASIC_OK)
        return reason;
    explicit_bzero(&pw, sizeof pw);
    *detail =
        "the credential file has changed and is still being read; the version "
        "read before has another key for the identity";
    return REFUSE_auth_down;
}

enum refuse_reason
auth_check(const struct http_request *r, const char *name, size_t len,
    struct auth_redis_answer *answer, const char **detail)
{
    struct authfile_entry  e;
    const struct auth_key *shown;

    if (auth_asks())
        return check_answer(r, name, len, answer, detail);
    if (!authfile_wanted(&self.conf))
        return REFUSE_REASONS;
    if (!loaded) {
        *detail = "the credential file cannot be read; see the log";
        return REFUSE_auth_down;
    }
    if (!authfile_find(&table, name, len, &e)) {
        if (behind) {
            *detail =
                "the credential file has changed and is still being read; the "
                "version read before does not have the identity";
            return REFUSE_auth_down;
        }
        *detail = table.n == 0 ? "the credential file is empty; `ocppctl auth "
                                 "add` fills it"
                               : NULL;
        return REFUSE_unknown;
    }
    if (self.conf.auth_mode == CONF_auth_mode_list)
        return REFUSE_REASONS;
    if (!e.has_key) {
        *detail =
            "the identity has no key in the credential file; `ocppctl auth "
            "add` gives it one";
        return doubt(r, name, len, REFUSE_wrong_key, detail);
    }
    enum refuse_reason reason = check_entry(&e, r, name, len, &shown, detail);
    explicit_bzero(&e, sizeof e);
    return doubt(r, name, len, reason, detail);
}

void
auth_welcomed(uint32_t entry, const struct auth_redis_answer *answer)
{
    if (answer->word == KEYS_FOUND && answer->shown != NULL)
        auth_redis_remember(entry, answer->shown);
}

/* --- a new key ----------------------------------------------------------- */

/* Writes the authorization key that a command sets, in canonical form. Returns
 * its length, or 0 if the command sets something else. */
static size_t
key_of(const char *action, const char *payload, uint8_t out[AUTH_KEY_MAX])
{
    char   text[AUTH_KEY_MAX + 1];
    size_t n = 0;

    if (self.conf.auth_mode == CONF_auth_mode_none)
        return 0;
    struct json *tape = tape_borrow(TAPE_MESSAGE);
    uint32_t     value = json_scan(tape, payload, strlen(payload))
            ? dialect_new_key(action, tape, 0)
            : 0;
    if (value != 0 && tape->tok[value].type == JSON_STRING)
        n = json_string(tape, value, text, sizeof text, NULL);
    tape_return(tape);
    if (n == 0 || n >= sizeof text)
        return 0;
    n = auth_key_canonical((const uint8_t *)text, n, out);
    explicit_bzero(text, sizeof text);
    return n;
}

/* Makes the offered key (authfile.h) of a command that sets one; false if the
   command sets none. */
static bool
offered_key(const char *identity, const char *action, const char *payload,
    struct auth_key *key)
{
    uint8_t bytes[AUTH_KEY_MAX];
    size_t  len = strlen(identity);
    size_t  n = key_of(action, payload, bytes);

    if (n == 0 || len > IDENTITY_MAX)
        return false;
    auth_key_make_offered(key, identity, len, bytes, n);
    explicit_bzero(bytes, sizeof bytes);
    return true;
}

bool
auth_command_goes(struct conn *c, const char *identity, const char *action,
    const char *payload)
{
    struct auth_key key;

    if (!offered_key(identity, action, payload, &key))
        return true;
    if (auth_asks())
        return auth_redis_offer(c, identity, strlen(identity), &key);
    report_key(CHANNEL_KEY_OFFERED, identity, strlen(identity), &key);
    return true;
}

void
auth_command_ended(const char *identity, const char *action,
    const char *payload, bool accepted)
{
    struct auth_key key;

    if (offered_key(identity, action, payload, &key))
        report_key(accepted ? CHANNEL_KEY_ACCEPTED : CHANNEL_KEY_WITHDRAWN,
            identity, strlen(identity), &key);
}
