/* `token`: the tokens of the HTTP API. See command.h, tokens.h. */
#include <string.h>

#include "access/tokens.h"
#include "control/command.h"
#include "log.h"
#include "writer.h"

static void
token_add(struct client *c, const char *name, enum tokens_role role)
{
    struct buf    out = BUF_INIT(4096), why = BUF_INIT(4096);
    struct writer w = WRITER_INIT(&out);
    char          token[TOKENS_TEXT];

    if (!tokens_add(name, role, token, &why)) {
        control_replyf(c, CONTROL_FAILED, "token: %s", buf_cstr(&why));
    } else {
        log_info("an operator adds the %s token %s (uid %d)",
            tokens_role_name(role), name, (int)c->uid);
        if (c->format == 'j') {
            writer_open(&w, NULL, '{');
            writer_str(&w, "name", name);
            writer_str(&w, "role", tokens_role_name(role));
            writer_str(&w, "token", token);
            writer_close(&w);
            buf_addc(&out, '\n');
        } else {
            buf_addf(
                &out, "token: %s (not kept anywhere: note it now)\n", token);
        }
        control_reply_buf(c, CONTROL_DONE, &out);
        explicit_bzero(out.p, out.len);
    }
    explicit_bzero(token, sizeof token);
    buf_free(&out);
    buf_free(&why);
}

static void
token_remove(struct client *c, const char *name)
{
    struct buf why = BUF_INIT(4096);
    bool       there;

    if (!tokens_remove(name, &there, &why)) {
        control_replyf(c, CONTROL_FAILED, "token: %s", buf_cstr(&why));
    } else if (!there) {
        control_replyf(
            c, CONTROL_NOT_FOUND, "token: there is none of this name");
    } else {
        log_info(
            "an operator removes the token %s (uid %d)", name, (int)c->uid);
        control_replyf(c, CONTROL_DONE, "%s: removed", name);
    }
    buf_free(&why);
}

static void
token_list(struct client *c)
{
    struct buf       out = BUF_INIT(65536);
    struct writer    w = WRITER_INIT(&out);
    const char      *name;
    enum tokens_role role;

    if (c->format == 'j')
        writer_open(&w, NULL, '[');
    for (unsigned i = 0; tokens_at(i, &name, &role); i++)
        if (c->format == 'j') {
            writer_open(&w, NULL, '{');
            writer_str(&w, "name", name);
            writer_str(&w, "role", tokens_role_name(role));
            writer_close(&w);
        } else {
            buf_addf(&out, "%-5s %s\n", tokens_role_name(role), name);
        }
    if (c->format == 'j') {
        writer_close(&w);
        buf_addc(&out, '\n');
    } else if (out.len == 0) {
        buf_adds(&out, "there are no tokens\n");
    }
    control_reply_buf(c, CONTROL_DONE, &out);
    buf_free(&out);
}

void
cmd_token(struct client *c, int argc, char **argv)
{
    const char      *verb = argc > 1 ? argv[1] : "";
    enum tokens_role role = TOKENS_READ;

    if (strcmp(verb, "list") == 0 && argc == 2) {
        token_list(c);
    } else if (strcmp(verb, "remove") == 0 && argc == 3) {
        token_remove(c, argv[2]);
    } else if (strcmp(verb, "add") == 0 && (argc == 3 || argc == 4)) {
        if (argc == 4 && strcmp(argv[3], "admin") == 0)
            role = TOKENS_ADMIN;
        else if (argc == 4 && strcmp(argv[3], "read") != 0) {
            command_bad_word(c, argv, argv[3]);
            return;
        }
        token_add(c, argv[2], role);
    } else if (argc > 1 && strcmp(verb, "add") != 0 &&
        strcmp(verb, "remove") != 0 && strcmp(verb, "list") != 0) {
        command_bad_word(c, argv, verb);
    } else {
        command_usage(c, argv,
            argc == 1 ? "give one of add, remove and list"
                      : "give one name, and for add a role");
    }
}
