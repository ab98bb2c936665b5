/*
 * `auth': who may connect; and what happens to the file when a charge point
 * gets a new key. See command.h, access.h.
 */
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "authfile.h"
#include "channel.h"
#include "control/command.h"
#include "denyfile.h"
#include "ensure.h"
#include "file.h"
#include "log.h"
#include "base/master.h"
#include "access/access.h"
#include "workers/supervise.h"
#include "writer.h"

#define BODY_MAX (48u << 20)
#define KEY_MIN 8 /* bytes; OCPP says 16 to 20 */
#define KEY_RANDOM 20
#define EDITS_MAX 4096

/* --- both files ---------------------------------------------------------- */

static void
owner(uid_t *uid, gid_t *gid)
{
    const char    *user = master.config.server_user;
    struct passwd *pw = user[0] && geteuid() == 0 ? getpwnam(user) : NULL;

    *uid = pw != NULL ? pw->pw_uid : (uid_t)-1;
    *gid = pw != NULL ? pw->pw_gid : (gid_t)-1;
}

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

/* --- changes ------------------------------------------------------------- */

/* The text of the file; an empty one if there is none. */
static bool
read_file(const char *path, struct buf *text, struct buf *why)
{
    switch (file_read(path, text, why)) {
    case FILE_MISSING:
        buf_clear(why);
        buf_adds(text,
            "# Who may connect: authfile format, see "
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
    owner(&uid, &gid);
    if (!file_replace(path, text->p, text->len, uid, gid, why))
        return false;
    atomic_fetch_add(&master.shm->auth_version, 1);
    supervise_tell_all(CHANNEL_config);
    return true;
}

/* Sets the entry of one identity, NULL takes it out. */
static bool
change(const char *name, size_t len, const struct authfile_entry *e,
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
    char                name[AUTHFILE_NAME_MAX];
    struct authfile_key key;
};

static struct edit *edits;
static unsigned     edits_n;

/* What becomes of an entry. False if nothing changes. */
static bool
edit_entry(struct authfile_entry *e, const struct edit *x)
{
    bool is_next = e->has_next && authfile_same(&e->next, &x->key);

    switch (x->what) {
    case CHANNEL_KEY_OFFERED:
        if (is_next)
            return false;
        if (!e->has_key) {
            e->has_key = true;
            e->key = x->key;
        } else {
            e->has_next = true;
            e->next = x->key;
        }
        return true;
    case CHANNEL_KEY_WITHDRAWN:
        e->has_next = false;
        return is_next;
    case CHANNEL_KEY_USED:
        if (!is_next)
            return false;
        e->key = e->next;
        e->has_next = false;
        return true;
    }
    return false;
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
        if (x->what == CHANNEL_KEY_USED)
            log_info("%.*s: uses its new key; the old one holds no more",
                (int)x->len, x->name);
        else
            log_info("%.*s: %s", (int)x->len, x->name,
                x->what == CHANNEL_KEY_OFFERED
                    ? "is sent a new key; both hold until it used the new one"
                    : "did not take the new key; the old one holds alone");
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

/* --- the command --------------------------------------------------------- */

static bool
good_identity(struct client *c, char **argv, const char *name)
{
    size_t n = strlen(name);

    if (n > 0 && n <= AUTHFILE_NAME_MAX)
        return true;
    command_usage(c, argv, "an identity has 1 to %d bytes", AUTHFILE_NAME_MAX);
    return false;
}

/* Canonical bytes of what was typed, 0 if it replied already. */
static size_t
typed_key(struct client *c, char **argv, const char *text,
    uint8_t out[AUTHFILE_KEY_MAX])
{
    size_t n = strlen(text);

    if (n > 0 && n <= AUTHFILE_KEY_MAX) {
        n = authfile_canonical((const uint8_t *)text, n, out);
        if (n >= KEY_MIN)
            return n;
    }
    command_usage(c, argv,
        "a key has 16 to 20 bytes (%d to %d are taken), "
        "written as they are or as twice as many hexadecimal digits",
        KEY_MIN, AUTHFILE_KEY_MAX);
    return 0;
}

static void
failed(struct client *c, struct buf *why)
{
    log_error("auth: %s", buf_cstr(why));
    control_replyf(c, CONTROL_FAILED, "auth: %s", buf_cstr(why));
}

static void
reply_added(struct client *c, const char *name, bool replaced, const char *key)
{
    struct buf    out = BUF_INIT(4096);
    struct writer w = WRITER_INIT(&out);
    bool          off = master.config.auth_mode == CONF_auth_mode_none;

    if (c->format == 'j') {
        writer_open(&w, NULL, '{');
        writer_str(&w, "identity", name);
        writer_bool(&w, "replaced", replaced);
        if (key != NULL)
            writer_str(&w, "key", key);
        writer_close(&w);
        buf_addc(&out, '\n');
    } else {
        buf_addf(&out, "%s: %s\n", name, replaced ? "changed" : "added");
        if (key != NULL)
            buf_addf(&out, "key: %s (not kept anywhere: note it now)\n", key);
        if (off)
            buf_adds(
                &out, "auth.mode is none: nobody is asked for a key yet\n");
    }
    control_reply_buf(c, CONTROL_DONE, &out);
    explicit_bzero(out.p, out.len);
    buf_free(&out);
}

/* The key as typed, or without one a new one, whose digits go to made; false
 * if it replied already. */
static bool
hashed_key(struct client *c, char **argv, const char *typed,
    char made[2 * KEY_RANDOM + 1], struct authfile_key *out)
{
    uint8_t key[AUTHFILE_KEY_MAX];
    size_t  n = KEY_RANDOM;

    made[0] = '\0';
    if (typed != NULL) {
        n = typed_key(c, argv, typed, key);
    } else {
        ensure(getrandom(key, n, 0) == (ssize_t)n);
        for (size_t i = 0; i < n; i++)
            snprintf(made + 2 * i, 3, "%02x", key[i]);
    }
    if (n > 0)
        authfile_make_key(out, key, n, NULL);
    explicit_bzero(key, sizeof key);
    return n > 0;
}

/* For where the file is not ours: the text that stands for a key. */
static void
auth_hash(struct client *c, int argc, char **argv)
{
    struct authfile_key key;
    char                made[2 * KEY_RANDOM + 1], text[AUTHFILE_KEY_TEXT];
    struct buf          out = BUF_INIT(1024);
    struct writer       w = WRITER_INIT(&out);

    if (!hashed_key(c, argv, argc > 2 ? argv[2] : NULL, made, &key))
        return;
    authfile_key_text(&key, text);
    if (c->format == 'j') {
        writer_open(&w, NULL, '{');
        writer_str(&w, "hash", text);
        if (made[0] != '\0')
            writer_str(&w, "key", made);
        writer_close(&w);
        buf_addc(&out, '\n');
    } else {
        buf_addf(&out, "%s\n", text);
        if (made[0] != '\0')
            buf_addf(&out, "key: %s (not kept anywhere: note it now)\n", made);
    }
    control_reply_buf(c, CONTROL_DONE, &out);
    explicit_bzero(out.p, out.len);
    explicit_bzero(made, sizeof made);
    buf_free(&out);
}

static void
auth_add(struct client *c, int argc, char **argv)
{
    struct authfile_entry e = {0};
    struct buf            why = BUF_INIT(4096);
    char                  made[2 * KEY_RANDOM + 1] = "";
    const char           *name = argv[2];
    bool                  there = false;

    e.has_key = argc == 3 || strcmp(argv[3], "none") != 0;
    if (e.has_key &&
        !hashed_key(c, argv, argc > 3 ? argv[3] : NULL, made, &e.key))
        return;
    if (change(name, strlen(name), &e, &there, &why)) {
        log_info("an operator %s %s in the credential file (uid %d)",
            there ? "changed" : "added", name, (int)c->uid);
        reply_added(c, name, there, made[0] ? made : NULL);
    } else {
        failed(c, &why);
    }
    explicit_bzero(made, sizeof made);
    buf_free(&why);
}

static void
auth_remove(struct client *c, char **argv)
{
    struct buf  why = BUF_INIT(4096);
    const char *name = argv[2];
    bool        there = false;

    if (!change(name, strlen(name), NULL, &there, &why)) {
        failed(c, &why);
    } else if (!there) {
        control_replyf(
            c, CONTROL_NOT_FOUND, "%s: not in the credential file", name);
    } else {
        log_info("an operator removed %s from the credential file (uid %d)",
            name, (int)c->uid);
        control_replyf(c, CONTROL_DONE,
            "%s: removed; a connection it has "
            "stays (`disconnect %s` ends it)",
            name, name);
    }
    buf_free(&why);
}

static void
auth_check_one(
    struct client *c, int argc, char **argv, const struct authfile *a)
{
    struct authfile_entry e;
    uint8_t               key[AUTHFILE_KEY_MAX];
    const char           *name = argv[2];
    size_t                n;

    if (!authfile_find(a, name, strlen(name), &e)) {
        control_replyf(
            c, CONTROL_NOT_FOUND, "%s: not in the credential file", name);
        return;
    }
    if (argc == 3) {
        control_replyf(c, CONTROL_DONE, "%s: %s", name,
            e.has_next      ? "has a key, and a new one that it did not use yet"
                : e.has_key ? "has a key"
                            : "has no key");
        return;
    }
    if ((n = typed_key(c, argv, argv[3], key)) == 0)
        return;
    bool next = e.has_next && authfile_matches(&e.next, key, n);
    bool now = e.has_key && authfile_matches(&e.key, key, n);
    explicit_bzero(key, sizeof key);
    control_replyf(c, next || now ? CONTROL_DONE : CONTROL_BAD_NEWS, "%s: %s",
        name,
        next      ? "this is its new key, which it did not use yet"
            : now ? "this is its key"
                  : "this is not its key");
}

static void
auth_list(struct client *c, const struct authfile *a)
{
    struct buf            out = BUF_INIT(BODY_MAX);
    struct writer         w = WRITER_INIT(&out);
    struct authfile_entry e;
    const char           *name;
    size_t                at = 0, len;

    if (c->format == 'j')
        writer_open(&w, NULL, '[');
    while (authfile_next(a, &at, &name, &len, &e)) {
        const char *has = e.has_next ? "new key" : e.has_key ? "key" : "no key";
        if (c->format == 'j') {
            writer_open(&w, NULL, '{');
            writer_strn(&w, "identity", name, len);
            writer_str(&w, "has", has);
            writer_close(&w);
        } else {
            buf_addf(&out, "%-8s %.*s\n", has, (int)len, name);
        }
    }
    if (c->format == 'j') {
        writer_close(&w);
        buf_addc(&out, '\n');
    } else if (a->n == 0) {
        buf_adds(&out, "the credential file is empty\n");
    }
    control_reply_buf(c, CONTROL_DONE, &out);
    buf_free(&out);
}

void
cmd_auth(struct client *c, int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    bool        add = strcmp(verb, "add") == 0;
    bool        check = strcmp(verb, "check") == 0;
    bool        list = strcmp(verb, "list") == 0;
    bool        hash = strcmp(verb, "hash") == 0;

    if (!add && !check && !list && !hash && strcmp(verb, "remove") != 0) {
        command_usage(
            c, argv, "say what to do: add, remove, check, list or hash");
        return;
    }
    if (argc > (list ? 2 : add || check ? 4 : 3)) {
        command_usage(c, argv, "too many words");
        return;
    }
    if (hash) {
        auth_hash(c, argc, argv);
        return;
    }
    if (master.config.auth_mode == CONF_auth_mode_redis) {
        control_replyf(c, CONTROL_FAILED,
            "auth.mode is redis: the platform says "
            "who may connect, by FCALL %s_auth 1 IDENTITY HASH (ocppd-redis(7)); "
            "`auth hash` makes a HASH",
            master.config.redis_prefix);
        return;
    }
    if (!list && argc < 3) {
        command_usage(c, argv, "of which charge point?");
        return;
    }
    if (!list && !good_identity(c, argv, argv[2]))
        return;
    if (add) {
        auth_add(c, argc, argv);
    } else if (check || list) {
        struct authfile a = {0};
        struct buf      why = BUF_INIT(16384);
        char            path[AUTHFILE_PATH_MAX];
        authfile_path(&master.config, path);
        enum authfile_result r = authfile_read(&a, path, &why);
        if (r == AUTHFILE_UNREADABLE || r == AUTHFILE_BROKEN)
            failed(c, &why);
        else if (list)
            auth_list(c, &a);
        else
            auth_check_one(c, argc, argv, &a);
        authfile_free(&a);
        buf_free(&why);
    } else {
        auth_remove(c, argv);
    }
}
