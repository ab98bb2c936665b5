/*
 * main: the program ocppctl. A command goes to the daemon as one line, and
 * its answer is printed; only the daemon interprets a command. Commands
 * marked LOCAL in commands.def are functions of ocppctl.
 */
#include "ctl/main.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "config_read.h"
#include "near.h"
#include "since.h"
#include "usage.h"
#include "version.h"

#define LOCAL_READ(name) NULL
#define LOCAL_ADMIN(name) NULL
#define LOCAL_LOCAL(name) ctl_##name

const struct ctl_word ctl_words[] = {
#define COMMAND(name, word, usage, needs, sentence)                            \
    {word, usage, sentence, LOCAL_##needs(name)},
#include "commands.def"
#undef COMMAND
};

const size_t ctl_words_n = sizeof ctl_words / sizeof *ctl_words;

static const struct ctl_word *
find(const char *word)
{
    for (size_t i = 0; i < ctl_words_n; i++)
        if (strcmp(ctl_words[i].word, word) == 0)
            return &ctl_words[i];
    return NULL;
}

void
ctl_usage(const char *command)
{
    const struct ctl_word *w = find(command);

    if (w != NULL)
        fprintf(stderr, "usage: ocppctl %s%s%s\n", w->word,
            w->usage[0] ? " " : "", w->usage);
}

int
ctl_bad_word(const char *command, const char *typed)
{
    const struct ctl_word *w = find(command);
    struct near            n = near_to(typed);
    char                   word[64];

    usage_try(&n, w->usage, word, sizeof word);
    fprintf(stderr, "ocppctl: %s: %s: there is no such word%s%s%s\n", command,
        typed, n.word != NULL ? "; is it " : "", n.word != NULL ? n.word : "",
        n.word != NULL ? "?" : "");
    ctl_usage(command);
    return CTL_USAGE;
}

bool
ctl_since(const char *text, uint64_t *wall_ms)
{
    bool good = since_parse(text, wall_ms);

    if (!good)
        fprintf(stderr, "ocppctl: --since %s: " SINCE_FORM "\n", text);
    return good;
}

static void
usage(FILE *to)
{
    fputs("usage: ocppctl [-jpV] [-s socket] [-c file] command [argument]...\n"
          "  -s socket  the daemon's control socket; default: $OCPPD_CONTROL,\n"
          "             else server.control of the configuration\n"
          "  -c file    the daemon's configuration, to find the socket\n"
          "  -j         answer in JSON\n"
          "  -p         answer for Prometheus (stats, score)\n"
          "Commands:\n",
        to);
    for (size_t i = 0; i < ctl_words_n; i++)
        fprintf(to, "  %-15s %s\n", ctl_words[i].word, ctl_words[i].sentence);
    fputs(
        "`ocppctl help COMMAND` shows the usage of one, ocppctl(8) describes them.\n",
        to);
}

/* --- arguments ----------------------------------------------------------- */

/* Of a configuration; NULL if it has errors, which are reported if loud. */
static const char *
socket_of(const char *file, bool loud)
{
    static struct config c;
    struct buf           errors = BUF_INIT(65536);

    bool ok = config_read_partial(&c, file, &errors);
    if (!ok && loud)
        fwrite(errors.p, 1, errors.len, stderr);
    buf_free(&errors);
    return ok ? c.server_control : NULL;
}

bool
ctl_find_socket(struct ctl *ctl)
{
    const char *env = getenv("OCPPD_CONTROL");

    if (ctl->socket != NULL)
        return true;
    if (ctl->conf != NULL)
        ctl->socket = socket_of(ctl->conf, true);
    else if (env != NULL && env[0] != '\0')
        ctl->socket = env;
    else if (access(CONFIG_FILE, R_OK) == 0)
        ctl->socket = socket_of(CONFIG_FILE, false);
    if (ctl->socket == NULL && ctl->conf == NULL)
        ctl->socket = socket_of(NULL, true);
    if (ctl->socket != NULL && ctl->socket[0] == '\0') {
        fprintf(stderr,
            "ocppctl: server.control is empty: this daemon has no "
            "control socket\n");
        return false;
    }
    return ctl->socket != NULL;
}

static int
unknown(const struct ctl *ctl, const char *word)
{
    struct near n = near_to(word);

    for (size_t i = 0; i < ctl_words_n; i++)
        near_try(&n, ctl_words[i].word);
    ctl_error(ctl,
        "%s: there is no such command; %s%s%s`ocppctl help` lists all", word,
        n.word != NULL ? "is it " : "", n.word != NULL ? n.word : "",
        n.word != NULL ? "? " : "");
    return CTL_USAGE;
}

static int
explain_word(const struct ctl_word *w)
{
    printf("usage: ocppctl %s%s%s\n%s.\n", w->word, w->usage[0] ? " " : "",
        w->usage, w->sentence);
    return CTL_DONE;
}

/* Answered without the daemon, so that it works before there is one. */
static int
help(const struct ctl *ctl, int argc, char **argv)
{
    if (argc == 1) {
        usage(stdout);
        return CTL_DONE;
    }
    const struct ctl_word *w = find(argv[1]);
    return w != NULL ? explain_word(w) : unknown(ctl, argv[1]);
}

/* `ocppctl COMMAND --help`; behind -- a word is an argument. */
static bool
asks_for_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0)
            return true;
    return false;
}

int
main(int argc, char **argv)
{
    static const struct option longs[] = {{"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'}, {NULL, 0, NULL, 0}};
    struct ctl                 ctl = {0};
    int                        option;

    signal(SIGPIPE, SIG_IGN);
    /* +: options behind the command are the command's. */
    while ((option = getopt_long(argc, argv, "+s:c:jphV", longs, NULL)) != -1)
        switch (option) {
        case 's':
            ctl.socket = optarg;
            break;
        case 'c':
            ctl.conf = optarg;
            break;
        case 'j':
        case 'p':
            ctl.format = (char)option;
            break;
        case 'h':
            usage(stdout);
            return CTL_DONE;
        case 'V':
            printf("ocppctl %s\n", OCPPD_VERSION);
            return CTL_DONE;
        default:
            usage(stderr);
            return CTL_USAGE;
        }
    argc -= optind;
    argv += optind;
    if (argc == 0) {
        usage(stderr);
        return CTL_USAGE;
    }
    /* As JSON it is the daemon's answer. */
    if (strcmp(argv[0], "help") == 0 && ctl.format != 'j' &&
        !asks_for_help(argc, argv))
        return help(&ctl, argc, argv);
    const struct ctl_word *w = find(argv[0]);
    if (w == NULL)
        return unknown(&ctl, argv[0]);
    /* The words of `completion words` may be any, also --help. */
    if (w->local == ctl_completion && argc > 2)
        return ctl_completion(argc, argv, &ctl);
    if (asks_for_help(argc, argv))
        return explain_word(w);
    if (w->local != ctl_completion && !ctl_find_socket(&ctl))
        return CTL_USAGE;
    if (strcmp(w->word, "show") == 0)
        return ctl_show(argc, argv, &ctl);
    return w->local != NULL ? w->local(argc, argv, &ctl)
                            : ctl_run(&ctl, argc, argv);
}
