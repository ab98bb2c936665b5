/*
 * command: finds and checks the commands of the control socket. The files
 * cmd_*.c execute them.
 */
#include "control/command.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ensure.h"
#include "mdoc.h"
#include "near.h"
#include "number.h"
#include "usage.h"
#include "utf8.h"
#include "writer.h"

enum while_upgrading { COMMAND_HELD, COMMAND_SERVED };

struct command {
    const char          *word;
    const char          *usage;
    enum command_needs   needs;
    enum while_upgrading upgrade;
    const char          *sentence;
    void (*run)(struct client *, int, char **);
};

#define COMMAND_RUN_READ(name) cmd_##name
#define COMMAND_RUN_EXTENDED(name) cmd_##name
#define COMMAND_RUN_ADMIN(name) cmd_##name
#define COMMAND_RUN_LOCAL(name) NULL

static const struct command table[] = {
#define COMMAND(name, word, usage, needs, upgrade, sentence)                   \
    {word, usage, COMMAND_##needs, COMMAND_##upgrade, sentence,                \
        COMMAND_RUN_##needs(name)},
#include "commands.def"
#undef COMMAND
};

#define COMMANDS (sizeof table / sizeof *table)

static const struct command *
find(const char *word)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(table[i].word, word) == 0)
            return &table[i];
    return NULL;
}

bool
command_is_served(const char *word)
{
    const struct command *k = find(word);

    return k != NULL && k->upgrade == COMMAND_SERVED;
}

static void
unknown(struct client *c, int code, const char *word)
{
    struct near n = near_to(word);

    for (size_t i = 0; i < COMMANDS; i++)
        near_try(&n, table[i].word);
    control_replyf(c, code,
        "%.64s: there is no such command; %s%s%s`help` lists all", word,
        n.word != NULL ? "is it " : "", n.word != NULL ? n.word : "",
        n.word != NULL ? "? " : "");
}

void
command_run(struct client *c, int argc, char **argv)
{
    if (argc == 0) {
        control_replyf(c, CONTROL_USAGE, "no command; `help` lists them");
        return;
    }
    const struct command *k = find(argv[0]);
    /* "--" may precede any word; commands with options find it themselves. */
    if (k != NULL && argc > 1 && strcmp(argv[1], "--") == 0 &&
        strstr(k->usage, "--") == NULL) {
        argc--;
        memmove(&argv[1], &argv[2], (size_t)(argc - 1) * sizeof *argv);
        argv[argc] = NULL;
    }
    if (k == NULL)
        unknown(c, CONTROL_USAGE, argv[0]);
    else if (k->run == NULL)
        control_replyf(c, CONTROL_USAGE,
            "%s: ocppctl does this itself, not the daemon", k->word);
    else if (k->needs == COMMAND_ADMIN && !c->admin)
        control_replyf(c, CONTROL_FORBIDDEN,
            "%s: only root and the user that started ocppd may do this, or, over "
            "HTTP, a token of the role admin",
            k->word);
    else
        k->run(c, argc, argv);
}

bool
command_identity(struct client *c, char **argv, const char *name)
{
    size_t n = strlen(name);

    if (n > 0 && n <= IDENTITY_MAX && utf8_is(name, n) &&
        !utf8_has_control(name, n))
        return true;
    command_usage(c, argv,
        "an identity has 1 to %d bytes of UTF-8 without control characters",
        IDENTITY_MAX);
    return false;
}

void
command_usage(struct client *c, char **argv, const char *fmt, ...)
{
    const struct command *k = find(argv[0]);
    char                  text[512];
    va_list               ap;

    ensure(k != NULL);
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    control_replyf(c, CONTROL_USAGE, "%s: %s\nusage: ocppctl %s%s%s", argv[0],
        text, argv[0], k->usage[0] ? " " : "", k->usage);
}

void
command_bad_word(struct client *c, char **argv, const char *typed)
{
    const struct command *k = find(argv[0]);
    struct near           n = near_to(typed);
    char                  word[64];

    ensure(k != NULL);
    usage_try(&n, k->usage, word, sizeof word);
    command_usage(c, argv, "%.64s: there is no such word%s%s%s", typed,
        n.word != NULL ? "; is it " : "", n.word != NULL ? n.word : "",
        n.word != NULL ? "?" : "");
}

bool
command_options(struct client *c, int *argc, char **argv,
    const char *const *names, const char **values, size_t n)
{
    int left = 1;

    for (int i = 1; i < *argc; i++) {
        char *a = argv[i];
        if (strcmp(a, "--") == 0) {
            while (++i < *argc)
                argv[left++] = argv[i];
            break;
        }
        if (strncmp(a, "--", 2) != 0) {
            argv[left++] = a;
            continue;
        }
        size_t len = strcspn(a, "=");
        size_t k = 0;
        while (
            k < n && (strlen(names[k]) != len || memcmp(names[k], a, len) != 0))
            k++;
        if (k == n) {
            struct near near = near_to(a);
            for (size_t j = 0; j < n; j++)
                near_try(&near, names[j]);
            command_usage(c, argv, "%.64s: there is no such option%s%s%s", a,
                near.word != NULL ? "; is it " : "",
                near.word != NULL ? near.word : "",
                near.word != NULL ? "?" : "");
            return false;
        }
        if (a[len] == '=') {
            values[k] = a + len + 1;
        } else if (i + 1 < *argc) {
            values[k] = argv[++i];
        } else {
            command_usage(c, argv, "%s needs a value", names[k]);
            return false;
        }
    }
    *argc = left;
    argv[left] = NULL;
    return true;
}

bool
command_number(struct client *c, char **argv, const char *what,
    const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    uint64_t v;

    if (!number_u64(text, strlen(text), max, &v) || v < min) {
        command_usage(c, argv,
            "%s = %.64s: give a number from %" PRIu64 " to %" PRIu64, what,
            text, min, max);
        return false;
    }
    *out = v;
    return true;
}

static void
help_json(struct buf *out)
{
    static const char *const needs[] = {"read", "admin", "local"};
    struct writer            w = WRITER_INIT(out);

    writer_open(&w, NULL, '[');
    for (size_t i = 0; i < COMMANDS; i++) {
        writer_open(&w, NULL, '{');
        writer_str(&w, "command", table[i].word);
        writer_str(&w, "usage", table[i].usage);
        writer_str(&w, "needs", needs[table[i].needs]);
        writer_str(&w, "sentence", table[i].sentence);
        writer_close(&w);
    }
    writer_close(&w);
    buf_addc(out, '\n');
}

void
cmd_help(struct client *c, int argc, char **argv)
{
    struct buf out = BUF_INIT(64 * 1024);

    if (c->format == 'j') {
        help_json(&out);
    } else if (argc > 1) {
        const struct command *k = find(argv[1]);
        if (k == NULL) {
            unknown(c, CONTROL_NOT_FOUND, argv[1]);
            buf_free(&out);
            return;
        }
        buf_addf(&out, "usage: %s%s%s\n%s.\n", k->word, k->usage[0] ? " " : "",
            k->usage, k->sentence);
    } else {
        for (size_t i = 0; i < COMMANDS; i++)
            buf_addf(&out, "%-15s %s%s\n", table[i].word, table[i].sentence,
                table[i].needs == COMMAND_ADMIN && !c->admin ? " (not for you)"
                                                             : "");
    }
    control_reply_buf(c, CONTROL_DONE, &out);
    buf_free(&out);
}

/* --- the manual ---------------------------------------------------------- */

/* Writes a word of a usage. A word in capitals represents a value; the others
 * are typed literally. */
static void
put_argument(struct buf *out, const char *value)
{
    bool capitals = value[0] >= 'A' && value[0] <= 'Z';

    buf_adds(out, capitals ? " Ar " : " Cm ");
    for (; *value != '\0'; value++)
        if (*value == '|')
            buf_adds(out, " | ");
        else
            buf_addc(out,
                (char)(capitals && *value >= 'A' && *value <= 'Z' ? *value + 32
                                                                  : *value));
}

static void
put_usage(struct buf *out, const char *usage)
{
    struct usage_item item;

    while (usage_next(&usage, &item)) {
        buf_adds(out, item.optional ? " Oo" : "");
        if (item.option[0] != '\0')
            buf_addf(out, item.option[1] == '-' ? " Fl Fl %s" : " Fl %s",
                item.option + strspn(item.option, "-"));
        if (item.value[0] != '\0')
            put_argument(out, item.value);
        buf_adds(out, item.optional ? " Oc" : "");
    }
}

void
command_put_manual(struct buf *out)
{
    buf_adds(out, ".Bl -tag -width Ds\n");
    for (size_t i = 0; i < COMMANDS; i++) {
        const struct command *k = &table[i];
        buf_addf(out, ".It Cm %s", k->word);
        put_usage(out, k->usage);
        buf_addc(out, '\n');
        mdoc_prose(out, k->sentence, false);
        if (k->needs == COMMAND_ADMIN)
            buf_adds(
                out, "Only for root and the user that started the daemon.\n");
    }
    buf_adds(out, ".El\n");
}
