/*
 * main: the program ocppctl. A command goes to the daemon as one line, and
 * its answer is printed; only the daemon interprets a command. Commands
 * marked LOCAL or EXTENDED in commands.def are functions of ocppctl.
 */
#include "ctl/ctl.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "near.h"
#include "version.h"

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
    /* Only the first part of a long sentence; `ocppctl help COMMAND` prints the
       rest. */
    for (size_t i = 0; i < ctl_words_n; i++)
        fprintf(to, "  %-15s %.*s\n", ctl_words[i].word,
            (int)strcspn(ctl_words[i].sentence, ";:"), ctl_words[i].sentence);
    fputs("`ocppctl COMMAND --help` shows the usage of a command; ocppctl(8) "
          "describes all of them.\n",
        to);
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

/* `ocppctl help`. It works without a daemon. */
static int
help(const struct ctl *ctl, int argc, char **argv)
{
    if (argc == 1) {
        usage(stdout);
        return CTL_DONE;
    }
    const struct ctl_word *w = ctl_find_word(argv[1]);
    return w != NULL ? explain_word(w) : unknown(ctl, argv[1]);
}

/* True for `ocppctl COMMAND --help`. A word after -- is an argument. */
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
    /* The + means that options after the command belong to the command. */
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
            fputs("ocppctl: `ocppctl help` shows the options and commands\n",
                stderr);
            return CTL_USAGE;
        }
    argc -= optind;
    argv += optind;
    if (argc == 0) {
        usage(stderr);
        return CTL_USAGE;
    }
    /* In JSON, help is an answer of the daemon. */
    if (strcmp(argv[0], "help") == 0 && ctl.format != 'j' &&
        !asks_for_help(argc, argv))
        return help(&ctl, argc, argv);
    const struct ctl_word *w = ctl_find_word(argv[0]);
    if (w == NULL)
        return unknown(&ctl, argv[0]);
    /* The words of `completion words` may be anything, even --help. */
    if (w->local == ctl_completion && argc > 2)
        return ctl_completion(argc, argv, &ctl);
    if (asks_for_help(argc, argv))
        return explain_word(w);
    if (w->local != ctl_completion && !ctl_find_socket(&ctl))
        return CTL_USAGE;
    return w->local != NULL ? w->local(argc, argv, &ctl)
                            : ctl_run(&ctl, argc, argv);
}
