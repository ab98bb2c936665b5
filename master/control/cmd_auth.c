/* `auth`: the keys of charge points. See command.h, access.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "access/access.h"
#include "authfile.h"
#include "base/master.h"
#include "control/command.h"
#include "control/file_task.h"
#include "ensure.h"
#include "log.h"
#include "writer.h"

#define BODY_MAX (48u << 20)
#define KEY_MIN 8 /* bytes; OCPP has 16 to 20 */
#define KEY_RANDOM 20

/* --- the command --------------------------------------------------------- */

/* Writes the typed key in canonical form. Returns its length, 0 if it has
   replied with an error. */
static size_t
typed_key(
    struct client *c, char **argv, const char *text, uint8_t out[AUTH_KEY_MAX])
{
    size_t n = strlen(text);

    if (n > 0 && n <= AUTH_KEY_MAX) {
        n = auth_key_canonical((const uint8_t *)text, n, out);
        if (n >= KEY_MIN)
            return n;
    }
    command_usage(c, argv,
        "a key has 16 to 20 bytes (%d to %d are accepted), written as text "
        "or as twice as many hexadecimal digits",
        KEY_MIN, AUTH_KEY_MAX);
    return 0;
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
            buf_addf(&out, "key: %s (it is not stored: note it now)\n", key);
        if (off)
            buf_adds(&out, "auth.mode is none: keys are not checked yet\n");
    }
    control_reply_buf(c, CONTROL_DONE, &out);
    explicit_bzero(out.p, out.len);
    buf_free(&out);
}

/* Makes the key from the typed one, or a new key, whose digits are written to
 * made. False if it has replied with an error. */
static bool
hashed_key(struct client *c, char **argv, const char *typed,
    char made[2 * KEY_RANDOM + 1], struct auth_key *out)
{
    uint8_t key[AUTH_KEY_MAX];
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
        auth_key_make(out, key, n, NULL);
    explicit_bzero(key, sizeof key);
    return n > 0;
}

/* Prints the hash of a key, for a platform that manages the keys in Redis
 * itself. */
static void
auth_hash(struct client *c, int argc, char **argv)
{
    struct auth_key key;
    char            made[2 * KEY_RANDOM + 1], text[AUTH_KEY_TEXT];
    struct buf      out = BUF_INIT(1024);
    struct writer   w = WRITER_INIT(&out);

    if (!hashed_key(c, argv, argc > 2 ? argv[2] : NULL, made, &key))
        return;
    auth_key_text(&key, text);
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
            buf_addf(&out, "key: %s (it is not stored: note it now)\n", made);
    }
    control_reply_buf(c, CONTROL_DONE, &out);
    explicit_bzero(out.p, out.len);
    explicit_bzero(made, sizeof made);
    buf_free(&out);
}

/* --- what is done in the file --------------------------------------------- */

enum what { ADD, REMOVE, CHECK, LIST };

struct auth_task {
    struct file_task      t;
    struct access_files   f;
    enum what             what;
    bool                  replace;                  /* ADD */
    char                  made[2 * KEY_RANDOM + 1]; /* ADD: a new key */
    struct authfile_entry entry;                    /* ADD */
    uint8_t               key[AUTH_KEY_MAX];        /* CHECK */
    size_t                key_len; /* CHECK; 0: none is given */
    char                  name[IDENTITY_MAX + 1];

    /* Set by the thread: */
    bool            good, there;
    struct authfile table; /* CHECK, LIST */
    struct buf      why;
};

/* Reads the table. It is empty if the file is missing. */
static bool
read_table(struct auth_task *a)
{
    enum authfile_result r = authfile_read(&a->table, a->f.auth, &a->why);

    return r == AUTHFILE_GOOD || r == AUTHFILE_MISSING;
}

static void
work(struct file_task *t)
{
    struct auth_task     *a = (struct auth_task *)t;
    size_t                len = strlen(a->name);
    struct authfile_entry e;

    if (a->what != REMOVE && !a->replace) {
        a->good = read_table(a);
        a->there = a->good && authfile_find(&a->table, a->name, len, &e);
        if (a->what != ADD || !a->good || a->there)
            return;
        buf_clear(&a->why);
    }
    a->good = access_set(&a->f, a->name, len, a->what == ADD ? &a->entry : NULL,
        &a->there, &a->why);
}

static void
reply_check(struct client *c, const struct auth_task *a)
{
    struct authfile_entry e;

    if (!authfile_find(&a->table, a->name, strlen(a->name), &e)) {
        control_replyf(
            c, CONTROL_NOT_FOUND, "%s: not in the credential file", a->name);
        return;
    }
    if (a->key_len == 0) {
        control_replyf(c, CONTROL_DONE, "%s: %s", a->name,
            e.nexts > 0     ? "has a key, and a new one that it has not used "
                              "yet"
                : e.has_key ? "has a key"
                            : "has no key");
        return;
    }
    bool next = false;
    for (unsigned i = 0; i < e.nexts; i++)
        next |= auth_key_matches(&e.next[i], a->key, a->key_len);
    bool now = e.has_key && auth_key_matches(&e.key, a->key, a->key_len);
    control_replyf(c, next || now ? CONTROL_DONE : CONTROL_NEGATIVE, "%s: %s",
        a->name,
        next      ? "this is its new key, which it has not used yet"
            : now ? "this is its key"
                  : "this is not its key");
}

static void
reply_list(struct client *c, const struct authfile *a)
{
    struct buf            out = BUF_INIT(BODY_MAX);
    struct writer         w = WRITER_INIT(&out);
    struct authfile_entry e;
    const char           *name;
    size_t                at = 0, len;

    if (c->format == 'j')
        writer_open(&w, NULL, '[');
    while (authfile_next(a, &at, &name, &len, &e)) {
        const char *has = e.nexts > 0 ? "new key"
            : e.has_key               ? "key"
                                      : "no key";
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

/* Replies that a key was added to the file or removed from it. */
static void
reply_change(struct client *c, const struct auth_task *a)
{
    if (a->what == ADD)
        reply_added(c, a->name, a->there, a->made[0] ? a->made : NULL);
    else if (!a->there)
        control_replyf(
            c, CONTROL_NOT_FOUND, "%s: not in the credential file", a->name);
    else
        control_replyf(c, CONTROL_DONE,
            "%s: removed; an open connection stays (`disconnect %s` ends it)",
            a->name, a->name);
}

static void
end(struct auth_task *a)
{
    authfile_free(&a->table);
    buf_free(&a->why);
    explicit_bzero(a, sizeof *a);
    free(a);
}

static void
log_change(const struct auth_task *a)
{
    if (a->what == ADD)
        log_info("an operator %s %s in the credential file (uid %d)",
            a->there ? "changed" : "added", a->name, (int)a->t.uid);
    else if (a->there)
        log_info("an operator removed %s from the credential file (uid %d)",
            a->name, (int)a->t.uid);
}

static void
done(struct file_task *t, struct client *c)
{
    struct auth_task *a = (struct auth_task *)t;
    bool known = a->what == ADD && !a->replace && a->good && a->there;
    bool changes = (a->what == ADD || a->what == REMOVE) && a->good && !known;

    if (changes) {
        access_auth_changed();
        log_change(a);
    }
    if (!a->good) {
        log_error("auth: %s", buf_cstr(&a->why));
        if (c != NULL)
            control_replyf(c, CONTROL_FAILED, "auth: %s", buf_cstr(&a->why));
    } else if (c == NULL) {
        ; /* the client did not wait */
    } else if (known) {
        control_replyf(c, CONTROL_CONFLICT,
            "auth: %s is in the credential file already; nothing was changed. "
            "With --replace the new key replaces the old one, which is "
            "refused from then on",
            a->name);
    } else if (changes) {
        reply_change(c, a);
    } else if (a->what == LIST) {
        reply_list(c, &a->table);
    } else {
        reply_check(c, a);
    }
    end(a);
}

static void
begin(struct client *c, int argc, char **argv, enum what what, bool replace)
{
    struct auth_task *a = calloc(1, sizeof *a);
    const char       *key = argc > 3 ? argv[3] : NULL;
    bool              right = true;

    if (a == NULL) {
        control_replyf(c, CONTROL_FAILED, "auth: there is no memory for it");
        return;
    }
    a->t.work = work;
    a->t.done = done;
    a->what = what;
    a->replace = replace;
    a->why = BUF_INIT(16384);
    access_files(&a->f);
    if (what != LIST)
        snprintf(a->name, sizeof a->name, "%s", argv[2]);
    if (what == ADD) {
        a->entry.has_key = key == NULL || strcmp(key, "none") != 0;
        if (a->entry.has_key)
            right = hashed_key(c, argv, key, a->made, &a->entry.key);
    } else if (what == CHECK && key != NULL) {
        a->key_len = typed_key(c, argv, key, a->key);
        right = a->key_len > 0;
    }
    if (!right || !file_task_begin(c, &a->t))
        end(a);
}

void
cmd_auth(struct client *c, int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    bool        add = strcmp(verb, "add") == 0;
    bool        check = strcmp(verb, "check") == 0;
    bool        list = strcmp(verb, "list") == 0;
    bool        hash = strcmp(verb, "hash") == 0;
    bool        replace = false;

    if (!add && !check && !list && !hash && strcmp(verb, "remove") != 0) {
        if (argc > 1)
            command_bad_word(c, argv, verb);
        else
            command_usage(
                c, argv, "give one of add, remove, check, list and hash");
        return;
    }
    for (int i = 2; add && i < argc; i++)
        if (strcmp(argv[i], "--replace") == 0) {
            replace = true;
            memmove(&argv[i], &argv[i + 1], (size_t)(argc - i) * sizeof *argv);
            argc--;
            i--;
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
            "auth.mode is redis: the platform sets "
            "keys by FCALL %s_auth 1 IDENTITY HASH (ocppd-redis(7)); "
            "`auth hash` makes a HASH",
            master.config.redis_prefix);
        return;
    }
    if (!list && argc < 3) {
        command_usage(c, argv, "give the identity of a charge point");
        return;
    }
    if (!list && !command_identity(c, argv, argv[2]))
        return;
    begin(c, argc, argv,
        add         ? ADD
            : check ? CHECK
            : list  ? LIST
                    : REMOVE,
        replace);
}
