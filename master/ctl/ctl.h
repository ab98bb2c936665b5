/*
 * ctl: what the files of ocppctl share.
 *
 * main.c reads the options and dispatches the command; request.c sends it to
 * the daemon; words.c has the table of commands. A command marked LOCAL or
 * EXTENDED in commands.def is a function ctl_NAME() of its own file, which uses
 * ctl_request() to ask the daemon.
 */
#ifndef MASTER_CTL_CTL_H
#define MASTER_CTL_CTL_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

/* What ocppctl exits with. */
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
    unsigned    patience_s; /* with a silent daemon; 0: as long as a command
                               may take */
};

/*
 * Asks the daemon: words[0] is the command, the rest its arguments (quoting
 * is done here). ctl->format is not sent: put "-j" first if JSON is wanted.
 * Returns the reply's code (control_line.h: 200 and up done, 400 and up not)
 * with its body in *reply, or -1 if no daemon answers at ctl->socket, or the
 * answer breaks off; then *reply holds a sentence with what was tried and what
 * to do. *reply must be an empty buf with its max set; it is the caller's to
 * free.
 */
int ctl_request(const struct ctl *ctl, const char *const *words, size_t n,
    struct buf *reply);

/* Reports an error of ocppctl itself: on stderr, or with -j as the JSON
 * {"error":{"message":...}} on stdout, as the daemon does. */
void ctl_error(const struct ctl *ctl, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Sends a command to the daemon and prints its answers. Returns an exit code
 * of enum ctl_exit. */
int ctl_run(const struct ctl *ctl, int argc, char **argv);

/* `ocppctl events`, in ctl/events.c: argv[0] is "events". Returns an exit
 * code of enum ctl_exit. */
int ctl_events(int argc, char **argv, const struct ctl *ctl);

/* `ocppctl journal`, in ctl/journal.c, likewise. */
int ctl_journal(int argc, char **argv, const struct ctl *ctl);

/* `ocppctl score`, in ctl/score.c, likewise. */
int ctl_score(int argc, char **argv, const struct ctl *ctl);

/* `ocppctl show`, in ctl/show.c, likewise: the daemon's answer, and what the
 * end of the journal has of the charge point. */
int ctl_show(int argc, char **argv, const struct ctl *ctl);

/* `ocppctl top`, in ctl/top.c, likewise. */
int ctl_top(int argc, char **argv, const struct ctl *ctl);

/* `ocppctl completion`, in ctl/completion.c, likewise. */
int ctl_completion(int argc, char **argv, const struct ctl *ctl);

/* The commands of commands.def. */
struct ctl_word {
    const char *word, *usage, *sentence;
    int (*local)(int argc, char **argv, const struct ctl *ctl);
};

extern const struct ctl_word ctl_words[];
extern const size_t          ctl_words_n;

/* NULL if there is none. */
const struct ctl_word *ctl_find_word(const char *word);

/* A time on the command line (since.h); false with a message. */
bool ctl_since(const char *text, uint64_t *wall_ms);

/* Sets ctl->socket, if it is not set; false with a message. */
bool ctl_find_socket(struct ctl *ctl);

/* getopt_long(3), whose letters begin with a colon; an error is reported with
 * the nearest option, and '?' returned. */
int ctl_option(
    int argc, char **argv, const char *letters, const struct option *table);

/* Reports that the usage of a command does not have a word, with the word that
 * it may stand for. Returns CTL_USAGE. */
int ctl_bad_word(const char *command, const char *typed);

/* Prints the usage of a command on stderr. */
void ctl_usage(const char *command);

#endif
