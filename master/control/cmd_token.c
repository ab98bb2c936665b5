/* `token`: the tokens of the HTTP API. See command.h, tokens.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/tokens.h"
#include "base/master.h"
#include "control/command.h"
#include "control/file_task.h"
#include "log.h"
#include "writer.h"

struct token_task {
    struct file_task t;
    bool             add;
    enum tokens_role role;
    char             dir[CONF_TEXT_MAX], name[TOKENS_NAME_MAX + 2];

    /* Set by the thread: */
    struct tokens *tokens; /* after the change; NULL: it failed, see why */
    char           token[TOKENS_TEXT];
    bool           there;
    struct buf     why;
};

static void
work(struct file_task *t)
{
    struct token_task *k = (struct token_task *)t;

    k->tokens = k->add ? tokens_add(k->dir, k->name, k->role, k->token, &k->why)
                       : tokens_remove(k->dir, k->name, &k->there, &k->why);
}

static void
reply_added(struct client *c, const struct token_task *k)
{
    struct buf    out = BUF_INIT(4096);
    struct writer w = WRITER_INIT(&out);

    if (c->format == 'j') {
        writer_open(&w, NULL, '{');
        writer_str(&w, "name", k->name);
        writer_str(&w, "role", tokens_role_name(k->role));
        writer_str(&w, "token", k->token);
        writer_close(&w);
        buf_addc(&out, '\n');
    } else {
        buf_addf(&out, "token: %s (it is not stored: note it now)\n", k->token);
    }
    control_reply_buf(c, CONTROL_DONE, &out);
    explicit_bzero(out.p, out.len);
    buf_free(&out);
}

static void
end(struct token_task *k)
{
    buf_free(&k->why);
    explicit_bzero(k, sizeof *k);
    free(k);
}

static void
done(struct file_task *t, struct client *c)
{
    struct token_task *k = (struct token_task *)t;
    bool               good = k->tokens != NULL;

    if (good) {
        tokens_adopt(k->tokens);
        if (k->add)
            log_info("an operator adds the %s token %s (uid %d)",
                tokens_role_name(k->role), k->name, (int)t->uid);
        else if (k->there)
            log_info("an operator removes the token %s (uid %d)", k->name,
                (int)t->uid);
    }
    if (c == NULL)
        ; /* the client did not wait */
    else if (!good)
        control_replyf(c, CONTROL_FAILED, "token: %s", buf_cstr(&k->why));
    else if (k->add)
        reply_added(c, k);
    else if (k->there)
        control_replyf(c, CONTROL_DONE, "%s: removed", k->name);
    else
        control_replyf(c, CONTROL_NOT_FOUND,
            "token: there is no token of this name; `token list` shows all");
    end(k);
}

static void
begin(struct client *c, const char *name, bool add, enum tokens_role role)
{
    struct token_task *k = calloc(1, sizeof *k);

    if (k == NULL) {
        control_replyf(c, CONTROL_FAILED, "token: there is no memory for it");
        return;
    }
    k->t.work = work;
    k->t.done = done;
    k->add = add;
    k->role = role;
    k->why = BUF_INIT(4096);
    snprintf(k->dir, sizeof k->dir, "%s", master.config.server_state_dir);
    /* A name that is too long stays too long, and is refused with a
     * sentence. */
    snprintf(k->name, sizeof k->name, "%s", name);
    if (!file_task_begin(c, &k->t))
        end(k);
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
        begin(c, argv[2], false, TOKENS_NONE);
    } else if (strcmp(verb, "add") == 0 && (argc == 3 || argc == 4)) {
        if (argc == 4 && strcmp(argv[3], "admin") == 0)
            role = TOKENS_ADMIN;
        else if (argc == 4 && strcmp(argv[3], "read") != 0) {
            command_bad_word(c, argv, argv[3]);
            return;
        }
        begin(c, argv[2], true, role);
    } else if (argc > 1 && strcmp(verb, "add") != 0 &&
        strcmp(verb, "remove") != 0 && strcmp(verb, "list") != 0) {
        command_bad_word(c, argv, verb);
    } else {
        command_usage(c, argv,
            argc == 1 ? "give one of add, remove and list"
                      : "give one name, and for add a role");
    }
}
