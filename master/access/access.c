/* access: the credential file and the deny list. See access.h. */
#include "access/access.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/kept.h"
#include "authfile.h"
#include "base/files.h"
#include "base/master.h"
#include "channel.h"
#include "denyfile.h"
#include "ensure.h"
#include "file.h"
#include "log.h"
#include "user.h"
#include "workers/hints.h"

#define EDITS_MAX 4096

/* --- both files ---------------------------------------------------------- */

/* The owner of the files. It is looked up at the start, because a look-up may
 * wait, and a change of server.user needs a restart. */
static uid_t owner_uid = (uid_t)-1;
static gid_t owner_gid = (gid_t)-1;

void
access_files(struct access_files *out)
{
    authfile_path(&master.config, out->auth);
    denyfile_path(&master.config, out->deny);
    out->uid = owner_uid;
    out->gid = owner_gid;
}

/* The setting that a file comes from: knob, or server.state_dir if its value is
   empty. */
static const char *
setting_of(const char *knob, const char *value)
{
    return value[0] != '\0' ? knob : "server.state_dir";
}

/* Tests whether `ocppctl auth' or `deny' could make the file. The start makes
 * server.state_dir. */
static bool
has_directory(
    const struct config *c, const char *knob, const char *path, struct buf *why)
{
    char        dir[AUTHFILE_PATH_MAX];
    struct stat st;

    snprintf(dir, sizeof dir, "%s", path);
    char *slash = strrchr(dir, '/');
    if (slash == NULL || slash == dir)
        return true;
    *slash = '\0';
    if (strcmp(dir, c->server_state_dir) == 0 || stat(dir, &st) == 0)
        return true;
    buf_addf(why,
        "%s = %s: the directory %s does not exist; make it, or choose another "
        "path\n",
        knob, path, dir);
    return false;
}

bool
access_check(const struct config *next, const struct config *now,
    struct buf *why, struct buf *notes)
{
    const struct config *c = now != NULL ? now : next;
    struct authfile      a = {0};
    struct denyfile      d = {0};
    struct buf           errors = BUF_INIT(64 * 1024);
    char                 path[AUTHFILE_PATH_MAX];
    bool                 good = true;

    if (now == NULL)
        user_owner(next->server_user, &owner_uid, &owner_gid);
    if (authfile_wanted(next)) {
        authfile_path(c, path);
        enum authfile_result r = authfile_read(&a, path, &errors);
        bool                 first = now == NULL || !authfile_wanted(now);
        if (r == AUTHFILE_GOOD)
            kept_exists(KEPT_AUTH);
        if (r == AUTHFILE_MISSING && first)
            buf_addf(notes,
                "%s does not exist: every charge point is refused until "
                "`ocppctl auth add` makes it\n",
                path);
        else if (r != AUTHFILE_GOOD)
            good = false;
        if (r == AUTHFILE_UNREADABLE)
            buf_addf(why, "%s: ", setting_of("auth.file", c->auth_file));
        if (!good)
            buf_add(why, errors.p, errors.len);
        if (now == NULL && r == AUTHFILE_MISSING)
            good = has_directory(c, "auth.file", path, why);
        authfile_free(&a);
    }
    buf_clear(&errors);
    denyfile_path(c, path);
    enum denyfile_result r = denyfile_read(&d, path, &errors);
    if (r == DENYFILE_UNREADABLE)
        buf_addf(
            why, "%s: ", setting_of("limits.deny_file", c->limits_deny_file));
    if (r != DENYFILE_GOOD) {
        buf_add(why, errors.p, errors.len);
        good = false;
    } else if (access(path, F_OK) == 0) {
        kept_exists(KEPT_DENY);
    } else if (kept_vanished(KEPT_DENY, path, &errors)) {
        buf_addf(why, "%s\n", buf_cstr(&errors));
        good = false;
    }
    if (now == NULL && !has_directory(c, "limits.deny_file", path, why))
        good = false;
    denyfile_free(&d);
    buf_free(&errors);
    return good;
}

void
access_auth_changed(void)
{
    atomic_fetch_add(&master.shm->auth_version, 1);
    hints_notify_all(CHANNEL_config);
}

void
access_deny_changed(void)
{
    atomic_fetch_add(&master.shm->deny_version, 1);
    hints_notify_all(CHANNEL_config);
}

/* --- the credential file ------------------------------------------------- */

/* Reads the text of the file; one that never existed is empty. */
static bool
read_file(const char *path, struct buf *text, struct buf *why)
{
    switch (file_read(path, text, why)) {
    case FILE_MISSING:
        if (kept_vanished(KEPT_AUTH, path, why))
            return false;
        buf_clear(why);
        buf_adds(text,
            "# Charge points that may connect: authfile format, see "
            "ocppd.conf(5), [auth]. Written by ocppctl auth.\n");
        return true;
    case FILE_READ:
        kept_exists(KEPT_AUTH);
        return true;
    case FILE_FAILED:
        break;
    }
    return false;
}

static bool
write_file(const struct access_files *f, enum kept file, struct buf *text,
    struct buf *why)
{
    const char *path = file == KEPT_AUTH ? f->auth : f->deny;

    if (!text->overflow) {
        if (!file_replace(path, text->p, text->len, f->uid, f->gid, why))
            return false;
        kept_exists(file);
        return true;
    }
    buf_addf(why, "%s would have more than %zu bytes; remove entries", path,
        text->max);
    return false;
}

bool
access_set(const struct access_files *f, const char *name, size_t len,
    const struct authfile_entry *e, bool *was_there, struct buf *why)
{
    struct buf text = BUF_INIT(AUTHFILE_MAX);

    bool good = read_file(f->auth, &text, why);
    if (good) {
        *was_there = authfile_set(&text, name, len, e);
        if (e != NULL || *was_there)
            good = write_file(f, KEPT_AUTH, &text, why);
    }
    buf_free(&text);
    return good;
}

/* --- new keys of charge points ------------------------------------------- */

struct edit {
    uint64_t        what; /* enum channel_key */
    size_t          len;
    char            name[IDENTITY_MAX];
    struct auth_key key;
};

static struct edit *edits;
static unsigned     edits_n;
static bool         edits_busy; /* the first of them are being written */

/* Changes an entry. False if nothing changes. */
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
        ? "is sent a new key, which is valid beside the old one until it is "
          "used"
        : what == CHANNEL_KEY_WITHDRAWN
        ? "refused the new key; its earlier keys stay valid"
        : what == CHANNEL_KEY_ACCEPTED
        ? "accepted the new key, which is valid beside the old one until it is "
          "used"
        : "uses its new key; the old one is no longer valid";
}

/* All edits that wait, as one change of the file. */
struct edits_job {
    struct helper_job   h;
    struct access_files f;
    bool                good, changed;
    struct buf          why;
    unsigned            n;
    struct one_edit {
        struct edit edit;
        bool        applied;
    } list[];
};

static void
edits_work(struct helper_job *h)
{
    struct edits_job *j = (struct edits_job *)h;
    struct buf        text = BUF_INIT(AUTHFILE_MAX);

    j->good = read_file(j->f.auth, &text, &j->why);
    for (unsigned i = 0; j->good && i < j->n; i++) {
        const struct edit    *x = &j->list[i].edit;
        struct authfile_entry e;
        if (!authfile_get(&text, x->name, x->len, &e) || !edit_entry(&e, x))
            continue;
        authfile_set(&text, x->name, x->len, &e);
        j->list[i].applied = j->changed = true;
    }
    if (j->changed)
        j->good = write_file(&j->f, KEPT_AUTH, &text, &j->why);
    buf_free(&text);
}

static void submit_edits(void);

/* Edits that arrived in the meantime are written at once. */
static void
edits_done(struct helper_job *h)
{
    struct edits_job *j = (struct edits_job *)h;

    edits_busy = false;
    if (j->good) {
        edits_n -= j->n;
        memmove(edits, edits + j->n, edits_n * sizeof *edits);
        for (unsigned i = 0; i < j->n; i++)
            if (j->list[i].applied)
                log_info("%.*s: %s", (int)j->list[i].edit.len,
                    j->list[i].edit.name, sentence_of(j->list[i].edit.what));
        if (j->changed)
            access_auth_changed();
        submit_edits();
    } else {
        log_error("new keys of charge points could not be written: %s; trying "
                  "again each second",
            buf_cstr(&j->why));
    }
    buf_free(&j->why);
    free(j);
}

static void
submit_edits(void)
{
    if (edits_n == 0 || edits_busy)
        return;
    struct edits_job *j = malloc(sizeof *j + edits_n * sizeof j->list[0]);
    if (j == NULL)
        return; /* tried again in a second */
    *j = (struct edits_job){.h = {.work = edits_work, .done = edits_done},
        .why = BUF_INIT(4096),
        .n = edits_n};
    access_files(&j->f);
    for (unsigned i = 0; i < edits_n; i++)
        j->list[i] = (struct one_edit){.edit = edits[i]};
    edits_busy = files_submit(&j->h);
    if (!edits_busy)
        free(j);
}

static void
add_edit(const struct edit *x)
{
    if (edits == NULL) {
        edits = calloc(EDITS_MAX, sizeof *edits);
        ensure(edits != NULL);
    }
    if (edits_n == EDITS_MAX) {
        log_error("%.*s: its new key is lost, because the credential file "
                  "(auth.file) cannot be written and %d changes wait for it; "
                  "when it can be, `ocppctl auth add IDENTITY KEY --replace` "
                  "sets a key",
            (int)x->len, x->name, EDITS_MAX);
        return;
    }
    edits[edits_n++] = *x;
    /* An offered key must be in the file before the charge point uses it. The
     * end of an old key may wait for further changes. */
    if (x->what == CHANNEL_KEY_OFFERED || edits_n == EDITS_MAX)
        submit_edits();
}

/* False if it is not a report on a key. */
static bool
make_edit(struct edit *x, uint64_t what, const char *name, const char *key)
{
    *x = (struct edit){.what = what, .len = strlen(name)};
    if (x->len == 0 || x->len > sizeof x->name ||
        !auth_key_parse(key, strlen(key), &x->key))
        return false;
    memcpy(x->name, name, x->len);
    return true;
}

void
access_key(unsigned slot, uint64_t what, const char *body, size_t len)
{
    struct edit x;

    if (make_edit(&x, what, channel_string(body, len, 0),
            channel_string(body, len, 1)))
        add_edit(&x);
    else
        log_error("worker %u: sent a malformed key; ignored", slot);
}

void
access_tick(void)
{
    submit_edits();
}

bool
access_write_key(unsigned i, struct buf *out)
{
    char key[AUTH_KEY_TEXT];

    if (i >= edits_n)
        return false;
    auth_key_text(&edits[i].key, key);
    fields_begin(out, "key");
    fields_put_u64(out, "what", edits[i].what);
    fields_put_bytes(out, "name", edits[i].name, edits[i].len);
    fields_put_str(out, "key", key);
    fields_end(out);
    return true;
}

void
access_read_key(struct fields *f)
{
    const char *name = fields_str(f, "name", IDENTITY_MAX);
    struct edit x;

    if (make_edit(&x, fields_u64(f, "what", 0, UINT64_MAX), name,
            fields_str(f, "key", AUTH_KEY_TEXT)))
        add_edit(&x);
}

/* --- the deny list ------------------------------------------------------- */

bool
access_denied(const struct access_files *f, struct buf *text, struct buf *why)
{
    enum file_result r = file_read(f->deny, text, why);

    if (r == FILE_READ)
        kept_exists(KEPT_DENY);
    if (r == FILE_MISSING) {
        if (kept_vanished(KEPT_DENY, f->deny, why))
            return false;
        buf_clear(why);
        buf_adds(
            text, "# Clients that may not connect. Written by ocppctl deny.\n");
    }
    return r != FILE_FAILED;
}

enum access_deny
access_deny(const struct access_files *f, const char *kind, const char *what,
    bool add, struct buf *why)
{
    struct buf       text = BUF_INIT(DENYFILE_MAX);
    const char      *wrong;
    enum access_deny result = ACCESS_DENY_FAILED;

    if (!access_denied(f, &text, why)) {
        buf_free(&text);
        return ACCESS_DENY_FAILED;
    }
    bool was_there = denyfile_set(&text, kind, what, add, &wrong);
    if (wrong != NULL) {
        buf_addf(why, "%s %.64s %s", kind, what, wrong);
        result = ACCESS_DENY_WRONG;
    } else if (!add && !was_there) {
        result = ACCESS_DENY_ABSENT;
    } else if (write_file(f, KEPT_DENY, &text, why)) {
        result = was_there ? ACCESS_DENY_PRESENT : ACCESS_DENY_ADDED;
    }
    buf_free(&text);
    return result;
}
