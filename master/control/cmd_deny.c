/* `deny': who may not connect. See command.h. */
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "channel.h"
#include "control/command.h"
#include "denyfile.h"
#include "file.h"
#include "log.h"
#include "base/master.h"
#include "workers/supervise.h"
#include "writer.h"

#define BODY_MAX (16u << 20)

static bool
read_list(const char *path, struct buf *text, struct buf *why)
{
    enum file_result r = file_read(path, text, why);

    if (r == FILE_MISSING) {
        buf_clear(why);
        buf_adds(text, "# Who may not connect. Written by ocppctl deny.\n");
    }
    return r != FILE_FAILED;
}

static void
deny_list(struct client *c, struct buf *text)
{
    struct buf    out = BUF_INIT(BODY_MAX);
    struct writer w = WRITER_INIT(&out);
    const char   *p = text->p, *end = text->p + text->len;
    unsigned      n = 0;

    if (c->format == 'j')
        writer_open(&w, NULL, '[');
    while (p < end) {
        const char *eol = memchr(p, '\n', (size_t)(end - p));
        const char *stop = eol != NULL ? eol : end, *kind, *what, *q = p;
        size_t      kind_len, what_len;
        if (file_next_word(&q, stop, &kind, &kind_len) &&
            file_next_word(&q, stop, &what, &what_len)) {
            char   plain[256];
            size_t len;
            /* A range has no % in it, so that it comes out as it went in. */
            if (!file_get_word(what, what_len, plain, sizeof plain, &len))
                len = 0;
            if (c->format == 'j') {
                writer_open(&w, NULL, '{');
                writer_strn(&w, "kind", kind, kind_len);
                writer_strn(&w, "what", plain, len);
                writer_close(&w);
            } else {
                buf_addf(&out, "%-8.*s %.*s\n", (int)kind_len, kind, (int)len,
                    plain);
            }
            n++;
        }
        p = stop + 1;
    }
    if (c->format == 'j') {
        writer_close(&w);
        buf_addc(&out, '\n');
    } else if (n == 0) {
        buf_adds(&out, "nobody is denied\n");
    }
    control_reply_buf(c, CONTROL_DONE, &out);
    buf_free(&out);
}

static void
deny_change(
    struct client *c, char **argv, bool add, const char *path, struct buf *text)
{
    struct buf     errors = BUF_INIT(4096);
    const char    *user = master.config.server_user, *wrong;
    struct passwd *pw = user[0] && geteuid() == 0 ? getpwnam(user) : NULL;

    bool was_there = denyfile_set(text, argv[2], argv[3], add, &wrong);
    if (wrong != NULL) {
        command_usage(c, argv, "%s %.64s %s", argv[2], argv[3], wrong);
    } else if (!add && !was_there) {
        control_replyf(c, CONTROL_NOT_FOUND,
            "%s %s: not on the deny list; "
            "`deny list` shows what is",
            argv[2], argv[3]);
    } else if (text->overflow ||
        !file_replace(path, text->p, text->len, pw ? pw->pw_uid : (uid_t)-1,
            pw ? pw->pw_gid : (gid_t)-1, &errors)) {
        control_replyf(c, CONTROL_FAILED, "deny: %s",
            errors.len ? buf_cstr(&errors) : "the list would become too large");
    } else {
        atomic_fetch_add(&master.shm->deny_version, 1);
        supervise_tell_all(CHANNEL_config);
        log_info("an operator %s %s %s (uid %d)",
            add ? "denies" : "allows again", argv[2], argv[3], (int)c->uid);
        control_replyf(c, CONTROL_DONE, "%s %s: %s", argv[2], argv[3],
            !add            ? "removed"
                : was_there ? "was denied already"
                            : "denied; its connections are closed");
    }
    buf_free(&errors);
}

void
cmd_deny(struct client *c, int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    bool        add = strcmp(verb, "add") == 0;
    bool        list = strcmp(verb, "list") == 0;
    struct buf  text = BUF_INIT(DENYFILE_MAX), why = BUF_INIT(4096);
    char        path[DENYFILE_PATH_MAX];

    if (!add && !list && strcmp(verb, "remove") != 0) {
        command_usage(c, argv, "say what to do: add, remove or list");
        return;
    }
    if (argc != (list ? 2 : 4)) {
        command_usage(c, argv,
            list ? "too many words"
                 : "give `address' or `identity', and which");
        return;
    }
    denyfile_path(&master.config, path);
    if (!read_list(path, &text, &why))
        control_replyf(c, CONTROL_FAILED, "deny: %s", buf_cstr(&why));
    else if (list)
        deny_list(c, &text);
    else
        deny_change(c, argv, add, path, &text);
    buf_free(&text);
    buf_free(&why);
}
