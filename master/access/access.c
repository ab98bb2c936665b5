/* access: the credential file and the deny list. See access.h. */
#include "access/access.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authfile.h"
#include "base/master.h"
#include "channel.h"
#include "denyfile.h"
#include "ensure.h"
#include "file.h"
#include "log.h"
#include "user.h"
#include "workers/supervise.h"

#define EDITS_MAX 4096

/* --- both files ---------------------------------------------------------- */

bool
access_check(const struct config *next, bool again, struct buf *why)
{
    const struct config *c = again ? &master.config : next;
    struct authfile      a = {0};
    struct denyfile      d = {0};
    struct buf           errors = BUF_INIT(64 * 1024);
    char                 path[AUTHFILE_PATH_MAX];
    bool                 good = true;

    if (authfile_wanted(next)) {
        authfile_path(c, path);
        enum authfile_result r = authfile_read(&a, path, &errors);
        bool                 first = !again || !authfile_wanted(&master.config);
        if (r == AUTHFILE_MISSING && first)
            log_warn("%s does not exist: every charge point is refused until "
                     "`ocppctl auth add` makes it",
                path);
        else if (r != AUTHFILE_GOOD)
            good = false;
        if (!good)
            buf_add(why, errors.p, errors.len);
        authfile_free(&a);
    }
    buf_clear(&errors);
    denyfile_path(c, path);
    if (!denyfile_read(&d, path, &errors)) {
        buf_add(why, errors.p, errors.len);
        good = false;
    }
    denyfile_free(&d);
    buf_free(&errors);
    return good;
}

void
access_read_again(void)
{
    atomic_fetch_add(&master.shm->auth_version, 1);
    atomic_fetch_add(&master.shm->deny_version, 1);
}

/* --- the credential file ------------------------------------------------------------- */

/* The text of the file; an empty one if there is none. */
static bool
read_file(const char *path, struct buf *text, struct buf *why)
{
    switch (file_read(path, text, why)) {
    case FILE_MISSING:
        buf_clear(why);
        buf_adds(text,
            "# Charge points that may connect: authfile format, see "
            "ocppd.conf(5), [auth]. Written by ocppctl auth.\n");
        return true;
    case FILE_READ:
        return true;
    case FILE_FAILED:
        break;
    }
    return false;
}

static bool
write_file(const char *path, struct buf *text, struct buf *why)
{
    uid_t uid;
    gid_t gid;

    if (text->overflow) {
        buf_addf(why, "%s would become too large", path);
        return false;
    }
    user_owner(master.config.server_user, &uid, &gid);
    if (!file_replace(path, text->p, text->len, uid, gid, why))
        return false;
    atomic_fetch_add(&master.shm->auth_version, 1);
    supervise_notify_all(CHANNEL_config);
    return true;
}

bool
access_set(const char *name, size_t len, const struct authfile_entry *e,
    bool *was_there, struct buf *why)
{
    struct buf text = BUF_INIT(AUTHFILE_MAX);
    char       path[AUTHFILE_PATH_MAX];

    authfile_path(&master.config, path);
    bool good = read_file(path, &text, why);
    if (good) {
        *was_there = authfile_set(&text, name, len, e);
        if (e != NULL || *was_there)
            good = write_file(path, &text, why);
    }
    buf_free(&text);
    return good;
}

/* --- new keys of charge points ------------------------------------------- */

struct edit {
    uint64_t            what; /* enum channel_key */
    size_t              len;
    char                name[IDENTITY_MAX];
    struct authfile_key key;
};

static struct edit *edits;
static unsigned     edits_n;

/* What becomes of an entry. False if nothing changes. */
static bool
edit_entry(struct authfile_entry *e, const struct edit *x)
{
    switch (x->what) {
    case CHANNEL_KEY_OFFERED:
        return authfile_offer(e, &x->key);
    case CHANNEL_KEY_WITHDRAWN:
        return authfile_withdraw(e, &x->key);
    case CHANNEL_KEY_ACCEPTED:
        return authfile_accept(e, &x->key);
    case CHANNEL_KEY_USED:
        return authfile_use(e, &x->key);
    }
    return false;
}

static const char *
sentence_of(uint64_t what)
{
    return what == CHANNEL_KEY_OFFERED
        ? "is sent a new key; it holds beside the old one until it is used"
        : what == CHANNEL_KEY_WITHDRAWN
        ? "refused the new key; the keys it had before hold"
        : what == CHANNEL_KEY_ACCEPTED
        ? "accepted the new key; it holds beside the old one until it is used"
        : "uses its new key; the old one no longer holds";
}

static void
write_edits(void)
{
    struct buf text = BUF_INIT(AUTHFILE_MAX), why = BUF_INIT(4096);
    char       path[AUTHFILE_PATH_MAX];
    bool       changed = false;

    if (edits_n == 0)
        return;
    authfile_path(&master.config, path);
    bool good = read_file(path, &text, &why);
    for (unsigned i = 0; good && i < edits_n; i++) {
        const struct edit    *x = &edits[i];
        struct authfile_entry e;
        if (!authfile_get(&text, x->name, x->len, &e) || !edit_entry(&e, x))
            continue;
        authfile_set(&text, x->name, x->len, &e);
        changed = true;
        log_info("%.*s: %s", (int)x->len, x->name, sentence_of(x->what));
    }
    if (good && changed)
        good = write_file(path, &text, &why);
    if (!good)
        log_error("new keys of charge points could not be noted: %s; they "
                  "are tried again each second",
            buf_cstr(&why));
    else
        edits_n = 0;
    buf_free(&text);
    buf_free(&why);
}

void
access_key(unsigned slot, uint64_t what, const char *body, size_t len)
{
    const char *name = channel_string(body, len, 0);
    const char *key = channel_string(body, len, 1);
    struct edit x = {.what = what, .len = strlen(name)};

    if (x.len == 0 || x.len > sizeof x.name ||
        !authfile_parse_key(key, strlen(key), &x.key)) {
        log_error("worker %u: sent a key that is none; ignored", slot);
        return;
    }
    memcpy(x.name, name, x.len);
    if (edits == NULL) {
        edits = calloc(EDITS_MAX, sizeof *edits);
        ensure(edits != NULL);
    }
    if (edits_n == EDITS_MAX)
        write_edits();
    if (edits_n == EDITS_MAX) {
        log_error("%s: its new key is lost, the file cannot be written", name);
        return;
    }
    edits[edits_n++] = x;
    /* A key on its way must be known before it is shown; what ends the time
     * of two keys may wait for others. */
    if (what == CHANNEL_KEY_OFFERED)
        write_edits();
}

void
access_tick(void)
{
    write_edits();
}

/* --- the deny list ------------------------------------------------------- */

bool
access_denied(struct buf *text, struct buf *why)
{
    char path[DENYFILE_PATH_MAX];

    denyfile_path(&master.config, path);
    enum file_result r = file_read(path, text, why);
    if (r == FILE_MISSING) {
        buf_clear(why);
        buf_adds(
            text, "# Clients that may not connect. Written by ocppctl deny.\n");
    }
    return r != FILE_FAILED;
}

enum access_deny
access_deny(const char *kind, const char *what, bool add, struct buf *why)
{
    struct buf       text = BUF_INIT(DENYFILE_MAX);
    char             path[DENYFILE_PATH_MAX];
    const char      *wrong;
    enum access_deny result = ACCESS_DENY_FAILED;
    uid_t            uid;
    gid_t            gid;

    denyfile_path(&master.config, path);
    user_owner(master.config.server_user, &uid, &gid);
    if (!access_denied(&text, why)) {
        buf_free(&text);
        return ACCESS_DENY_FAILED;
    }
    bool was_there = denyfile_set(&text, kind, what, add, &wrong);
    if (wrong != NULL) {
        buf_addf(why, "%s %.64s %s", kind, what, wrong);
        result = ACCESS_DENY_WRONG;
    } else if (!add && !was_there) {
        result = ACCESS_DENY_ABSENT;
    } else if (text.overflow) {
        buf_addf(why, "%s would become too large", path);
    } else if (file_replace(path, text.p, text.len, uid, gid, why)) {
        atomic_fetch_add(&master.shm->deny_version, 1);
        supervise_notify_all(CHANNEL_config);
        result = was_there ? ACCESS_DENY_PRESENT : ACCESS_DENY_ADDED;
    }
    buf_free(&text);
    return result;
}
