/*
 * command: the commands of the control socket, from commands.def.
 *
 * Every command of the table (but the LOCAL ones) is a function
 *
 *   void cmd_name(struct client *c, int argc, char **argv)
 *
 * with argv[0] the command's word. It ends in control_reply(), now or later.
 */
#ifndef MASTER_CONTROL_COMMAND_H
#define MASTER_CONTROL_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "control/control.h"
#include "control/pending_calls.h"
#include "stats.h"

enum command_needs { COMMAND_READ, COMMAND_ADMIN, COMMAND_LOCAL };
/* Only ocppctl makes a difference. */
#define COMMAND_EXTENDED COMMAND_READ

#define COMMAND_FN_READ(name) void cmd_##name(struct client *, int, char **);
#define COMMAND_FN_EXTENDED(name) COMMAND_FN_READ(name)
#define COMMAND_FN_ADMIN(name) void cmd_##name(struct client *, int, char **);
#define COMMAND_FN_LOCAL(name)
#define COMMAND(name, word, usage, needs, upgrade, sentence)                   \
    COMMAND_FN_##needs(name)
#include "commands.def"
#undef COMMAND
#undef COMMAND_FN_READ
#undef COMMAND_FN_EXTENDED
#undef COMMAND_FN_ADMIN
#undef COMMAND_FN_LOCAL

/* Finds the command, checks the client's right to it, and executes it. */
void command_run(struct client *c, int argc, char **argv);

/* True if the command is executed at once while an upgrade is in progress. */
bool command_is_served(const char *word);

/* The waiter of a client of `call`; 0 means no client. */
struct pending_calls_waiter call_waiter(uint64_t client);

/* True if a charge point could have this identity; otherwise it replies with an
   error. */
bool command_identity(struct client *c, char **argv, const char *name);

/* Replies with "usage: ..." of argv[0], with the error in front of it. */
void command_usage(struct client *c, char **argv, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for a word that the usage does not have, with the word that was
 * probably meant. */
void command_bad_word(struct client *c, char **argv, const char *typed);

/* Removes the options from argv: for `--limit 5` or `--limit=5` value[i] is
 * set, where names[i] is "--limit". The other words keep their order; argc is
 * lowered. "--" ends the options. False if it has replied with an error. */
bool command_options(struct client *c, int *argc, char **argv,
    const char *const *names, const char **values, size_t n);

/* Reads a number in a range; false if it has replied with an error. */
bool command_number(struct client *c, char **argv, const char *what,
    const char *text, uint64_t min, uint64_t max, uint64_t *out);

/* Writes the table as mdoc(7), for ocppctl(8). */
void command_put_manual(struct buf *out);

#endif
