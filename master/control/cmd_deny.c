/* `deny`: the deny list. See command.h, access.h. */
#include <stdlib.h>
#include <string.h>

#include "access/access.h"
#include "control/command.h"
#include "control/file_task.h"
#include "denyfile.h"
#include "file.h"
#include "log.h"
#include "writer.h"

#define BODY_MAX (16u << 20)

/* kind is "" for a request of the list. */
struct deny_task {
    struct file_task    t;
    struct access_files f;
    bool                add, good;
    enum access_deny    result;
    struct buf          text, why;
    char                kind[16], what[256];
};

static void
work(struct file_task *t)
{
    struct deny_task *d = (struct deny_task *)t;

    if (d->kind[0] == '\0')
        d->good = access_denied(&d->f, &d->text, &d->why);
    else
        d->result = access_deny(&d->f, d->kind, d->what, d->add, &d->why);
}

static void
reply_list(struct client *c, const struct buf *text)
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
            /* A range contains no %, so decoding does not change it. */
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
        buf_adds(&out, "the deny list is empty\n");
    }
    control_reply_buf(c, CONTROL_DONE, &out);
    buf_free(&out);
}

static void
reply_change(struct client *c, struct deny_task *d)
{
    char *argv[] = {(char *)"deny", NULL};

    switch (d->result) {
    case ACCESS_DENY_FAILED:
        control_replyf(c, CONTROL_FAILED, "deny: %s", buf_cstr(&d->why));
        break;
    case ACCESS_DENY_WRONG:
        command_usage(c, argv, "%s", buf_cstr(&d->why));
        break;
    case ACCESS_DENY_ABSENT:
        control_replyf(c, CONTROL_NOT_FOUND,
            "%s %s: not on the deny list; `deny list` shows its entries",
            d->kind, d->what);
        break;
    case ACCESS_DENY_PRESENT:
    case ACCESS_DENY_ADDED:
        control_replyf(c, CONTROL_DONE, "%s %s: %s", d->kind, d->what,
            !d->add                                ? "removed"
                : d->result == ACCESS_DENY_PRESENT ? "was denied already"
                                                   : "denied; its connections "
                                                     "are closed");
    }
}

static void
end(struct deny_task *d)
{
    buf_free(&d->text);
    buf_free(&d->why);
    free(d);
}

static void
done(struct file_task *t, struct client *c)
{
    struct deny_task *d = (struct deny_task *)t;

    if (d->result == ACCESS_DENY_PRESENT || d->result == ACCESS_DENY_ADDED) {
        access_deny_changed();
        log_info("an operator %s %s %s (uid %d)",
            d->add ? "denies" : "allows again", d->kind, d->what, (int)t->uid);
    }
    if (c != NULL && d->kind[0] != '\0')
        reply_change(c, d);
    else if (c != NULL && d->good)
        reply_list(c, &d->text);
    else if (c != NULL)
        control_replyf(c, CONTROL_FAILED, "deny: %s", buf_cstr(&d->why));
    end(d);
}

static void
begin(
    struct client *c, char **argv, const char *kind, const char *what, bool add)
{
    struct deny_task *d = calloc(1, sizeof *d);

    if (d == NULL || strlen(kind) >= sizeof d->kind ||
        strlen(what) >= sizeof d->what) {
        command_usage(c, argv, "%s",
            d == NULL ? "there is no memory for it"
                      : "give `address' or `identity', and its value");
        free(d);
        return;
    }
    d->t.work = work;
    d->t.done = done;
    access_files(&d->f);
    d->add = add;
    d->text = BUF_INIT(DENYFILE_MAX);
    d->why = BUF_INIT(4096);
    memcpy(d->kind, kind, strlen(kind) + 1);
    memcpy(d->what, what, strlen(what) + 1);
    if (!file_task_begin(c, &d->t))
        end(d);
}

void
cmd_deny(struct client *c, int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    bool        add = strcmp(verb, "add") == 0;
    bool        list = strcmp(verb, "list") == 0;

    if (argc > 1 && !add && !list && strcmp(verb, "remove") != 0)
        command_bad_word(c, argv, verb);
    else if (argc == 1)
        command_usage(c, argv, "give one of add, remove and list");
    else if (argc != (list ? 2 : 4))
        command_usage(c, argv,
            list ? "too many words"
                 : "give `address' or `identity', and its value");
    else if (list)
        begin(c, argv, "", "", false);
    else if (argv[2][0] == '\0')
        command_usage(c, argv, "give `address' or `identity', and its value");
    else if (!add || strcmp(argv[2], "identity") != 0 ||
        command_identity(c, argv, argv[3]))
        begin(c, argv, argv[2], argv[3], add);
}
