/*
 * command: one command of the central system, while it is answered.
 *
 * command.c answers the commands of 1.6, and has the functions that all
 * versions use; command2.c answers those of 2.x; command_any.c those that
 * differ only in the name of a member.
 */
#ifndef SIM_COMMAND_H
#define SIM_COMMAND_H

#include <cjson/cJSON.h>

#include "common/writer.h"
#include "point.h"

/* Seconds between the answer to Reset and the loss of power. */
#define COMMAND_RESET_S 1.0

struct command_call {
    struct point *p;
    const cJSON  *payload;
    struct writer w;     /* writes the members of the answer's payload */
    const char   *error; /* code of a CALLERROR that is sent instead */
};

struct command {
    const char *name; /* NULL: the end of the table */
    void (*answer)(struct command_call *c);
};
extern const struct command command2_all[];

const char *command_text(const struct command_call *c, const char *name);
int         command_number(
            const struct command_call *c, const char *name, int otherwise);
void command_status(struct command_call *c, const char *word);
/* These answer with Accepted, Rejected or NotFound, and do nothing else. */
void command_take(struct command_call *c);
void command_refuse(struct command_call *c);
void command_not_found(struct command_call *c);
/* Answers with a CALLERROR: a required member is missing. */
void command_lacks(struct command_call *c);

/* True if the member exists. Otherwise makes the CALLERROR and returns false.
 */
static inline bool
command_needs(struct command_call *c, bool there)
{
    if (!there)
        command_lacks(c);
    return there;
}

/* member: the name, in its version, of the member with the new availability. */
void command_availability(struct command_call *c, const char *member);
void command_reserve(struct command_call *c, const char *member);
void command_list(struct command_call *c, const char *member);
void command_list_version(struct command_call *c, const char *member);
void command_cancel(struct command_call *c);
void command_trigger(struct command_call *c);
/* True if the token is authorized. */
bool command_plain(const char *token);
/* Turns the power off and on again. reason: a word of 1.6. */
void command_reset(struct point *p, const char *reason);

#endif
