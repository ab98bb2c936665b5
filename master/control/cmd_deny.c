/* `deny`: the deny list. See command.h, access.h. */
#include <string.h>

#include "access/access.h"
#include "control/command.h"
#include "denyfile.h"
#include "file.h"
#include "log.h"
#include "writer.h"

#define BODY_MAX (16u << 20)

static void
deny_list(struct client *c)
{
    struct buf    out = BUF_INIT(BODY_MAX);
    struct buf    text = BUF_INIT(DENYFILE_MAX), why = BUF_INIT(4096);
    struct writer w = WRITER_INIT(&out);
    unsigned      n = 0;

    if (!access_denied(&text, &why)) {
        control_replyf(c, CONTROL_FAILED, "deny: %s", buf_cstr(&why));
        buf_free(&text);
        buf_free(&why);
        return;
    }
    const char *p = text.p, *end = text.p + text.len;

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
        buf_adds(&out, "the deny list is empty\n");
    }
    control_reply_buf(c, CONTROL_DONE, &out);
    buf_free(&out);
    buf_free(&text);
    buf_free(&why);
}

static void
deny_change(struct client *c, char **argv, bool add)
{
    struct buf why = BUF_INIT(4096);

    enum access_deny r = access_deny(argv[2], argv[3], add, &why);
    switch (r) {
    case ACCESS_DENY_FAILED:
        control_replyf(c, CONTROL_FAILED, "deny: %s", buf_cstr(&why));
        break;
    case ACCESS_DENY_WRONG:
        command_usage(c, argv, "%s", buf_cstr(&why));
        break;
    case ACCESS_DENY_ABSENT:
        control_replyf(c, CONTROL_NOT_FOUND,
            "%s %s: not on the deny list; `deny list` shows what is", argv[2],
            argv[3]);
        break;
    case ACCESS_DENY_PRESENT:
    case ACCESS_DENY_ADDED:
        log_info("an operator %s %s %s (uid %d)",
            add ? "denies" : "allows again", argv[2], argv[3], (int)c->uid);
        control_replyf(c, CONTROL_DONE, "%s %s: %s", argv[2], argv[3],
            !add                           ? "removed"
                : r == ACCESS_DENY_PRESENT ? "was denied already"
                                           : "denied; its connections are "
                                             "closed");
    }
    buf_free(&why);
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
                 : "give `address' or `identity', and which");
    else if (list)
        deny_list(c);
    else if (!add || strcmp(argv[2], "identity") != 0 ||
        command_identity(c, argv, argv[3]))
        deny_change(c, argv, add);
}
