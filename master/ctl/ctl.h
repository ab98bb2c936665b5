/*
 * ctl: what the files of ocppctl share.
 *
 * main.c reads the options and dispatches the command. request.c sends a
 * command to the daemon. words.c has the table of commands. A command marked
 * LOCAL or EXTENDED in commands.def is a function ctl_NAME() in a file of its
 * own; it sends its requests by ctl_request().
 */
#ifndef MASTER_CTL_CTL_H
#define MASTER_CTL_CTL_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

/* Exit codes of ocppctl. */
enum ctl_exit {
    CTL_DONE = 0,
    CTL_REFUSED = 1, /* it failed, or succeeded with a negative result */
    CTL_USAGE = 2,
    CTL_NOT_RUNNING = 3 /* no daemon answers at the control socket */
};

struct ctl {
    const char *socket;     /* path of the control socket */
    const char *conf;       /* -c, NULL if not given */
    char        format;     /* 0 text, 'j' JSON, 'p' Prometheus */
    unsigned    patience_s; /* seconds to wait while the daemon sends nothing;
                               0: the longest time that a command may take */
};

/*
 * Sends a command to the daemon and returns its reply. words[0] is the command,
 * the rest are its arguments, which are quoted here. ctl->format is not sent:
 * for JSON, the caller puts "-j" first.
 *
 * Returns the reply's code (control_line.h: 200 to 399 success, from 400 on
 * failure) with its body in *reply. Returns -1 if no daemon answers at
 * ctl->socket or the reply breaks off; then *reply holds a sentence with the
 * attempt and the remedy. *reply must be an empty buf with its max set; the
 * caller frees it.
 */
int ctl_request(const struct ctl *ctl, const char *const *words, size_t n,
    struct buf *reply);

/* Prints a sentence, which may repeat words of the command line, on stderr.
 * Each byte of a character that a terminal could act on becomes ?. */
void ctl_report(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Reports an error of ocppctl itself: on stderr, or, with -j, on stdout as
 * {"error":{"message":...}}, the form of the daemon's errors. */
void ctl_error(const struct ctl *ctl, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Sends a command to the daemon and prints its answers. Returns an exit code
 * of enum ctl_exit. */
int ctl_run(const struct ctl *ctl, int argc, char **argv);

/*
 * The commands that ocppctl carries out itself, each in ctl/NAME.c. argv[0] is
 * the name of the command. They return an exit code of enum ctl_exit.
 *
 * ctl_show() prints the daemon's reply to `show`, and the charge point's last
 * events from the end of the journal.
 */
int ctl_events(int argc, char **argv, const struct ctl *ctl);
int ctl_journal(int argc, char **argv, const struct ctl *ctl);
int ctl_score(int argc, char **argv, const struct ctl *ctl);
int ctl_show(int argc, char **argv, const struct ctl *ctl);
int ctl_top(int argc, char **argv, const struct ctl *ctl);
int ctl_completion(int argc, char **argv, const struct ctl *ctl);

/* The commands of commands.def. */
struct ctl_word {
    const char *word, *usage, *sentence;
    int (*local)(int argc, char **argv, const struct ctl *ctl);
};

extern const struct ctl_word ctl_words[];
extern const size_t          ctl_words_n;

/* The row of a command; NULL if there is none. */
const struct ctl_word *ctl_find_word(const char *word);

/* Reads a time on the command line (since.h). False, after it has printed a
 * message. */
bool ctl_since(const char *text, uint64_t *wall_ms);

/* Sets ctl->socket, if it is not set, to the path in the configuration. False,
 * after it has printed a message. */
bool ctl_find_socket(struct ctl *ctl);

/* As getopt_long(3); the letters must begin with a colon. It reports a wrong
 * option together with the most similar valid one, and returns '?'. */
int ctl_option(
    int argc, char **argv, const char *letters, const struct option *table);

/* Reports that a word does not belong to the usage of a command, together with
 * the most similar word that does. Returns CTL_USAGE. */
int ctl_bad_word(const char *command, const char *typed);

/* Prints the usage of a command on stderr. */
void ctl_usage(const char *command);

#endif
